//! The application: a page, the way to the authorization server and back, and the way out.

use crate::{
    arguments::Provider,
    causes::with_causes,
    cookies::{PENDING, SESSION, Sealer, random_id},
    http_client::{HttpClient, http_client},
};
use axum::{
    Router,
    extract::{OriginalUri, State},
    response::{AppendHeaders, Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use bytes::Bytes;
use http::{
    HeaderMap, Request, StatusCode, Uri,
    header::{CACHE_CONTROL, SET_COOKIE},
};
use http_body_util::{BodyExt, Full, Limited};
use std::sync::Arc;
use tower::{BoxError, Layer, ServiceExt};
use tower_oauth2::{
    AuthorizationServerMetadata, ClientAuthentication, Clock, Origin, Transport,
    client::{
        AddBearer, AddBearerService, Error, PendingSignIn, RefreshPolicy, SignIn, TokenCache,
        TokenEndpoint, TokenPool, TokenRevocation,
    },
};

/// The longest body of an answer that is read, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// What a browser is known by: an extension of each request to the API, which says whose token
/// goes on it.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Session(Arc<str>);

#[derive(Clone)]
struct App {
    sign_in: SignIn,
    endpoint: TokenEndpoint,
    /// Where tokens are ended, where the authorization server can be told.
    revocation: Option<TokenRevocation>,
    /// The tokens of those who are signed in.
    tokens: TokenPool<Session>,
    api: AddBearerService<HttpClient, TokenPool<Session>>,
    api_url: Uri,
    sealer: Arc<Sealer>,
}

/// The application, for users whom `provider` sends back to `redirect_uri`.
pub(crate) async fn app(provider: Provider, redirect_uri: &str) -> Result<Router, BoxError> {
    let transport = Transport::https();
    let Provider { issuer, client_id, client_secret, scopes, api } = provider;
    let metadata = AuthorizationServerMetadata::discover(&issuer, &transport).await?;
    let client = match client_secret {
        Some(secret) => ClientAuthentication::basic(client_id, secret),
        None => ClientAuthentication::public(client_id),
    };
    let revocation = metadata
        .revocation_endpoint()
        .map(|url| TokenRevocation::new(url, client.clone(), transport.clone()))
        .transpose()?;
    let endpoint = TokenEndpoint::from_issuer(&issuer, client.clone(), transport.clone())?;
    let sign_in = SignIn::from_metadata(&metadata, client, transport, redirect_uri)?;
    let sign_in = sign_in.with_scopes(scopes);

    let api_url: Uri = api
        .or_else(|| metadata.extra("userinfo_endpoint"))
        .ok_or("the metadata name no userinfo endpoint: add --api URL")?
        .parse()?;
    let origin =
        Origin::from_uri(&api_url).ok_or("the API has no absolute http(s) URL")?.to_string();
    let tokens = TokenPool::new(|request| request.extensions().get::<Session>().cloned());
    let api = AddBearer::from_source(tokens.clone(), origin)?.layer(http_client(&api_url)?);

    let sealer = Arc::new(Sealer::new()?);
    let app = App { sign_in, endpoint, revocation, tokens, api, api_url, sealer };
    Ok(Router::new()
        .route("/", get(home))
        .route("/log-in", get(log_in))
        .route("/callback", get(callback))
        .route("/log-out", post(log_out))
        .with_state(app))
}

/// What the API says to who is signed in.
async fn home(State(app): State<App>, headers: HeaderMap) -> Response {
    let Some(session) = app.session(&headers) else {
        return page("<p id=who>Nobody is signed in.</p><p><a href=/log-in>Log in</a></p>");
    };
    match app.call(session.clone()).await {
        Ok((status, text)) => page(&format!(
            "<p id=who>The API answered {}: {}</p>\
             <form method=post action=/log-out><button>Log out</button></form>",
            status.as_u16(),
            escaped(&text),
        )),
        // The token was destroyed, and there is no other way to a new one.
        Err(error) if is_sign_in_needed(&error) => {
            app.tokens.remove(&session);
            let text = "<p id=who>Your session is over.</p><p><a href=/log-in>Log in</a></p>";
            (AppendHeaders([(SET_COOKIE, SESSION.clear())]), page(text)).into_response()
        }
        Err(error) => {
            let text = format!(
                "<p id=who>The API cannot be called: {}</p>",
                escaped(&with_causes(&*error))
            );
            (StatusCode::BAD_GATEWAY, page(&text)).into_response()
        }
    }
}

/// Off to the authorization server. What the answer is compared with waits in the browser.
async fn log_in(State(app): State<App>) -> Response {
    let begun = app.sign_in.begin().map_err(BoxError::from);
    let begun = begun.and_then(|(url, pending)| {
        Ok((url, app.sealer.seal(pending.to_secret_string().expose())?))
    });
    match begun {
        Ok((url, sealed)) => {
            let cookie = AppendHeaders([(SET_COOKIE, PENDING.set(&sealed))]);
            (cookie, Redirect::to(&url.to_string())).into_response()
        }
        Err(error) => failed(&error),
    }
}

/// Back with a code, which is exchanged for the user's token.
async fn callback(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    match app.finish(&headers, &uri).await {
        // A new session each time: one that was there before may be somebody else's.
        Ok(id) => {
            let cookies = [(SET_COOKIE, SESSION.set(&id)), (SET_COOKIE, PENDING.clear())];
            (AppendHeaders(cookies), Redirect::to("/")).into_response()
        }
        Err(error) => {
            (AppendHeaders([(SET_COOKIE, PENDING.clear())]), failed(&error)).into_response()
        }
    }
}

/// The cookie is not sent along with a POST from another site.
async fn log_out(State(app): State<App>, headers: HeaderMap) -> Response {
    if let Some(session) = app.session(&headers) {
        app.end(&session).await;
    }
    (AppendHeaders([(SET_COOKIE, SESSION.clear())]), Redirect::to("/")).into_response()
}

impl App {
    /// The session of a request, where it is one.
    fn session(&self, headers: &HeaderMap) -> Option<Session> {
        let session = Session(SESSION.of(headers)?.into());
        self.tokens.get(&session).is_some().then_some(session)
    }

    async fn finish(&self, headers: &HeaderMap, uri: &Uri) -> Result<String, BoxError> {
        let sealed = PENDING.of(headers).ok_or("this browser did not begin to sign in")?;
        let pending = self.sealer.open(sealed).ok_or("this is no sign-in of this server")?;
        let pending: PendingSignIn = pending.parse()?;
        let response = self.sign_in.finish(pending, uri).await?;
        let id = random_id()?;
        let (policy, clock) = (RefreshPolicy::default(), Clock::system());
        let cache = TokenCache::from_sign_in(self.endpoint.clone(), &response, policy, clock);
        self.tokens.insert(Session(id.as_str().into()), cache);
        Ok(id)
    }

    /// The user is out, whatever the authorization server says to it.
    async fn end(&self, session: &Session) {
        let cache = self.tokens.remove(session);
        if let (Some(cache), Some(revocation)) = (cache, &self.revocation)
            && let Err(error) = cache.revoke(revocation).await
        {
            eprintln!("the token of a user who logged out is good still: {}", with_causes(&error));
        }
    }

    async fn call(&self, session: Session) -> Result<(StatusCode, String), BoxError> {
        let mut request = Request::get(&self.api_url).body(Full::<Bytes>::default())?;
        request.extensions_mut().insert(session);
        let response = self.api.clone().oneshot(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

fn is_sign_in_needed(error: &BoxError) -> bool {
    error.downcast_ref::<Error>().is_some_and(Error::is_sign_in_needed)
}

fn failed(error: &BoxError) -> Response {
    let text = format!(
        "<p id=who>The sign-in failed: {}</p><p><a href=/log-in>Try again</a></p>",
        escaped(&with_causes(&**error))
    );
    (StatusCode::BAD_REQUEST, page(&text)).into_response()
}

/// It is one user's, and may be on its way out: no copy is kept.
fn page(body: &str) -> Response {
    let html = Html(format!("<!doctype html><title>Sign in</title>{body}"));
    ([(CACHE_CONTROL, "no-store")], html).into_response()
}

fn escaped(text: &impl ToString) -> String {
    text.to_string().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
