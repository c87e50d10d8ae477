//! What `tonic-build` would make of a `.proto`: a service of one method, and a codec.

use bytes::{Buf, BufMut};
use http::{Request, Response};
use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::Pin,
    task::{Context, Poll},
};
use tonic::{
    Status,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc, NamedService},
};
use tower::{Service, service_fn};
use tower_oauth2::server::Authenticated;

/// Answers every method with the name of the caller.
#[derive(Clone)]
pub(crate) struct Calls;

impl NamedService for Calls {
    const NAME: &'static str = "example.Calls";
}

impl Service<Request<Body>> for Calls {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async move {
            let method = service_fn(|request: tonic::Request<Vec<u8>>| {
                let who = request.extensions().get::<Authenticated>();
                let who = who.and_then(|who| who.principal().subject()).unwrap_or("nobody");
                let message = format!("the calls of {who}").into_bytes();
                ready(Ok::<_, Status>(tonic::Response::new(message)))
            });
            Ok(Grpc::new(Bytewise).unary(method, request).await)
        })
    }
}

/// Messages as the bytes that they are.
#[derive(Clone, Copy)]
pub(crate) struct Bytewise;

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
