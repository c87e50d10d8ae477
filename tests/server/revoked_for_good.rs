//! A token that was taken back is never good again: clocks that differ or jump, issuers that are
//! left out, lifetimes that nobody knows, leeways that do not fit each other.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::Request;
use proptest::prelude::*;
use std::time::{Duration, SystemTime};
use tower_oauth2::{
    AccessToken, Answer, Clock, RequestHead,
    testing::ManualClock,
    validate::{
        Principal, Rejection, RejectionKind, Revocations, ValidateToken, Validated, Verdict,
    },
};

const NOW: u64 = 1_767_225_600;
const MINUTE: u64 = 60;
const DAY: u64 = 24 * 3600;

fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(second)
}

fn clock_at(second: u64) -> ManualClock {
    ManualClock::from_wall(at(second))
}

/// A token of the issuer `as`, known by its text `t` and its identifier `j`.
#[derive(Clone, Copy, Debug)]
struct Token {
    issued_at: Option<u64>,
    expires_at: Option<u64>,
    issuer: Option<&'static str>,
}

fn token(issued_at: u64, expires_at: u64) -> Token {
    Token { issued_at: Some(issued_at), expires_at: Some(expires_at), issuer: Some("as") }
}

impl Token {
    fn principal(self) -> Principal {
        let mut principal = Principal::new("alice").with_token_id("j");
        if let Some(issuer) = self.issuer {
            principal = principal.with_issuer(issuer);
        }
        if let Some(issued_at) = self.issued_at {
            principal = principal.with_issued_at(at(issued_at));
        }
        match self.expires_at {
            Some(expires_at) => principal.with_expiry(at(expires_at)),
            None => principal,
        }
    }

    /// Returns the verdict of a validator with this leeway.
    fn judge(self, clock: &Clock, leeway: u64) -> Result<Validated, Rejection> {
        let (now, leeway) = (clock.wall(), Duration::from_secs(leeway));
        if self.issued_at.is_some_and(|issued_at| at(issued_at) > now + leeway) {
            return Err(Rejection::invalid("not yet"));
        }
        let end = self.expires_at.map(|expires_at| at(expires_at) + leeway);
        if end.is_some_and(|end| now >= end) {
            return Err(Rejection::expired());
        }
        Ok(Validated::new(self.principal(), ()).with_good_until(end))
    }

    fn validator(
        self,
        clock: &ManualClock,
        leeway: u64,
    ) -> impl ValidateToken<Claims = ()> + use<> {
        let clock = clock.clock();
        move |_: AccessToken| std::future::ready(self.judge(&clock, leeway))
    }
}

fn judged<V: ValidateToken>(validator: &V, token: &str) -> Verdict<V::Claims> {
    let request = Request::new(());
    match validator.validate(token, RequestHead::from_request(&request)) {
        Answer::Ready(verdict) => verdict,
        Answer::Pending(verdict) => tokio_test::block_on(verdict),
    }
}

fn kind<V: ValidateToken>(validator: &V, token: &str) -> Option<RejectionKind> {
    judged(validator, token).err().map(|rejection| rejection.kind())
}

/// Sweeps the whole of `list`.
fn sweep(list: &Revocations, prefix: &str) {
    for number in 0..256 {
        list.revoke_id(None, &format!("{prefix}{number}"), Some(at(0))).unwrap();
    }
}

#[test]
fn a_wall_clock_that_jumps_ahead_and_back_forgets_no_revocation() {
    let revoke: [fn(&Revocations); 4] = [
        |list| list.revoke_token("t", Some(at(NOW + 3600))).unwrap(),
        |list| list.revoke_id(Some("as"), "j", Some(at(NOW + 3600))).unwrap(),
        |list| list.revoke_subject(Some("as"), "alice", at(NOW + 9), Some(at(NOW + 3600))).unwrap(),
        |list| list.revoke_token("t", None).unwrap(),
    ];
    for revoke in revoke {
        for revoked_while_ahead in [false, true] {
            let clock = clock_at(NOW);
            let list = Revocations::new()
                .with_clock(clock.clock())
                .with_max_lifetime(Duration::from_secs(3600));
            let validator = list.guard(token(NOW, NOW + 3600).validator(&clock, 30));
            if revoked_while_ahead {
                clock.set_wall(at(NOW + 2 * DAY));
            }
            revoke(&list);
            clock.set_wall(at(NOW + 2 * DAY));
            sweep(&list, "ahead");
            clock.set_wall(at(NOW + 60));
            assert_eq!(kind(&validator, "t"), Some(RejectionKind::Revoked));
        }
    }
}

#[test]
fn a_wall_clock_that_was_behind_when_a_token_was_revoked_ends_no_entry_early() {
    let clock = clock_at(NOW - 30 * DAY);
    let list =
        Revocations::new().with_clock(clock.clock()).with_max_lifetime(Duration::from_secs(3600));
    let validator = list.guard(token(NOW, NOW + 3600).validator(&clock, 30));
    list.revoke_token("t", None).unwrap();
    clock.set_wall(at(NOW + 60));
    sweep(&list, "right");
    assert_eq!(kind(&validator, "t"), Some(RejectionKind::Revoked));
}

#[test]
fn a_wall_clock_that_is_set_back_after_the_end_of_an_entry_revives_no_token() {
    let clock = clock_at(NOW);
    let list = Revocations::new().with_clock(clock.clock());
    let revoked = list.guard(token(NOW, NOW + 3600).validator(&clock, 30));
    let later = list.guard(token(NOW, NOW + 2 * DAY).validator(&clock, 30));
    list.revoke_token("t", Some(at(NOW + 3600))).unwrap();
    clock.advance(Duration::from_secs(DAY));
    sweep(&list, "x");
    clock.set_wall(at(NOW + 60));
    assert_eq!(kind(&revoked, "t"), Some(RejectionKind::Revoked));
    assert_eq!(kind(&later, "another"), None);
}

#[test]
fn a_token_stays_revoked_for_the_longest_leeway_of_a_validator() {
    let clock = clock_at(NOW);
    let list = Revocations::new().with_clock(clock.clock());
    let validator = list.guard(token(NOW, NOW + 600).validator(&clock, 300));
    list.revoke_token("t", Some(at(NOW + 600))).unwrap();
    for _ in 0..2 {
        clock.advance(Duration::from_secs(449));
        sweep(&list, "x");
        assert_eq!(kind(&validator, "t"), Some(RejectionKind::Revoked));
    }
    clock.advance(Duration::from_secs(2));
    assert_eq!(kind(&validator, "t"), Some(RejectionKind::Expired));
}

#[test]
fn a_leeway_of_the_list_that_is_shorter_than_that_of_the_validator_revives_no_token() {
    let clock = clock_at(NOW);
    let list = Revocations::new().with_clock(clock.clock()).with_leeway(Duration::ZERO);
    let validator = list.guard(token(NOW, NOW + 600).validator(&clock, 300));
    list.revoke_token("t", Some(at(NOW + 600))).unwrap();
    for _ in 0..2 {
        clock.advance(Duration::from_secs(440));
        assert_eq!(kind(&validator, "t"), Some(RejectionKind::Revoked), "in the list");
        sweep(&list, "x");
        assert_eq!(kind(&validator, "t"), Some(RejectionKind::Revoked), "swept");
    }
}

fn jwt(claims: &str) -> String {
    let part = |text| BASE64_URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.c2ln", part(r#"{"alg":"ES256"}"#), part(claims))
}

#[test]
fn a_token_whose_expiry_is_not_given_stays_revoked_while_it_lives() {
    let revoke: [fn(&Revocations, &str); 4] = [
        |list, text| list.revoke_token(text, None).unwrap(),
        |list, _| list.revoke_id(Some("as"), "j", None).unwrap(),
        |list, _| list.revoke_subject(Some("as"), "alice", at(NOW + 9), None).unwrap(),
        |list, _| list.revoke_subject_now(Some("as"), "alice", None).unwrap(),
    ];
    let of_three_days = jwt(&format!(r#"{{"exp":{}}}"#, NOW + 3 * DAY));
    for text in ["opaque", &of_three_days] {
        for revoke in revoke {
            let clock = clock_at(NOW);
            let list = Revocations::new().with_clock(clock.clock());
            let validator = list.guard(token(NOW, NOW + 3 * DAY).validator(&clock, 300));
            revoke(&list, text);
            clock.advance(Duration::from_secs(3 * DAY + 299));
            sweep(&list, "x");
            assert_eq!(kind(&validator, text), Some(RejectionKind::Revoked), "{text}");
        }
    }
}

#[test]
fn the_entry_of_a_jwt_ends_with_it_and_no_earlier_than_told() {
    let clock = clock_at(NOW);
    let list = Revocations::new().with_clock(clock.clock()).with_capacity(4);
    let end = NOW + 3600;
    list.revoke_token(&jwt(&format!(r#"{{"exp":{end}}}"#)), None).unwrap();
    list.revoke_token(&jwt(&format!(r#"{{"exp":{end}.5}}"#)), Some(at(NOW))).unwrap();
    list.revoke_token(&jwt(r#"{"exp":"never"}"#), None).unwrap();
    list.revoke_token(&jwt(r#"{"exp":1e300}"#), None).unwrap();
    clock.advance(Duration::from_secs(3600 + 299));
    assert!(list.revoke_token("one", None).is_err(), "all are alive");
    clock.advance(Duration::from_secs(2));
    list.revoke_token("one", None).unwrap();
    list.revoke_token("two", None).unwrap();
    clock.advance(Duration::from_secs(1000 * DAY));
    assert!(list.revoke_token("three", None).is_err(), "what has no end takes its place");
}

#[test]
fn a_token_that_outlives_the_longest_lifetime_of_a_list_is_not_good_under_it() {
    let clock = clock_at(NOW);
    let list =
        Revocations::new().with_clock(clock.clock()).with_max_lifetime(Duration::from_secs(DAY));
    let of_a_day = list.guard(token(NOW, NOW + DAY).validator(&clock, 30));
    let longer = list.guard(token(NOW, NOW + DAY + 1).validator(&clock, 30));
    assert_eq!(kind(&of_a_day, "t"), None);
    assert_eq!(kind(&longer, "t"), Some(RejectionKind::Revoked));
}

#[test]
fn to_log_out_everywhere_now_revokes_tokens_of_an_issuer_whose_clock_is_ahead() {
    for ahead in [0, 20, 30, 299, 300] {
        let clock = clock_at(NOW);
        let list = Revocations::new().with_clock(clock.clock());
        let validator = list.guard(token(NOW + ahead, NOW + 3600).validator(&clock, 300));
        assert_eq!(kind(&validator, "t"), None);
        list.revoke_subject_now(Some("as"), "alice", None).unwrap();
        assert_eq!(kind(&validator, "t"), Some(RejectionKind::Revoked), "{ahead}");
        clock.advance(Duration::from_secs(3000));
        assert_eq!(kind(&validator, "t"), Some(RejectionKind::Revoked), "{ahead}");
        // Of later than the leeway.
        let next = list.guard(token(NOW + 301, NOW + 7200).validator(&clock, 300));
        assert_eq!(kind(&next, "t"), None);
    }
}

#[test]
fn who_logged_out_everywhere_may_come_back_though_the_time_of_issue_is_unknown() {
    let clock = clock_at(NOW);
    let list =
        Revocations::new().with_clock(clock.clock()).with_max_lifetime(Duration::from_secs(DAY));
    let undated = |expires_at| Token { issued_at: None, ..token(0, expires_at) };
    let [old, new] = [NOW + DAY, NOW + 2 * DAY]
        .map(|expires_at| list.guard(undated(expires_at).validator(&clock, 300)));
    list.revoke_subject_now(Some("as"), "alice", None).unwrap();
    clock.advance(Duration::from_secs(DAY));
    assert_eq!(kind(&old, "t"), Some(RejectionKind::Revoked));
    assert_eq!(kind(&new, "t"), Some(RejectionKind::Revoked));
    // The entry is over, and nothing swept it out since.
    clock.advance(Duration::from_secs(601));
    assert_eq!(kind(&new, "t"), None);
    clock.set_wall(at(NOW + DAY));
    assert_eq!(kind(&old, "t"), Some(RejectionKind::Revoked));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Revoke {
        how: u8,
        tells_until: bool,
    },
    Advance(u64),
    /// Sets the wall clock so far from `NOW`, forward or back.
    Jump(i64),
    Sweep,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let day = i64::try_from(DAY).unwrap();
    let advance = prop_oneof![0..10 * MINUTE, 0..4 * DAY];
    let jump = prop_oneof![-600_i64..600, -5 * day..5 * day];
    let step = prop_oneof![
        2 => (0_u8..4, any::<bool>())
            .prop_map(|(how, tells_until)| Step::Revoke { how, tells_until }),
        3 => advance.prop_map(Step::Advance),
        2 => jump.prop_map(Step::Jump),
        2 => Just(Step::Sweep),
    ];
    proptest::collection::vec(step, 1..24)
}

fn tokens() -> impl Strategy<Value = Token> {
    let lifetime = prop_oneof![1..10 * MINUTE, 1..4 * DAY];
    let issuer = prop_oneof![Just(None), Just(Some("as"))];
    (any::<bool>(), proptest::option::of(lifetime), issuer, 0_u64..600).prop_map(
        |(is_dated, lifetime, issuer, ahead)| Token {
            issued_at: is_dated.then_some(NOW - 300 + ahead),
            expires_at: lifetime.map(|lifetime| NOW - 300 + ahead + lifetime),
            issuer,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_that_was_taken_back_is_ever_good_again(
        token in tokens(), leeway in 0_u64..=300, steps in steps(),
    ) {
        let clock = clock_at(NOW);
        let list = Revocations::new().with_clock(clock.clock());
        let validator = list.guard(token.validator(&clock, leeway));
        let mut is_revoked = false;
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Advance(seconds) => clock.advance(Duration::from_secs(seconds)),
                Step::Jump(seconds) => clock.set_wall(at(NOW.saturating_add_signed(seconds))),
                Step::Sweep => sweep(&list, &number.to_string()),
                Step::Revoke { how, tells_until } => {
                    // Whoever takes a token back has its verdict.
                    let Ok(validated) = judged(&validator, "t") else { continue };
                    let until = validated.good_until().filter(|_| tells_until);
                    match how {
                        0 => list.revoke_token("t", until),
                        1 => list.revoke_id(token.issuer, "j", until),
                        2 => list.revoke_subject_now(token.issuer, "alice", until),
                        _ => {
                            let before = at(token.issued_at.unwrap_or(NOW) + 1);
                            list.revoke_subject(token.issuer, "alice", before, until)
                        }
                    }
                    .unwrap();
                    is_revoked = true;
                }
            }
            prop_assert!(!is_revoked || judged(&validator, "t").is_err(), "step {}", number);
        }
    }
}
