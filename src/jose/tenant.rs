//! Keys of one tenant, or of every tenant, of an issuer of many.

/// The place of the tenant in the identifier of an issuer, as Entra writes it.
pub(crate) const TENANT: &str = "{tenantid}";

/// Returns `true` if the key whose member `issuer` is `own` verifies tokens of `issuer`.
pub(super) fn is_key_of(own: Option<&str>, issuer: &str) -> bool {
    let Some(own) = own else { return true };
    match own.split_once(TENANT) {
        None => own == issuer,
        Some((before, after)) => {
            issuer.strip_prefix(before).is_some_and(|rest| rest.ends_with(after))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_an_issuer_is_for_its_tokens_alone() {
        let (one, other) = ("https://as.example/t1/v2.0", "https://as.example/t2/v2.0");
        for (own, of_one, of_other) in [
            (None, true, true),
            (Some(one), true, false),
            (Some("https://as.example/{tenantid}/v2.0"), true, true),
            (Some("https://as.example/{tenantid}/v1.0"), false, false),
            (Some("https://b.example/{tenantid}/v2.0"), false, false),
            (Some(""), false, false),
        ] {
            assert_eq!((is_key_of(own, one), is_key_of(own, other)), (of_one, of_other), "{own:?}");
        }
    }
}
