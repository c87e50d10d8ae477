//! The figures of RFC 9449.

use super::*;

/// Figure 12 and figure 13, §7.1.
const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZy\
    aHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10N\
    nY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaH\
    R1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXR\
    oIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxR\
    imPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
/// Figure 2, §4.1: of a token request, so that it names no access token.
const TOKEN_REQUEST: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw\
    4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqS\
    G10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVC\
    IsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v\
    -FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
/// §6.1.
const THUMBPRINT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

/// A layer at `url`, 10 s after the proofs were made.
fn layer(url: &str, thumbprint: &str) -> RequireToken<StaticTokens> {
    let clock = ManualClock::from_wall(SystemTime::UNIX_EPOCH + seconds(1_562_262_626));
    let tokens = StaticTokens::new();
    let confirmation = Confirmation::from_key(thumbprint);
    tokens.insert(TOKEN, Principal::new("someone").with_confirmation(confirmation)).unwrap();
    let layer = RequireToken::new("api", tokens).unwrap().with_clock(clock.clock());
    layer.with_dpop(Dpop::new(url).unwrap())
}

fn call(method: &str, path: &str, proof: &str) -> Request<()> {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("authorization", format!("DPoP {TOKEN}")).header("dpop", proof);
    request.body(()).unwrap()
}

#[tokio::test]
async fn the_proof_of_the_protected_resource_request_is_good_once_there() {
    let layer = layer("https://resource.example.org", THUMBPRINT);
    let request = || call("GET", "/protectedresource", PROOF);
    assert_eq!(send(&layer, request()).await.who, "someone");
    assert_eq!(send(&layer, request()).await.kind, Some(RejectionKind::InvalidProof));
}

#[tokio::test]
async fn the_proof_of_the_protected_resource_request_is_not_good_elsewhere() {
    let here = "https://resource.example.org";
    for (url, thumbprint, method, path, kind) in [
        (
            "https://resource.example.com",
            THUMBPRINT,
            "GET",
            "/protectedresource",
            RejectionKind::InvalidProof,
        ),
        (
            "http://resource.example.org",
            THUMBPRINT,
            "GET",
            "/protectedresource",
            RejectionKind::InvalidProof,
        ),
        (here, THUMBPRINT, "HEAD", "/protectedresource", RejectionKind::InvalidProof),
        (here, THUMBPRINT, "GET", "/protectedresource/", RejectionKind::InvalidProof),
        (here, &digest("another key"), "GET", "/protectedresource", RejectionKind::Invalid),
    ] {
        let reply = send(&layer(url, thumbprint), call(method, path, PROOF)).await;
        assert_eq!(reply.kind, Some(kind), "{url} {method} {path}");
    }
}

#[tokio::test]
async fn the_proof_of_the_token_request_is_not_one_for_an_access_token() {
    let layer = layer("https://server.example.com", THUMBPRINT);
    let reply = send(&layer, call("POST", "/token", TOKEN_REQUEST)).await;
    assert!(reply.challenges[1].contains("another token (ath)"), "{reply:?}");
}
