//! What a `Jwks` logs is logged while nobody waits for it.

use crate::leaks::offer_events_to_each_thread;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use std::{
    convert::Infallible,
    future::ready,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};
use tower::service_fn;
use tower_oauth2::{Transport, validate::Jwks};
use tracing::{Event, Subscriber, subscriber::with_default};
use tracing_subscriber::{Layer, Registry, layer::Context, prelude::*};

/// Asks for the status at every event of the crate.
struct Asks {
    jwks: Jwks,
    seen: Arc<Mutex<Vec<bool>>>,
}

impl<S: Subscriber> Layer<S> for Asks {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "tower_oauth2::server" {
            let status = self.jwks.status();
            self.seen.lock().unwrap().push(status.last_failure().is_some());
        }
    }
}

/// What the status says at each event of one fetch with this answer: whether it failed.
fn seen(answer: &'static str) -> Vec<bool> {
    let (done, ended) = mpsc::channel();
    // A thread of its own: a lock that is taken twice would hang for ever.
    thread::spawn(move || {
        let answers = service_fn(move |_: Request<Full<Bytes>>| {
            ready(Ok::<_, Infallible>(Response::new(answer.to_owned())))
        });
        let jwks = Jwks::from_url("https://as.example/jwks", Transport::new(answers)).unwrap();
        let seen = Arc::<Mutex<Vec<bool>>>::default();
        let asks = Asks { jwks: jwks.clone(), seen: seen.clone() };
        offer_events_to_each_thread();
        with_default(Registry::default().with(asks), || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            let _ = runtime.unwrap().block_on(jwks.warm_up());
        });
        let seen = seen.lock().unwrap().clone();
        done.send(seen).unwrap();
    });
    ended.recv_timeout(Duration::from_secs(20)).expect("it hangs")
}

#[test]
fn a_subscriber_may_ask_for_the_status_and_sees_what_came_of_the_fetch() {
    assert_eq!(seen("no key set"), [true]);
    let one = r#"{"keys":[{"kty":"oct","kid":"h1"},{"kty":"OKP","crv":"Ed25519",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    // One that keys came, and one about the entry that was skipped.
    assert_eq!(seen(one), [false, false]);
}
