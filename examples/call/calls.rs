//! One call after the other, or several at once, and what came of them.

use crate::{
    arguments::Arguments,
    causes::with_causes,
    client::{ApiClient, Sent},
};
use bytes::Bytes;
use http::{Request, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full, Limited};
use std::{
    io::{self, Write},
    time::{Duration, Instant},
};
use tokio::{
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval},
};
use tower::{BoxError, ServiceExt};
use tower_oauth2::client;

/// The longest body of an answer that is read, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// What came of the calls so far.
pub(crate) struct Tally {
    calls: u64,
    succeeded: u64,
    pub(crate) retries: u64,
    /// When the progress was last shown.
    shown: Instant,
}

/// An answer, and how often it was asked for.
struct Answer {
    result: Result<(StatusCode, Bytes), BoxError>,
    sent: u64,
}

/// Makes all the calls.
pub(crate) async fn call_all(client: &ApiClient, arguments: &Arguments) -> Result<Tally, BoxError> {
    let mut tally = Tally { calls: 0, succeeded: 0, retries: 0, shown: Instant::now() };
    let mut pace = arguments.every.map(pace);
    let mut under_way = JoinSet::new();
    for _ in 0..arguments.repeat {
        while under_way.len() >= arguments.concurrency {
            tally.note_next(&mut under_way, arguments.repeat).await?;
        }
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let request = request(arguments)?;
        under_way.spawn(call(client.clone(), request));
    }
    while !under_way.is_empty() {
        tally.note_next(&mut under_way, arguments.repeat).await?;
    }
    Ok(tally)
}

fn pace(every: Duration) -> Interval {
    // Zero is no interval.
    let mut pace = interval(every.max(Duration::from_millis(1)));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

fn request(arguments: &Arguments) -> Result<Request<Full<Bytes>>, http::Error> {
    let mut request =
        Request::builder().method(arguments.method.clone()).uri(arguments.url.clone());
    if let Some(data) = &arguments.data {
        let json = serde_json::from_str::<serde_json::Value>(data).is_ok();
        let form = "application/x-www-form-urlencoded";
        request = request.header(CONTENT_TYPE, if json { "application/json" } else { form });
    }
    request.body(Full::from(arguments.data.clone().unwrap_or_default()))
}

async fn call(client: ApiClient, mut request: Request<Full<Bytes>>) -> Answer {
    let sent = Sent::default();
    request.extensions_mut().insert(sent.clone());
    let result = async {
        let response = client.oneshot(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await?;
        Ok((status, body.to_bytes()))
    };
    Answer { result: result.await, sent: sent.times() }
}

impl Tally {
    pub(crate) fn calls(&self) -> u64 {
        self.calls
    }

    pub(crate) fn all_succeeded(&self) -> bool {
        self.succeeded == self.calls
    }

    async fn note_next(
        &mut self,
        under_way: &mut JoinSet<Answer>,
        of: u64,
    ) -> Result<(), BoxError> {
        let Some(answer) = under_way.join_next().await else { return Ok(()) };
        let answer = answer?;
        self.calls += 1;
        self.retries += answer.sent.saturating_sub(1);
        match answer.result {
            Ok((status, body)) => {
                self.succeeded += u64::from(status.is_success());
                // Where nobody reads on, as below `| head`, this is the end.
                writeln!(io::stdout(), "{}\n{}", status.as_u16(), String::from_utf8_lossy(&body))?;
            }
            Err(error) if error.is::<client::Error>() => eprintln!("{}", with_causes(&*error)),
            Err(error) => eprintln!("the API did not answer: {}", with_causes(&*error)),
        }
        if of > 1 && (self.shown.elapsed() >= Duration::from_secs(1) || self.calls == of) {
            self.shown = Instant::now();
            eprintln!("{} of {of} calls, {} failed", self.calls, self.calls - self.succeeded);
        }
        Ok(())
    }
}
