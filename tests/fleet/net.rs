//! The ways between replicas, and from a replica to the authorization server.

use crate::{
    faults::{Fault, Kind},
    invariants::Log,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use std::{
    collections::BTreeSet,
    convert::Infallible,
    future::pending,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{runtime::Handle, sync::oneshot};
use tower::{BoxError, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_oauth2::{Clock, testing::AuthorizationServer};

pub(crate) type Body = Full<Bytes>;
pub(crate) type Client = BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>;
pub(crate) type Api = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;
pub(crate) type ToServer = BoxCloneSyncService<Request<Body>, Response<Body>, io::Error>;

/// One way of a call to another replica. The way back takes no time.
const TO_API: Duration = Duration::from_millis(1);
/// The time for the answer to an introspection.
const JUDGES: Duration = Duration::from_millis(40);
/// A connection that is cut is noticed by then.
const CUT: Duration = Duration::from_secs(1);
const SLOW: Duration = Duration::from_secs(6);

/// A call of one replica to another for a user, in the extensions of its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) number: u64,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) user: u32,
}

impl Call {
    pub(crate) fn user_name(&self) -> String {
        format!("u{}", self.user)
    }
}

/// What the parts of a world share.
pub(crate) struct Shared {
    pub(crate) server: AuthorizationServer,
    /// How long it takes for a token.
    pub(crate) server_takes: Duration,
    pub(crate) state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) log: Log,
    /// What is wrong now.
    pub(crate) faults: Vec<Fault>,
    /// Replicas that have something to do.
    pub(crate) woken: BTreeSet<usize>,
    /// The replicas that run, as others reach them.
    pub(crate) peers: Vec<Option<(Handle, Api)>>,
}

/// A replica, as what is at work there sees the world.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) replica: usize,
    pub(crate) clock: Clock,
    pub(crate) shared: Arc<Shared>,
}

impl Place {
    /// Returns `true` if this goes wrong here and now.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        let state = self.shared.state.lock().unwrap();
        state.faults.iter().any(|fault| fault.kind == kind && fault.concerns(self.replica))
    }

    pub(crate) fn log<T>(&self, see: impl FnOnce(&mut Log) -> T) -> T {
        see(&mut self.shared.state.lock().unwrap().log)
    }

    /// Returns the way to the authorization server.
    pub(crate) fn to_server(&self) -> ToServer {
        let place = self.clone();
        ToServer::new(service_fn(move |request| exchange(place.clone(), request)))
    }

    /// Returns the way to the API of the replica that a request names.
    pub(crate) fn to_api(&self) -> Client {
        let place = self.clone();
        Client::new(service_fn(move |request| call_api(place.clone(), request)))
    }
}

/// A token request that is under way.
struct UnderWay {
    place: Place,
    user: u32,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.place.log(|log| log.asked_no_more(self.user));
    }
}

async fn exchange(place: Place, request: Request<Body>) -> Result<Response<Body>, io::Error> {
    let (head, body) = request.into_parts();
    let form = whole(body).await;
    let is_token = head.uri.path() == "/token";
    let takes = match is_token {
        _ if place.has(Kind::ServerSlow) => SLOW,
        true => place.shared.server_takes,
        false => JUDGES,
    };
    place.clock.sleep(takes / 2).await;
    if place.has(Kind::CutFromServer) {
        place.clock.sleep(CUT).await;
        return Err(io::ErrorKind::TimedOut.into());
    }
    let user = field(&form, "username").and_then(|name| name.strip_prefix('u')?.parse().ok());
    let user: u32 = user.unwrap_or_default();
    place.log(|log| match is_token {
        true => log.asked(place.replica, user, field(&form, "refresh_token").as_deref()),
        false => log.introspected(),
    });
    let _under_way = is_token.then(|| UnderWay { place: place.clone(), user });
    if place.has(Kind::ServerHangs) {
        pending::<()>().await;
    }
    let Ok(response) =
        place.shared.server.clone().oneshot(Request::from_parts(head, Body::new(form))).await;
    let (head, body) = response.into_parts();
    let body = whole(body).await;
    if is_token && head.status == StatusCode::OK {
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
        place.log(|log| log.issued(user, answer["access_token"].as_str().unwrap()));
    }
    place.clock.sleep(takes / 2).await;
    Ok(Response::from_parts(head, Body::new(body)))
}

fn field(form: &Bytes, name: &str) -> Option<String> {
    let mut fields = form_urlencoded::parse(form);
    fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

pub(crate) async fn whole(body: Body) -> Bytes {
    let Ok(body) = body.collect().await;
    body.to_bytes()
}

/// The answer that a replica waits for. It hears of it too if there will be none.
struct Answer {
    to: Place,
    send: Option<oneshot::Sender<Response<Body>>>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        drop(self.send.take());
        self.to.shared.state.lock().unwrap().woken.insert(self.to.replica);
    }
}

async fn call_api(place: Place, request: Request<Body>) -> Result<Response<Body>, BoxError> {
    let call: Call = *request.extensions().get().unwrap();
    let token = request.headers()[AUTHORIZATION].to_str().unwrap();
    let token = token.strip_prefix("Bearer ").unwrap().to_owned();
    place.log(|log| log.sent(call, &token));
    place.clock.sleep(TO_API).await;
    if place.has(Kind::CutFromApi) {
        place.clock.sleep(CUT).await;
        return Err("timed out".into());
    }
    let (send, received) = oneshot::channel();
    let mut answer = Answer { to: place.clone(), send: Some(send) };
    let (runtime, api) = {
        let mut state = place.shared.state.lock().unwrap();
        let peer = state.peers[call.to].clone();
        state.woken.insert(call.to);
        drop(state);
        peer.ok_or("connection refused")?
    };
    runtime.spawn(async move {
        let Ok(response) = api.oneshot(request).await;
        let is_good = answer.to.shared.server.introspect(&token).is_some();
        answer.to.log(|log| log.judged(call, response.status(), is_good));
        if let Some(send) = answer.send.take() {
            drop(send.send(response));
        }
    });
    Ok(received.await.map_err(|_| "connection reset")?)
}
