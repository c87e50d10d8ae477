//! The default HTTPS client (feature `https`): hyper's pooling client over rustls, with the
//! platform's roots.

use super::{
    NotConnected, Transport,
    proxy::{Connector, Proxy},
    tls::{ClientCertificate, client_config, read_roots},
    transport::{Bounds, Erased, Exchange, Exchanging, Failure},
};
use crate::{Clock, ConfigError, vocabulary::deadline::Deadline};
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore};
use std::{
    any::Any,
    env,
    error::Error,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;
type HttpsClient = Client<Bounded<HttpsConnector<Connector>>, Full<Bytes>>;

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
    ///
    /// # Example: behind a proxy, with certificates of the company
    ///
    /// ```no_run
    /// use tower_oauth2::Transport;
    ///
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let transport = Transport::https()
    ///     .with_proxy_from_env()?
    ///     .with_root_certificates(std::fs::read("/etc/ssl/company.pem")?)?
    ///     .with_client_certificate_files("/run/tls/tls.crt", "/run/tls/tls.key")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn https() -> Self {
        Self::from_exchange(Https::new(Settings::default()))
    }

    /// Connects to `https` servers through the proxy that the environment names: the first of
    /// `HTTPS_PROXY`, `https_proxy`, `ALL_PROXY` and `all_proxy` that is not empty, or directly if
    /// there is none. It is `http://host:port`, with `user:password@` before the host if the proxy asks
    /// for them; they go to the proxy alone. Defaults to direct connections, whatever the environment.
    ///
    /// `NO_PROXY` (or `no_proxy`) lists the servers that are connected to directly: names, which
    /// include those below them, addresses, networks such as `10.0.0.0/8`, or `*`, each with `:port` for
    /// that port alone. The machine itself and plain `http` never go through the proxy. The variables are read now.
    ///
    /// A proxy that does not open a tunnel is an error of [`TransportErrorKind::Proxy`], which names it.
    ///
    /// # Errors
    ///
    /// If the variable is not the address of an `http` proxy, or this transport has a service of its
    /// own ([`new`](Self::new)).
    ///
    /// [`TransportErrorKind::Proxy`]: crate::TransportErrorKind::Proxy
    pub fn with_proxy_from_env(self) -> Result<Self, ConfigError> {
        let variable = |name: &str| Some(env::var_os(name)?.to_string_lossy().into_owned());
        let proxy = Proxy::from_variables(variable)?;
        self.set(|settings| settings.proxy = proxy)
    }

    /// Trusts the certificate authorities of `pem` alone: at most 1 MiB of blocks
    /// `BEGIN CERTIFICATE`. Defaults to those of the operating system.
    ///
    /// # Errors
    ///
    /// If a block is not a certificate, or there is none, or this transport has a service of its own
    /// ([`new`](Self::new)).
    pub fn with_root_certificates(self, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let roots = Arc::new(read_roots(pem.as_ref())?);
        self.set(|settings| settings.roots = Some(roots))
    }

    /// Shows servers that ask for one a certificate of the client
    /// ([RFC 8705 §2](https://www.rfc-editor.org/rfc/rfc8705#section-2)): the PEM file `certificate`,
    /// which may have the chain above it, with the unencrypted private key of the PEM file `key`. Each
    /// has at most 64 KiB. Defaults to no certificate.
    ///
    /// The files are read at the first request, which fails if they cannot be used. Each later request
    /// looks whether they have changed, and goes on with a new connection if so. A pair that does not
    /// fit together, for example while it is being written, leaves the old one in use, and a warning in
    /// the log. Looking and reading block, so the files should be local.
    ///
    /// # Errors
    ///
    /// If this transport has a service of its own ([`new`](Self::new)).
    pub fn with_client_certificate_files(
        self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, ConfigError> {
        let paths = [certificate.into(), key.into()];
        self.set(|settings| settings.certificate = Some(paths))
    }

    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Result<Self, ConfigError> {
        let exchange: &dyn Any = &*self.exchange;
        let Some(https) = exchange.downcast_ref::<Https>() else {
            return Err(ConfigError::new(
                "this transport has a service of its own, which has to bring its proxy and \
                 certificates; Transport::https takes them",
            ));
        };
        let mut settings = https.settings.clone();
        set(&mut settings);
        self.exchange = Arc::new(Https::new(settings));
        Ok(self)
    }
}

#[derive(Clone, Default)]
struct Settings {
    proxy: Option<Proxy>,
    roots: Option<Arc<RootCertStore>>,
    /// The files of the client's certificate and its key.
    certificate: Option<[PathBuf; 2]>,
}

/// The client, built when it is first needed, again after an exchange that timed out, and for each
/// new certificate.
#[derive(Clone)]
struct Https {
    settings: Settings,
    state: Arc<Mutex<State>>,
}

struct State {
    certificate: Option<ClientCertificate>,
    client: Option<Arc<HttpsClient>>,
}

impl Https {
    fn new(settings: Settings) -> Self {
        let certificate = settings.certificate.clone().map(ClientCertificate::new);
        Self { settings, state: Arc::new(Mutex::new(State { certificate, client: None })) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn client(&self) -> Result<Arc<HttpsClient>, BoxError> {
        let mut state = self.lock();
        let State { certificate, client } = &mut *state;
        let renewed = certificate.as_mut().map_or(Ok(false), ClientCertificate::refresh);
        if renewed.map_err(|why| format!("the client certificate cannot be used: {why}"))? {
            *client = None;
        }
        if let Some(client) = client {
            return Ok(client.clone());
        }
        let own = certificate.as_ref().and_then(ClientCertificate::pair);
        let tls = client_config(self.settings.roots.as_ref(), own)?;
        Ok(client.insert(Arc::new(build(tls, self.settings.proxy.clone()))).clone())
    }

    /// Makes later requests use another client than `client`: its one HTTP/2 connection, on which all
    /// requests go, cannot be dropped alone. Requests in flight go on.
    fn replace(&self, client: &Arc<HttpsClient>) {
        let replaced = self.lock().client.take_if(|current| Arc::ptr_eq(current, client));
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

fn build(tls: ClientConfig, proxy: Option<Proxy>) -> HttpsClient {
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(Connector::new(proxy));
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
    fn shows_certificate(&self) -> bool {
        self.settings.certificate.is_some()
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TransportErrorKind;
    use http::{Response, Version};
    use hyper::{body::Incoming, server::conn::http2, service::service_fn as answering};
    use hyper_util::rt::TokioIo;
    use rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer};
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

        let transport = Transport::https().with_root_certificates(certified.cert.pem()).unwrap();
        (transport, url, network)
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
            let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            let inner = Transport::https().with_root_certificates(other.cert.pem()).unwrap();
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
