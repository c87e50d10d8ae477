//! Looks for secrets in whatever a program may print.
#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::{
    error::Error,
    fmt::Debug,
    io,
    sync::{Arc, LazyLock, Mutex},
};
use tracing::Dispatch;
use tracing_subscriber::{
    Registry, filter::LevelFilter, fmt::format::FmtSpan, util::SubscriberInitExt,
};

/// Fails where one of `secrets` shows in `text`: raw, escaped for a URL or a string, or in base64.
pub(crate) fn assert_absent(secrets: &[&str], text: &str) {
    let folded = text.to_ascii_lowercase();
    for secret in secrets {
        for form in [
            (*secret).to_owned(),
            secret.escape_debug().to_string(),
            form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
            utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
            BASE64_STANDARD.encode(secret),
            BASE64_STANDARD_NO_PAD.encode(secret),
            BASE64_URL_SAFE_NO_PAD.encode(secret),
        ] {
            assert!(!folded.contains(&form.to_ascii_lowercase()), "{secret} shows in {text}");
        }
    }
}

/// Both forms of `Debug`.
pub(crate) fn debug(value: &dyn Debug) -> String {
    format!("{value:?}\n{value:#?}")
}

/// All that an error can print, and everything below it.
pub(crate) fn printed(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        text.push_str(&format!("{error}\n{error:#}\n{}\n", debug(&error)));
        next = error.source();
    }
    text
}

/// While a process has one subscriber at most, `tracing` asks the thread that comes to an event
/// first whether anybody wants it, and remembers the answer for all threads: a test without a
/// subscriber would take the event from the one that has it. With two more it asks them all.
static WANTED: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Dispatch::new(Registry::default())));

/// Has every event be offered to the subscriber of its own thread, though other tests run without.
pub(crate) fn offer_events_to_each_thread() {
    LazyLock::force(&WANTED);
}

/// What `future` brings, and what is traced on this thread meanwhile, at every level.
pub(crate) async fn traced<F: Future>(future: F) -> (F::Output, String) {
    offer_events_to_each_thread();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_writer(move || writer.clone());
    let default = subscriber.set_default();
    let output = future.await;
    drop(default);
    let log = log.0.lock().unwrap().clone();
    (output, String::from_utf8(log).unwrap())
}

/// The lines of `log` that this crate wrote.
pub(crate) fn own_lines(log: &str) -> String {
    log.lines().filter(|line| line.contains(" tower_oauth2")).collect()
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
