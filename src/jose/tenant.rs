//! Keys of one tenant, or of every tenant, of an issuer of many.

use super::VerifyingKey;

/// The place of the tenant in the identifier of an issuer, as Entra writes it.
pub(crate) const TENANT: &str = "{tenantid}";

impl VerifyingKey {
    /// Returns `true` if the JWK names `issuer`, or a template that it fits, or no issuer.
    pub(crate) fn is_of(&self, issuer: &str) -> bool {
        let Some(own) = &self.issuer else { return true };
        match own.split_once(TENANT) {
            None => **own == *issuer,
            Some((before, after)) => {
                issuer.strip_prefix(before).is_some_and(|rest| rest.ends_with(after))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_an_issuer_is_for_its_tokens_alone() {
        let (one, other) = ("https://as.example/t1/v2.0", "https://as.example/t2/v2.0");
        for (member, of_one, of_other) in [
            ("", true, true),
            (r#","issuer":null"#, true, true),
            (r#","issuer":"https://as.example/t1/v2.0""#, true, false),
            (r#","issuer":"https://as.example/{tenantid}/v2.0""#, true, true),
            (r#","issuer":"https://as.example/{tenantid}/v1.0""#, false, false),
            (r#","issuer":"https://b.example/{tenantid}/v2.0""#, false, false),
            (r#","issuer":"""#, false, false),
            (r#","issuer":["https://as.example/t1/v2.0"]"#, false, false),
        ] {
            let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
            let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"{member}}}"#);
            let key = VerifyingKey::from_jwk(jwk.as_bytes()).unwrap();
            assert_eq!((key.is_of(one), key.is_of(other)), (of_one, of_other), "{member}");
        }
    }
}
