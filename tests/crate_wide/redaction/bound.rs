//! Tokens that are bound, and the proofs of who holds them.

use super::{Body, Keep, SECRET, assert_clean, assert_clean_text, get};
use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderValue, Request};
use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};
use tower::{Layer, ServiceExt};
use tower_oauth2::{
    Answer, ClientSecret,
    server::{
        ClientCertificate, ClientCertificates, Dpop, DpopNonces, FirstUse, ProofId, ProofReplay,
        ReplayFuture, RequireToken, SeenProofs,
    },
    validate::{Confirmation, Principal, StaticTokens},
};

#[test]
fn the_settings_of_bound_tokens_print_no_secret() {
    let nonces = DpopNonces::from_secret(&ClientSecret::new(SECRET)).unwrap();
    assert_clean("DpopNonces", &nonces);
    let seen = SeenProofs::new(1000);
    assert_clean("SeenProofs", &seen);
    let dpop = Dpop::new("https://api.example").unwrap().with_nonces(nonces).with_replay(seen);
    assert_clean("server::Dpop", &dpop);
    let layer = RequireToken::new("api", StaticTokens::new()).unwrap().with_dpop(dpop);
    assert_clean("server::RequireToken", &layer);
    let certificate = ClientCertificate::from_der(SECRET.as_bytes());
    assert_clean("server::ClientCertificate", &certificate);
    let confirmation = Confirmation::from_certificate(certificate.thumbprint());
    assert_clean("validate::Confirmation", &confirmation);
    let from_request = ClientCertificates::from_request(move |_| Some(certificate.clone()));
    for certificates in
        [ClientCertificates::default(), ClientCertificates::from_proxy_header(), from_request]
    {
        assert_clean("server::ClientCertificates", &certificates);
    }
}

/// Keeps what it is asked about, and answers each time anew.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<ProofId>>>);

impl ProofReplay for Memory {
    fn first_use(&self, proof: ProofId, _: SystemTime) -> Answer<ReplayFuture> {
        let mut asked = self.0.lock().unwrap();
        asked.push(proof);
        let replayed = if asked.len() > 1 { FirstUse::Replayed } else { FirstUse::First };
        assert_clean("FirstUse", &replayed);
        Answer::Ready(Ok(replayed))
    }
}

/// A request with the secret as its token, and in its proof wherever a client can put a text.
fn request(key: &Ed25519KeyPair, htm: &str) -> Request<Body> {
    let encoded = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let (x, ath) =
        (encoded(key.public_key().as_ref()), encoded(digest(&SHA256, SECRET.as_bytes()).as_ref()));
    let header = format!(
        r#"{{"typ":"dpop+jwt","alg":"EdDSA","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}},"kid":"{SECRET}"}}"#
    );
    let claims = format!(
        r#"{{"jti":"{SECRET}","htm":"{htm}","htu":"https://api.example/r?q={SECRET}","iat":{now},"ath":"{ath}","nonce":"{SECRET}"}}"#
    );
    let input = format!("{}.{}", encoded(header.as_bytes()), encoded(claims.as_bytes()));
    let proof = format!("{input}.{}", encoded(key.sign(input.as_bytes()).as_ref()));
    let mut request = get("/r");
    let header = |text: String| HeaderValue::try_from(text).unwrap();
    request.headers_mut().insert("authorization", header(format!("DPoP {SECRET}")));
    request.headers_mut().insert("dpop", header(proof));
    request
}

#[tokio::test]
async fn neither_a_proof_nor_its_refusal_prints_what_the_client_wrote() {
    let key = Ed25519KeyPair::generate().unwrap();
    let x = BASE64_URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()));
    let tokens = StaticTokens::new();
    let alice = Principal::new("alice").with_confirmation(Confirmation::from_key(thumbprint));
    tokens.insert(SECRET, alice).unwrap();
    let memory = Memory::default();
    let dpop = Dpop::new("https://api.example").unwrap().with_replay(memory.clone());
    let layer = RequireToken::new("api", tokens).unwrap().with_dpop(dpop);
    let keep = Keep::default();
    for (htm, status) in [("GET", 200), ("GET", 401), (SECRET, 401)] {
        let response = layer.layer(keep.clone()).oneshot(request(&key, htm)).await.unwrap();
        assert_eq!(response.status(), status);
        assert_clean("the answer", &response);
    }
    for id in &*memory.0.lock().unwrap() {
        assert_clean("ProofId", id);
        assert_clean_text("ProofId::as_bytes", &format!("{:?}", id.as_bytes()));
    }
    assert_eq!(memory.0.lock().unwrap().len(), 2);
    // What is handed on: the header of the proof is as sensitive as that of the token.
    assert_clean("the request", keep.last().headers());
}
