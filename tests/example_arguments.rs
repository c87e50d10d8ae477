//! The command lines of the examples: what is read, and what a wrong one says.
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]
#![allow(clippy::indexing_slicing, reason = "a panic is the verdict of a test")]
#![allow(dead_code, reason = "the programs use what is read")]
#![allow(clippy::print_stdout, reason = "the programs print their help")]

#[path = "../examples/support/command_line.rs"]
mod command_line;
#[path = "../examples/support/serve.rs"]
mod serve;

#[path = "../examples/authorization_server/arguments.rs"]
mod authorization_server;
/// All of it but the calls.
#[path = "../examples/call"]
mod call_program {
    pub(crate) mod arguments;
    pub(crate) mod client;
    #[path = "../support/http_client.rs"]
    pub(crate) mod http_client;
}
#[path = "../examples/protect/arguments.rs"]
mod protect;
#[path = "../examples/sign_in/arguments.rs"]
mod sign_in;

use call_program::{arguments as call, client::client};
use command_line::Asked;
use lexopt::{Error, Parser};
use tower_oauth2::TokenLocation;

/// Reads a command line of which no value has a space.
fn read<A>(parse: fn(Parser) -> Result<Asked<A>, Error>, line: &str) -> Result<A, String> {
    read_words(parse, &line.split_whitespace().collect::<Vec<_>>())
}

fn read_words<A>(
    parse: fn(Parser) -> Result<Asked<A>, Error>,
    words: &[&str],
) -> Result<A, String> {
    match parse(Parser::from_args(words.iter().copied())) {
        Ok(Asked::Run(arguments)) => Ok(arguments),
        Ok(Asked::Help) => Err("help".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Each line is refused with a text that holds what is beside it.
#[track_caller]
fn assert_refused<A>(
    parse: fn(Parser) -> Result<Asked<A>, Error>,
    lines: impl IntoIterator<Item = (&'static str, &'static str)>,
) {
    for (line, says) in lines {
        let said = read(parse, line).map(drop).unwrap_err();
        assert!(said.contains(says), "{line}: {said}");
    }
}

#[test]
fn the_authorization_server_needs_no_argument_and_says_what_is_wrong_with_one() {
    let arguments = read(authorization_server::parse, "").unwrap();
    assert_eq!(arguments.listen.to_string(), "127.0.0.1:0");
    assert_eq!(arguments.lifetime.as_secs(), 3600);
    let line = "--jwts api --lifetime 2s --assertion file --listen [::1]:9000";
    let arguments = read(authorization_server::parse, line).unwrap();
    assert_eq!(arguments.audience.as_deref(), Some("api"));
    assert!(!arguments.dpop && read(authorization_server::parse, "--dpop").unwrap().dpop);
    assert_eq!((arguments.lifetime.as_secs(), arguments.listen.port()), (2, 9000));
    assert_refused(
        authorization_server::parse,
        [
            ("--help", "help"),
            ("stray", "stray"),
            ("--jwts", "missing argument"),
            ("--lifetime 1h", "500ms, 2s, 1m"),
            ("--listen 0.0.0.0:80", "only the machine itself"),
        ],
    );
}

#[test]
fn protect_has_a_free_port_and_reads_the_header_where_nothing_else_is_said() {
    let arguments = read(protect::parse, "--token abc=alice").unwrap();
    assert_eq!(arguments.listen.to_string(), "127.0.0.1:0");
    assert_eq!(arguments.accept, [TokenLocation::Bearer]);
    assert_eq!(arguments.tokens[0].token.expose(), "abc");
    assert_eq!(arguments.tokens[0].principal.subject(), Some("alice"));
    assert!(!arguments.optional && !arguments.terse && !arguments.without_grpc);
}

#[test]
fn a_token_may_end_in_equals_signs_and_its_scopes_may_have_colons() {
    let words = ["--token", "b-._~+/b===bob:read api:write"];
    let arguments = read_words(protect::parse, &words).unwrap();
    let token = &arguments.tokens[0];
    assert_eq!(token.token.expose(), "b-._~+/b==");
    assert_eq!(token.principal.subject(), Some("bob"));
    assert_eq!(token.principal.scopes().as_str(), "read api:write");
}

#[test]
fn protect_reads_tokens_in_every_way_that_is_named() {
    let line = "--token abc=alice --accept=header,query,basic,form,cookie=sid,header=x-api-key";
    let arguments = read(protect::parse, line).unwrap();
    assert_eq!(arguments.accept[..2], [TokenLocation::Bearer, TokenLocation::Query]);
    let named =
        [TokenLocation::cookie("sid").unwrap(), TokenLocation::header("x-api-key").unwrap()];
    assert_eq!(arguments.accept[4..], named);
}

#[test]
fn what_belongs_together_comes_in_any_order() {
    let line = "--lenient --audience one --jwks http://127.0.0.1/jwks --scope read --audience two \
                --issuer http://127.0.0.1 --client-secret s3cr3t --introspect http://127.0.0.1/i \
                --scope write --client-id rs --optional --terse --realm r --resource https://a/b \
                --without-grpc";
    let arguments = read(protect::parse, line).unwrap();
    let [issuer] = arguments.issuers.as_slice() else { panic!("{:?}", arguments.issuers) };
    assert!(issuer.lenient);
    assert_eq!(issuer.jwks.as_deref(), Some("http://127.0.0.1/jwks"));
    assert_eq!(issuer.audience, ["one", "two"]);
    let introspection = arguments.introspection.unwrap();
    assert_eq!(introspection.client_id, "rs");
    assert!(introspection.audience.starts_with(&issuer.audience));
    assert_eq!(arguments.scopes.as_str(), "read write");
    assert!(arguments.optional && arguments.terse && arguments.without_grpc);
}

#[test]
fn each_issuer_of_protect_has_its_own_audience_or_that_of_all() {
    let line = "--audience all --issuer https://a --audience one --audience two --lenient \
                --issuer https://b --jwks https://b/jwks --issuer https://c --audience three \
                --introspect https://d --audience four --client-id rs --client-secret s";
    let arguments = read(protect::parse, line).unwrap();
    let [a, b, c] = arguments.issuers.as_slice() else { panic!("{:?}", arguments.issuers) };
    assert_eq!((a.audience.join(" ").as_str(), a.lenient, &a.jwks), ("one two", true, &None));
    assert_eq!((b.audience.join(" ").as_str(), b.lenient), ("all", false));
    assert_eq!((b.jwks.as_deref(), &c.jwks), (Some("https://b/jwks"), &None));
    assert_eq!(c.audience, ["three"]);
    assert_eq!(arguments.introspection.unwrap().audience, ["four"]);
}

#[test]
fn introspection_of_protect_takes_no_audience_that_is_not_named() {
    let asked = "--introspect https://d --client-id rs --client-secret s";
    for line in ["--issuer https://a --audience one", "--audience one"] {
        let arguments = read(protect::parse, &format!("{line} {asked}")).unwrap();
        let audience = arguments.introspection.unwrap().audience;
        assert!(!audience.is_empty() && audience.iter().all(|one| one == "one"), "{audience:?}");
    }
}

#[test]
fn protect_reads_roles_clients_and_more_places() {
    let line = "--issuer https://a --audience x --role admin --role auditor \
                --role-claim /realm_access/roles --allow-client-id web --allow-client-id cli \
                --allow-plain-http --accept password=token,password=,websocket=b.,websocket-pair=t";
    let arguments = read(protect::parse, line).unwrap();
    assert_eq!(arguments.roles, ["admin", "auditor"]);
    assert_eq!(arguments.holder.role_claims, ["/realm_access/roles"]);
    assert_eq!(arguments.holder.client_ids, ["web", "cli"]);
    assert!(arguments.plain_http);
    let places = [
        TokenLocation::basic_password("token").unwrap(),
        TokenLocation::basic_password("").unwrap(),
        TokenLocation::websocket_protocol("b.").unwrap(),
        TokenLocation::websocket_protocol_pair("t").unwrap(),
    ];
    assert_eq!(arguments.accept, places);
}

#[test]
fn the_help_of_protect_names_its_options_how_long_verdicts_last_and_where_certificates_are() {
    for named in [
        "--role ROLE",
        "--role-claim CLAIM",
        "--allow-client-id ID",
        "--allow-plain-http",
        "password=USER",
        "websocket=PREFIX",
        "websocket-pair=NAME",
        "after 60 s",
        "after 10 s",
        "SSL_CERT_FILE",
    ] {
        assert!(protect::HELP.contains(named), "{named}");
    }
    for line in protect::HELP.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn protect_says_what_is_wrong_and_what_would_be_right() {
    assert_refused(
        protect::parse,
        [
            ("", "add --token, --issuer or --introspect"),
            ("--help", "help"),
            ("--tokn x", "--tokn"),
            ("stray", "stray"),
            ("--token", "missing argument"),
            ("--token abc", "TOKEN=SUBJECT[:SCOPE SCOPE...]"),
            ("--token abc=", "TOKEN=SUBJECT"),
            ("--token =abc", "TOKEN=SUBJECT"),
            ("--listen 0.0.0.0:80", "only the machine itself"),
            ("--listen localhost", "such as 127.0.0.1:8080"),
            ("--accept", "missing argument"),
            ("--accept sideways", "cookie=NAME, header=NAME, password=USER, websocket=PREFIX or"),
            ("--accept websocket=a/b", "subprotocol"),
            ("--accept password=a:b", "colon"),
            ("--accept header=cookie", "cannot hold a token"),
            ("--jwks http://127.0.0.1/jwks", "add --issuer"),
            ("--issuer http://127.0.0.1", "add --audience"),
            ("--token abc=alice --lenient", "--issuer"),
            ("--token abc=alice --audience a", "--issuer or --introspect"),
            ("--introspect http://127.0.0.1/i --client-id a", "--client-secret"),
            ("--token abc=alice --client-id a", "--introspect"),
            ("--token abc=alice --client-id a", "--allow-client-id ID"),
            ("--token abc=alice --allow-client-id a", "--issuer or --introspect"),
            ("--token abc=alice --role admin", "add --role-claim"),
            ("--token abc=alice --role-claim roles", "--issuer or --introspect"),
            ("--issuer https://a --audience x --role admin", "add --role-claim"),
            ("--issuer https://a --audience x --issuer https://b", "add --audience"),
            (
                "--jwks https://k --audience x --issuer https://a --issuer https://b",
                "behind its --issuer",
            ),
            ("--token abc=alice --scope a\"b", "--scope"),
        ],
    );
}

#[test]
fn proofs_of_possession_are_read_by_protect_and_made_by_call() {
    let line = "--token abc=alice --nonces --dpop https://api.example/v1";
    let dpop = read(protect::parse, line).unwrap().dpop.unwrap();
    assert_eq!(dpop.url, "https://api.example/v1");
    assert!(dpop.needs_nonces && !dpop.is_required);
    assert!(read(protect::parse, "--token abc=alice").unwrap().dpop.is_none());
    assert_refused(
        protect::parse,
        [
            ("--token abc=alice --required", "add --dpop URL"),
            ("--token abc=alice --nonces", "add --dpop URL"),
        ],
    );
    assert!(!read_call("").unwrap().dpop && read_call("--dpop --place header").unwrap().dpop);
    assert!(read_call("--dpop --place query").unwrap_err().contains("leave --place out"));
}

#[test]
fn no_error_repeats_a_value_that_may_be_a_secret() {
    for line in ["--token hunter2", "--token =hunter2", "--token hunter2=a:\"", "--client-secret="]
    {
        assert!(!read(protect::parse, line).unwrap_err().contains("hunter2"), "{line}");
    }
    let arguments = read(protect::parse, "--token hunter2=alice").unwrap();
    assert!(!format!("{arguments:#?}").contains("hunter2"));
}

#[test]
fn sign_in_brings_its_own_server_or_is_told_of_one() {
    assert!(read(sign_in::parse, "").unwrap().provider.is_none());
    let line = "--issuer https://a --client-id id --scope x --api https://b";
    assert_eq!(read(sign_in::parse, line).unwrap().provider.unwrap().client_id, "id");
    assert_refused(
        sign_in::parse,
        [
            ("--help", "help"),
            ("--issuer https://a", "add --client-id ID"),
            ("--client-id a", "--client-id, --client-secret, --scope and --api go with --issuer"),
            ("--api https://a", "--client-id, --client-secret, --scope and --api go with --issuer"),
            ("--listen 0.0.0.0:80", "only the machine itself"),
        ],
    );
}

/// With the start of a line that lacks only what is tested.
fn read_call(rest: &str) -> Result<call::Arguments, String> {
    let start = "--token-url http://127.0.0.1/token --client-id id http://127.0.0.1/";
    read(call::parse, &format!("{start} {rest}"))
}

#[test]
fn call_makes_one_get_with_a_token_in_the_header_where_nothing_else_is_said() {
    let arguments = read_call("").unwrap();
    assert!(matches!(arguments.authentication, call::Authentication::None));
    assert!(matches!(arguments.grant, call::Grant::ClientCredentials));
    assert_eq!((arguments.method, arguments.place), (http::Method::GET, TokenLocation::Bearer));
    assert_eq!((arguments.repeat, arguments.concurrency, arguments.every), (1, 1, None));
    assert_eq!(read_call("--data {}").unwrap().method, http::Method::POST);
    assert_eq!(read_call("--data {} --method PUT").unwrap().method, http::Method::PUT);
}

#[test]
fn call_authenticates_by_basic_where_there_is_a_secret() {
    let secret = "--client-secret s3cr3t";
    let how = |auth: &str| read_call(&format!("{secret} {auth}")).unwrap().authentication;
    assert!(matches!(how(""), call::Authentication::Basic(_)));
    assert!(matches!(how("--auth basic-raw"), call::Authentication::BasicRaw(_)));
    assert!(matches!(how("--auth post"), call::Authentication::Post(_)));
    assert!(matches!(how("--auth query"), call::Authentication::Query(_)));
    assert!(matches!(how("--auth secret-jwt"), call::Authentication::SecretJwt(_)));
    let key = read_call("--auth private-key-jwt=key.jwk").unwrap().authentication;
    assert!(matches!(key, call::Authentication::PrivateKeyJwt(file) if file.ends_with("key.jwk")));
}

#[test]
fn plain_http_is_taken_to_the_machine_itself_and_elsewhere_when_that_is_said() {
    let arguments = read_call("").unwrap();
    assert!(!arguments.plain_http);
    let line = "--token-url http://a --client-id id --allow-plain-http http://b";
    assert!(read(call::parse, line).unwrap().plain_http);
}

#[test]
fn call_is_known_by_its_certificate_unless_it_has_a_secret() {
    let line = "--client-certificate a.crt,a.key --root-certificates ca.pem --proxy-from-env";
    let arguments = read_call(line).unwrap();
    assert!(matches!(arguments.authentication, call::Authentication::Tls));
    assert!(arguments.reached.proxy_from_env);
    assert_eq!(arguments.reached.root_certificates.unwrap().to_str(), Some("ca.pem"));
    let files = arguments.reached.client_certificate.unwrap();
    assert_eq!(files.map(|file| file.display().to_string()), ["a.crt", "a.key"]);
    let arguments = read_call(&format!("{line} --client-secret s")).unwrap();
    assert!(matches!(arguments.authentication, call::Authentication::Basic(_)));
    let start = "--token-url http://127.0.0.1/token --client-id id http://127.0.0.1/";
    for (rest, says) in [
        ("--auth tls", "tls needs --client-certificate CERT_FILE,KEY_FILE"),
        ("--client-certificate a.crt", "the form is CERT_FILE,KEY_FILE"),
        ("--auth tls --client-certificate a,b --client-secret s", "tls has no use for"),
    ] {
        let said = read(call::parse, &format!("{start} {rest}")).map(drop).unwrap_err();
        assert!(said.contains(says), "{rest}: {said}");
    }
}

#[tokio::test]
async fn call_with_a_certificate_goes_to_the_endpoint_for_clients_that_show_one() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let token = r#"{"access_token":"usual","token_type":"Bearer"}"#;
    let metadata = format!(
        r#"{{"issuer":"{origin}","token_endpoint":"{origin}/usual",
            "mtls_endpoint_aliases":{{"token_endpoint":"{origin}/mtls"}}}}"#
    );
    let app = axum::Router::new()
        .route(
            "/.well-known/oauth-authorization-server",
            axum::routing::get(async move || metadata.clone()),
        )
        .route("/usual", axum::routing::post(async move || token))
        .route("/mtls", axum::routing::post(async move || token.replace("usual", "mtls")));
    tokio::spawn(async { axum::serve(listener, app).await });

    let certified = rcgen::generate_simple_self_signed(["app".to_owned()]).unwrap();
    let pem = [certified.cert.pem(), certified.signing_key.serialize_pem()];
    let files = ["crt", "key"].map(|kind| {
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
        folder.join(format!("call-{}.{kind}", std::process::id()))
    });
    for (file, pem) in files.iter().zip(pem) {
        std::fs::write(file, pem).unwrap();
    }
    let [certificate, key] = files.each_ref().map(|file| file.display().to_string());
    for (rest, came_from) in [
        (String::new(), "usual"),
        (format!("--client-certificate {certificate},{key}"), "mtls"),
        // It binds the token, and the secret says who it is.
        (format!("--client-certificate {certificate},{key} --client-secret s"), "mtls"),
    ] {
        let line = format!("--issuer {origin} --client-id id http://127.0.0.1/ {rest}");
        let arguments = read(call::parse, &line).unwrap();
        let (_, cache) = client(&arguments).await.unwrap();
        assert_eq!(cache.access_token().await.unwrap().expose(), came_from, "{rest}");
    }
    for file in files {
        std::fs::remove_file(file).unwrap();
    }
}

#[test]
fn times_have_a_unit() {
    for (text, millis) in [("500ms", 500), ("2s", 2_000), ("1m", 60_000), ("0s", 0)] {
        let every = read_call(&format!("--every {text}")).unwrap().every.unwrap();
        assert_eq!(every.as_millis(), millis);
    }
    for wrong in ["2", "s", "1h", "-1s", "1.5s", "99999999999999999999s"] {
        assert!(read_call(&format!("--every {wrong}")).is_err(), "{wrong}");
    }
}

#[test]
fn a_password_may_have_a_colon() {
    let arguments = read_call("--grant password=alice:s3:cr3t").unwrap();
    let call::Grant::Password(user) = arguments.grant else { panic!("{:?}", arguments.grant) };
    assert_eq!((user.name.as_str(), user.password.expose()), ("alice", "s3:cr3t"));
}

#[test]
fn call_needs_no_client_where_an_assertion_says_who_it_is() {
    let bearer = "--token-url https://a --grant jwt-bearer=a.jwt https://b";
    let arguments = read(call::parse, bearer).unwrap();
    assert!(matches!(arguments.authentication, call::Authentication::None));
    assert!(arguments.client_id.is_none());
    let file = "--token-url https://a --assertion-file /run/token https://b";
    let how = read(call::parse, file).unwrap().authentication;
    assert!(matches!(how, call::Authentication::AssertionFile(file) if file.ends_with("token")));
    let line = "--issuer https://a --client-id cli --grant device https://b";
    let arguments = read(call::parse, line).unwrap();
    assert!(matches!(arguments.grant, call::Grant::Device) && arguments.device_url.is_none());
    let line =
        "--token-url https://a --client-id i --grant exchange=t --lenient-exchange https://b";
    assert!(read(call::parse, line).unwrap().lenient_exchange);
}

#[test]
fn call_says_what_is_wrong_and_what_would_be_right() {
    assert_refused(
        call::parse,
        [
            ("", "--token-url URL or --issuer URL"),
            ("--token-url http://a --issuer http://b", "--token-url"),
            ("--token-url http://a", "add --client-id ID"),
            ("--token-url http://a --client-id id", "the URL is missing"),
            ("http://a http://b", "http://b"),
            ("/calls", "absolute, such as https://api.example/calls"),
            ("api.example", "absolute, such as https://api.example/calls"),
            ("ftp://api.example", "absolute, such as https://api.example/calls"),
            ("--tokn x", "--tokn"),
            ("--repeat 0", "a number from 1"),
            ("--concurrency x", "a number from 1"),
            ("--every 2", "500ms, 2s, 1m"),
            ("--grant magic", "client_credentials, password=USER:PASS"),
            ("--grant password=alice", "colon"),
            ("--grant client_credentials=x", "client_credentials, password=USER:PASS"),
            ("--grant jwt-bearer", "nothing behind"),
            ("--grant exchange=", "nothing behind"),
            ("--param x", "NAME=VALUE"),
            ("--place body", "header, query, basic, header=NAME"),
            ("--token-url http://a --client-id i http://127.0.0.1", "--allow-plain-http"),
            ("--issuer http://a --client-id i http://127.0.0.1", "--allow-plain-http"),
            ("--token-url https://a --client-id i http://b", "--allow-plain-http"),
            ("--token-url https://a --client-id id --auth basic", "--client-secret"),
            ("--token-url http://a --client-id id --auth magic", "secret-jwt"),
            ("--token-url http://a --client-id id --client-secret s --auth none", "no use"),
            ("--token-url http://a --client-id id --grant login=a:b", "no --client-id"),
            ("--token-url https://a --client-id i --grant device http://127.0.0.1", "--device-url"),
            ("--token-url https://a --client-id i --device-url http://b http://127.0.0.1", "alone"),
            ("--token-url https://a --client-id i --lenient-exchange http://127.0.0.1", "alone"),
            ("--token-url https://a --assertion-file f --auth post http://127.0.0.1", "stands in"),
            ("--token-url https://a --assertion-file f --client-secret s http://b", "stands in"),
            ("--token-url https://a --auth post --grant jwt-bearer=f http://b", "--client-id"),
            (
                "--token-url https://a --assertion-file f --grant login=a:b http://b",
                "no --client-id",
            ),
        ],
    );
    for line in [
        "--client-secret hunter2",
        "--grant password=a:hunter2",
        "--grant exchange=hunter2",
        "--param p=hunter2",
    ] {
        let shown = match read_call(line) {
            Ok(arguments) => format!("{arguments:#?}"),
            Err(error) => error,
        };
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
