//! Tokens, and the validators that judge them.

use aws_lc_rs::{
    hmac,
    rsa::PublicKeyComponents,
    signature::{self, ParsedPublicKey},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderValue, Request, Response, header};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};
use tower::Service;
use tower_oauth2::{
    Algorithm, SigningKey,
    testing::{AuthorizationServer, JwtFormat},
    validate::{Cached, Issuers, Jwks, JwtValidator, TrustedIssuer},
};

use super::server::{Body, bearer};

pub const ISSUER: &str = "https://as.example";
pub const AUDIENCE: &str = "https://api.example";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// The key of RFC 7515 A.2: making one takes another time each time.
const RSA: &str = "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQ\
    p-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wG\
    zjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4u\
    DZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9\
    gb54h4FRWyuXpoQ\",\"e\":\"AQAB\",\"d\":\"Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEA\
    eP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-G\
    jBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2Q\
    vXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_R\
    QyGWSeWjnczT0QU91p1DhOVRuOopznQ\",\"p\":\"4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn\
    6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW\
    1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc\",\"q\":\"uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4p\
    xhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLt\
    XlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc\",\"dp\":\"BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZ\
    vnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy\
    7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0\",\"dq\":\"h_96-mK1R_7glhsum81dZxjTnY\
    ynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-k\
    yNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU\",\"qi\":\"IYd7DHOhrWvxkwPQsRM\
    2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfn\
    bJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U\"}";

/// One algorithm: a token of nine claims, two that are bad, and who judges them.
pub struct Subject {
    pub good: HeaderValue,
    pub expired: HeaderValue,
    pub forged: HeaderValue,
    pub raw: Raw,
    /// The key set of the issuer, a shared secret included.
    pub keys: String,
    issuer: TrustedIssuer,
    jwks: Jwks,
    validator: JwtValidator,
}

impl Subject {
    pub fn new(algorithm: Algorithm) -> Self {
        let server = AuthorizationServer::new();
        let key = match algorithm {
            Algorithm::Hs256 => SigningKey::from_secret(algorithm, SECRET).unwrap(),
            Algorithm::Rs256 => SigningKey::from_jwk(RSA).unwrap(),
            _ => SigningKey::generate(algorithm).unwrap(),
        };
        let key = key.with_key_id("key-1");
        let secret = || {
            let secret = BASE64_URL_SAFE_NO_PAD.encode(SECRET);
            json!({ "kty": "oct", "kid": "key-1", "alg": "HS256", "k": secret }).to_string()
        };
        let set = format!("{{\"keys\":[{}]}}", key.public_jwk().unwrap_or_else(secret));
        let keys = match algorithm.is_symmetric() {
            true => Jwks::from_secret(algorithm, SECRET).unwrap(),
            false => Jwks::from_json(&set).unwrap(),
        };
        let raw = Raw::new(algorithm, key.public_jwk().as_deref());
        server.issue_jwts(JwtFormat::rfc9068(ISSUER, [AUDIENCE]), key);
        let issuer = TrustedIssuer::new(ISSUER, keys.clone()).with_audience([AUDIENCE]);
        let good = token(&server, 3600);
        let mut forged = good.clone().into_bytes();
        let place = forged.len() - 40;
        forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
        Self {
            expired: bearer(&token(&server, -3600)),
            forged: bearer(&String::from_utf8(forged).unwrap()),
            good: bearer(&good),
            raw,
            keys: set,
            jwks: keys,
            validator: JwtValidator::new(issuer.clone()).unwrap(),
            issuer,
        }
    }

    pub fn validator(&self) -> JwtValidator {
        self.validator.clone()
    }

    /// One that trusts 1,000 issuers.
    #[allow(dead_code, reason = "only one bench has so many")]
    pub fn cached_among_many(&self) -> Cached<JwtValidator> {
        let issuers = Issuers::new();
        issuers.insert(self.issuer.clone()).unwrap();
        for number in 1..1_000 {
            let other = TrustedIssuer::new(format!("{ISSUER}/{number}"), self.jwks.clone());
            issuers.insert(other.with_audience([AUDIENCE])).unwrap();
        }
        Cached::new(JwtValidator::from_issuers(issuers)).with_ttl(Duration::from_secs(3600))
    }

    pub fn cached(&self) -> Cached<JwtValidator> {
        Cached::new(self.validator()).with_ttl(Duration::from_secs(3600))
    }
}

fn token(server: &AuthorizationServer, lifetime: i64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let now = i64::try_from(now).unwrap();
    let claims = json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "5f0e7c1a-9a64-4f0f-a6a5-6a3f3a0d5b3e",
        "client_id": "c005aef4-88d4-42d5-937e-290e4bb19661",
        "jti": "b7c3a1de-5f2f-4b52-8d7b-000000000001",
        "iat": now - 7200,
        "exp": now + lifetime,
        "scope": "read write",
        "tenant": "a tenant of some length, as they are",
    });
    server.mint("at+jwt", &claims.to_string()).unwrap()
}

/// Verifies the signature with the library alone, its key parsed beforehand, and answers 200.
#[derive(Clone)]
pub enum Raw {
    Public(ParsedPublicKey),
    Secret(Box<hmac::Key>),
}

impl Raw {
    fn new(algorithm: Algorithm, jwk: Option<&str>) -> Self {
        let jwk: Value = serde_json::from_str(jwk.unwrap_or("null")).unwrap();
        let bytes =
            |name: &str| BASE64_URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        match algorithm {
            Algorithm::Rs256 => {
                let key = PublicKeyComponents { n: bytes("n"), e: bytes("e") };
                let key = key.to_parsed_public_key(&signature::RSA_PKCS1_2048_8192_SHA256);
                Self::Public(key.unwrap())
            }
            Algorithm::Es256 => {
                let point = [vec![4], bytes("x"), bytes("y")].concat();
                let curve = &signature::ECDSA_P256_SHA256_FIXED;
                Self::Public(ParsedPublicKey::new(curve, point).unwrap())
            }
            Algorithm::EdDsa => {
                Self::Public(ParsedPublicKey::new(&signature::ED25519, bytes("x")).unwrap())
            }
            _ => Self::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()))),
        }
    }
}

impl Service<Request<()>> for Raw {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let token = request.headers()[header::AUTHORIZATION].to_str().unwrap();
        let (message, signature) = token["Bearer ".len()..].rsplit_once('.').unwrap();
        let mut buffer = [0; 1026];
        let len = BASE64_URL_SAFE_NO_PAD.decode_slice(signature, &mut buffer).unwrap();
        let good = match self {
            Self::Public(key) => key.verify_sig(message.as_bytes(), &buffer[..len]).is_ok(),
            Self::Secret(key) => hmac::verify(key, message.as_bytes(), &buffer[..len]).is_ok(),
        };
        let mut response = Response::new(Body::default());
        if !good {
            *response.status_mut() = http::StatusCode::UNAUTHORIZED;
        }
        ready(Ok(response))
    }
}
