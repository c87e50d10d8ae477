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

const HELD: Want = Want::Held;

fn missing(name: u64) -> Want {
    Want::Missing(name)
}

/// A machine whose keys came at the instant.
fn warm() -> (Machine, Now) {
    let (mut machine, now) = (Machine::new(policy()), Clock::system().now());
    assert_eq!(machine.ask(now, missing(0), None), Ask::Fetch(Cause::Refresh));
    machine.fetched(now, Lifetime::Unsaid);
    (machine, now)
}

/// Looks for the key until it is known whether it is there, over a server without it.
fn search(machine: &mut Machine, now: Now, name: u64) -> Ask {
    let seen = machine.seen();
    match machine.ask(now, missing(name), None) {
        Ask::Fetch(cause) => {
            assert_eq!(cause, Cause::Search);
            machine.fetched(now, Lifetime::Unsaid);
            machine.ask(now, missing(name), Some(seen))
        }
        other => other,
    }
}

#[test]
fn without_keys_one_look_up_fetches_and_the_others_join_it() {
    let (mut machine, now) = (Machine::new(policy()), Clock::system().now());
    let seen = machine.seen();
    assert_eq!(machine.ask(now, missing(1), None), Ask::Fetch(Cause::Refresh));
    assert_eq!(machine.ask(now, missing(2), None), Ask::Join);
    machine.fetched(now, Lifetime::Unsaid);
    assert_eq!(machine.ask(now, HELD, Some(seen)), Ask::Keys);
    assert_eq!(machine.ask(now, missing(1), Some(seen)), Ask::Unknown);
}

#[test]
fn a_name_that_was_searched_in_vain_is_unknown_for_the_cool_down() {
    let (mut machine, now) = warm();
    assert_eq!(search(&mut machine, now, 1), Ask::Unknown);
    assert_eq!(machine.ask(now + seconds(29), missing(1), None), Ask::Unknown);
    assert_eq!(machine.ask(now + seconds(30), missing(1), None), Ask::Fetch(Cause::Search));
}

#[test]
fn a_flood_of_names_spends_three_searches_then_one_in_ten_seconds() {
    let (mut machine, now) = warm();
    for name in 1..=3 {
        assert_eq!(search(&mut machine, now, name), Ask::Unknown);
    }
    assert_eq!(search(&mut machine, now, 4), Ask::Spent(seconds(10)));
    assert_eq!(search(&mut machine, now, 3), Ask::Unknown, "it was searched");
    assert_eq!(search(&mut machine, now + seconds(4), 5), Ask::Spent(seconds(6)));
    assert_eq!(machine.ask(now, HELD, None), Ask::Keys);
    assert_eq!(search(&mut machine, now + seconds(10), 4), Ask::Unknown);
    assert_eq!(search(&mut machine, now + seconds(10), 5), Ask::Spent(seconds(10)));
}

#[test]
fn a_fetch_that_began_before_the_look_up_does_not_show_that_there_is_no_such_key() {
    let (mut machine, now) = warm();
    let due = now + HOUR;
    assert_eq!(machine.ask(due, HELD, None), Ask::KeysAndFetch);
    let early = machine.seen();
    machine.sent();
    let seen = machine.seen();
    assert_eq!(machine.ask(due, missing(1), None), Ask::Join);
    machine.fetched(due, Lifetime::Unsaid);
    assert_eq!(machine.ask(due, missing(1), Some(seen)), Ask::Fetch(Cause::Search));
    machine.sent();
    let other = machine.seen();
    assert_eq!(machine.ask(due, missing(3), Some(early)), Ask::Unknown, "it was sent after that");
    assert_eq!(machine.ask(due, missing(2), None), Ask::Join);
    machine.fetched(due, Lifetime::Unsaid);
    assert_eq!(machine.ask(due, missing(1), Some(seen)), Ask::Unknown, "and no third");
    assert_eq!(machine.ask(due, missing(2), Some(other)), Ask::Fetch(Cause::Search));
}

#[test]
fn doubts_about_a_signature_have_a_budget_of_their_own() {
    let (mut machine, now) = warm();
    for _ in 0..3 {
        assert!(machine.doubt(now));
        assert!(!machine.doubt(now), "one fetch at a time");
        machine.fetched(now, Lifetime::Unsaid);
    }
    assert!(!machine.doubt(now + seconds(9)));
    assert_eq!(search(&mut machine, now, 1), Ask::Unknown);
    assert!(machine.doubt(now + seconds(10)));
    machine.failed(now + seconds(10), None, 0.0);
    assert!(!machine.doubt(now + seconds(10)), "the server is left alone");
}

#[test]
fn keys_past_their_time_are_served_and_refreshed_and_that_is_no_search_for_a_key() {
    let (mut machine, now) = warm();
    let due = now + HOUR;
    assert_eq!(machine.next_refresh(now), HOUR);
    assert_eq!(machine.ask(now + (HOUR - seconds(1)), HELD, None), Ask::Keys);
    assert_eq!(machine.ask(due, HELD, None), Ask::KeysAndFetch);
    assert_eq!(machine.ask(due, HELD, None), Ask::Keys);
    machine.fetched(due, Lifetime::Unsaid);
    assert_eq!(machine.ask(due, missing(1), None), Ask::Fetch(Cause::Search));
}

#[test]
fn a_forced_fetch_heeds_no_pause_and_begins_after_it_is_asked_for() {
    let (mut machine, now) = warm();
    let seen = machine.seen();
    assert_eq!(machine.ask(now, Want::Newer, None), Ask::Fetch(Cause::Refresh));
    machine.sent();
    let later = machine.seen();
    assert_eq!(machine.ask(now, Want::Newer, None), Ask::Join);
    machine.fetched(now, Lifetime::Unsaid);
    assert_eq!(machine.ask(now, Want::Newer, Some(seen)), Ask::Keys);
    assert_eq!(machine.ask(now, Want::Newer, Some(later)), Ask::Fetch(Cause::Refresh));
    machine.failed(now, Some(HOUR), 0.0);
    assert_eq!(machine.ask(now, Want::Newer, Some(later)), Ask::Unavailable(Some(HOUR)));
    assert_eq!(machine.ask(now, Want::Newer, None), Ask::Fetch(Cause::Refresh));
}

#[test]
fn an_emptied_set_is_an_outage_of_every_key() {
    let (mut machine, now) = warm();
    assert_eq!(machine.ask(now, Want::Lost, None), Ask::Keys);
    assert_eq!(machine.ask(now, Want::Newer, None), Ask::Fetch(Cause::Refresh));
    machine.emptied();
    machine.failed(now, None, 0.0);
    for want in [HELD, missing(1), Want::Lost] {
        assert_eq!(machine.ask(now, want, None), Ask::Unavailable(Some(seconds(1))));
    }
    assert_eq!(machine.ask(now + seconds(1), Want::Lost, None), Ask::Fetch(Cause::Refresh));
}

#[test]
fn while_the_server_is_away_known_keys_are_good_and_of_others_nobody_can_tell() {
    let (mut machine, now) = warm();
    let seen = machine.seen();
    assert_eq!(machine.ask(now, missing(1), None), Ask::Fetch(Cause::Search));
    machine.failed(now, None, 0.0);
    assert_eq!(machine.ask(now, missing(1), Some(seen)), Ask::Unavailable(Some(seconds(1))));
    assert_eq!(machine.ask(now, missing(1), None), Ask::Unavailable(Some(seconds(1))));
    assert_eq!(machine.ask(now, HELD, None), Ask::Keys);
    let next = now + seconds(1);
    assert_eq!(machine.ask(next, missing(1), None), Ask::Fetch(Cause::Search));
    machine.failed(next, None, 0.0);
    assert_eq!(machine.ask(next, missing(1), None), Ask::Unavailable(Some(seconds(2))));
}

#[test]
fn keys_that_are_too_old_are_not_used_until_a_fetch_brings_them_back() {
    let (mut machine, now) = warm();
    let late = now + 24 * HOUR;
    assert_eq!(machine.ask(now + (24 * HOUR - seconds(1)), HELD, None), Ask::KeysAndFetch);
    machine.failed(late, Some(HOUR / 60), 0.0);
    assert_eq!(machine.ask(late, HELD, None), Ask::Unavailable(Some(seconds(60))));
    let (later, seen) = (late + seconds(60), machine.seen());
    assert_eq!(machine.ask(later, HELD, None), Ask::Fetch(Cause::Refresh));
    machine.fetched(later, Lifetime::Unsaid);
    assert_eq!(machine.ask(later, HELD, Some(seen)), Ask::Keys);
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
    Ask(Want),
    /// A look-up that waited asks again.
    AskAgain,
    Doubt,
    Sent,
    Pass(u64),
    Fetched(u64),
    Failed(u64),
    NotStarted,
}

fn event() -> impl Strategy<Value = Event> {
    let want = prop_oneof![
        Just(HELD),
        (0..4_u64).prop_map(missing),
        any::<u64>().prop_map(missing),
        Just(Want::Newer),
        Just(Want::Lost),
    ];
    prop_oneof![
        4 => want.prop_map(Event::Ask),
        3 => Just(Event::AskAgain),
        1 => Just(Event::Doubt),
        2 => Just(Event::Sent),
        2 => prop_oneof![0..40_u64, 0..100_000_u64].prop_map(Event::Pass),
        2 => any::<u64>().prop_map(Event::Fetched),
        1 => (0..3600_u64).prop_map(Event::Failed),
        1 => Just(Event::NotStarted),
    ]
}

proptest! {
    #[test]
    fn there_is_one_fetch_at_a_time_and_no_key_is_used_or_denied_that_should_not_be(
        events in prop::collection::vec(event(), 0..80),
    ) {
        let (mut machine, mut now) = (Machine::new(policy()), Clock::system().now());
        // Whether a fetch is in flight, when the last one came, how the last one ended.
        let (mut flying, mut good, mut failed) = (false, None, false);
        // The look-up that waits: what it wants, what it had seen, how often it waited.
        let mut waiting = None;
        for event in events {
            let (want, waited, times) = match event {
                Event::Pass(wait) => { now = now + seconds(wait); continue }
                Event::Fetched(life) => {
                    if flying {
                        machine.fetched(now, Lifetime::For(seconds(life)));
                        (flying, good, failed) = (false, Some(now), false);
                    }
                    continue;
                }
                Event::Failed(retry_after) => {
                    if flying {
                        machine.failed(now, Some(seconds(retry_after)), 0.5);
                        (flying, failed) = (false, true);
                    }
                    continue;
                }
                Event::NotStarted => { machine.not_started(); flying = false; waiting = None; continue }
                Event::Sent => {
                    machine.sent();
                    continue;
                }
                Event::Doubt => {
                    let fetches = machine.doubt(now);
                    prop_assert!(!fetches || (!flying && good.is_some()));
                    flying |= fetches;
                    continue;
                }
                Event::Ask(want) => (want, None, 0),
                Event::AskAgain => match waiting.take() {
                    Some(_) if flying => continue,
                    Some(waits) => waits,
                    None => continue,
                },
            };
            let usable = good.is_some_and(|good| now.since(good) < 24 * HOUR);
            let known = !matches!(want, Want::Missing(_));
            let seen = waited.unwrap_or_else(|| machine.seen());
            let ask = machine.ask(now, want, waited);
            match ask {
                Ask::Keys => prop_assert!(known && (usable || want != HELD)),
                Ask::KeysAndFetch => prop_assert!(usable && want == HELD && !flying),
                Ask::Fetch(_) => prop_assert!(!flying),
                Ask::Join => prop_assert!(flying),
                Ask::Unknown => prop_assert!(usable && !known && !failed),
                Ask::Spent(wait) => prop_assert!(usable && !known && wait <= seconds(10)),
                Ask::Unavailable(_) => prop_assert!(!usable || failed),
            }
            flying |= matches!(ask, Ask::Fetch(_) | Ask::KeysAndFetch);
            if matches!(ask, Ask::Fetch(_) | Ask::Join) {
                prop_assert!(times < 2, "a look-up waits at most twice");
                waiting = Some((want, Some(seen), times + 1));
            }
            prop_assert_eq!(machine.is_fetching(), flying);
        }
    }
}
