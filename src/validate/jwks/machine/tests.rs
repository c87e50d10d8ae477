use super::*;
use crate::Clock;
use proptest::prelude::*;

const HOUR: Duration = Duration::from_secs(3600);

fn policy() -> Policy {
    Policy {
        max_stale: 24 * HOUR,
        refresh_min: HOUR / 12,
        refresh_max: 24 * HOUR,
        cool_down: HOUR / 120,
        jitter: 0.0,
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A machine whose keys came at the instant.
fn warm() -> (Machine, Now) {
    let (mut machine, now) = (Machine::new(policy()), Clock::system().now());
    assert_eq!(machine.ask(now, false, false), Ask::Fetch);
    assert!(!machine.fetched(now, Lifetime::Unsaid));
    (machine, now)
}

#[test]
fn without_keys_one_look_up_fetches_and_the_others_join_it() {
    let (mut machine, now) = (Machine::new(policy()), Clock::system().now());
    assert_eq!(machine.ask(now, false, false), Ask::Fetch);
    assert_eq!(machine.ask(now, false, false), Ask::Join);
    machine.fetched(now, Lifetime::Unsaid);
    assert_eq!(machine.ask(now, true, true), Ask::Keys);
    assert_eq!(machine.ask(now, false, true), Ask::Unknown);
}

#[test]
fn an_unknown_key_is_looked_for_once_in_a_cool_down() {
    let (mut machine, now) = warm();
    assert_eq!(machine.ask(now, false, false), Ask::Fetch, "the first fetch was for another key");
    assert_eq!(machine.ask(now, true, false), Ask::Keys);
    let landed = now + seconds(7);
    machine.fetched(landed, Lifetime::Unsaid);
    assert_eq!(machine.ask(landed, false, true), Ask::Unknown);
    assert_eq!(machine.ask(landed + seconds(29), false, false), Ask::Unknown);
    assert_eq!(machine.ask(landed + seconds(30), false, false), Ask::Fetch);
}

#[test]
fn a_fetch_that_a_look_up_waited_for_in_vain_begins_the_cool_down() {
    let (mut machine, now) = warm();
    assert_eq!(machine.ask(now + seconds(1), false, true), Ask::Unknown);
    assert_eq!(machine.ask(now + seconds(29), false, false), Ask::Unknown);
    assert_eq!(machine.ask(now + seconds(30), false, false), Ask::Fetch);
}

#[test]
fn keys_past_their_time_are_served_and_refreshed_and_that_is_no_search_for_a_key() {
    let (mut machine, now) = warm();
    let due = now + HOUR;
    assert_eq!(machine.ask(now + (HOUR - seconds(1)), true, false), Ask::Keys);
    assert_eq!(machine.ask(due, true, false), Ask::KeysAndFetch);
    assert_eq!(machine.ask(due, true, false), Ask::Keys);
    assert!(!machine.fetched(due, Lifetime::Unsaid));
    assert_eq!(machine.ask(due, false, false), Ask::Fetch);
}

#[test]
fn a_search_during_a_refresh_is_one_more_fetch_since_the_key_may_be_younger() {
    let (mut machine, now) = warm();
    let due = now + HOUR;
    assert_eq!(machine.ask(due, true, false), Ask::KeysAndFetch);
    assert_eq!(machine.ask(due, false, false), Ask::Join);
    assert!(machine.fetched(due, Lifetime::Unsaid));
    assert_eq!(machine.ask(due, false, false), Ask::Join);
    assert!(!machine.fetched(due, Lifetime::Unsaid), "and no third");
    assert_eq!(machine.ask(due, false, false), Ask::Unknown);
}

#[test]
fn while_the_server_is_away_known_keys_are_good_and_of_others_nobody_can_tell() {
    let (mut machine, now) = warm();
    assert_eq!(machine.ask(now, false, false), Ask::Fetch);
    machine.failed(now, None, 0.0);
    assert_eq!(machine.ask(now, false, true), Ask::Unavailable(Some(seconds(1))));
    assert_eq!(machine.ask(now, false, false), Ask::Unavailable(Some(seconds(1))));
    assert_eq!(machine.ask(now, true, false), Ask::Keys);
    let next = now + seconds(1);
    assert_eq!(machine.ask(next, false, false), Ask::Fetch);
    machine.failed(next, None, 0.0);
    assert_eq!(machine.ask(next, false, false), Ask::Unavailable(Some(seconds(2))));
}

#[test]
fn keys_that_are_too_old_are_not_used_until_a_fetch_brings_them_back() {
    let (mut machine, now) = warm();
    let late = now + 24 * HOUR;
    assert_eq!(machine.ask(now + (24 * HOUR - seconds(1)), true, false), Ask::KeysAndFetch);
    machine.failed(late, Some(HOUR / 60), 0.0);
    assert_eq!(machine.ask(late, true, false), Ask::Unavailable(Some(seconds(60))));
    let later = late + seconds(60);
    assert_eq!(machine.ask(later, true, false), Ask::Fetch);
    machine.fetched(later, Lifetime::Unsaid);
    assert_eq!(machine.ask(later, true, true), Ask::Keys);
}

#[test]
fn pauses_grow_from_a_second_to_thirty_and_the_server_may_ask_for_more() {
    let (mut machine, now) = (Machine::new(policy()), Clock::system().now());
    for (retry_after, pause) in
        [(0, 1), (0, 2), (0, 4), (9, 9), (0, 16), (0, 30), (0, 30), (90, 90)]
    {
        machine.failed(now, Some(seconds(retry_after)), 0.0);
        assert_eq!(machine.next_try(now), Some(seconds(pause)));
    }
    machine.failed(now, None, 1.0);
    assert_eq!(machine.next_try(now), Some(seconds(18)));
}

#[test]
fn a_lifetime_is_kept_within_bounds_and_cut_short_by_a_tenth_at_most() {
    let fresh = |jitter, lifetime| Policy { jitter, ..policy() }.fresh_for(lifetime);
    for (lifetime, expected) in [
        (Lifetime::Unsaid, 3600),
        (Lifetime::None, 300),
        (Lifetime::For(seconds(1)), 300),
        (Lifetime::For(seconds(7200)), 7200),
        (Lifetime::For(Duration::MAX), 12 * 3600),
    ] {
        assert_eq!(fresh(0.0, lifetime), seconds(expected), "{lifetime:?}");
        assert_eq!(fresh(1.0, lifetime), seconds(expected * 9 / 10), "{lifetime:?}");
    }
}

#[derive(Clone, Debug)]
enum Event {
    Ask { known: bool, waited: bool },
    Pass(u64),
    Fetched(u64),
    Failed(u64),
    NotStarted,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => any::<(bool, bool)>().prop_map(|(known, waited)| Event::Ask { known, waited }),
        2 => prop_oneof![0..40_u64, 0..100_000_u64].prop_map(Event::Pass),
        2 => any::<u64>().prop_map(Event::Fetched),
        1 => (0..3600_u64).prop_map(Event::Failed),
        1 => Just(Event::NotStarted),
    ]
}

proptest! {
    #[test]
    fn there_is_one_fetch_at_a_time_and_no_key_is_used_or_denied_that_should_not_be(
        events in prop::collection::vec(event(), 0..60),
    ) {
        let (mut machine, mut now) = (Machine::new(policy()), Clock::system().now());
        // Whether a fetch is in flight, when the last one came, how the last one ended.
        let (mut flying, mut good, mut failed) = (false, None, false);
        for event in events {
            match event {
                Event::Pass(wait) => now = now + seconds(wait),
                Event::Fetched(life) if flying => {
                    flying = machine.fetched(now, Lifetime::For(seconds(life)));
                    (good, failed) = (Some(now), false);
                }
                Event::Failed(retry_after) if flying => {
                    machine.failed(now, Some(seconds(retry_after)), 0.5);
                    (flying, failed) = (false, true);
                }
                Event::NotStarted if flying => {
                    machine.not_started();
                    flying = false;
                }
                Event::Ask { known, waited } => {
                    let usable = good.is_some_and(|good| now.since(good) < 24 * HOUR);
                    let served = usable && known;
                    let ask = machine.ask(now, known, waited);
                    match ask {
                        Ask::Keys => prop_assert!(served),
                        Ask::KeysAndFetch => prop_assert!(served && !flying),
                        Ask::Fetch => prop_assert!(!flying && !waited && !served),
                        Ask::Join => prop_assert!(flying && !waited && !served),
                        Ask::Unknown => prop_assert!(usable && !known && !failed),
                        Ask::Unavailable(_) => prop_assert!(!usable || (failed && !known)),
                    }
                    flying |= matches!(ask, Ask::Fetch | Ask::KeysAndFetch);
                }
                _ => {}
            }
            prop_assert_eq!(machine.is_fetching(), flying);
        }
    }
}
