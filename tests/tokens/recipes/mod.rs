//! The recipes of the guide, each over a server on a socket that answers in the shape of the real one.

mod snippets;

use crate::{
    counting_server::{CountingServer, hyper_client},
    leaks::{assert_absent, printed},
    scripted_endpoint::pairs,
    workloads::{TokenFile, jwt},
};
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use std::{fs, path::Path};
use tower::{ServiceExt, service_fn};
use tower_oauth2::{
    Algorithm, SigningKey, Transport,
    client::{ErrorKind, TokenCache},
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a snippet makes.
type Made = Result<TokenCache, BoxError>;

/// A server that answers `body`, and a transport that reaches it whatever the URL.
struct Peer {
    server: CountingServer,
    transport: Transport,
}

impl Peer {
    async fn answering(status: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}");
        let server = CountingServer::start(format!("{head}\r\n\r\n{body}")).await;
        let origin = server.origin();
        let transport = Transport::new(service_fn(move |mut request: Request<Full<Bytes>>| {
            let (asked, client) = (request.uri().clone(), hyper_client());
            let host = asked.authority().unwrap().as_str().parse().unwrap();
            request.headers_mut().insert("host", host);
            let path = asked.path_and_query().unwrap();
            *request.uri_mut() = format!("{origin}{path}").parse::<Uri>().unwrap();
            client.oneshot(request)
        }));
        Self { server, transport: transport.allow_plain_http() }
    }

    async fn ok(body: &str) -> Self {
        Self::answering("200 OK", body).await
    }

    fn transport(&self) -> Transport {
        self.transport.clone()
    }

    /// The token of a snippet's cache, and the one request for it: its line, its head, and its body.
    async fn token(&self, made: Made) -> (String, String, String) {
        let token = made.unwrap().access_token().await.unwrap();
        let mut requests = self.server.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        let request = requests.remove(0);
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        (token.expose().to_owned(), head.to_ascii_lowercase(), body.to_owned())
    }
}

fn leaked(file: &TokenFile) -> &'static str {
    file.0.to_str().unwrap().to_owned().leak()
}

/// The value of `name` in a form.
fn param(form: &str, name: &str) -> Option<String> {
    pairs(form).into_iter().find(|(own, _)| own == name).map(|(_, value)| value)
}

#[tokio::test]
async fn google_gives_an_access_token_to_who_names_the_flavor() {
    let peer =
        Peer::ok(r#"{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer"}"#).await;
    let made = snippets::google_access_token(peer.transport());
    let (token, head, _) = peer.token(made).await;
    assert_eq!(token, "ya29.x");
    let path = "/computemetadata/v1/instance/service-accounts/default/token";
    assert!(head.starts_with(&format!("get {path} ")), "{head}");
    assert!(head.contains("metadata-flavor: google") && head.contains("host: metadata.google"));
}

#[tokio::test]
async fn google_gives_an_id_token_as_bare_text_that_ends_at_its_exp() {
    let id_token = jwt("113774264463038321964", 3600);
    let peer = Peer::ok(&id_token).await;
    let cache = snippets::google_id_token(peer.transport()).unwrap();
    let (token, head, _) = peer.token(Ok(cache.clone())).await;
    assert_eq!(token, id_token);
    assert!(head.contains("/identity?audience=https://orders.example&format=full "), "{head}");
    let left = cache.status().expires_in().unwrap().as_secs();
    assert!((3590..=3600).contains(&left), "{left}");
}

#[tokio::test]
async fn azure_writes_numbers_as_texts_and_an_empty_refresh_token() {
    let body = r#"{"access_token":"eyJ0eXAi","client_id":"6e74","expires_in":"3599",
        "expires_on":"1767229199","not_before":"1767225300","resource":"https://vault.azure.net",
        "token_type":"Bearer","refresh_token":""}"#;
    let peer = Peer::ok(body).await;
    let cache = snippets::azure(peer.transport()).unwrap();
    let (token, head, _) = peer.token(Ok(cache.clone())).await;
    assert_eq!(token, "eyJ0eXAi");
    assert!(head.contains("metadata: true") && head.contains("api-version=2018-02-01&resource="));
    assert!(cache.status().expires_in().unwrap().as_secs() > 3500);
}

#[tokio::test]
async fn vault_takes_a_login_and_gives_a_lease() {
    let file = TokenFile::of("pod-token\n");
    let body = r#"{"request_id":"r","lease_duration":0,"auth":{"client_token":"hvs.CAES",
        "accessor":"a","policies":["default"],"lease_duration":2764800,"renewable":true}}"#;
    let peer = Peer::ok(body).await;
    let cache = snippets::vault(leaked(&file), peer.transport()).unwrap();
    let (token, head, sent) = peer.token(Ok(cache.clone())).await;
    assert_eq!(token, "hvs.CAES");
    assert!(head.starts_with("post /v1/auth/kubernetes/login "), "{head}");
    assert_eq!(sent, r#"{"jwt":"pod-token","role":"orders"}"#);
    assert!(cache.status().expires_in().unwrap().as_secs() > 2_764_700);
}

#[tokio::test]
async fn salesforce_says_no_lifetime_and_counts_in_milliseconds() {
    let body = r#"{"access_token":"00D!AQ","instance_url":"https://acme.my.salesforce.com",
        "id":"https://login.salesforce.com/id/00D/005","token_type":"Bearer",
        "issued_at":"1699999999999","signature":"c2ln","scope":"api"}"#;
    let peer = Peer::ok(body).await;
    let (token, head, sent) = peer.token(snippets::salesforce(peer.transport())).await;
    assert_eq!(token, "00D!AQ");
    assert!(head.starts_with("post /services/oauth2/token "), "{head}");
    assert_eq!(param(&sent, "client_id").as_deref(), Some("3MVG9"));
}

#[tokio::test]
async fn zoom_has_a_grant_of_its_own() {
    let body = r#"{"access_token":"eyJz","token_type":"bearer","expires_in":3600,
        "scope":"user:read","api_url":"https://api.zoom.us"}"#;
    let peer = Peer::ok(body).await;
    let (token, head, sent) = peer.token(snippets::zoom(peer.transport())).await;
    assert_eq!((&*token, &*sent), ("eyJz", "grant_type=account_credentials&account_id=A-1"));
    assert!(head.contains("authorization: basic "), "{head}");
}

#[tokio::test]
async fn apigee_has_a_type_of_its_own_and_numbers_as_texts() {
    let body = r#"{"refresh_token_expires_in":"0","token_type":"BearerToken","issued_at":"1699999999999",
        "client_id":"id","access_token":"apg","scope":"","expires_in":"14399","refresh_count":"0",
        "status":"approved"}"#;
    let peer = Peer::ok(body).await;
    let cache = snippets::apigee(peer.transport()).unwrap();
    assert_eq!(peer.token(Ok(cache.clone())).await.0, "apg");
    assert!(cache.status().expires_in().unwrap().as_secs() > 14_300);
}

#[tokio::test]
async fn github_gives_an_app_the_token_of_an_installation() {
    let body = r#"{"token":"ghs_1_eyJ","expires_at":"2026-11-30T18:00:00Z",
        "permissions":{"contents":"read"},"repository_selection":"selected"}"#;
    let peer = Peer::answering("201 Created", body).await;
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let (token, head, _) = peer.token(snippets::github_app(key, peer.transport())).await;
    assert_eq!(token, "ghs_1_eyJ");
    assert!(head.starts_with("post /app/installations/4711/access_tokens "), "{head}");
    assert!(head.contains("authorization: bearer eyj") && head.contains("user-agent: orders"));
}

#[tokio::test]
async fn slack_rotates_the_token_of_a_bot_and_fails_with_200() {
    let body = r#"{"ok":true,"access_token":"xoxe.xoxb-1","expires_in":43200,
        "refresh_token":"xoxe-1-next","token_type":"bot","scope":"chat:write"}"#;
    let peer = Peer::ok(body).await;
    let (token, _, sent) = peer.token(snippets::slack(peer.transport())).await;
    assert_eq!(token, "xoxe.xoxb-1");
    assert_eq!(param(&sent, "refresh_token").as_deref(), Some("xoxe-1-refresh"));
    let peer = Peer::ok(r#"{"ok":false,"error":"invalid_refresh_token"}"#).await;
    let error = snippets::slack(peer.transport()).unwrap().access_token().await.unwrap_err();
    assert!(error.is_sign_in_needed(), "{error}");
}

#[tokio::test]
async fn a_docker_registry_names_its_token_twice_or_once_and_a_lifetime_or_none() {
    for (body, seconds) in [
        (
            r#"{"token":"dckr","access_token":"dckr","expires_in":300,"issued_at":"2026-11-30T17:00:00Z"}"#,
            300,
        ),
        (r#"{"access_token":"dckr"}"#, 60),
    ] {
        let peer = Peer::ok(body).await;
        let cache = snippets::docker(peer.transport()).unwrap();
        let (token, head, _) = peer.token(Ok(cache.clone())).await;
        assert_eq!(token, "dckr");
        assert!(head.contains("scope=repository:library/alpine:pull http"), "{head}");
        let left = cache.status().expires_in().unwrap().as_secs();
        assert!((seconds - 5..=seconds).contains(&left), "{left}");
    }
}

#[tokio::test]
async fn the_token_of_a_cluster_is_that_of_its_file() {
    let file = TokenFile::of(jwt("system:serviceaccount:shop:orders", 3607));
    let token = snippets::kubernetes_api(leaked(&file)).unwrap().access_token().await.unwrap();
    assert_eq!(token.expose(), fs::read_to_string(&file.0).unwrap());
}

#[tokio::test]
async fn a_workload_presents_the_token_of_its_file() {
    let own = jwt("system:serviceaccount:shop:orders", 3600);
    let file = TokenFile::of(&own);
    let body = r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"AT",
        "issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}"#;
    type Snippet = fn(&'static str, Transport) -> Made;
    let entra = ("client_assertion", Some("6e74172b-be56-4843-9ff4-e66a39bb12e3"));
    for (snippet, (name, id)) in [
        (snippets::entra as Snippet, entra),
        (snippets::spiffe, ("client_assertion", None)),
        (snippets::google_sts, ("subject_token", None)),
    ] {
        let peer = Peer::ok(body).await;
        let (token, head, sent) = peer.token(snippet(leaked(&file), peer.transport())).await;
        assert_eq!((&*token, param(&sent, name)), ("AT", Some(own.clone())));
        assert_eq!(param(&sent, "client_id").as_deref(), id);
        assert!(!head.contains("authorization"), "{head}");
    }
}

#[tokio::test]
async fn a_job_of_github_asks_for_its_id_token_and_presents_it() {
    let id_token = jwt("repo:acme/shop:environment:prod", 300);
    // Both servers are this one: an answer with the members of both.
    let body = format!(r#"{{"count":1,"value":"{id_token}","access_token":"AT","expires_in":60}}"#);
    let peer = Peer::ok(&body).await;
    let url = "https://pipelines.example/idtoken?api-version=2.0";
    let cache = snippets::github_actions(url, "job-secret", peer.transport()).unwrap();
    assert_eq!(cache.access_token().await.unwrap().expose(), "AT");
    let [asked, presented] = peer.server.requests().try_into().unwrap();
    assert!(
        asked.contains("&audience=api://AzureADTokenExchange ") && asked.contains("job-secret")
    );
    let sent = presented.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(param(sent, "client_assertion"), Some(id_token));
    assert!(!presented.contains("job-secret"));
}

#[tokio::test]
async fn what_a_strange_server_answers_is_an_error_of_a_known_kind_without_its_body() {
    for (status, body) in [
        ("200 OK", "<html>s3cr3t captive portal</html>"),
        ("200 OK", r#"{"access_token":{"s3cr3t":1},"auth":7,"token":[],"value":null}"#),
        ("200 OK", "null"),
        ("200 OK", "[]"),
        ("200 OK", "7"),
        ("200 OK", ""),
        ("404 Not Found", "s3cr3t nothing here"),
        ("302 Found", ""),
    ] {
        let peer = Peer::answering(status, body).await;
        let file = TokenFile::of(jwt("x", 600));
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        for made in [
            snippets::google_access_token(peer.transport()),
            snippets::azure(peer.transport()),
            snippets::vault(leaked(&file), peer.transport()),
            snippets::github_app(key, peer.transport()),
            snippets::docker(peer.transport()),
        ] {
            let cache = made.unwrap();
            // Its next tries are not waited for.
            let mut status = cache.status();
            let call = tokio::spawn({
                let cache = cache.clone();
                async move { cache.access_token().await }
            });
            while status.last_error().is_none() {
                status = cache.changed(&status).await;
            }
            call.abort();
            let error = status.last_error().unwrap();
            let kinds = [ErrorKind::Source, ErrorKind::Refused, ErrorKind::InvalidResponse];
            assert!(kinds.contains(&error.kind()), "{error}");
            if error.kind() != ErrorKind::Refused {
                assert_absent(&["s3cr3t"], &printed(error));
            }
        }
    }
}

/// Without what formatting adds.
fn bare(code: &str) -> String {
    let code: String = code.chars().filter(|char| !char.is_whitespace()).collect();
    code.replace(",}", "}").replace(",)", ")").replace(",]", "]")
}

/// Lines that a page shows and a test passes in.
const GIVEN: [&str; 8] = [
    "use ",
    "# ",
    "type BoxError",
    "let transport =",
    "let file =",
    "let key =",
    "let url = std::env",
    "let secret = std::env",
];

#[test]
fn the_pages_show_what_is_tested_in_at_most_15_lines_each() {
    let tested = include_str!("snippets.rs");
    let functions = bare(&tested.replace("\\\n", ""));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide");
    let mut shown = 0;
    for page in ["endpoints.md", "workloads.md"] {
        let text = fs::read_to_string(folder.join(page)).unwrap().replace("\\\n", "");
        for block in text.split("\n```").skip(1).step_by(2).filter(|it| it.starts_with("rust")) {
            let lines = block.lines().skip(1).filter(|line| !line.is_empty());
            let code: Vec<_> =
                lines.filter(|line| !GIVEN.iter().any(|given| line.starts_with(given))).collect();
            assert!(code.len() <= 15, "{page} has {} lines: {code:?}", code.len());
            let code = bare(&code.concat());
            assert!(functions.contains(&format!("->Made{{{code}Ok(cache)}}")), "{page}: {code}");
            shown += 1;
        }
    }
    assert_eq!(shown, tested.matches("-> Made {").count(), "a page shows each tested snippet");
}
