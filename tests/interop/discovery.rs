//! Clients that are told an issuer alone, the end of a token, and a resource that says whose
//! tokens it takes.

use crate::{
    peers::{django, oidc_provider, realm, secret_of},
    system::within_limit,
};
use tower_oauth2::{
    AuthorizationServerMetadata, ClientAuthentication, DiscoveryErrorKind, Transport,
    client::{Grant, ProtectedResource, TokenEndpoint, TokenRevocation},
};

fn svc() -> ClientAuthentication {
    ClientAuthentication::basic("svc-basic", secret_of("svc-basic"))
}

fn reading() -> Grant {
    Grant::client_credentials().with_scopes("read".parse().unwrap())
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn an_issuer_is_enough_to_get_a_token() {
    let svc_of_django = ClientAuthentication::basic("svc", "svc-secret");
    for (issuer, client) in [(oidc_provider(), svc()), (realm(), svc()), (django(), svc_of_django)]
    {
        let endpoint = TokenEndpoint::from_issuer(&issuer, client, Transport::https()).unwrap();
        let response = within_limit(endpoint.fetch(&reading())).await.unwrap();
        assert_eq!(response.lifetime().unwrap().as_secs(), 600, "{issuer}");
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_token_is_revoked_once_and_then_there_is_nothing_left_to_revoke() {
    let svc_of_django = ClientAuthentication::basic("svc", "svc-secret");
    let transport = Transport::https();
    let metadata = AuthorizationServerMetadata::discover(&oidc_provider(), &transport).await;
    let of_provider = metadata.unwrap().revocation_endpoint().unwrap().to_owned();
    // Its OpenID document, which is read first, names none.
    let of_django = format!("{}/revoke_token/", django());
    for (issuer, client, url) in
        [(oidc_provider(), svc(), of_provider), (django(), svc_of_django, of_django)]
    {
        let endpoint =
            TokenEndpoint::from_issuer(&issuer, client.clone(), transport.clone()).unwrap();
        let response = within_limit(endpoint.fetch(&reading())).await.unwrap();
        let revocation = TokenRevocation::new(&url, client, transport.clone()).unwrap();
        let token = response.access_token().expose();
        for _ in 0..2 {
            within_limit(revocation.revoke(token, "access_token")).await.unwrap();
        }
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_resource_says_whose_tokens_it_takes() {
    let transport = Transport::https();
    let discover = async |issuers: &[String]| {
        within_limit(ProtectedResource::discover(&django(), issuers, &transport)).await
    };
    let resource = discover(&[oidc_provider(), django()]).await.unwrap();
    assert_eq!((resource.resource(), resource.issuer()), (&*django(), &*django()));
    let error = discover(&[oidc_provider()]).await.unwrap_err();
    assert_eq!(error.kind(), DiscoveryErrorKind::UnknownIssuer);
    assert_eq!(error.issuers().iter().map(|one| &**one).collect::<Vec<_>>(), [&*django()]);
}
