//! The default HTTPS client where companies put it: behind a proxy, with a private certificate
//! authority, with a certificate of its own that is renewed on disk. All goes over real sockets.

use crate::certificates::{Authority, Identity};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use std::{
    convert::Infallible,
    error::Error,
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tower_oauth2::{
    AuthorizationServerMetadata, ClientAuthentication, Transport,
    client::{Grant, SignIn, TokenEndpoint},
};

/// The name of the server, which only the proxy can find.
const NAME: &str = "as.corp.example";

/// A token endpoint that notes the heads of its requests, and the certificates of its clients.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    shown: Arc<Mutex<Vec<Option<CertificateDer<'static>>>>>,
}

impl Server {
    async fn start(authority: &Authority, name: &str) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(authority.server_config_at(name, true)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self { address, heads: Arc::default(), shown: Arc::default() };
        let own = server.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, own) = (acceptor.clone(), own.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let shown = stream.get_ref().1.peer_certificates();
                    let shown = shown.and_then(|shown| shown.first()).cloned();
                    let service = service_fn(move |request: Request<Incoming>| {
                        own.heads.lock().unwrap().push(format!(
                            "{} {:?}",
                            request.uri(),
                            request.headers()
                        ));
                        own.shown
                            .lock()
                            .unwrap()
                            .push(shown.clone().map(CertificateDer::into_owned));
                        let answer = match request.uri().path() {
                            path if path.starts_with("/.well-known/") => own.metadata(),
                            _ => r#"{"access_token":"T1","token_type":"Bearer","expires_in":60}"#
                                .into(),
                        };
                        async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(answer)))) }
                    });
                    let _ =
                        http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        server
    }

    fn metadata(&self) -> String {
        let own = format!("https://{}", self.address);
        format!(
            r#"{{"issuer":"{own}","token_endpoint":"{own}/usual","authorization_endpoint":"{own}/a",
                "mtls_endpoint_aliases":{{"token_endpoint":"{own}/mtls"}}}}"#
        )
    }

    fn shown(&self) -> Vec<Option<CertificateDer<'static>>> {
        self.shown.lock().unwrap().clone()
    }
}

/// A proxy that opens a tunnel to `server`, whatever name it is asked for, to those who know `password`.
async fn proxy(
    server: SocketAddr,
    password: &'static str,
) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heads = asked.clone();
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let heads: Arc<Mutex<Vec<String>>> = heads.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(near.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let is_known = head.contains(&format!("Proxy-Authorization: {password}\r\n"));
                heads.lock().unwrap().push(head);
                if !is_known && !password.is_empty() {
                    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\n\
                                   Proxy-Authenticate: Basic realm=\"x\"\r\n\r\n";
                    return near.write_all(refusal.as_bytes()).await.unwrap();
                }
                near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                let mut far = TcpStream::connect(server).await.unwrap();
                let _ = copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    (address, asked)
}

fn file(name: &str, text: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("company_network");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{}-{name}", std::process::id()));
    fs::write(&path, text).unwrap();
    path
}

fn endpoint(url: &str, transport: Transport) -> TokenEndpoint {
    TokenEndpoint::new(url, ClientAuthentication::tls("app"), transport).unwrap()
}

/// What a process makes of these variables: its environment cannot change while it runs.
async fn asked_with(variables: &[(&str, String)], url: &str, authority: &Authority) -> String {
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", "company_network::asks_for_a_token", "--ignored", "--nocapture"]);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"] {
        process.env_remove(name);
    }
    process.envs(variables.iter().map(|(name, value)| (*name, value.as_str())));
    process.env("ASKED_URL", url).env("ASKED_ROOTS", &authority.pem);
    let output = tokio::task::spawn_blocking(move || process.output().unwrap()).await.unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let line = output
        .lines()
        .find_map(|line| line.split_once("asked: "))
        .unwrap_or_else(|| panic!("{output}"));
    line.1.to_owned()
}

#[tokio::test]
#[ignore = "a part of other tests, run in a process of its own"]
async fn asks_for_a_token() {
    let [url, roots] = ["ASKED_URL", "ASKED_ROOTS"].map(|name| std::env::var(name).unwrap());
    let transport = Transport::https().with_root_certificates(roots).unwrap();
    let said = match transport.with_proxy_from_env() {
        Err(error) => format!("{error}"),
        Ok(transport) => {
            let request = Request::post(&url).body(Full::default()).unwrap();
            match transport.send(request).await {
                Ok(response) => format!("{}", response.status()),
                Err(error) => format!("{:?} {} {error}", error.kind(), error.is_unsent()),
            }
        }
    };
    println!("asked: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_fetched_through_the_proxy_and_only_the_proxy_gets_its_password() {
    let authority = Authority::new("the company");
    let server = Server::start(&authority, NAME).await;
    let (address, heads) = proxy(server.address, "Basic dXNlcjpwQHNz").await;
    let variables = [("HTTPS_PROXY", format!("http://user:p%40ss@{address}"))];
    let said = asked_with(&variables, &format!("https://{NAME}/token"), &authority).await;
    assert_eq!(said, "200 OK");
    let heads = heads.lock().unwrap().clone();
    assert_eq!(heads.len(), 1);
    assert!(heads[0].starts_with(&format!("CONNECT {NAME}:443 HTTP/1.1\r\n")), "{}", heads[0]);
    let seen = server.heads.lock().unwrap().concat();
    assert!(!seen.contains("proxy-") && !seen.contains("dXNlcjpwQHNz"), "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_refuses_is_named_without_its_password_and_nothing_was_sent() {
    let authority = Authority::new("the company");
    let server = Server::start(&authority, NAME).await;
    let (address, _) = proxy(server.address, "Basic dXNlcjpwQHNz").await;
    let variables = [("HTTPS_PROXY", format!("http://user:wr0ng@{address}"))];
    let said = asked_with(&variables, &format!("https://{NAME}/token"), &authority).await;
    assert!(said.starts_with("Proxy true "), "{said}");
    let expected = format!(
        "no connection through the proxy http://{address}/: tunnel error: proxy authorization required"
    );
    assert!(said.contains(&expected) && !said.contains("wr0ng"), "{said}");
    assert!(server.shown().is_empty());

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let variables = [("ALL_PROXY", format!("user:wr0ng@{closed}"))];
    let said = asked_with(&variables, &format!("https://{NAME}/token"), &authority).await;
    assert!(said.starts_with("Proxy true ") && !said.contains("wr0ng"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_of_no_proxy_and_the_machine_itself_are_connected_to_directly() {
    let authority = Authority::new("the company");
    let server = Server::start(&authority, "127.0.0.1").await;
    let (address, heads) = proxy(server.address, "").await;
    let mut variables = vec![("https_proxy", format!("http://{address}"))];
    let own = format!("https://{}/token", server.address);
    assert_eq!(asked_with(&variables, &own, &authority).await, "200 OK");
    variables.push(("NO_PROXY", "10.0.0.0/8,corp.example".to_owned()));
    // Nothing but the proxy knows this name.
    let said = asked_with(&variables, &format!("https://{NAME}/token"), &authority).await;
    assert!(said.starts_with("Service true "), "{said}");
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_address_that_is_none_is_an_error_before_anything_is_sent() {
    let authority = Authority::new("the company");
    let variables = [("HTTPS_PROXY", "socks5://user:wr0ng@proxy.example".to_owned())];
    let said = asked_with(&variables, "https://as.example/token", &authority).await;
    assert_eq!(said, "HTTPS_PROXY is no proxy address, such as http://proxy.example:3128");
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused_although_the_system_may_trust_it() {
    let authority = Authority::new("the company");
    let server = Server::start(&authority, "127.0.0.1").await;
    let url = format!("https://{}/token", server.address);
    let trusting =
        |pem: &str| endpoint(&url, Transport::https().with_root_certificates(pem).unwrap());
    let both = Authority::new("another").pem + &authority.pem;
    trusting(&both).fetch(&Grant::client_credentials()).await.unwrap();
    let stranger = trusting(&Authority::new("another").pem);
    let error = stranger.fetch(&Grant::client_credentials()).await.unwrap_err();
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("UnknownIssuer"), "{cause}");
    assert_eq!(server.shown().len(), 1);
}

/// A client whose certificate and key are in files.
struct Client {
    endpoint: TokenEndpoint,
    paths: [PathBuf; 2],
}

impl Client {
    fn new(name: &str, server: &Server, authority: &Authority) -> Self {
        Self::of(["crt", "key"].map(|kind| file(&format!("{name}.{kind}"), "")), server, authority)
    }

    fn of(paths: [PathBuf; 2], server: &Server, authority: &Authority) -> Self {
        let transport = Transport::https()
            .with_root_certificates(&authority.pem)
            .unwrap()
            .with_client_certificate_files(&paths[0], &paths[1])
            .unwrap();
        Self { endpoint: endpoint(&format!("https://{}/token", server.address), transport), paths }
    }

    fn write(&self, which: usize, identity: &Identity) {
        fs::write(&self.paths[which], &identity.pem[which]).unwrap();
    }

    async fn ask(&self) -> Result<(), String> {
        let fetched = self.endpoint.fetch(&Grant::client_credentials()).await;
        fetched.map(drop).map_err(|error| error.source().unwrap().to_string())
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_at_the_next_request_and_half_a_pair_keeps_the_old() {
    let authority = Authority::new("the company");
    let server = Server::start(&authority, "127.0.0.1").await;
    let client = Client::new("renewed", &server, &authority);
    let [old, new] = ["app", "app"].map(|name| authority.client(name));
    for which in [0, 1] {
        client.write(which, &old);
    }
    client.ask().await.unwrap();
    client.ask().await.unwrap();
    client.write(0, &new);
    client.ask().await.unwrap();
    fs::write(&client.paths[1], &new.pem[1][..40]).unwrap();
    client.ask().await.unwrap();
    client.write(1, &new);
    client.ask().await.unwrap();
    fs::remove_file(&client.paths[1]).unwrap();
    client.ask().await.unwrap();
    let expected = [&old, &old, &old, &old, &new, &new].map(|one| Some(one.certificate.clone()));
    assert_eq!(server.shown(), expected);
}

#[tokio::test]
async fn a_discovered_endpoint_is_the_one_for_clients_that_show_a_certificate() {
    let authority = Authority::new("the company");
    let server = Server::start(&authority, "127.0.0.1").await;
    let own = Client::new("discovered", &server, &authority);
    let one = authority.client("app");
    for which in [0, 1] {
        own.write(which, &one);
    }
    let issuer = format!("https://{}", server.address);
    let plain = || Transport::https().with_root_certificates(&authority.pem).unwrap();
    let shown = || plain().with_client_certificate_files(&own.paths[0], &own.paths[1]).unwrap();
    let secret = || ClientAuthentication::basic("app", "s3cr3t");
    for (client, transport, path) in [
        (secret(), plain(), "/usual"),
        (secret(), shown(), "/mtls"),
        (ClientAuthentication::tls("app"), shown(), "/mtls"),
    ] {
        let body = br#"{"issuer":"https://as.example","token_endpoint":"https://usual.example/t",
            "authorization_endpoint":"https://as.example/a","mtls_endpoint_aliases":
            {"token_endpoint":"https://mtls.example/t"}}"#;
        let metadata = AuthorizationServerMetadata::parse("https://as.example", body).unwrap();
        let callback = "https://app.example/callback";
        let sign_in = SignIn::from_metadata(&metadata, client.clone(), transport.clone(), callback);
        let sign_in = format!("{:?}", sign_in.unwrap());
        assert!(sign_in.contains(&format!("https:/{path}.example")), "{sign_in}");
        let endpoint = TokenEndpoint::from_issuer(&issuer, client, transport).unwrap();
        endpoint.fetch(&Grant::client_credentials()).await.unwrap();
        let head = server.heads.lock().unwrap().pop().unwrap();
        assert!(head.starts_with(&format!("{path} ")), "{head}");
    }
}

#[tokio::test]
async fn without_a_usable_certificate_no_request_is_sent_and_the_error_names_the_file() {
    let authority = Authority::new("the company");
    let server = Server::start(&authority, "127.0.0.1").await;
    let client = Client::new("unusable", &server, &authority);
    let [app, other] = ["app", "other"].map(|name| authority.client(name));
    let [certificate, key] = client.paths.each_ref().map(|path| path.display().to_string());
    let error = client.ask().await.unwrap_err();
    assert!(error.contains(&format!("{certificate}: it is empty")), "{error}");
    client.write(0, &app);
    fs::write(&client.paths[1], "x".repeat(70_000)).unwrap();
    let error = client.ask().await.unwrap_err();
    assert!(error.contains(&format!("{key}: it is longer than 64 KiB")), "{error}");
    fs::write(&client.paths[1], "no key").unwrap();
    let error = client.ask().await.unwrap_err();
    assert!(error.contains(&format!("{key} has no unencrypted private key in PEM")), "{error}");
    client.write(1, &other);
    let error = client.ask().await.unwrap_err();
    assert!(error.contains("are no pair"), "{error}");
    assert!(server.shown().is_empty());
    client.write(1, &app);
    client.ask().await.unwrap();
    assert_eq!(server.shown(), [Some(app.certificate)]);
}

/// In a process without the rights of the superuser, who reads every file.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_cannot_be_read_for_a_while_is_shown_once_only_its_rights_have_changed()
{
    use std::os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    };
    let folder = std::env::temp_dir().join(format!("company_network-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).unwrap();
    // Where it lies now, others may not come.
    let (program, own) = (std::env::current_exe().unwrap(), folder.join("program"));
    fs::hard_link(&program, &own).or_else(|_| fs::copy(&program, &own).map(drop)).unwrap();
    let mut process = Command::new(own);
    process.args(["--exact", "company_network::shows_what_it_may_read_again", "--ignored"]);
    process.env("ASKED_FOLDER", &folder);
    if folder.metadata().unwrap().uid() == 0 {
        process.uid(65534).gid(65534);
    }
    let output = tokio::task::spawn_blocking(move || process.output()).await.unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[cfg(unix)]
#[tokio::test]
#[ignore = "a part of another test, run in a process of its own"]
async fn shows_what_it_may_read_again() {
    use std::os::unix::fs::PermissionsExt;
    let folder = PathBuf::from(std::env::var_os("ASKED_FOLDER").unwrap());
    let authority = Authority::new("the company");
    let server = Server::start(&authority, "127.0.0.1").await;
    let client = Client::of(["crt", "key"].map(|name| folder.join(name)), &server, &authority);
    let [old, new] = ["app", "app"].map(|name| authority.client(name));
    let may_read = |mode| {
        fs::set_permissions(&client.paths[1], PermissionsExt::from_mode(mode)).unwrap();
    };
    for one in [&old, &new] {
        for which in [0, 1] {
            client.write(which, one);
        }
        may_read(0o000);
        assert!(fs::read(&client.paths[1]).is_err(), "the superuser runs this");
        // The first time there is nothing to go on with.
        assert_eq!(client.ask().await.is_ok(), std::ptr::eq(one, &new));
        may_read(0o600);
        client.ask().await.unwrap();
    }
    let expected = [&old, &old, &new].map(|one| Some(one.certificate.clone()));
    assert_eq!(server.shown(), expected);
}

#[test]
fn a_transport_over_another_service_takes_no_proxy_and_no_certificates() {
    let other = || {
        Transport::new(tower::service_fn(async |_: Request<Full<Bytes>>| {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        }))
    };
    let pem = Authority::new("the company").pem;
    for refused in [
        other().with_proxy_from_env(),
        other().with_root_certificates(pem),
        other().with_client_certificate_files("a", "b"),
    ] {
        let error = refused.map(drop).unwrap_err().to_string();
        assert!(error.contains("Transport::https takes them"), "{error}");
    }
}
