//! What is sent again of a request body, by each policy.

use crate::resource::{
    AnswerBody, BoxError, HOME, Issuer, Resource, Seen, body_of, ends, refusal, settle,
};
use bytes::{Buf, BufMut, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Collected, Empty, Full};
use proptest::{collection::vec, option, prelude::*, test_runner::TestCaseResult};
use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt::Debug,
    future::ready,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tokio::{
    net::TcpListener,
    runtime,
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};
use tonic::{
    Code, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::tokio_stream::{StreamExt, wrappers::ReceiverStream},
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_oauth2::client::{
    AddBearerService, Buffered, BufferedAs, ClientCredentialsRefresh, Cloned, Known, Never,
    ReplayBody, ReplayPolicy, TokenCache,
};

/// A step of a body.
#[derive(Clone, Debug)]
enum Step {
    Data(Vec<u8>),
    /// Nothing yet.
    Wait,
    Trailers(HeaderMap),
    Fail,
}

/// A body that takes these steps and cannot be cloned. Its data is not `Bytes`.
#[derive(Debug, Default)]
struct Steps(VecDeque<Step>);

impl Steps {
    fn of(steps: &[Step]) -> Self {
        Self(steps.to_vec().into())
    }
}

impl Body for Steps {
    type Data = VecDeque<u8>;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<VecDeque<u8>>, BoxError>>> {
        Poll::Ready(match self.0.pop_front() {
            None => None,
            Some(Step::Data(data)) => Some(Ok(Frame::data(data.into()))),
            Some(Step::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Some(Step::Fail) => Some(Err("the file is gone".into())),
            Some(Step::Wait) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(data_of(self.0.iter()).len() as u64)
    }
}

fn data_of<'a>(steps: impl Iterator<Item = &'a Step>) -> Vec<u8> {
    let data = steps.map(|step| match step {
        Step::Data(data) => data.as_slice(),
        _ => &[],
    });
    data.collect::<Vec<_>>().concat()
}

fn data(text: &str) -> Step {
    Step::Data(text.into())
}

fn trailers(value: &str) -> HeaderMap {
    let name = HeaderName::from_static("x-digest");
    HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
}

/// What the resource got when `body` was sent by a client with this policy, whose first token is
/// rejected. What is sent once is refused, its token dropped; what is sent twice is welcome.
async fn sent<P, B>(policy: P, body: B) -> Vec<Seen>
where
    P: ReplayPolicy<B>,
    P::Body: Body<Data: Send, Error: Debug> + Send + 'static,
    B: Send + 'static,
{
    let (issuer, resource) = (Issuer::of(["T1", "T2"]), Resource::accepting(["T2"]));
    let layer = issuer.layer().with_replay(policy);
    let request = Request::post(HOME).body(body).unwrap();
    let response = ends(layer.layer(resource.clone()).oneshot(request)).await.unwrap();
    let seen = resource.seen();
    let tokens: Vec<_> = seen.iter().map(|seen| seen.token().unwrap()).collect();
    if response.status() == StatusCode::OK {
        assert_eq!(tokens, ["T1", "T2"]);
    } else {
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "refused");
        assert_eq!((tokens, issuer.requests()), (vec!["T1"], 1));
        assert!(!layer.cache().status().is_fresh(), "the token is suspect");
    }
    seen
}

/// Every one of the two sends was `text` and these trailers.
fn assert_twice(seen: &[Seen], text: &str, trailers: Option<&HeaderMap>) {
    assert_eq!(seen.len(), 2);
    for seen in seen {
        assert_eq!((&seen.body[..], seen.trailers.as_ref()), (text.as_bytes(), trailers));
    }
}

fn assert_once(seen: &[Seen], text: &str) {
    let bodies: Vec<_> = seen.iter().map(|seen| &seen.body[..]).collect();
    assert_eq!(bodies, [text.as_bytes()]);
}

#[tokio::test]
async fn known_sends_again_what_is_known_to_be_whole() {
    assert_twice(&sent(Known, Full::new(Bytes::from("whole"))).await, "whole", None);
    assert_twice(&sent(Known, Full::<Bytes>::default()).await, "", None);
    assert_twice(&sent(Known, Empty::<Bytes>::new()).await, "", None);
    assert_twice(&sent(Known, "whole".to_owned()).await, "whole", None);
    assert_twice(&sent(Known, String::new()).await, "", None);
    assert_twice(&sent(Known, axum::body::Body::empty()).await, "", None);
    assert_twice(&sent(Known, Steps::of(&[])).await, "", None);
}

#[tokio::test]
async fn known_sends_once_what_may_be_a_stream() {
    let steps = || Steps::of(&[data("st"), Step::Wait, data("ream")]);
    assert_once(&sent(Known, steps()).await, "stream");
    let body = axum::body::Body::new(steps().map_frame(bytes_of));
    assert_once(&sent(Known, body).await, "stream");
    // It is whole, and does not show it.
    assert_once(&sent(Known, axum::body::Body::from("whole")).await, "whole");
}

fn bytes_of(frame: Frame<VecDeque<u8>>) -> Frame<Bytes> {
    frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
}

#[tokio::test]
async fn never_sends_nothing_again() {
    assert_once(&sent(Never, Full::new(Bytes::from("whole"))).await, "whole");
    assert_once(&sent(Never, Empty::<Bytes>::new()).await, "");
    assert_once(&sent(Never, Steps::of(&[data("stream")])).await, "stream");
}

/// A body of the caller's own whose clone is whole.
#[derive(Clone)]
struct Own(Full<Bytes>);

impl Body for Own {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }
}

#[tokio::test]
async fn cloned_sends_a_clone_again() {
    assert_twice(&sent(Cloned, Own(Full::new(Bytes::from("own")))).await, "own", None);
    assert_twice(&sent(Cloned, Full::new(Bytes::from("whole"))).await, "whole", None);
}

#[tokio::test]
async fn buffered_sends_again_what_it_could_keep() {
    let steps = [data("a "), Step::Wait, data(""), data("stream"), Step::Wait];
    for limit in [8, 9, usize::MAX] {
        let seen = sent(Buffered::new(limit), Steps::of(&steps)).await;
        assert_twice(&seen, "a stream", None);
    }
    for limit in [0, 7] {
        assert_once(&sent(Buffered::new(limit), Steps::of(&steps)).await, "a stream");
    }
    assert_twice(&sent(Buffered::new(0), Steps::of(&[])).await, "", None);
    let last = trailers("of it");
    let steps = [data("a stream"), Step::Trailers(last.clone())];
    assert_twice(&sent(Buffered::new(8), Steps::of(&steps)).await, "a stream", Some(&last));
    let alone = [Step::Trailers(last.clone())];
    assert_twice(&sent(Buffered::new(0), Steps::of(&alone)).await, "", Some(&last));
}

#[tokio::test]
async fn buffered_keeps_64_kib_by_default() {
    let text = "x".repeat(64 * 1024);
    let (chunks, one_more) = ([data(&text)], [data(&text), data("x")]);
    assert_twice(&sent(Buffered::default(), Steps::of(&chunks)).await, &text, None);
    assert_once(&sent(Buffered::default(), Steps::of(&one_more)).await, &(text + "x"));
}

type Replayed = ReplayBody<Steps>;

/// How often each send was polled, and what it gave.
#[derive(Debug, Default)]
struct Heard {
    first: Vec<u8>,
    second: Option<Collected<Bytes>>,
    hints: Vec<SizeHint>,
    /// The first body, where it is not dropped.
    kept: Option<Replayed>,
}

/// A resource that reads so many frames of the first send before it refuses it, keeps that body
/// where it is to, and reads the second to its end, polling the first again in between.
async fn hear(
    heard: Arc<Mutex<Heard>>,
    (reads, keeps): (usize, bool),
    request: Request<Replayed>,
) -> Result<Response<AnswerBody>, BoxError> {
    let first = request.headers()[header::AUTHORIZATION] == "Bearer T1";
    let mut body = request.into_body();
    heard.lock().unwrap().hints.push(body.size_hint());
    if !first {
        let mut kept = heard.lock().unwrap().kept.take();
        let mut collected = Vec::new();
        let mut trailers = None;
        while let Some(frame) = body.frame().await {
            match frame?.into_data() {
                Ok(data) => collected.push(data),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
            if let Some(kept) = &mut kept {
                let late = kept.frame().await;
                assert!(!matches!(late, Some(Ok(_))), "what the second reads is its alone");
            }
        }
        let whole = Full::new(Bytes::from(collected.concat()));
        let whole = whole.with_trailers(async move { trailers.map(Ok) }).collect().await;
        heard.lock().unwrap().second = whole.ok();
        return Ok(Response::new(body_of("welcome")));
    }
    let mut read = Vec::new();
    for _ in 0..reads {
        let Some(frame) = body.frame().await else { break };
        read.extend(frame?.into_data().unwrap_or_default());
    }
    let mut heard = heard.lock().unwrap();
    heard.first = read;
    heard.kept = keeps.then_some(body);
    Ok(refusal(body_of("refused")))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => vec(any::<u8>(), 0..24).prop_map(Step::Data),
        1 => Just(Step::Wait),
    ];
    let last = option::of("[a-z]{0,8}".prop_map(|text| Step::Trailers(trailers(&text))));
    (vec(step, 0..10), last).prop_map(|(mut steps, last)| {
        steps.extend(last);
        steps
    })
}

async fn second_send_is_whole(
    steps: Vec<Step>,
    (reads, keeps): (usize, bool),
    limit: usize,
) -> TestCaseResult {
    let heard = Arc::new(Mutex::new(Heard::default()));
    let inner = {
        let heard = heard.clone();
        service_fn(move |request| hear(heard.clone(), (reads, keeps), request))
    };
    let client = Issuer::of(["T1", "T2"]).layer().with_replay(Buffered::new(limit)).layer(inner);
    let request = Request::post(HOME).body(Steps::of(&steps)).unwrap();
    let response = client.oneshot(request).await.unwrap();
    let heard = std::mem::take(&mut *heard.lock().unwrap());
    let whole = data_of(steps.iter());
    prop_assert!(whole.starts_with(&heard.first));
    let exact = Some(whole.len() as u64);
    prop_assert!(heard.hints.iter().all(|hint| hint.exact() == exact), "{:?}", heard.hints);
    if heard.first.len() > limit {
        prop_assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        prop_assert!(heard.second.is_none());
        return Ok(());
    }
    prop_assert_eq!(response.status(), StatusCode::OK);
    let second = heard.second.unwrap();
    let sent = steps.iter().find_map(|step| match step {
        Step::Trailers(trailers) => Some(trailers),
        _ => None,
    });
    prop_assert_eq!(second.trailers(), sent);
    prop_assert_eq!(second.to_bytes(), whole);
    Ok(())
}

proptest! {
    #[test]
    fn whatever_the_first_send_read_the_second_is_the_same_bytes_and_trailers(
        steps in steps(),
        reads in 0..12_usize,
        keeps: bool,
        limit in 0..200_usize,
    ) {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(second_send_is_whole(steps, (reads, keeps), limit))?;
    }
}

/// A body that is fed while it is sent.
struct Fed(mpsc::UnboundedReceiver<Bytes>);

impl Fed {
    fn new() -> (mpsc::UnboundedSender<Bytes>, Self) {
        let (feed, fed) = mpsc::unbounded_channel();
        (feed, Self(fed))
    }
}

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}

/// A call whose body is still being fed when it is rejected and repeated.
struct Early {
    feed: mpsc::UnboundedSender<Bytes>,
    first: ReplayBody<Fed>,
    gate: Arc<Semaphore>,
    call: JoinHandle<Result<Response<AnswerBody>, BoxError>>,
}

impl Early {
    /// The resource refuses the first send unread, which the test then reads in its place, and
    /// echoes the second once it is let.
    async fn begin(limit: usize, issuer: &Issuer) -> Self {
        let (refused, mut refusals) = mpsc::unbounded_channel();
        let gate = Arc::new(Semaphore::new(0));
        let wait = gate.clone();
        let inner = service_fn(move |request: Request<ReplayBody<Fed>>| {
            let (refused, wait) = (refused.clone(), wait.clone());
            async move {
                if request.headers()[header::AUTHORIZATION] == "Bearer T1" {
                    refused.send(request.into_body()).unwrap();
                    return Ok(refusal(body_of("refused")));
                }
                wait.acquire().await.unwrap().forget();
                let body = request.into_body().collect().await?;
                Ok::<_, BoxError>(Response::new(body_of(body.to_bytes())))
            }
        });
        let layer = issuer.layer().with_replay(Buffered::new(limit));
        let (feed, fed) = Fed::new();
        let call = layer.layer(inner).oneshot(Request::post(HOME).body(fed).unwrap());
        let call = tokio::spawn(call);
        let first = ends(refusals.recv()).await.unwrap();
        settle().await;
        Self { feed, first, gate, call }
    }

    fn feed(&self, text: &'static str) {
        self.feed.send(Bytes::from(text)).unwrap();
    }

    /// Lets the resource read the second send, and gives what it was.
    async fn end(self) -> Result<Bytes, BoxError> {
        self.gate.add_permits(1);
        drop(self.feed);
        Ok(ends(self.call).await.unwrap()?.into_body().collect().await?.to_bytes())
    }
}

#[tokio::test]
async fn a_first_send_that_is_under_way_fails_when_the_second_begins() {
    let mut early = Early::begin(64, &Issuer::of(["T1", "T2"])).await;
    early.feed("a ");
    assert_eq!(early.first.frame().await.unwrap().unwrap().into_data().unwrap(), "a ");
    let (_, fed) = Fed::new();
    let unread = Buffered::default().once(fed);
    let mut first = std::mem::replace(&mut early.first, unread);
    let first = tokio::spawn(async move { first.frame().await });
    settle().await;
    assert!(!first.is_finished());
    early.gate.add_permits(1);
    settle().await;
    let error = ends(first).await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("sent again"), "{error}");
    early.feed("stream");
    assert_eq!(early.end().await.unwrap(), "a stream");
}

#[tokio::test]
async fn a_first_send_may_end_before_the_second_begins() {
    let mut early = Early::begin(64, &Issuer::of(["T1", "T2"])).await;
    for text in ["a ", "stream"] {
        early.feed(text);
        assert_eq!(early.first.frame().await.unwrap().unwrap().into_data().unwrap(), text);
    }
    assert_eq!(early.first.size_hint().lower(), 0);
    assert_eq!(early.end().await.unwrap(), "a stream");
}

#[tokio::test]
async fn a_first_send_that_goes_on_beyond_the_bound_meanwhile_leaves_the_answer_as_it_is() {
    let issuer = Issuer::hesitating(["T1", "T2"]);
    let mut early = Early::begin(4, &issuer).await;
    for text in ["abc", "defg"] {
        early.feed(text);
        assert_eq!(early.first.frame().await.unwrap().unwrap().into_data().unwrap(), text);
    }
    assert_eq!(issuer.requests(), 2);
    issuer.let_answer();
    assert_eq!(early.end().await.unwrap(), "refused");
}

/// Never a body with a piece missing.
#[tokio::test]
async fn a_first_send_that_goes_on_beyond_the_bound_fails_the_second() {
    let mut early = Early::begin(4, &Issuer::of(["T1", "T2"])).await;
    for text in ["abc", "defg", "hij"] {
        early.feed(text);
        assert_eq!(early.first.frame().await.unwrap().unwrap().into_data().unwrap(), text);
    }
    let error = early.end().await.unwrap_err();
    assert!(error.to_string().contains("longer than the buffer of"), "{error}");
}

#[tokio::test]
async fn a_body_that_failed_is_not_sent_again() {
    let steps = [data("a "), Step::Fail, data("stream")];
    let inner = service_fn(|request: Request<Replayed>| async {
        let first = request.headers()[header::AUTHORIZATION] == "Bearer T1";
        assert!(first, "it is sent once");
        request.into_body().collect().await.unwrap_err();
        Ok::<_, BoxError>(refusal(body_of("refused")))
    });
    let layer = Issuer::of(["T1", "T2"]).layer().with_replay(Buffered::default());
    let request = Request::post(HOME).body(Steps::of(&steps)).unwrap();
    let response = layer.layer(inner).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

/// A stream that goes on for days does not fill the buffer of a call that will not be repeated.
#[tokio::test]
async fn nothing_is_kept_of_a_body_that_will_not_be_sent_again() {
    let keep = Arc::new(Mutex::new(None));
    let inner = {
        let keep = keep.clone();
        service_fn(move |request: Request<ReplayBody<Fed>>| {
            *keep.lock().unwrap() = Some(request.into_body());
            ready(Ok::<_, BoxError>(Response::new(body_of("welcome"))))
        })
    };
    let layer = || Issuer::of(["T1", "T2"]).layer().with_replay(Buffered::default());
    let own = |request: &mut Request<Fed>| {
        request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_static("own"));
    };
    type Change<'a> = &'a dyn Fn(&mut Request<Fed>);
    let calls: [(_, Change<'_>); 3] =
        [(layer(), &|_| {}), (layer(), &own), (layer().without_recovery(), &|_| {})];
    for (layer, change) in calls {
        let (feed, fed) = Fed::new();
        let mut request = Request::post(HOME).body(fed).unwrap();
        change(&mut request);
        layer.layer(inner.clone()).oneshot(request).await.unwrap();
        let mut body = keep.lock().unwrap().take().unwrap();
        feed.send(vec![1; 100].into()).unwrap();
        let chunk = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(chunk.is_unique());
    }
}

/// The other direction: it is kept while the answer is awaited.
#[tokio::test]
async fn what_is_sent_is_kept_until_the_answer_is_there() {
    let (mut first, second) = Buffered::default().split(Full::new(Bytes::from(vec![1; 100])));
    let chunk = first.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(!chunk.is_unique());
    drop((first, second));
    assert!(chunk.is_unique());
}

#[tokio::test]
async fn over_one_connection_a_stream_is_sent_again_with_its_length() {
    let issuer = Issuer::of(["T1", "T2"]);
    let resource = Resource::accepting(["T2"]);
    let served = resource.serve().await;
    let layer = issuer.layer().with_replay(Buffered::default());
    let mut client = layer.layer(served.one_connection().await);
    for sends in [2, 1] {
        let body = Steps::of(&[data("a "), Step::Wait, data("stream")]);
        let request = Request::post("/").body(body).unwrap();
        let response = ends(async { client.ready().await?.call(request).await }).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "welcome");
        let seen = resource.seen();
        assert_eq!(seen.len(), sends);
        for seen in seen {
            assert_eq!(seen.body, "a stream");
            assert_eq!(seen.head.headers[header::CONTENT_LENGTH], "8");
        }
    }
    assert_eq!(served.connections(), 1);
}

/// Messages of plain bytes.
#[derive(Clone, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// A gRPC server on a socket that accepts `T2` and joins the messages of a call, and the
/// credentials that it saw.
#[derive(Clone, Default)]
struct Joiner {
    credentials: Arc<Mutex<Vec<String>>>,
}

impl Joiner {
    async fn serve(&self) -> Channel {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let this = self.clone();
        let service = service_fn(move |request| this.clone().answer(request));
        let incoming = TcpIncoming::from(listener);
        tokio::spawn(Server::builder().serve_with_incoming(service, incoming));
        Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy()
    }

    async fn answer(
        self,
        request: Request<tonic::body::Body>,
    ) -> Result<Response<tonic::body::Body>, Infallible> {
        let credential = request.headers()[header::AUTHORIZATION].to_str().unwrap().to_owned();
        let refuses = credential != "Bearer T2";
        self.credentials.lock().unwrap().push(credential);
        if refuses {
            return Ok(Status::unauthenticated("the token expired").into_http());
        }
        let join = service_fn(|request: tonic::Request<tonic::Streaming<Bytes>>| async {
            let mut messages = request.into_inner();
            let mut joined = Vec::new();
            while let Some(message) = messages.next().await {
                joined.extend(message?);
            }
            Ok(tonic::Response::new(Bytes::from(joined)))
        });
        Ok(tonic::server::Grpc::new(Plain).client_streaming(join, request).await)
    }

    fn credentials(&self) -> Vec<String> {
        std::mem::take(&mut self.credentials.lock().unwrap())
    }
}

type Wrap = BufferedAs<tonic::body::Body>;

/// The one line for bodies of tonic.
fn buffered(limit: usize) -> Wrap {
    Buffered::new(limit).with_body(tonic::body::Body::new)
}

/// tonic's client over `channel`, below `layer`.
fn grpc(
    layer: &ClientCredentialsRefresh<Wrap>,
    channel: Channel,
) -> tonic::client::Grpc<AddBearerService<Channel, TokenCache, Wrap>> {
    tonic::client::Grpc::new(layer.layer(channel))
}

const JOIN: &str = "/test.Joiner/Join";

// case: r401-13
#[tokio::test]
async fn through_tonic_an_unauthenticated_call_is_repeated() {
    let joiner = Joiner::default();
    let channel = joiner.serve().await;
    let issuer = Issuer::of(["T1", "T2"]);
    let layer = issuer.layer().with_replay(buffered(64 * 1024));
    let mut client = grpc(&layer, channel);
    for credentials in [&["Bearer T1", "Bearer T2"][..], &["Bearer T2"]] {
        client.ready().await.unwrap();
        let request = tonic::Request::new(Bytes::from("message"));
        let call = client.unary(request, JOIN.parse().unwrap(), Plain);
        assert_eq!(ends(call).await.unwrap().into_inner(), "message");
        assert_eq!(joiner.credentials(), credentials);
    }
    assert_eq!(issuer.requests(), 2);
}

/// The answer comes while messages are still to come; what was sent is sent again, the rest
/// follows.
#[tokio::test]
async fn through_tonic_an_unauthenticated_stream_that_goes_on_is_repeated() {
    let joiner = Joiner::default();
    let layer = Issuer::of(["T1", "T2"]).layer().with_replay(buffered(64 * 1024));
    let mut client = grpc(&layer, joiner.serve().await);
    let (messages, stream) = mpsc::channel(8);
    messages.send(Bytes::from("first ")).await.unwrap();
    client.ready().await.unwrap();
    let request = tonic::Request::new(ReceiverStream::new(stream));
    let call = client.client_streaming(request, JOIN.parse().unwrap(), Plain);
    let feed = async {
        while joiner.credentials.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
        messages.send(Bytes::from("second")).await.unwrap();
        drop(messages);
    };
    let (answer, ()) = ends(async { tokio::join!(call, feed) }).await;
    assert_eq!(answer.unwrap().into_inner(), "first second");
    assert_eq!(joiner.credentials(), ["Bearer T1", "Bearer T2"]);
}

#[tokio::test]
async fn a_body_of_axum_is_repeated_by_one_line_too() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let inner = service_fn(move |request: Request<axum::body::Body>| {
        let noted = noted.clone();
        async move {
            let credential = request.headers()[header::AUTHORIZATION].to_str().unwrap().to_owned();
            let status = if credential == "Bearer T2" { 200 } else { 401 };
            let body = request.into_body().collect().await.unwrap().to_bytes();
            noted.lock().unwrap().push((credential, body));
            let response = Response::builder().status(status).body(axum::body::Body::empty());
            Ok::<_, Infallible>(response.unwrap())
        }
    });
    let layer = Issuer::of(["T1", "T2"]).layer();
    let buffered = Buffered::default().with_body(axum::body::Body::new);
    let client = layer.with_replay(buffered).layer(inner);
    let request = Request::post(HOME).body(axum::body::Body::from("sent")).unwrap();
    assert_eq!(client.oneshot(request).await.unwrap().status(), 200);
    let sent = ["Bearer T1", "Bearer T2"].map(|it| (it.to_owned(), Bytes::from("sent")));
    assert_eq!(*seen.lock().unwrap(), sent);
}

#[tokio::test]
async fn through_tonic_a_message_beyond_the_bound_is_sent_once() {
    let joiner = Joiner::default();
    let layer = Issuer::of(["T1", "T2"]).layer().with_replay(buffered(4));
    let mut client = grpc(&layer, joiner.serve().await);
    for credentials in [["Bearer T1"], ["Bearer T2"]] {
        client.ready().await.unwrap();
        let request = tonic::Request::new(Bytes::from("message"));
        let answer = ends(client.unary(request, JOIN.parse().unwrap(), Plain)).await;
        match credentials {
            ["Bearer T1"] => {
                let status = answer.unwrap_err();
                assert_eq!(status.code(), Code::Unauthenticated);
                assert_eq!(status.message(), "the token expired");
            }
            _ => assert_eq!(answer.unwrap().into_inner(), "message"),
        }
        assert_eq!(joiner.credentials(), credentials);
    }
}
