//! What goes wrong: a list of values, drawn from a seed, from which one at a time can be left out.

use std::time::Duration;

/// The numbers that decide a run: those of a seed and no others.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self(mix(seed ^ mix(stream)))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Returns a wait between events that come by chance, `mean` apart, in whole microseconds.
    pub(crate) fn wait(&mut self, mean: Duration) -> Duration {
        let part = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        Duration::from_micros((-(1.0 - part).ln() * mean.as_micros() as f64) as u64 + 1)
    }
}

pub(crate) fn mix(bits: u64) -> u64 {
    let mixed = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The replica is gone, with all that it knew, and starts anew at the end.
    Crash,
    /// The replica stands still, and so does its clock: a virtual machine that is moved.
    Pause,
    CutFromServer,
    CutFromStore,
    CutFromApi,
    /// The wall clock of the replica is 20 s ahead, or behind, of what it is otherwise.
    ClockAhead,
    ClockBehind,
    /// The authorization server answers 503.
    ServerDown,
    /// It takes 6 s for an answer.
    ServerSlow,
    /// It does not answer.
    ServerHangs,
    /// The store refuses, and is empty afterwards.
    StoreDown,
    StoreHangs,
    /// The store takes 200 ms for an answer: less than its deadline.
    StoreSlow,
    /// The store does what it is asked, and answers after its deadline.
    StoreLate,
    StoreEmptied,
    /// The values in the store are overwritten.
    StoreGarbage,
    /// The server revokes every token, without notice.
    RevokeAll,
    /// The server revokes the newest token of the user `replica`, and the replicas hear of it.
    RevokeNewest,
}

/// Every kind, for a draw.
const KINDS: [Kind; 18] = {
    use Kind::*;
    [
        Crash,
        Pause,
        CutFromServer,
        CutFromStore,
        CutFromApi,
        ClockAhead,
        ClockBehind,
        ServerDown,
        ServerSlow,
        ServerHangs,
        StoreDown,
        StoreHangs,
        StoreSlow,
        StoreLate,
        StoreEmptied,
        StoreGarbage,
        RevokeAll,
        RevokeNewest,
    ]
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// Which one, where the kind concerns one.
    pub(crate) replica: usize,
    pub(crate) at: Duration,
    pub(crate) lasts: Duration,
}

impl Fault {
    pub(crate) const fn new(kind: Kind, at: Duration, lasts: Duration) -> Self {
        Self { kind, replica: 0, at, lasts }
    }

    pub(crate) fn end(&self) -> Duration {
        self.at + self.lasts
    }

    /// Returns `true` if it concerns `replica`.
    pub(crate) fn concerns(&self, replica: usize) -> bool {
        self.replica == replica || !self.is_of_one()
    }

    fn is_of_one(&self) -> bool {
        use Kind::*;
        let kinds =
            [Crash, Pause, CutFromServer, CutFromStore, CutFromApi, ClockAhead, ClockBehind];
        kinds.contains(&self.kind)
    }

    /// Returns `true` if a lease may be lost, not be seen or not be renewed.
    pub(crate) fn loosens_leases(&self) -> bool {
        use Kind::*;
        [Pause, CutFromStore, StoreDown, StoreHangs, StoreLate, StoreEmptied].contains(&self.kind)
    }

    fn is_of_an_instant(&self) -> bool {
        use Kind::*;
        [StoreEmptied, StoreGarbage, RevokeAll, RevokeNewest].contains(&self.kind)
    }

    /// Returns `true` if a replica may not get a token, or not in time.
    pub(crate) fn withholds_tokens(&self) -> bool {
        use Kind::*;
        [Pause, CutFromServer, ServerDown, ServerSlow, ServerHangs].contains(&self.kind)
    }

    /// Returns `true` if an answer to a refresh token may be lost with it, or not be saved, or if sessions are
    /// revoked.
    pub(crate) fn loses_answers(&self) -> bool {
        use Kind::*;
        let kinds = [Crash, Pause, CutFromStore, StoreDown, StoreHangs, StoreLate];
        let servers = [ServerSlow, ServerHangs, RevokeAll, RevokeNewest];
        kinds.contains(&self.kind) || servers.contains(&self.kind)
    }

    /// Returns how many token requests of one key it may cost, in a fleet of so many replicas whose
    /// tokens are renewed so often.
    pub(crate) fn cost(&self, replicas: usize, renewal: Duration) -> f64 {
        use Kind::*;
        // Each replica for itself, and all in a part of the time.
        let alone = 2.0 * self.lasts.as_secs_f64() / renewal.as_secs_f64();
        match self.kind {
            ServerDown | ServerHangs => self.lasts.as_secs_f64() / 10.0 + 3.0,
            StoreDown | StoreHangs | StoreLate => alone * replicas as f64 + 1.0,
            CutFromStore | Pause => alone + 1.0,
            RevokeAll => 2.0,
            CutFromApi => 0.0,
            _ => 1.0,
        }
    }
}

/// Draws faults for a run of `lasts`, one in `every`, of a minute each; the first and the last minutes
/// are quiet.
pub(crate) fn chaos(seed: u64, replicas: usize, lasts: Duration, every: Duration) -> Vec<Fault> {
    let mut draw = Draw::new(seed, 1);
    let mut faults = Vec::new();
    let mut at = Duration::from_secs(60);
    loop {
        at += draw.wait(every);
        let mut fault = Fault {
            kind: KINDS[draw.below(KINDS.len())],
            replica: draw.below(replicas),
            at,
            lasts: draw.wait(Duration::from_secs(60)),
        };
        if fault.is_of_an_instant() {
            fault.lasts = Duration::ZERO;
        }
        if fault.end() + Duration::from_secs(60) > lasts {
            return faults;
        }
        faults.push(fault);
    }
}

/// Leaves out one fault after the other, as long as what is left still `fails`.
pub(crate) fn shrink(mut faults: Vec<Fault>, fails: impl Fn(&[Fault]) -> bool) -> Vec<Fault> {
    // Halves first: most faults have nothing to do with it.
    let mut size = faults.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        while at < faults.len() {
            let mut fewer = faults.clone();
            fewer.drain(at..(at + size).min(faults.len()));
            if fails(&fewer) {
                faults = fewer;
            } else {
                at += size;
            }
        }
        if size == 1 {
            return faults;
        }
        size = size.div_ceil(2);
    }
}
