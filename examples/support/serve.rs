//! Serving on loopback until the program is told to end.

use axum::{body::Body, extract::Request, response::Response};
use std::{convert::Infallible, io, io::Write, net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, time::sleep};
use tower::{Service, make::Shared};

/// How long requests that are under way have when the program ends.
const GRACE: Duration = Duration::from_secs(2);

/// Only the machine itself is served: what is on the way to another would read the tokens.
pub(crate) fn loopback(text: &str) -> Result<SocketAddr, &'static str> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(_) => {
            Err("this is plain http, and only the machine itself is served: 127.0.0.1 or [::1]")
        }
        Err(_) => Err("this is no address with a port, such as 127.0.0.1:8080"),
    }
}

/// A listener at `address`, or an error that names it.
pub(crate) async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
    TcpListener::bind(address).await.map_err(named)
}

/// Serves HTTP/1 and HTTP/2 (with prior knowledge) until SIGTERM or Ctrl-C. `READY` and the origin
/// are printed when connections are taken.
pub(crate) async fn serve<S>(listener: TcpListener, service: S) -> io::Result<()>
where
    S: Service<Request, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let origin = format!("http://{}", listener.local_addr()?);
    let served = axum::serve(listener, Shared::new(service)).with_graceful_shutdown(told_to_end());
    println!("READY {origin}");
    io::stdout().flush()?;
    let out_of_patience = async {
        told_to_end().await;
        sleep(GRACE).await;
    };
    tokio::select! {
        served = served => served,
        () = out_of_patience => Ok(()),
    }
}

#[cfg(unix)]
async fn told_to_end() {
    use tokio::signal::{
        ctrl_c,
        unix::{SignalKind, signal},
    };
    let Ok(mut terminated) = signal(SignalKind::terminate()) else { return ctrl_c_alone().await };
    tokio::select! {
        _ = terminated.recv() => {}
        _ = ctrl_c() => {}
    }
}

#[cfg(not(unix))]
async fn told_to_end() {
    ctrl_c_alone().await;
}

async fn ctrl_c_alone() {
    let _ = tokio::signal::ctrl_c().await;
}
