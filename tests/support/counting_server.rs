//! A raw HTTP/1.1 server on a loopback socket that counts what reaches it.
#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};

/// Longer than any exchange takes: a test that hangs fails.
const LIMIT: Duration = Duration::from_secs(10);

/// A server that gives every request the same answer, or none, and closes the connection.
pub(crate) struct CountingServer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl CountingServer {
    /// Serves `answer`, a whole response as it goes over the wire; an empty one is a connection
    /// that is reset once the request was read.
    pub(crate) async fn start(answer: impl Into<String>) -> Self {
        let answer = answer.into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (counter, log) = (connections.clone(), requests.clone());
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::Relaxed);
                let mut stream = BufReader::new(stream);
                let Some(request) = read_request(&mut stream).await else { continue };
                log.lock().unwrap().push(request);
                match answer.as_str() {
                    "" => reset_when_dropped(stream.get_ref()),
                    answer => stream.write_all(answer.as_bytes()).await.unwrap(),
                }
            }
        });
        Self { address, connections, requests, accepting }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request that was read, head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// How many connections there were. They are accepted in order, so those before one more of
    /// our own have been counted when that one is.
    pub(crate) async fn connections(&self) -> usize {
        timeout(LIMIT, async {
            let mut own = TcpStream::connect(self.address).await.unwrap();
            own.shutdown().await.unwrap();
            own.read_to_end(&mut Vec::new()).await.unwrap();
        })
        .await
        .unwrap();
        self.connections.fetch_sub(1, Ordering::Relaxed) - 1
    }
}

impl Drop for CountingServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[allow(deprecated, reason = "its successor came with tokio 1.50")]
fn reset_when_dropped(stream: &TcpStream) {
    stream.set_linger(Some(Duration::ZERO)).unwrap();
}

/// One request; nothing where the connection ends before it does.
async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut request = String::new();
    let mut length = 0;
    loop {
        let line = request.len();
        if stream.read_line(&mut request).await.unwrap() == 0 {
            return None;
        }
        let line = request[line..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    Some(request + &String::from_utf8(body).unwrap())
}

/// hyper's client as it comes, over plain sockets.
pub(crate) fn hyper_client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}
