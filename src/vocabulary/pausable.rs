//! The wall clock beside tokio's clock, which a test may pause and advance.

use std::time::{Instant, SystemTime};
use tokio::runtime::Builder;

/// Has the method that `Builder` has of its own if tokio's feature `test-util` is on, without which
/// its clock cannot be paused. A method of the type itself goes before one of a trait, so the type
/// that is returned tells which of the two there is.
#[allow(dead_code, reason = "not called where tokio has the method")]
trait StartPaused {
    fn start_paused(&mut self, _: bool) -> Absent;
}

impl StartPaused for Builder {
    fn start_paused(&mut self, _: bool) -> Absent {
        Absent
    }
}

struct Absent;

trait CanPause {
    const CAN_PAUSE: bool;
}

impl CanPause for Absent {
    const CAN_PAUSE: bool = false;
}

impl CanPause for &mut Builder {
    const CAN_PAUSE: bool = true;
}

fn can_pause<A: CanPause>(_: impl FnOnce(&'static mut Builder) -> A) -> bool {
    A::CAN_PAUSE
}

/// Returns the system's wall clock, moved by as much as tokio's clock was held back or advanced: a
/// paused wall clock stands still, and `tokio::time::advance` moves it. A plain read if tokio's clock
/// cannot be paused.
pub(super) fn wall() -> SystemTime {
    let wall = SystemTime::now();
    match can_pause(|builder| builder.start_paused(true)) {
        true => moved(wall),
        false => wall,
    }
}

// Not inlined, so that a count of instructions can leave it out: no program has it but tests.
#[inline(never)]
fn moved(wall: SystemTime) -> SystemTime {
    let (tokio, system) = (tokio::time::Instant::now().into_std(), Instant::now());
    let moved = match tokio.checked_duration_since(system) {
        Some(ahead) => wall.checked_add(ahead),
        None => wall.checked_sub(system.saturating_duration_since(tokio)),
    };
    moved.unwrap_or(wall)
}
