//! The formats in which an answer may come.

use super::answer::{Members, object};
use crate::validate::{Rejection, times::Leeway};
use std::{future::ready, pin::Pin, time::SystemTime};

pub(super) type Reading<'a> = Pin<Box<dyn Future<Output = Result<Members, Rejection>> + Send + 'a>>;

pub(super) trait Format: Send + Sync {
    /// Returns the media type, for the `Accept` of the question.
    fn media_type(&self) -> &'static str;

    /// Reads the members of an answer that came at `now`.
    fn read<'a>(&'a self, body: &'a [u8], now: SystemTime, leeway: Leeway) -> Reading<'a>;
}

/// A JSON object, which TLS alone protects.
pub(super) struct Json;

impl Format for Json {
    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn read<'a>(&'a self, body: &'a [u8], _: SystemTime, _: Leeway) -> Reading<'a> {
        Box::pin(ready(object(body)))
    }
}
