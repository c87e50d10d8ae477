//! Keys, and what they fail with.

use super::{SECRET, assert_clean, assert_clean_error};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use tower_oauth2::{
    AccessToken, Algorithm, ClientAuthentication, JwtAssertion, ProofKey, SigningKey,
    SigningKeySource, Transport, client::TokenEndpoint,
};

#[test]
fn a_key_shows_neither_itself_nor_what_it_could_not_be_made_of() {
    let secret = BASE64_URL_SAFE_NO_PAD.encode(SECRET);
    let oct = |alg| format!(r#"{{"kty":"oct","alg":"{alg}","kid":"a","k":"{secret}"}}"#);
    let keys = [
        SigningKey::from_secret(Algorithm::Hs256, SECRET).unwrap(),
        SigningKey::from_jwk(&oct("HS256")).unwrap(),
    ];
    for key in &keys {
        assert_clean("SigningKey", key);
        assert_clean("SigningKey", &key.clone().with_key_id("b"));
        assert_clean("Algorithm", &key.algorithm());
        let source = SigningKeySource::from(key.clone());
        assert_clean("SigningKeySource", &source);
        let assertion = JwtAssertion::new("iss", source).with_claim("x", &format!("{SECRET:?}"));
        assert_clean("JwtAssertion", &assertion.unwrap());
    }
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----");
    let okp = format!(r#"{{"kty":"OKP","crv":"Ed25519","d":"{secret}","x":"{secret}"}}"#);
    for error in [
        SigningKey::from_secret(Algorithm::Hs512, SECRET).err(),
        SigningKey::from_secret(Algorithm::Rs256, SECRET).err(),
        SigningKey::from_jwk(&oct("HS512")).err(),
        SigningKey::from_jwk(&oct(SECRET)).err(),
        SigningKey::from_jwk(&okp).err(),
        SigningKey::from_jwk(SECRET).err(),
        SigningKey::from_pkcs8_pem(Algorithm::EdDsa, &pem).err(),
        SigningKey::from_pkcs8_pem(Algorithm::Hs256, &pem).err(),
        SigningKey::from_pkcs8_pem(Algorithm::EdDsa, SECRET).err(),
        SECRET.parse::<Algorithm>().err(),
    ] {
        assert_clean_error("ConfigError", &error.unwrap());
    }
}

#[test]
fn a_proof_key_shows_its_thumbprint_and_a_token_that_is_bound_to_it_nothing() {
    let (signing, pem) = SigningKey::generate_pem(Algorithm::Es256).unwrap();
    let key = ProofKey::new(signing).unwrap();
    let thumbprint = key.thumbprint().to_owned();
    let endpoint = TokenEndpoint::new(
        "https://as.example/token",
        ClientAuthentication::basic("id", SECRET),
        Transport::https(),
    );
    let endpoint = endpoint.unwrap().with_proof(key.clone());
    let token = AccessToken::new(SECRET).unwrap().bound_to(&key).unwrap();
    assert_clean("ProofKey", &key);
    assert_clean("AccessToken", &token);
    assert_clean("AccessToken::authorization", token.authorization());
    assert_clean("TokenEndpoint", &endpoint);
    for shown in
        [format!("{key:?}"), format!("{endpoint:#?}"), format!("{:#?}", key.allow_bearer())]
    {
        assert!(shown.contains(&thumbprint), "{shown}");
        for line in pem.expose().lines().filter(|line| !line.starts_with('-')) {
            assert!(!shown.contains(line), "{shown}");
        }
    }
}
