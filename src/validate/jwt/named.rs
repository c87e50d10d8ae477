use crate::{
    jose::{Compact, base64url},
    validate::claims::Claims,
    vocabulary::token::MAX_TOKEN_LEN,
};

/// Returns a predicate for JWTs that name `issuer` (`iss`), for a [`Route`](crate::validate::Route).
/// Nothing is verified: it only selects a validator.
///
/// Issuers whose tokens are all JWTs need no route: see
/// [`JwtValidator::with_issuer`](super::JwtValidator::with_issuer).
///
/// ```
/// use tower_oauth2::validate::{Route, StaticTokens, issued_by};
///
/// # let (introspected, own) = (StaticTokens::new(), StaticTokens::new());
/// let route = Route::new()
///     .when(issued_by("https://partner.example"), introspected)
///     .otherwise(own);
/// # let _ = route;
/// ```
pub fn issued_by(
    issuer: impl Into<Box<str>>,
) -> impl Fn(&str) -> bool + Clone + Send + Sync + 'static {
    let issuer = issuer.into();
    move |token| names(token, &issuer).unwrap_or_default()
}

fn names(token: &str, issuer: &str) -> Option<bool> {
    if token.len() > MAX_TOKEN_LEN {
        return None;
    }
    let payload = base64url::decode(Compact::parse(token)?.payload)?;
    let mut claims = Claims::default();
    claims.read(&payload, &[])?;
    Some(claims.iss().ok()?? == issuer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        format!("e30.{}.AA", base64url::encode(payload.as_bytes()))
    }

    #[test]
    fn a_jwt_names_its_issuer_and_nothing_else_does() {
        let ours = issued_by("https://as.example");
        assert!(ours(&token(r#"{"iss":"https://as.example"}"#)));
        for other in [
            token(r#"{"iss":"https://as.example/"}"#),
            token(r#"{"iss":["https://as.example"]}"#),
            token(r#"{"iss":"https://as.example","iss":"https://as.example"}"#),
            token("{}"),
            "https://as.example".into(),
            "a.b.c".into(),
            String::new(),
        ] {
            assert!(!ours(&other), "{other}");
        }
    }
}
