//! The answer of an API to a client: which answers make it call again with another token, and what
//! it tells the caller.
#![no_main]

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};
use tower::{Layer, Service, service_fn};
use tower_oauth2::{
    AccessToken, Answer, RequestHead,
    client::{AddBearer, Error, InsufficientScope, InsufficientUserAuthentication, TokenSource},
};
use tower_oauth2_fuzz::{answer, now, runtime};

/// Has a second token when the first is rejected.
#[derive(Default)]
struct Two(AtomicBool);

impl TokenSource for Two {
    type Future = Ready<Result<AccessToken, Error>>;

    fn token(&self, _: RequestHead<'_>) -> Answer<Self::Future> {
        let text = if self.0.load(SeqCst) { "second" } else { "first" };
        Answer::Ready(Ok(AccessToken::new(text).expect("a token")))
    }

    fn can_recover(&self) -> bool {
        true
    }

    fn reject(&self, rejected: &AccessToken) -> bool {
        assert_eq!(rejected.expose(), "first");
        self.0.store(true, SeqCst);
        true
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Rule {
    Usual,
    Strict,
    Never,
}

fuzz_target!(|input: &[u8]| {
    let _timers = runtime().enter();
    let Some(first) = answer(input) else { return };
    for rule in [Rule::Usual, Rule::Strict, Rule::Never] {
        check(&first, rule);
    }
});

fn check(first: &Response<Bytes>, rule: Rule) {
    let answers = Mutex::new(VecDeque::from([first.clone(), Response::default()]));
    let (answers, sent) = (Arc::new(answers), Arc::new(Mutex::new(Vec::new())));
    let inner = {
        let sent = sent.clone();
        service_fn(move |request: Request<Full<Bytes>>| {
            let token = request.headers()["authorization"].to_str().expect("a text").to_owned();
            sent.lock().unwrap().push(token);
            let answer = answers.lock().unwrap().pop_front().expect("two calls at most");
            ready(Ok::<_, Infallible>(answer.map(Full::new)))
        })
    };
    let layer = AddBearer::from_source(Two::default(), "https://api.example").unwrap();
    let layer = match rule {
        Rule::Usual => layer,
        Rule::Strict => layer.with_strict_recovery(),
        Rule::Never => layer.without_recovery(),
    };
    let request = Request::get("https://api.example/r").body(Full::default()).unwrap();
    let response = now(layer.layer(inner).call(request)).expect("an answer");
    let sent = sent.lock().unwrap();
    let is_again = sent.len() == 2;
    assert_eq!(*sent, ["Bearer first", "Bearer second"][..sent.len()]);
    let said = Said::by(first);
    assert!(!is_again || said.may_reject(rule));
    assert!(is_again || !said.rejects(rule), "{first:?}");
    if !is_again {
        assert_eq!(response.status(), first.status());
        check_notes(&response, &said);
    }
}

/// What the answer says, in lower case and without escapes, for those who look for words.
struct Said {
    status: u16,
    lines: Vec<String>,
    is_grpc: bool,
    content_types: Vec<String>,
    grpc_status: String,
}

impl Said {
    fn by(response: &Response<Bytes>) -> Self {
        let text =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let first = |name| response.headers().get(name).map(text).unwrap_or_default();
        Self {
            status: response.status().as_u16(),
            lines: response.headers().get_all("www-authenticate").iter().map(text).collect(),
            is_grpc: first("content-type").to_ascii_lowercase().starts_with("application/grpc"),
            content_types: response.headers().get_all("content-type").iter().map(text).collect(),
            grpc_status: first("grpc-status"),
        }
    }

    fn has(&self, word: &str) -> bool {
        let lines = self.lines.join(",").replace('\\', "").to_ascii_lowercase();
        lines.contains(word)
    }

    fn may_reject(&self, rule: Rule) -> bool {
        let by_grpc = self.status == 200 && self.is_grpc && self.grpc_status == "16";
        let by_status = self.status == 401;
        match rule {
            Rule::Never => false,
            Rule::Strict => {
                by_grpc || (by_status && self.has("bearer") && self.has("invalid_token"))
            }
            // Words for another scheme alone are not about the token.
            Rule::Usual => {
                by_grpc
                    || by_status
                        && (self.lines.is_empty() || self.has("bearer") || !self.is_plain_basic())
            }
        }
    }

    fn is_plain_basic(&self) -> bool {
        self.lines == [r#"Basic realm="x""#]
    }

    /// Returns `true` for what nobody can misread.
    fn rejects(&self, rule: Rule) -> bool {
        let is_plain_grpc =
            self.status == 200 && self.grpc_status == "16" && self.is_grpc_plainly();
        let is_invalid = self.lines == [r#"Bearer error="invalid_token""#];
        let is_unsaid = self.lines.is_empty() || self.lines == ["Bearer"];
        match rule {
            Rule::Never => false,
            Rule::Strict => is_plain_grpc || (self.status == 401 && is_invalid),
            Rule::Usual => is_plain_grpc || (self.status == 401 && (is_invalid || is_unsaid)),
        }
    }

    fn is_grpc_plainly(&self) -> bool {
        let [only] = &*self.content_types else { return false };
        let rest = only.to_ascii_lowercase();
        let rest = rest.strip_prefix("application/grpc");
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
    }
}

fn check_notes(response: &Response<Full<Bytes>>, said: &Said) {
    let lines = said.lines.join(",").replace('\\', "");
    let scope = response.extensions().get::<InsufficientScope>();
    let user = response.extensions().get::<InsufficientUserAuthentication>();
    if let Some(scope) = scope {
        assert!(said.status == 403 && said.has("bearer") && said.has("insufficient_scope"));
        assert!(scope.scopes().iter().all(|scope| lines.contains(scope)));
    }
    if let Some(user) = user {
        assert!(said.status == 401 && said.has("insufficient_user_authentication"));
        assert!(user.acr_values().all(|value| lines.contains(value)));
    }
    if said.status == 403 && said.lines == [r#"Bearer error="insufficient_scope", scope="a b""#] {
        assert_eq!(scope.map(|scope| scope.scopes().len()), Some(2));
    }
    if said.status == 401
        && said.lines == [r#"Bearer error="insufficient_user_authentication", max_age="5""#]
    {
        assert_eq!(user.and_then(|user| user.max_age()).map(|age| age.as_secs()), Some(5));
    }
}
