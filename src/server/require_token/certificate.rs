//! Client certificates, which tokens can be bound to
//! ([RFC 8705](https://www.rfc-editor.org/rfc/rfc8705)).

use crate::RequestHead;
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use http::{HeaderName, Request};
use sha2::{Digest, Sha256};
use std::{fmt, sync::Arc};

/// The header of [RFC 9440 §2.1](https://www.rfc-editor.org/rfc/rfc9440#section-2.1).
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
/// The longest certificate that is read from a header, in bytes of base64.
const MAX_LEN: usize = 64 * 1024;

/// The certificate by which the client of a connection authenticated. The acceptor of connections, which
/// has checked it, puts it into the extensions of each request.
///
/// It keeps the SHA-256 digest alone. Make it once for a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    thumbprint: Arc<str>,
}

impl ClientCertificate {
    /// Creates it from the DER encoding of the client's own certificate, the first of its chain.
    #[must_use]
    pub fn from_der(der: &[u8]) -> Self {
        Self { thumbprint: sha256_text(der).into() }
    }

    /// Returns the SHA-256 digest in base64url (`x5t#S256`).
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }
}

/// Returns the SHA-256 digest of `bytes` in base64url.
pub(super) fn sha256_text(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

/// Where a [`RequireToken`](crate::server::RequireToken) finds the certificate of a request. Defaults to
/// a [`ClientCertificate`] in the extensions.
///
/// # Example: axum over tokio-rustls
///
/// The verifier of clients in the `rustls::ServerConfig` has to ask for a certificate.
///
/// ```
/// use axum::{
///     Router,
///     extract::{ConnectInfo, connect_info::Connected},
///     serve::{IncomingStream, Listener},
/// };
/// use std::{io, net::SocketAddr};
/// use tokio::net::{TcpListener, TcpStream};
/// use tokio_rustls::{TlsAcceptor, server::TlsStream};
/// use tower_oauth2::{
///     server::{ClientCertificate, ClientCertificates, RequireToken},
///     validate::StaticTokens,
/// };
///
/// struct TlsListener(TcpListener, TlsAcceptor);
///
/// impl Listener for TlsListener {
///     type Io = TlsStream<TcpStream>;
///     type Addr = SocketAddr;
///
///     // In production, do the handshakes in tasks of their own: here a slow client delays the next.
///     async fn accept(&mut self) -> (Self::Io, SocketAddr) {
///         loop {
///             let (tcp, address) = Listener::accept(&mut self.0).await;
///             if let Ok(tls) = self.1.accept(tcp).await {
///                 return (tls, address);
///             }
///         }
///     }
///
///     fn local_addr(&self) -> io::Result<SocketAddr> {
///         self.0.local_addr()
///     }
/// }
///
/// /// The certificate of a connection, hashed once.
/// #[derive(Clone)]
/// struct Peer(Option<ClientCertificate>);
///
/// impl Connected<IncomingStream<'_, TlsListener>> for Peer {
///     fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
///         let chain = stream.io().get_ref().1.peer_certificates();
///         Self(chain.and_then(|chain| Some(ClientCertificate::from_der(chain.first()?))))
///     }
/// }
///
/// async fn serve(listener: TlsListener, tokens: StaticTokens) -> Result<(), tower::BoxError> {
///     let certificates = ClientCertificates::from_request(|head| {
///         head.extensions().get::<ConnectInfo<Peer>>()?.0.0.clone()
///     });
///     let layer = RequireToken::new("api", tokens)?.with_client_certificates(certificates);
///     let app = Router::new().layer(layer).into_make_service_with_connect_info::<Peer>();
///     Ok(axum::serve(listener, app).await?)
/// }
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct ClientCertificates {
    source: Source,
}

#[derive(Clone, Default)]
enum Source {
    #[default]
    Extensions,
    ProxyHeader,
    Request(Arc<dyn Fn(RequestHead<'_>) -> Option<ClientCertificate> + Send + Sync>),
}

impl ClientCertificates {
    /// Takes what `find` returns, from the extensions of a server framework for example.
    ///
    /// ```
    /// use tower_oauth2::server::{ClientCertificate, ClientCertificates};
    ///
    /// /// What an acceptor of connections put into the extensions.
    /// #[derive(Clone)]
    /// struct PeerCertificates(Vec<Vec<u8>>);
    ///
    /// let certificates = ClientCertificates::from_request(|head| {
    ///     let chain = head.extensions().get::<PeerCertificates>()?;
    ///     Some(ClientCertificate::from_der(chain.0.first()?))
    /// });
    /// # let _ = certificates;
    /// ```
    pub fn from_request(
        find: impl Fn(RequestHead<'_>) -> Option<ClientCertificate> + Send + Sync + 'static,
    ) -> Self {
        Self { source: Source::Request(Arc::new(find)) }
    }

    /// Takes the header `Client-Cert` of a proxy
    /// ([RFC 9440](https://www.rfc-editor.org/rfc/rfc9440)), and removes it from the request.
    ///
    /// Use it only where every request comes through a proxy that removes the header of its clients:
    /// anybody else could send the certificate of another. A request with the header and a
    /// [`ClientCertificate`] counts as one without a certificate.
    pub fn from_proxy_header() -> Self {
        Self { source: Source::ProxyHeader }
    }

    /// Moves the certificate of a proxy into the extensions.
    #[inline]
    pub(super) fn prepare<B>(&self, request: &mut Request<B>) {
        if matches!(self.source, Source::ProxyHeader) {
            Self::take_header(request);
        }
    }

    #[cold]
    fn take_header<B>(request: &mut Request<B>) {
        if !request.headers().contains_key(CLIENT_CERT) {
            return;
        }
        let mut values = request.headers().get_all(CLIENT_CERT).iter();
        let only = values.next().filter(|_| values.next().is_none());
        let certificate = only.and_then(|value| from_header(value.as_bytes()));
        request.headers_mut().remove(CLIENT_CERT);
        let other = request.extensions_mut().remove::<ClientCertificate>();
        if let (Some(certificate), None) = (certificate, other) {
            request.extensions_mut().insert(certificate);
        }
    }

    /// Returns `true` if the request came with the certificate of this thumbprint.
    pub(super) fn presents(&self, head: RequestHead<'_>, thumbprint: &str) -> bool {
        let found = match &self.source {
            Source::Extensions | Source::ProxyHeader => head.extensions().get().cloned(),
            Source::Request(find) => find(head),
        };
        found.is_some_and(|found: ClientCertificate| found.thumbprint() == thumbprint)
    }
}

/// Reads a byte sequence of [RFC 9651 §3.3.5](https://www.rfc-editor.org/rfc/rfc9651#section-3.3.5).
fn from_header(value: &[u8]) -> Option<ClientCertificate> {
    let base64 = value.trim_ascii().strip_prefix(b":")?.strip_suffix(b":")?;
    let is_there = (1..=MAX_LEN).contains(&base64.len());
    let der = is_there.then(|| BASE64_STANDARD.decode(base64).ok())??;
    Some(ClientCertificate::from_der(&der))
}

impl fmt::Debug for ClientCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.source {
            Source::Extensions => "ClientCertificates(extensions)",
            Source::ProxyHeader => "ClientCertificates(proxy header)",
            Source::Request(_) => "ClientCertificates(request)",
        })
    }
}
