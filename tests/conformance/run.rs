//! Sends the request of a case through its stack.

use crate::{
    bound,
    case::{Case, Request},
    config::{BuildError, Config},
    fixture::{Body, Seen},
    jwt::Outbound,
    observed::{self, Captured, Counter},
    stack::{self, Boxed},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use http_body_util::BodyExt;
use metrics_util::debugging::DebuggingRecorder;
use serde_json::Value;
use std::{
    convert::Infallible,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tower::{Service, ServiceExt};
use tower_oauth2::{RequestHead, testing::ManualClock, validate::ValidateToken};
use tracing_subscriber::layer::SubscriberExt;

/// How much time passes in the stack while nothing else happens, and when that is too much.
const TICK: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of a case.
pub(crate) struct Outcome {
    pub(crate) response: Option<Answered>,
    /// What the stack answered before any call, where that was all that was asked.
    pub(crate) readiness: Option<&'static str>,
    pub(crate) token_asked: Vec<String>,
    pub(crate) seen: Vec<Seen>,
    pub(crate) audited: Vec<Value>,
    pub(crate) counters: Vec<Counter>,
    pub(crate) logged: Vec<String>,
    pub(crate) outbound: Outbound,
    pub(crate) sent: Request,
}

/// A response, its body read.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) extensions: http::Extensions,
    pub(crate) body: Bytes,
}

/// Runs the request of `case` under the configuration of `under`.
///
/// # Errors
///
/// When the stack cannot be built.
pub(crate) fn run(case: &Case, under: &Case) -> Result<Outcome, BuildError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let captured = Captured::default();
    let subscriber = tracing_subscriber::registry().with(captured.clone());
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let outcome = metrics::with_local_recorder(&recorder, || {
        tracing::subscriber::with_default(subscriber, || runtime.block_on(answer(case, under)))
    });
    let logged = captured.0.lock().unwrap().clone();
    Ok(Outcome { counters: observed::counters(&snapshotter), logged, ..outcome? })
}

async fn answer(case: &Case, under: &Case) -> Result<Outcome, BuildError> {
    let mut stack = stack::build(&Config(under.config())).await?;
    let sent = case.request().map_err(BuildError::Case)?;
    let config = Config(under.config());
    let expect = under.expect();
    if stack.remembers {
        for token in case.bound_tokens() {
            let head = http_request(&sent, &config)?;
            // Whether it is good is for the case to say.
            let _ = stack.judge.validate(token, RequestHead::from_request(&head)).wait().await;
        }
        stack.validator.forget();
    }
    if case.is_sent_before() {
        let first = stack.service.clone().oneshot(http_request(&sent, &config)?);
        let first = in_time(&stack.clock, first).await?;
        if !first.status().is_success() {
            let text = format!("expected the first request to pass, got {}", first.status());
            return Err(BuildError::Case(text));
        }
        stack.validator.forget();
        stack.seen.lock().unwrap().clear();
        stack.audited.lock().unwrap().clear();
    }
    let mut readiness = None;
    let (mut response, mut seen_dropped) = (None, None);
    if expect.contains_key("poll_ready") {
        let mut context = Context::from_waker(Waker::noop());
        readiness = Some(match stack.service.poll_ready(&mut context) {
            Poll::Ready(_) => "Ready",
            Poll::Pending => "Pending",
        });
    } else {
        let is_dropped = expect.get("dropped") == Some(&Value::Bool(true));
        if is_dropped {
            drop_after_one_poll(stack.service.clone(), http_request(&sent, &config)?);
            // What is expected of the inner service is about this request, not the second.
            seen_dropped = Some(stack.seen.lock().unwrap().clone());
        }
        if !is_dropped || expect.contains_key("shared_refresh_survives") {
            let answered = stack.service.oneshot(http_request(&sent, &config)?);
            response = Some(read(in_time(&stack.clock, answered).await?).await);
        }
    }
    let token_asked = stack.validator.asked();
    let seen = seen_dropped.unwrap_or_else(|| stack.seen.lock().unwrap().clone());
    let audited = stack.audited.lock().unwrap().clone();
    let (counters, logged) = Default::default();
    Ok(Outcome {
        response,
        readiness,
        token_asked,
        seen,
        audited,
        counters,
        logged,
        outbound: stack.outbound,
        sent,
    })
}

fn http_request(sent: &Request, config: &Config<'_>) -> Result<http::Request<Body>, BuildError> {
    let wrong = |what: &str| {
        BuildError::Case(format!("expected a request, got one whose {what} is no such thing"))
    };
    let method = http::Method::from_bytes(sent.method.as_bytes()).map_err(|_| wrong("method"))?;
    let mut request = http::Request::new(Body::from(sent.body.clone()));
    *request.method_mut() = method;
    *request.uri_mut() = sent.uri.parse().map_err(|_| wrong("URI"))?;
    for (name, value) in &sent.headers {
        let is_grpc = value.to_ascii_lowercase().starts_with("application/grpc");
        if name.eq_ignore_ascii_case("content-type") && is_grpc {
            *request.version_mut() = Version::HTTP_2;
        }
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong(name))?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| wrong(name))?;
        request.headers_mut().append(header, value);
    }
    if let Some(certificate) = bound::certificate(config)? {
        request.extensions_mut().insert(certificate);
    }
    Ok(request)
}

fn drop_after_one_poll(service: Boxed, request: http::Request<Body>) {
    let mut future = pin!(service.oneshot(request));
    let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
}

/// The answer, while the time of the stack goes on.
async fn in_time(
    clock: &ManualClock,
    answer: impl Future<Output = Result<Response<Body>, Infallible>>,
) -> Result<Response<Body>, BuildError> {
    let passing = async {
        let mut passed = Duration::ZERO;
        while passed < PATIENCE {
            tokio::time::sleep(TICK).await;
            clock.advance(TICK);
            passed += TICK;
        }
    };
    tokio::select! {
        biased;
        Ok(response) = answer => Ok(response),
        () = passing => Err(BuildError::Case("expected an answer, got none within a minute".into())),
    }
}

async fn read(response: Response<Body>) -> Answered {
    let (head, body) = response.into_parts();
    let Ok(body) = body.collect().await;
    let (status, headers, extensions) = (head.status, head.headers, head.extensions);
    Answered { status, headers, extensions, body: body.to_bytes() }
}
