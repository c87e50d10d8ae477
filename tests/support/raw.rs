//! A service on a loopback socket, and HTTP/1.1 requests to it as plain text.
#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a panic is the verdict of a test")]

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use std::{error::Error, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;

/// Longer than any exchange takes: a test that hangs fails.
const LIMIT: Duration = Duration::from_secs(10);

/// A server on a port of its own, gone when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Serves clones of `service`, an axum `Router` for example.
    pub(crate) async fn start<S, B>(service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = TowerToHyperService::new(service.clone());
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        Self { address, accepting }
    }

    /// The origin of its URLs.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends one request over a connection of its own. `head` is a method and a target, `lines`
    /// are header lines as they go over the wire.
    pub(crate) async fn send(&self, head: &str, lines: &[&str]) -> Reply {
        self.send_body(head, lines, "").await
    }

    /// Sends one request with a body over a connection of its own.
    pub(crate) async fn send_body(&self, head: &str, lines: &[&str], body: &str) -> Reply {
        let lines = [&["Connection: close"], lines].concat();
        let mut connection = self.connect().await;
        let reply = connection.send_body(head, &lines, body).await;
        let mut rest = String::new();
        timeout(LIMIT, connection.stream.read_to_string(&mut rest)).await.unwrap().unwrap();
        assert_eq!(rest, "", "one request has one answer");
        reply
    }

    /// A connection for several requests.
    pub(crate) async fn connect(&self) -> Connection {
        let stream = timeout(LIMIT, TcpStream::connect(self.address)).await.unwrap().unwrap();
        Connection { stream: BufReader::new(stream) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One TCP connection, kept alive.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Sends one request and reads its answer.
    pub(crate) async fn send(&mut self, head: &str, lines: &[&str]) -> Reply {
        self.send_body(head, lines, "").await
    }

    /// Sends one request with a body and reads its answer.
    pub(crate) async fn send_body(&mut self, head: &str, lines: &[&str], body: &str) -> Reply {
        let length = format!("Content-Length: {}", body.len());
        self.exchange(head, &[lines, &[&length]].concat(), body).await
    }

    /// Sends the head of a request, and reads the answer that comes before the body.
    pub(crate) async fn send_head(&mut self, head: &str, lines: &[&str]) -> Reply {
        self.exchange(head, lines, "").await
    }

    async fn exchange(&mut self, head: &str, lines: &[&str], body: &str) -> Reply {
        let mut text = format!("{head} HTTP/1.1\r\nHost: api.test\r\n");
        for line in lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str(&format!("\r\n{body}"));
        timeout(LIMIT, async {
            self.stream.write_all(text.as_bytes()).await.unwrap();
            self.receive().await
        })
        .await
        .unwrap()
    }

    async fn receive(&mut self) -> Reply {
        let status_line = self.line().await;
        let status = status_line.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        let mut reply = Reply { status, headers: Vec::new(), body: String::new() };
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(": ") else { break };
            reply.headers.push((name.to_owned(), value.to_owned()));
        }
        let length = reply.values("content-length").concat().parse().unwrap();
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.unwrap();
        reply.body = String::from_utf8(body).unwrap();
        reply
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        line.strip_suffix("\r\n").expect("the connection ended within the head").to_owned()
    }
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    /// The values of every line of the header `name`, in their order.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let of_name = |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        self.headers.iter().filter(of_name).map(|(_, value)| value.as_str()).collect()
    }

    /// The `WWW-Authenticate` lines.
    pub(crate) fn challenges(&self) -> Vec<&str> {
        self.values("www-authenticate")
    }
}
