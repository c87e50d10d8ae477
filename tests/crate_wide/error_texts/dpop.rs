//! What is wrong with the settings of bound tokens.

use super::{assert_said, text};
use std::time::Duration;
use tower_oauth2::{
    Algorithm, ClientSecret, TokenLocation,
    server::{Dpop, DpopNonces, RequireToken},
    validate::StaticTokens,
};

fn dpop() -> Dpop {
    Dpop::new("https://api.example").unwrap()
}

#[test]
fn what_is_wrong_with_proofs_is_said() {
    let layer = || RequireToken::new("api", StaticTokens::new()).unwrap().with_dpop(dpop());
    assert_said([
        (
            "a public URL with a query",
            text(Dpop::new("https://api.example/?v=1")),
            "the public URL \"https://api.example/?v=1\" is not one such as https://api.example/v1, \
             without user name, query and fragment",
        ),
        (
            "no algorithm",
            text(dpop().with_algorithms([])),
            "proofs need an algorithm: with_algorithms names none",
        ),
        (
            "a symmetric algorithm",
            text(dpop().with_algorithms([Algorithm::Hs256])),
            "proofs cannot be signed by HS256, whose key everyone who checks them has",
        ),
        (
            "a long window",
            text(dpop().with_window(Duration::from_secs(3600), Duration::from_secs(30))),
            "the window of proofs, 3600s and 30s ahead, is empty or more than an hour",
        ),
        (
            "a short secret",
            text(DpopNonces::from_secret(&ClientSecret::new("short"))),
            "the secret of the nonces is shorter than 32 bytes",
        ),
        (
            "a location without a proof",
            text(layer().with_locations([TokenLocation::Dpop])),
            "DPoP tokens need a proof: with_dpop reads them",
        ),
    ]);
}
