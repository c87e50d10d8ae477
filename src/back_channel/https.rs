//! The default HTTPS client (feature `https`): hyper's pooling client over rustls, with the
//! platform's roots.

use super::{
    NotConnected, Transport,
    transport::{Bounds, Erased, Exchange, Exchanging, Failure},
};
use crate::{Clock, vocabulary::deadline::Deadline};
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt;
use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;
type HttpsClient = Client<Bounded<HttpsConnector<HttpConnector>>, Full<Bytes>>;

/// The deadline of a connection, TLS included. It is shorter than that of a request, which would
/// otherwise end first when packets are dropped, and cannot tell that nothing was sent.
const CONNECT: Duration = Duration::from_secs(10);

/// An HTTP/2 connection without traffic is asked for a sign of life this often, and is closed
/// without one: a load balancer or a lost host may end a connection without a word.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// An exchange that is dropped after so long without an answer counts as one that timed out. What is
/// dropped sooner says nothing about the connection, and new ones are not free.
const UNANSWERED: Duration = Duration::from_secs(1);

impl Transport {
    /// Returns the default transport: pooled HTTP/1 and HTTP/2 over rustls (the aws-lc-rs
    /// provider), with the certificate authorities of the operating system. The client is built at
    /// the first request, so this does no I/O.
    ///
    /// On a machine without certificate authorities each request fails with an error that says so,
    /// and the next one tries again; there is no bundled list. A connection times out after 10 s.
    ///
    /// A connection may die without a word. An HTTP/2 connection without traffic is therefore pinged
    /// every 20 s, and closed if the answer takes more than 10 s; and after a request that timed out,
    /// or was dropped after a second without an answer, later requests use new connections.
    pub fn https() -> Self {
        Self::from_exchange(Https::new(platform_tls))
    }
}

/// The client, built when it is first needed, and again after an exchange that timed out.
#[derive(Clone)]
struct Https {
    tls: Arc<dyn Fn() -> Result<ClientConfig, NoTls> + Send + Sync>,
    client: Arc<Mutex<Option<Arc<HttpsClient>>>>,
}

impl Https {
    fn new(tls: impl Fn() -> Result<ClientConfig, NoTls> + Send + Sync + 'static) -> Self {
        Self { tls: Arc::new(tls), client: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<HttpsClient>>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn client(&self) -> Result<Arc<HttpsClient>, NoTls> {
        let mut client = self.lock();
        match &*client {
            Some(client) => Ok(client.clone()),
            None => Ok(client.insert(Arc::new(build((self.tls)()?))).clone()),
        }
    }

    /// Makes later requests use another client than `client`: its one HTTP/2 connection, on which all
    /// requests go, cannot be dropped alone. Requests in flight go on.
    fn replace(&self, client: &Arc<HttpsClient>) {
        let replaced = self.lock().take_if(|current| Arc::ptr_eq(current, client));
        drop(replaced);
    }
}

/// An exchange in flight.
struct Attempt {
    https: Https,
    client: Arc<HttpsClient>,
    begun: Instant,
    ended: bool,
}

/// The deadline of a caller drops the exchange, and so does a caller that is no longer interested.
impl Drop for Attempt {
    fn drop(&mut self) {
        let age = Clock::system().monotonic().saturating_duration_since(self.begun);
        if !self.ended && age >= UNANSWERED {
            self.https.replace(&self.client);
        }
    }
}

fn platform_tls() -> Result<ClientConfig, NoTls> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(NoTls)?;
    Ok(tls.with_no_client_auth())
}

fn build(tls: ClientConfig) -> HttpsClient {
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .build();
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .http2_keep_alive_while_idle(true)
        .build(Bounded(connector))
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
            match Deadline::new(&Clock::system(), CONNECT).bound(connecting).await {
                Some(connected) => connected.map_err(Into::into),
                None => Err(format!("no connection within {} s", CONNECT.as_secs()).into()),
            }
        })
    }
}

impl Exchange for Https {
    fn exchange(&self, request: Request<Full<Bytes>>, bounds: Bounds) -> Exchanging {
        let (https, client) = (self.clone(), self.client());
        Box::pin(async move {
            // Connections have timers of their own, whatever the clock of the transport.
            if !Clock::system().has_timers() {
                return Err(unsent("HTTPS needs a tokio runtime with timers"));
            }
            let client = client.map_err(unsent)?;
            let begun = Clock::system().monotonic();
            let mut attempt = Attempt { https, client: client.clone(), begun, ended: false };
            let exchanged = Erased((*client).clone()).exchange(request, bounds).await;
            attempt.ended = true;
            if matches!(exchanged, Err(Failure::TimedOut)) {
                attempt.https.replace(&client);
            }
            exchanged
        })
    }
}

fn unsent(error: impl Into<BoxError>) -> Failure {
    Failure::Service(NotConnected::new(error).into())
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
    use crate::TransportErrorKind;
    use http::{Response, Version};
    use hyper::{body::Incoming, server::conn::http2, service::service_fn as answering};
    use hyper_util::rt::TokioIo;
    use rustls::{RootCertStore, ServerConfig, pki_types::PrivatePkcs8KeyDer};
    use std::{
        convert::Infallible,
        future::pending,
        sync::atomic::{AtomicUsize, Ordering},
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        time,
    };
    use tokio_rustls::TlsAcceptor;
    use tower::service_fn;

    /// An HTTP/2 server behind a network that may stop forwarding without closing a connection.
    #[derive(Default)]
    struct Network {
        opened: AtomicUsize,
        /// Connections below this number are dead.
        dead: AtomicUsize,
    }

    impl Network {
        async fn forward<R, W>(&self, number: usize, mut from: R, mut to: W)
        where
            R: tokio::io::AsyncRead + Unpin,
            W: tokio::io::AsyncWrite + Unpin,
        {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut bytes).await {
                if number < self.dead.load(Ordering::SeqCst) {
                    pending::<()>().await;
                }
                to.write_all(&bytes[..length]).await.unwrap();
            }
        }

        fn break_connections(&self) {
            self.dead.store(self.opened.load(Ordering::SeqCst), Ordering::SeqCst);
        }
    }

    /// Returns a transport that trusts a server of its own, and the network between them.
    async fn over_http2() -> (Transport, String, Arc<Network>) {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = certified.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(provider.clone());
        let server = server.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let mut server = server.with_single_cert(vec![certificate.clone()], key.into()).unwrap();
        server.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(server));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/token", listener.local_addr().unwrap().port());
        let network = Arc::new(Network::default());
        let between = network.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let number = between.opened.fetch_add(1, Ordering::SeqCst);
                let (far, stream) = tokio::io::duplex(64 * 1024);
                let ((near_in, near_out), (far_in, far_out)) =
                    (near.into_split(), tokio::io::split(far));
                let (up, down) = (between.clone(), between.clone());
                tokio::spawn(async move { up.forward(number, near_in, far_out).await });
                tokio::spawn(async move { down.forward(number, far_in, near_out).await });
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let stream = acceptor.accept(stream).await.unwrap();
                    let answer = answering(async |request: Request<Incoming>| {
                        assert_eq!(request.version(), Version::HTTP_2);
                        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("{}"))))
                    });
                    let server = http2::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });

        let tls = move || {
            let mut roots = RootCertStore::empty();
            roots.add(certificate.clone()).unwrap();
            let tls = ClientConfig::builder_with_provider(provider.clone());
            let tls = tls.with_safe_default_protocol_versions().unwrap();
            Ok(tls.with_root_certificates(roots).with_no_client_auth())
        };
        (Transport::from_exchange(Https::new(tls)), url, network)
    }

    fn to(url: &str) -> Request<Full<Bytes>> {
        Request::get(url).body(Full::default()).unwrap()
    }

    #[tokio::test]
    async fn after_a_timeout_on_a_dead_connection_the_next_request_has_a_new_one() {
        let (transport, url, network) = over_http2().await;
        let transport = transport.with_deadline(Duration::from_millis(500));
        let patient = transport.clone().with_deadline(Duration::from_secs(5));
        patient.send(to(&url)).await.unwrap();
        network.break_connections();
        time::pause();
        let error = transport.send(to(&url)).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::TimedOut);
        assert!(!error.is_unsent());
        time::resume();
        patient.send(to(&url)).await.unwrap();
        assert_eq!(network.opened.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn after_a_request_that_its_caller_stopped_waiting_for_the_next_has_a_new_connection() {
        let (transport, url, network) = over_http2().await;
        transport.send(to(&url)).await.unwrap();
        // A caller that leaves at once says nothing about the connection.
        let _ = futures_now(transport.send(to(&url)));
        transport.send(to(&url)).await.unwrap();
        assert_eq!(network.opened.load(Ordering::SeqCst), 1);
        network.break_connections();
        time::pause();
        time::timeout(Duration::from_secs(2), transport.send(to(&url))).await.unwrap_err();
        time::resume();
        transport.send(to(&url)).await.unwrap();
        assert_eq!(network.opened.load(Ordering::SeqCst), 2);
    }

    fn futures_now<F: Future>(future: F) -> bool {
        tokio_test::task::spawn(future).poll().is_ready()
    }

    #[tokio::test]
    async fn a_dead_connection_is_noticed_by_its_pings_before_a_longer_deadline() {
        let (transport, url, network) = over_http2().await;
        let transport = transport.with_deadline(Duration::from_secs(300));
        transport.send(to(&url)).await.unwrap();
        network.break_connections();
        time::pause();
        let begun = time::Instant::now();
        let error = transport.send(to(&url)).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Service, "{error}");
        assert!(begun.elapsed() <= PING_INTERVAL + PING_TIMEOUT + Duration::from_secs(1));
        time::resume();
        transport.send(to(&url)).await.unwrap();
        assert_eq!(network.opened.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn an_idle_connection_that_died_is_replaced_before_a_request_is_lost_on_it() {
        let (transport, url, network) = over_http2().await;
        transport.send(to(&url)).await.unwrap();
        network.break_connections();
        time::pause();
        time::sleep(PING_INTERVAL + PING_TIMEOUT + Duration::from_secs(1)).await;
        time::resume();
        transport.send(to(&url)).await.unwrap();
        assert_eq!(network.opened.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_refused_connection_and_a_failed_handshake_are_unsent_through_a_service_around_it() {
        let (_, url, _) = over_http2().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = format!("https://{}/token", listener.local_addr().unwrap());
        drop(listener);
        for url in [closed, url] {
            let empty = || {
                let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
                let tls = ClientConfig::builder_with_provider(provider);
                let tls = tls.with_safe_default_protocol_versions().unwrap();
                Ok(tls.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
            };
            let inner = Transport::from_exchange(Https::new(empty));
            let outer = service_fn(move |request| {
                let sent = inner.send(request);
                async move { sent.await.map(|it| it.map(Full::new)).map_err(std::io::Error::other) }
            });
            let error = Transport::new(outer).send(to(&url)).await.unwrap_err();
            assert!(error.is_unsent(), "{error}");
        }
    }

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
