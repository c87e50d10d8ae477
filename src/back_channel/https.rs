//! The default HTTPS client (feature `https`): hyper's pooling client over rustls, with the
//! platform's roots.

use super::{NotConnected, Transport};
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls_platform_verifier::BuilderVerifierExt;
use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::timeout;
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;
type HttpsClient = Client<Bounded<HttpsConnector<HttpConnector>>, Full<Bytes>>;

/// The deadline of a connection, TLS included. It is shorter than that of a request, which would
/// otherwise end first when packets are dropped, and cannot tell that nothing was sent.
const CONNECT: Duration = Duration::from_secs(10);

impl Transport {
    /// Returns the default transport: pooled HTTP/1 and HTTP/2 over rustls (the aws-lc-rs
    /// provider), with the certificate authorities of the operating system. The client is built at
    /// the first request, so this does no I/O.
    ///
    /// On a machine without certificate authorities each request fails with an error that says so,
    /// and the next one tries again; there is no bundled list. A connection times out after 10 s.
    pub fn https() -> Self {
        Self::new(Https::default())
    }
}

/// The client, built when it is first needed.
#[derive(Clone, Default)]
struct Https {
    client: Arc<Mutex<Option<HttpsClient>>>,
}

impl Https {
    fn client(&self) -> Result<HttpsClient, NoTls> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        match &*client {
            Some(client) => Ok(client.clone()),
            None => Ok(client.insert(build()?).clone()),
        }
    }
}

fn build() -> Result<HttpsClient, NoTls> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(NoTls)?
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(Bounded(connector)))
}

/// A connector with a deadline.
#[derive(Clone)]
struct Bounded<C>(C);

impl<C> Service<Uri> for Bounded<C>
where
    C: Service<Uri>,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            match timeout(CONNECT, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(format!("no connection within {} s", CONNECT.as_secs()).into()),
            }
        })
    }
}

impl Service<Request<Full<Bytes>>> for Https {
    type Response = Response<hyper::body::Incoming>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let client = self.client();
        Box::pin(async move {
            let client = client.map_err(NotConnected::new)?;
            Ok(client.request(request).await?)
        })
    }
}

/// The error of a machine on which TLS cannot be set up.
#[derive(Debug)]
struct NoTls(rustls::Error);

impl fmt::Display for NoTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "TLS cannot be set up: install the system's certificate authorities \
             (on Debian and Alpine the package ca-certificates), or use another transport",
        )
    }
}

impl Error for NoTls {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper_util::rt::TokioIo;
    use std::future::pending;
    use tokio::net::TcpStream;
    use tower::service_fn;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_does_not_come_about_is_given_up_before_the_deadline() {
        let silent = service_fn(|_: Uri| pending::<Result<TokioIo<TcpStream>, BoxError>>());
        let client = Client::builder(TokioExecutor::new()).build(Bounded(silent));
        let request = Request::get("https://as.example/token").body(Full::default()).unwrap();
        let error = Transport::new(client).send(request).await.unwrap_err();
        assert!(error.to_string().contains("no connection within 10 s"), "{error}");
        assert!(error.is_unsent());
    }
}
