//! What the layers report through the facades `tracing` and `metrics`.
//!
//! **In**: words, texts and numbers. **Out**: events, spans, counters and a gauge.
//! **Uses** no other room.
#![cfg_attr(
    not(all(feature = "metrics", feature = "tracing")),
    allow(unused, reason = "an absent facade reads nothing")
)]

#[cfg(not(all(feature = "metrics", feature = "tracing")))]
mod absent;
#[cfg(feature = "https")]
mod certificates;
#[cfg(feature = "server")]
mod decisions;
#[cfg(all(feature = "server", feature = "jwt"))]
pub(crate) mod keys;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "server")]
mod repeats;
#[cfg(feature = "client")]
pub(crate) mod tokens;
mod words;

#[cfg(feature = "tracing")]
use ::tracing as facade;
#[cfg(not(feature = "metrics"))]
use absent::metrics;
#[cfg(not(feature = "tracing"))]
use absent::tracing as facade;
#[cfg(feature = "https")]
pub(crate) use certificates::client_certificate_kept;
#[cfg(feature = "server")]
pub(crate) use decisions::{decided, not_introspected};
pub(crate) use facade::{Instrument, Span};
#[cfg(feature = "server")]
pub(crate) use repeats::Repeats;
#[cfg(feature = "server")]
pub(crate) use words::Outcome;
