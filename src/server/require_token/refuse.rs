//! Turns a rejection into the response of [RFC 6750 §3], or of gRPC.
//!
//! [RFC 6750 §3]: https://www.rfc-editor.org/rfc/rfc6750#section-3

use super::{
    audit::{Recorder, TokenDetails},
    challenges::Scheme,
    extract::ExtractError,
    grpc,
    settings::Settings,
};
use crate::{
    Clock, RequestHead, TokenLocation, observe::Outcome, server::uncached, validate::Rejection,
};
use http::{HeaderMap, Response, StatusCode};

/// A decision against a request.
pub(super) struct Refusal<'s> {
    pub(super) rejection: Rejection,
    pub(super) token: TokenDetails<'s>,
}

impl Refusal<'_> {
    /// Refuses a request that presents no token.
    pub(super) fn missing() -> Self {
        Self { rejection: Rejection::missing(), token: TokenDetails::default() }
    }

    /// Records the refusal, and builds the response to the request of `head`.
    pub(super) fn into_response<R: Default>(
        self,
        settings: &Settings,
        head: RequestHead<'_>,
    ) -> Response<R> {
        let Self { mut rejection, token } = self;
        settings.recorder.record(&settings.clock, Outcome::Rejected, Some(&rejection), token);
        let scheme = match token.location {
            Some(TokenLocation::Dpop) => Scheme::Dpop,
            _ => Scheme::Bearer,
        };
        let mut response = response(settings.challenges.headers(&rejection, scheme), &rejection);
        if scheme == Scheme::Dpop
            && response.status() == StatusCode::UNAUTHORIZED
            && let Some(dpop) = &settings.dpop
        {
            // One more request cures both a bad token and a nonce that is missing.
            dpop.add_nonce(response.headers_mut(), settings.clock.wall());
        }
        rejection.set_terse(settings.challenges.settings().terse);
        if settings.speaks_grpc
            && let Some(content_type) = grpc::content_type(head)
        {
            grpc::convert(&mut response, content_type, rejection.public_description());
        }
        response.extensions_mut().insert(rejection);
        response
    }
}

impl<'s> From<ExtractError<'s>> for Refusal<'s> {
    fn from(ExtractError { rejection, location }: ExtractError<'s>) -> Self {
        Self { rejection, token: TokenDetails { location, ..TokenDetails::default() } }
    }
}

/// Refuses a request without the settings of a [`RequireToken`](crate::server::RequireToken): the
/// response has no challenge.
pub(super) fn without_settings<R: Default>(
    recorder: &Recorder,
    rejection: Rejection,
) -> Response<R> {
    let token = TokenDetails::default();
    recorder.record(&Clock::system(), Outcome::Rejected, Some(&rejection), token);
    let mut response = response(uncached::headers(), &rejection);
    response.extensions_mut().insert(rejection);
    response
}

/// Refuses the request of `head` because a layer is missing or in the wrong place, which `missing`
/// explains to the log. A call of gRPC gets the code 13. No audit hook sees the refusal.
pub(in crate::server) fn misplaced<R: Default>(
    missing: &'static str,
    head: RequestHead<'_>,
) -> Response<R> {
    let rejection = Rejection::internal(missing);
    let message = rejection.public_description().to_owned();
    let mut response = without_settings(&Recorder::default(), rejection);
    if let Some(content_type) = grpc::content_type(head) {
        grpc::convert(&mut response, content_type, &message);
    }
    response
}

fn response<R: Default>(headers: HeaderMap, rejection: &Rejection) -> Response<R> {
    uncached::response(rejection.kind().status(), headers, rejection.retry_after())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Request, Version, header::CONTENT_TYPE};

    #[test]
    fn an_internal_error_is_not_described_to_the_caller() {
        let settings = Settings::new("api".into(), crate::Clock::system()).unwrap();
        let call = Request::post("/pkg.S/M").version(Version::HTTP_2);
        let call = call.header(CONTENT_TYPE, "application/grpc").body(()).unwrap();
        let rejection = Rejection::internal("the database said: relation users");
        let refusal = Refusal { rejection: rejection.clone(), token: TokenDetails::default() };
        let response: Response<()> =
            refusal.into_response(&settings, RequestHead::from_request(&call));
        assert_eq!(response.headers()["grpc-status"], "13");
        assert!(!format!("{:?}", response.headers()).contains("users"));
        assert_eq!(response.extensions().get(), Some(&rejection));
    }
}
