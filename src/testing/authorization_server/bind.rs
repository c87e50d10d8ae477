use super::{AuthorizationServer, exchange::Exchange};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use std::io;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet, yield_now},
};

/// An [`AuthorizationServer`] that serves HTTP/1 and HTTP/2 on a port of `127.0.0.1`. Made by
/// [`AuthorizationServer::bind`].
///
/// Dropping it closes the port and its connections. The server keeps its state and can be bound
/// again.
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
    /// When no port is free.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in a runtime without I/O.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the server serves nothing before the future resolves.
    pub async fn bind(&self) -> io::Result<BoundServer> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let origin = format!("http://{}", listener.local_addr()?).into();
        let accepting = tokio::spawn(accept(self.clone(), listener)).abort_handle();
        Ok(BoundServer { origin, accepting })
    }
}

impl BoundServer {
    /// Returns the origin, `http://127.0.0.1:` and the port.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the URL of `path`, which begins with `/`.
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
            // The connection is gone already, or there are too many, of which some will end.
            Err(_) => yield_now().await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(server: AuthorizationServer, stream: TcpStream) {
    let service = service_fn(move |request| {
        let exchange = Exchange::new(server.clone(), request);
        async move { exchange.await.ok_or_else(|| io::Error::other("the answer was dropped")) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    // A connection that fails concerns the client alone.
    drop(builder.serve_connection(TokioIo::new(stream), service).await);
}
