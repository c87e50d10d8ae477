//! What must hold whatever goes wrong, and what is counted.

use crate::{
    faults::{Fault, Kind, mix},
    net::Call,
    plan::Plan,
    report::{Breach, End, Invariant, Report},
    world::CLOCK_STEP,
};
use http::StatusCode;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The validator's deadline, and a second for the ways.
const VALIDATION: Duration = Duration::from_secs(6);
/// A fetch that began in a fault ends within its deadline, and the store is then spared for 5 s more.
const AFTER_STORE: Duration = Duration::from_secs(40);
/// A refresh token whose answer was lost is sent again within its access token's lifetime.
const LOST_ANSWER: Duration = Duration::from_secs(700);
/// A user notices, signs in, and every replica looks again.
const SIGN_IN: Duration = Duration::from_secs(30);
/// A pause that the fleet keeps after a failure, and the fetch after it.
const AFTER_SERVER: Duration = Duration::from_secs(70);

struct Issued {
    user: u32,
    end: Duration,
}

/// Sees everything, and keeps the report.
pub(crate) struct Log {
    pub(crate) now: Duration,
    pub(crate) report: Report,
    plan: Plan,
    issued: BTreeMap<String, Issued>,
    newest: BTreeMap<u32, String>,
    under_way: BTreeMap<u32, u32>,
    open: BTreeMap<u64, (Call, Duration)>,
    /// When each replica last got an answer to an introspection: until the next, it remembers an outage.
    heard: BTreeMap<usize, Duration>,
    sent_refresh_tokens: BTreeMap<String, u32>,
    refresh_tokens: BTreeMap<String, u32>,
    /// Since when each user has a session.
    sessions: BTreeMap<u32, Duration>,
    /// The end of the newest access token that a replica has, or had.
    delivered: BTreeMap<u32, Duration>,
    /// The users who have to sign in.
    pub(crate) signed_out: BTreeSet<u32>,
}

impl Log {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            now: Duration::ZERO,
            report: Report::default(),
            plan,
            issued: BTreeMap::new(),
            newest: BTreeMap::new(),
            under_way: BTreeMap::new(),
            open: BTreeMap::new(),
            heard: BTreeMap::new(),
            sent_refresh_tokens: BTreeMap::new(),
            refresh_tokens: BTreeMap::new(),
            sessions: BTreeMap::new(),
            delivered: BTreeMap::new(),
            signed_out: BTreeSet::new(),
        }
    }

    pub(crate) fn breach(&mut self, invariant: Invariant, note: String) {
        let same = |breach: &&Breach| breach.invariant == invariant;
        if self.report.breaches.iter().filter(same).count() < 20 {
            self.report.breaches.push(Breach { invariant, at: self.now, note });
        }
    }

    /// Mixes an event into the trace.
    fn trace(&mut self, event: &str, numbers: [u64; 2]) {
        let mut trace = self.report.trace ^ (self.now.as_nanos() as u64);
        for bits in event.bytes().map(u64::from).chain(numbers) {
            trace = mix(trace ^ bits);
        }
        self.report.trace = trace;
    }

    /// Returns `true` if a fault of which `is_meant` holds was there after `since`, or ended less than
    /// `after` before.
    fn any(&self, since: Duration, after: Duration, is_meant: impl Fn(&Fault) -> bool) -> bool {
        let is_near = |fault: &&Fault| {
            fault.at <= self.now && fault.end() + after >= since && is_meant(fault)
        };
        self.plan.faults.iter().find(is_near).is_some()
    }

    /// A token request arrives.
    pub(crate) fn asked(&mut self, replica: usize, user: u32, refresh_token: Option<&str>) {
        self.trace("asked", [user.into(), replica as u64]);
        self.report.requests.entry(user).or_default().push((self.now, replica));
        let under_way = self.under_way.entry(user).or_default();
        *under_way += 1;
        let under_way = *under_way;
        if under_way > 1
            && self.plan.is_shared()
            && !self.any(self.now, AFTER_STORE, Fault::loosens_leases)
        {
            self.breach(Invariant::OneRequestAtATime, format!("{under_way} of user {user}"));
        }
        let Some(token) = refresh_token else { return };
        // Replicas use it until 10 s before its end, and count from before they asked: 6 s at most. What a
        // clock is set forward by counts as time that passed.
        let now = self.now + Duration::from_secs(18) + CLOCK_STEP;
        let lives = self.delivered.get(&user).is_some_and(|end| now < *end);
        let sent = self.sent_refresh_tokens.entry(token.to_owned()).or_default();
        *sent += 1;
        if *sent > 2 && lives {
            let note = format!("{sent} times, user {user}");
            self.breach(Invariant::NoRefreshTokenIsSentAgain, note);
        }
    }

    /// The newest token of `user` has arrived.
    pub(crate) fn delivered(&mut self, user: u32) {
        let newest = self.newest.get(&user).and_then(|token| self.issued.get(token));
        let end = newest.map_or(self.now, |issued| issued.end);
        self.delivered.insert(user, end);
    }

    /// A replica heard that the server has not taken a refresh token.
    pub(crate) fn refused(&mut self, refresh_token: &str) {
        if let Some(sent) = self.sent_refresh_tokens.get_mut(refresh_token) {
            *sent -= 1;
        }
    }

    /// Returns who has the session of a refresh token.
    pub(crate) fn user_of(&self, refresh_token: &str) -> u32 {
        self.refresh_tokens.get(refresh_token).copied().unwrap_or_default()
    }

    pub(crate) fn signed_in(&mut self, user: u32, refresh_token: &str) {
        self.trace("signed in", [user.into(), 0]);
        self.refresh_tokens.insert(refresh_token.to_owned(), user);
        self.sessions.insert(user, self.now);
        self.delivered(user);
    }

    pub(crate) fn rotated(&mut self, user: u32, refresh_token: &str) {
        self.report.rotations += 1;
        self.refresh_tokens.insert(refresh_token.to_owned(), user);
    }

    /// The server refused a refresh token.
    pub(crate) fn killed(&mut self, user: u32) {
        self.trace("killed", [user.into(), 0]);
        self.report.killed += 1;
        if !self.any(self.now, LOST_ANSWER, Fault::loses_answers) {
            self.breach(Invariant::NoSessionEndsForNothing, format!("user {user}"));
        }
    }

    /// A token request ended, with an answer or without.
    pub(crate) fn asked_no_more(&mut self, user: u32) {
        if let Some(under_way) = self.under_way.get_mut(&user) {
            *under_way -= 1;
        }
    }

    pub(crate) fn issued(&mut self, user: u32, token: &str) {
        self.trace("issued", [user.into(), 0]);
        let end = self.now + self.plan.lifetime;
        self.issued.insert(token.to_owned(), Issued { user, end });
        self.newest.insert(user, token.to_owned());
    }

    pub(crate) fn newest(&self, user: u32) -> Option<String> {
        self.newest.get(&user).cloned()
    }

    pub(crate) fn introspected(&mut self) {
        self.report.introspections += 1;
        self.trace("introspected", [0; 2]);
    }

    pub(crate) fn heard_verdict(&mut self, replica: usize) {
        self.heard.insert(replica, self.now);
    }

    /// A call leaves its replica with `token`.
    pub(crate) fn sent(&mut self, call: Call, token: &str) {
        self.trace("sent", [call.from as u64, call.user.into()]);
        match self.issued.get(token) {
            Some(issued) if issued.user != call.user => {
                let note = format!("user {} has the token of {}", call.user, issued.user);
                self.breach(Invariant::OwnToken, note);
            }
            Some(issued) if issued.end <= self.now => {
                let late = self.now - issued.end;
                self.report.expired_sent += 1;
                let note = format!("{late:?} past its end, by replica {}", call.from);
                self.breach(Invariant::NoExpiredTokenIsSent, note);
            }
            Some(_) => {}
            None => self.breach(Invariant::OwnToken, "nobody issued it".to_owned()),
        }
    }

    /// A replica judged the token of a call, which its server finds good or not.
    pub(crate) fn judged(&mut self, call: Call, status: StatusCode, is_good: bool) {
        self.trace("judged", [call.to as u64, status.as_u16().into()]);
        if status == StatusCode::UNAUTHORIZED && is_good {
            let note = format!("replica {} refused a token of user {}", call.to, call.user);
            self.breach(Invariant::GoodTokensPass, note);
        }
    }

    pub(crate) fn called(&mut self, call: Call) {
        self.trace("called", [call.from as u64, call.to as u64]);
        self.report.calls += 1;
        self.open.insert(call.number, (call, self.now));
    }

    /// The replica crashed, and its callers with it.
    pub(crate) fn crashed(&mut self, replica: usize) {
        self.open.retain(|_, (call, _)| call.from != replica);
    }

    pub(crate) fn ended(&mut self, call: Call, end: &End) {
        let Some((_, begun)) = self.open.remove(&call.number) else { return };
        self.in_time(call, begun);
        let of_call = format!("user {} from {} to {}", call.user, call.from, call.to);
        let status = match end {
            End::Answered(status, _) => status.as_u16().into(),
            End::NoToken { .. } => 1,
            End::Disconnected => 2,
        };
        let has_reason = match end {
            End::Answered(StatusCode::OK, body) => {
                self.report.ok += 1;
                if *body != call.user_name() {
                    self.breach(Invariant::OwnToken, format!("{body} answers {}", call.user));
                }
                true
            }
            End::Answered(StatusCode::UNAUTHORIZED, _) => {
                self.report.unauthorized += 1;
                let is_excused = self.has_no_server(begun, call.from)
                    || self.has_lost_session(call.user)
                    || self.has_no_session(call, false);
                if !is_excused {
                    self.breach(Invariant::NoCallerNoticesRevocation, of_call.clone());
                }
                true
            }
            End::Answered(..) => {
                self.report.unavailable += 1;
                let heard = self.heard.get(&call.to).copied().unwrap_or_default();
                self.has_no_server(begun.min(heard), call.to)
            }
            End::NoToken { has_time, signed_out } => {
                self.report.no_token += 1;
                self.report.no_token_with_time += u64::from(*has_time);
                self.has_no_server(begun, call.from) || self.has_no_session(call, *signed_out)
            }
            End::Disconnected => {
                self.report.disconnected += 1;
                self.any(begun, AFTER_STORE, |fault| match fault.kind {
                    Kind::Crash => fault.replica == call.to,
                    Kind::CutFromApi => fault.replica == call.from,
                    _ => false,
                })
            }
        };
        if !has_reason {
            self.breach(Invariant::NoCallFailsForNothing, format!("{of_call}, {status}"));
        }
        self.trace("ended", [call.number, status]);
    }

    /// Returns `true` if `replica` could not reach the server, or not well, at some time since `begun`
    /// or shortly before.
    fn has_no_server(&self, begun: Duration, replica: usize) -> bool {
        let concerns = |fault: &Fault| fault.withholds_tokens() && fault.concerns(replica);
        self.any(begun, AFTER_SERVER, concerns)
    }

    /// Returns `true` if the session of `user` was revoked with its tokens.
    fn has_lost_session(&self, user: u32) -> bool {
        let revokes = |fault: &Fault| matches!(fault.kind, Kind::RevokeAll | Kind::RevokeNewest);
        self.sessions.contains_key(&user) && self.any(self.now, self.plan.lifetime, revokes)
    }

    /// Returns `true` if a call of a user with a session has no token for a reason of its own: the user has to
    /// sign in, or the store of the sessions could not be reached.
    fn has_no_session(&mut self, call: Call, signed_out: bool) -> bool {
        let Some(since) = self.sessions.get(&call.user).copied() else { return false };
        if signed_out && self.now > since + SIGN_IN {
            self.signed_out.insert(call.user);
        }
        let is_away = |fault: &Fault| fault.loses_answers() && fault.kind != Kind::RevokeNewest;
        signed_out || self.any(self.now, AFTER_SERVER, is_away)
    }

    fn in_time(&mut self, call: Call, begun: Duration) {
        let stands = |fault: &Fault| {
            fault.kind == Kind::Pause && [call.from, call.to].contains(&fault.replica)
        };
        if self.any(begun, Duration::ZERO, stands) {
            return;
        }
        let took = self.now - begun;
        self.report.worst = self.report.worst.max(took);
        if took > self.plan.patience + VALIDATION {
            let note = format!("{took:?} from {} to {}", call.from, call.to);
            self.breach(Invariant::AnsweredInTime, note);
        }
    }

    /// The run is over, and was quiet for some time.
    pub(crate) fn over(&mut self) {
        for (call, begun) in std::mem::take(&mut self.open).into_values() {
            self.in_time(call, begun);
        }
        let renewal = self.plan.lifetime.mul_f64(0.8);
        let ideal = self.plan.lasts.as_secs_f64() / renewal.as_secs_f64() + 1.0;
        let of_faults = |fault: &Fault| fault.cost(self.plan.replicas, renewal);
        let allowed = 1.25 * ideal + self.plan.faults.iter().map(of_faults).sum::<f64>();
        let most = self.report.requests.iter().max_by_key(|(_, requests)| requests.len());
        let Some((user, requests)) = most.filter(|_| self.plan.is_shared()) else { return };
        self.report.allowed_part = requests.len() as f64 / allowed;
        if requests.len() as f64 > allowed {
            let note = format!("{} of user {user}, {allowed:.0} allowed", requests.len());
            self.breach(Invariant::FewRequests, note);
        }
    }
}
