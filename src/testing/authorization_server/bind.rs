use super::{AuthorizationServer, exchange::Exchange};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use std::{error::Error, fmt, io};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet, yield_now},
};

/// An [`AuthorizationServer`] on a port of its own on `127.0.0.1`, HTTP/1 and HTTP/2.
///
/// When it is dropped, it accepts no more and closes its connections. The server goes on knowing
/// what it knows, and can be bound anew.
#[derive(Debug)]
#[must_use = "it serves until it is dropped"]
pub struct BoundServer {
    origin: Box<str>,
    accepting: AbortHandle,
}

impl AuthorizationServer {
    /// Binds the server to a free port on `127.0.0.1` and serves there.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one whose I/O is off.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is served before it ends.
    pub async fn bind(&self) -> io::Result<BoundServer> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let origin = format!("http://{}", listener.local_addr()?).into();
        let accepting = tokio::spawn(accept(self.clone(), listener)).abort_handle();
        Ok(BoundServer { origin, accepting })
    }
}

impl BoundServer {
    /// Its origin, `http://127.0.0.1:` and the port.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The URL of `path`, which begins with `/`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

impl Drop for BoundServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(server: AuthorizationServer, listener: TcpListener) {
    // Aborts the connections when this future is dropped.
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(serve(server.clone(), stream));
            }
            // The connection was gone already, or there are too many: some will end.
            Err(_) => yield_now().await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(server: AuthorizationServer, stream: TcpStream) {
    let service = service_fn(move |request| {
        let exchange = Exchange::new(server.clone(), request);
        async move { exchange.await.ok_or(Dropped) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    // How a connection ends is the client's business.
    drop(builder.serve_connection(TokioIo::new(stream), service).await);
}

/// What closes a connection in place of an answer.
#[derive(Debug)]
struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer is dropped")
    }
}

impl Error for Dropped {}
