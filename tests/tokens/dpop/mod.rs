//! Tokens that an authorization server binds to a key (RFC 9449): how they are asked for, kept and
//! renewed, and what is no such token.

mod answers;
mod server;
mod sessions;
mod stores;

use std::time::{Duration, SystemTime};
use tower_oauth2::{
    AccessToken, Answer, ClientAuthentication, ProofKey, RequestHead, Transport,
    client::{Error, TokenCache, TokenEndpoint, TokenSource},
    testing::{AuthorizationServer, ManualClock, RegisteredClient},
};

const CALLBACK: &str = "https://app.example/callback";

/// An authorization server with the client `app` that has a secret, the client `open` that has none,
/// and the user alice.
struct Server {
    server: AuthorizationServer,
    manual: ManualClock,
}

impl Server {
    fn new() -> Self {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let manual = ManualClock::from_wall(start);
        let server = AuthorizationServer::new().with_clock(manual.clock());
        server.register_client(RegisteredClient::confidential("app", "s"));
        let open = RegisteredClient::public("open").with_redirect_uri(CALLBACK).unwrap();
        server.register_client(open);
        server.register_user("alice", "pw", "read".parse().unwrap());
        Self { server, manual }
    }

    fn endpoint(&self, client: ClientAuthentication) -> TokenEndpoint {
        let transport = Transport::new(self.server.clone()).with_clock(self.manual.clock());
        TokenEndpoint::new("https://as.example/token", client, transport).unwrap()
    }

    /// The endpoint of the client with a secret.
    fn app(&self, key: &ProofKey) -> TokenEndpoint {
        self.endpoint(ClientAuthentication::basic("app", "s")).with_proof(key.clone())
    }

    /// The endpoint of the client without one.
    fn open(&self, key: &ProofKey) -> TokenEndpoint {
        self.endpoint(ClientAuthentication::public("open")).with_proof(key.clone())
    }

    /// The key that the server bound `token` to.
    fn key_of(&self, token: &AccessToken) -> Option<String> {
        let issued = self.server.introspect(token.expose()).unwrap();
        issued.key_thumbprint().map(str::to_owned)
    }
}

/// The token of `cache` for any request.
async fn token_of(cache: &TokenCache) -> Result<AccessToken, Error> {
    let request = http::Request::get("https://api.example").body(()).unwrap();
    match cache.token(RequestHead::from_request(&request)) {
        Answer::Ready(token) => token,
        Answer::Pending(token) => token.await,
    }
}

fn key() -> ProofKey {
    ProofKey::generate().unwrap()
}

fn is_bound(token: &AccessToken) -> bool {
    token.authorization() == &*format!("DPoP {}", token.expose())
}
