//! The certified provider behind a forward proxy of another's, with a private certificate authority
//! and a certificate of the client's own: the default HTTPS client, as a company has it.

use crate::{
    mtls::{file, metadata},
    peers::proxy,
};
use std::{env, fs, process::Command};
use tower_oauth2::{
    ClientAuthentication, Transport,
    client::{Grant, TokenEndpoint},
};

/// What only the proxy can find.
const NAME: &str = "as.interop.example";

/// What became of a request for a token to `host`, by a process with this proxy in its environment.
async fn asked_through(proxy: &str, host: &str) -> String {
    let metadata = metadata().await.with_mtls_aliases();
    let url = metadata.token_endpoint().unwrap().replace("127.0.0.1", host);

    let mut process = Command::new(env::current_exe().unwrap());
    process.args(["--exact", "proxy::asks_for_a_token", "--ignored", "--nocapture"]);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"] {
        process.env_remove(name);
    }
    process.env("HTTPS_PROXY", proxy).env("ASKED_URL", url);
    let output = tokio::task::spawn_blocking(move || process.output().unwrap()).await.unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let asked = output.lines().find_map(|line| line.split_once("asked: "));
    asked.unwrap_or_else(|| panic!("{output}")).1.to_owned()
}

#[tokio::test]
#[ignore = "a part of other tests, run in a process of its own"]
async fn asks_for_a_token() {
    let Ok(url) = env::var("ASKED_URL") else { return };
    let [ca, certificate, key] = ["ca.pem", "svc-tls-bound.pem", "svc-tls-bound.key"].map(file);
    let transport = Transport::https()
        .with_proxy_from_env()
        .unwrap()
        .with_root_certificates(fs::read(ca).unwrap())
        .unwrap()
        .with_client_certificate_files(certificate, key)
        .unwrap();
    let client = ClientAuthentication::tls("svc-tls-bound");
    let endpoint = TokenEndpoint::new(&url, client, transport).unwrap();
    match endpoint.fetch(&Grant::client_credentials()).await {
        Ok(response) => println!("asked: {} s", response.lifetime().unwrap().as_secs()),
        Err(error) => println!("asked: {}", causes(&error)),
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn proxy_of(user: &str) -> String {
    proxy().replace("http://", &format!("http://{user}@"))
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_token_is_fetched_through_a_proxy_that_alone_finds_the_server() {
    assert_eq!(asked_through(&proxy_of("user:p%40ss%2Fword"), NAME).await, "600 s");
    let without = asked_through("", NAME).await;
    assert!(without.contains("dns"), "{without}");
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_proxy_that_does_not_know_the_password_is_named_without_it() {
    let said = asked_through(&proxy_of("user:hunter22"), NAME).await;
    let expected = format!("no connection through the proxy {}/", proxy());
    assert!(said.contains(&expected) && !said.contains("hunter22"), "{said}");
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn the_machine_itself_is_asked_without_the_proxy() {
    assert_eq!(asked_through("http://127.0.0.1:1", "127.0.0.1").await, "600 s");
}
