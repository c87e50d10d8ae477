//! The snippets of `docs/guide/endpoints.md` and `docs/guide/workloads.md`, word for word.

use super::{BoxError, Made};
use http::Request;
use serde_json::{Value, json};
use std::{convert::Infallible, time::Duration};
use tower_oauth2::{
    AccessToken, ClientAuthentication, ClientSecret, ClientSecretSource, Clock, JwtAssertion,
    SigningKey, Transport,
    client::{Grant, RefreshPolicy, TokenCache, TokenEndpoint, TokenResponse, TokenType},
};

fn keep(_: &str) {}

pub(super) fn google_access_token(transport: Transport) -> Made {
    async fn token(transport: Transport) -> Result<TokenResponse, BoxError> {
        let url = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token";
        let request =
            Request::get(url).header("metadata-flavor", "Google").body(Default::default())?;
        let response = transport.send(request).await?;
        Ok(TokenResponse::from_json(TokenResponse::read_body(&response)?)?)
    }

    let fetch = move || token(transport.clone());
    let cache = TokenCache::from_fn(fetch, RefreshPolicy::default(), Clock::system());
    Ok(cache)
}

pub(super) fn google_id_token(transport: Transport) -> Made {
    async fn token(transport: Transport) -> Result<TokenResponse, BoxError> {
        let url = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/\
                   identity?audience=https://orders.example&format=full";
        let request =
            Request::get(url).header("metadata-flavor", "Google").body(Default::default())?;
        let response = transport.send(request).await?;
        let jwt = str::from_utf8(TokenResponse::read_body(&response)?)?.trim();
        Ok(TokenResponse::new(AccessToken::new(jwt)?).with_jwt_expiry())
    }

    let fetch = move || token(transport.clone());
    let cache = TokenCache::from_fn(fetch, RefreshPolicy::default(), Clock::system());
    Ok(cache)
}

pub(super) fn azure(transport: Transport) -> Made {
    async fn token(transport: Transport) -> Result<TokenResponse, BoxError> {
        let url = "http://169.254.169.254/metadata/identity/oauth2/token\
                   ?api-version=2018-02-01&resource=https://vault.azure.net";
        let request = Request::get(url).header("metadata", "true").body(Default::default())?;
        let response = transport.send(request).await?;
        Ok(TokenResponse::from_json(TokenResponse::read_body(&response)?)?)
    }

    let fetch = move || token(transport.clone());
    let cache = TokenCache::from_fn(fetch, RefreshPolicy::default(), Clock::system());
    Ok(cache)
}

pub(super) fn vault(file: &'static str, transport: Transport) -> Made {
    async fn token(transport: Transport, file: &str) -> Result<TokenResponse, BoxError> {
        let body =
            json!({"role": "orders", "jwt": std::fs::read_to_string(file)?.trim()}).to_string();
        let url = "https://vault.example:8200/v1/auth/kubernetes/login";
        let response = transport.send(Request::post(url).body(body.into())?).await?;
        let answer: Value = serde_json::from_slice(TokenResponse::read_body(&response)?)?;
        let auth = &answer["auth"];
        let token = AccessToken::new(auth["client_token"].as_str().ok_or("no client_token")?)?;
        let lifetime =
            Duration::from_secs(auth["lease_duration"].as_u64().ok_or("no lease_duration")?);
        Ok(TokenResponse::new(token).with_lifetime(lifetime))
    }

    let fetch = move || token(transport.clone(), file);
    let cache = TokenCache::from_fn(fetch, RefreshPolicy::default(), Clock::system());
    Ok(cache)
}

pub(super) fn salesforce(transport: Transport) -> Made {
    let url = "https://acme.my.salesforce.com/services/oauth2/token";
    let client = ClientAuthentication::post("3MVG9", "secret");
    let endpoint = TokenEndpoint::new(url, client, transport)?;
    let cache = TokenCache::new(endpoint, Grant::client_credentials(), RefreshPolicy::default());
    Ok(cache)
}

pub(super) fn zoom(transport: Transport) -> Made {
    let client = ClientAuthentication::basic("id", "secret");
    let endpoint = TokenEndpoint::new("https://zoom.us/oauth/token", client, transport)?;
    let grant = Grant::extension("account_credentials", [("account_id", "A-1")])?;
    let cache = TokenCache::new(endpoint, grant, RefreshPolicy::default());
    Ok(cache)
}

pub(super) fn apigee(transport: Transport) -> Made {
    let url = "https://api.example.com/oauth/client_credential/accesstoken";
    let client = ClientAuthentication::basic("id", "secret");
    let endpoint = TokenEndpoint::new(url, client, transport)?;
    let cache = TokenCache::new(endpoint, Grant::client_credentials(), RefreshPolicy::default());
    Ok(cache)
}

pub(super) fn github_app(key: SigningKey, transport: Transport) -> Made {
    async fn token(transport: Transport, app: JwtAssertion) -> Result<TokenResponse, BoxError> {
        let bearer =
            format!("Bearer {}", app.to_jwt("https://api.github.com", &Clock::system())?.expose());
        let url = "https://api.github.com/app/installations/4711/access_tokens";
        let request =
            Request::post(url).header("authorization", bearer).header("user-agent", "orders");
        let response = transport.send(request.body(Default::default())?).await?;
        let answer: Value = serde_json::from_slice(TokenResponse::read_body(&response)?)?;
        let token = AccessToken::new(answer["token"].as_str().ok_or("no token")?)?;
        Ok(TokenResponse::new(token).with_lifetime(Duration::from_secs(3600)))
    }

    let app = JwtAssertion::new("Iv23li", key).with_lifetime(Duration::from_secs(300))?;
    let fetch = move || token(transport.clone(), app.clone());
    let cache = TokenCache::from_fn(fetch, RefreshPolicy::default(), Clock::system());
    Ok(cache)
}

pub(super) fn slack(transport: Transport) -> Made {
    let client = ClientAuthentication::basic("id", "secret");
    let endpoint = TokenEndpoint::new("https://slack.com/api/oauth.v2.access", client, transport)?
        .allow_token_types(["bot"]);
    let kept = "xoxe-1-refresh";
    let cache =
        TokenCache::from_refresh_token(endpoint, kept, RefreshPolicy::default(), Clock::system())
            .on_rotation(|newest| keep(newest.expose()));
    Ok(cache)
}

pub(super) fn docker(transport: Transport) -> Made {
    async fn token(transport: Transport) -> Result<TokenResponse, BoxError> {
        let url = "https://auth.docker.io/token?service=registry.docker.io\
                   &scope=repository:library/alpine:pull";
        let response = transport.send(Request::get(url).body(Default::default())?).await?;
        let answer: Value = serde_json::from_slice(TokenResponse::read_body(&response)?)?;
        let token =
            answer["token"].as_str().or(answer["access_token"].as_str()).ok_or("no token")?;
        let lifetime = Duration::from_secs(answer["expires_in"].as_u64().unwrap_or(60));
        Ok(TokenResponse::new(AccessToken::new(token)?).with_lifetime(lifetime))
    }

    let fetch = move || token(transport.clone());
    let cache = TokenCache::from_fn(fetch, RefreshPolicy::default(), Clock::system());
    Ok(cache)
}

pub(super) fn kubernetes_api(file: &'static str) -> Made {
    let cache = TokenCache::from_file(file, RefreshPolicy::default(), Clock::system());
    Ok(cache)
}

pub(super) fn entra(file: &'static str, transport: Transport) -> Made {
    let client = ClientAuthentication::assertion_from_file(file)
        .with_client_id("6e74172b-be56-4843-9ff4-e66a39bb12e3");
    let url =
        "https://login.microsoftonline.com/0d2fd715-49b1-41f7-b6a0-60ca5ef069c7/oauth2/v2.0/token";
    let endpoint = TokenEndpoint::new(url, client, transport)?;
    let grant =
        Grant::client_credentials().with_scopes("https://vault.azure.net/.default".parse()?);
    let cache = TokenCache::new(endpoint, grant, RefreshPolicy::default());
    Ok(cache)
}

pub(super) fn google_sts(file: &'static str, transport: Transport) -> Made {
    let none = ClientAuthentication::none();
    let endpoint = TokenEndpoint::new("https://sts.googleapis.com/v1/token", none, transport)?;
    let grant = Grant::token_exchange(ClientSecretSource::from_file(file), &TokenType::JWT)
        .with_requested_token_type(&TokenType::ACCESS_TOKEN)?
        .with_audience(
            "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
        )
        .with_scopes("https://www.googleapis.com/auth/cloud-platform".parse()?);
    let cache = TokenCache::new(endpoint, grant, RefreshPolicy::default());
    Ok(cache)
}

pub(super) fn github_actions(url: &str, secret: &str, transport: Transport) -> Made {
    async fn token(transport: Transport, ask: Request<()>) -> Result<TokenResponse, BoxError> {
        let response = transport.send(ask.map(|()| Default::default())).await?;
        let answer: Value = serde_json::from_slice(TokenResponse::read_body(&response)?)?;
        let jwt = ClientSecret::from(answer["value"].as_str().ok_or("no value")?);
        let client =
            ClientAuthentication::assertion_from_fn(move || Ok::<_, Infallible>(jwt.clone()));
        let url = "https://login.microsoftonline.com/0d2fd715-49b1-41f7-b6a0-60ca5ef069c7/oauth2/v2.0/token";
        let endpoint = TokenEndpoint::new(url, client.with_client_id("6e74172b"), transport)?;
        let scopes = "https://vault.azure.net/.default".parse()?;
        Ok(endpoint.fetch(&Grant::client_credentials().with_scopes(scopes)).await?)
    }

    let ask = Request::get(format!("{url}&audience=api://AzureADTokenExchange"));
    let ask = ask.header("authorization", format!("Bearer {secret}")).body(())?;
    let fetch = move || token(transport.clone(), ask.clone());
    let cache = TokenCache::from_fn(fetch, RefreshPolicy::default(), Clock::system());
    Ok(cache)
}

pub(super) fn spiffe(file: &'static str, transport: Transport) -> Made {
    let client = ClientAuthentication::assertion_from_file(file)
        .with_assertion_type("urn:ietf:params:oauth:client-assertion-type:jwt-spiffe");
    let endpoint = TokenEndpoint::new("https://as.example/token", client, transport)?;
    let cache = TokenCache::new(endpoint, Grant::client_credentials(), RefreshPolicy::default());
    Ok(cache)
}
