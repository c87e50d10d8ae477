//! What tests need: a clock that stands still until it is told to go on.

mod manual_clock;

pub use manual_clock::ManualClock;
