//! Real peers: servers on loopback, reqwest as an HTTP service, gRPC without a `.proto`.
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]

use bytes::{Buf, BufMut, Bytes};
use http::{Request, Response, uri::PathAndQuery};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tonic::{
    Status,
    body::Body as GrpcBody,
    client::{Grpc, GrpcService},
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::server::TcpIncoming,
};
use tower_layer::Layer;
use tower_service::Service;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Longer than any exchange takes: a test that hangs fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Something on a loopback port of its own, gone when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves clones of `service` over HTTP/1 and HTTP/2.
    pub(crate) async fn start<S, B>(service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::accept(move |stream| {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                // How a connection ends is the client's affair.
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        })
        .await
    }

    /// Closes every connection without a word.
    pub(crate) async fn hanging_up() -> Self {
        Self::accept(drop).await
    }

    /// Serves gRPC: every method answers with what `answer` makes of the request, below `layer`.
    pub(crate) async fn grpc<L>(layer: L, answer: fn(&http::Extensions) -> String) -> Self
    where
        L: Layer<GrpcAnswer> + Clone + Send + 'static,
        L::Service: Service<Request<GrpcBody>, Response = Response<GrpcBody>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        <L::Service as Service<Request<GrpcBody>>>::Future: Send,
    {
        let (listener, address) = bind().await;
        let task = tokio::spawn(async move {
            let server = tonic::transport::Server::builder().layer(layer);
            let incoming = TcpIncoming::from(listener);
            server.serve_with_incoming(GrpcAnswer(answer), incoming).await.unwrap();
        });
        Self { address, task }
    }

    async fn accept(connection: impl Fn(TcpStream) + Send + 'static) -> Self {
        let (listener, address) = bind().await;
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connection(stream);
            }
        });
        Self { address, task }
    }

    /// The origin of its URLs.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// [`reqwest::Client`] as a service of `http` types, whose errors hold no URL.
#[derive(Clone)]
pub(crate) struct Reqwest(reqwest::Client);

impl Reqwest {
    /// One that leaves redirects to the layers above it.
    pub(crate) fn new() -> Self {
        let redirects = reqwest::redirect::Policy::none();
        Self(reqwest::Client::builder().redirect(redirects).build().unwrap())
    }
}

impl<B> Service<Request<B>> for Reqwest
where
    B: Body<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<reqwest::Body>;
    type Error = reqwest::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, reqwest::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), reqwest::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let client = self.0.clone();
        let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap));
        Box::pin(async move {
            let response = async { client.execute(request?).await }.await;
            response.map(Into::into).map_err(reqwest::Error::without_url)
        })
    }
}

/// The gRPC service of [`Server::grpc`].
#[derive(Clone)]
pub(crate) struct GrpcAnswer(fn(&http::Extensions) -> String);

impl GrpcAnswer {
    #[allow(dead_code, reason = "one binary serves it by itself")]
    pub(crate) fn new(answer: fn(&http::Extensions) -> String) -> Self {
        Self(answer)
    }
}

impl Service<Request<GrpcBody>> for GrpcAnswer {
    type Response = Response<GrpcBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<GrpcBody>) -> Self::Future {
        let answer = self.0;
        Box::pin(async move {
            let method = tower::service_fn(move |request: tonic::Request<Vec<u8>>| {
                let text = answer(request.extensions());
                std::future::ready(Ok::<_, Status>(tonic::Response::new(text.into_bytes())))
            });
            Ok(tonic::server::Grpc::new(Bytewise).unary(method, request).await)
        })
    }
}

/// Calls a method of [`Server::grpc`].
pub(crate) async fn call_grpc<S>(mut client: Grpc<S>) -> Result<String, Status>
where
    S: GrpcService<GrpcBody>,
    S::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <S::ResponseBody as Body>::Error: Into<BoxError> + Send,
{
    let exchange = async {
        client.ready().await.map_err(|error| Status::from_error(error.into()))?;
        let request = tonic::Request::new(Vec::new());
        let method = PathAndQuery::from_static("/api.Calls/List");
        let response = client.unary(request, method, Bytewise).await?;
        Ok(String::from_utf8(response.into_inner()).unwrap())
    };
    timeout(LIMIT, exchange).await.unwrap()
}

/// Messages of gRPC as the bytes that they are.
#[derive(Clone, Copy)]
struct Bytewise;

impl Codec for Bytewise {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Bytewise {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Bytewise {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length).to_vec()))
    }
}
