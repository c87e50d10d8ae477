//! Checks the members of an answer ([RFC 7662 §4]): a token that is good for the server may not be
//! good here.
//!
//! [RFC 7662 §4]: https://www.rfc-editor.org/rfc/rfc7662#section-4

use super::answer::{Members, malformed};
use crate::{
    Scope, ScopeSet,
    validate::{
        Principal, Rejection,
        times::{Leeway, NumericDate, Times, Untimely},
    },
    vocabulary::members::Texts,
};
use serde_json::Value;
use std::{borrow::Cow, sync::Arc, time::SystemTime};

#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    /// `None` accepts any.
    pub(super) audience: Option<Vec<Box<str>>>,
    pub(super) missing_audience: bool,
    pub(super) issuer: Option<Arc<str>>,
    /// Who signs the answers, if they are signed.
    pub(super) signer: Option<Arc<str>>,
    pub(super) leeway: Leeway,
}

impl Rules {
    /// Returns the principal of a token that `members` find good.
    ///
    /// # Errors
    ///
    /// When the token is not good here at `now`, and when a member is of the wrong type.
    pub(super) fn judge(&self, members: &Members, now: SystemTime) -> Result<Principal, Rejection> {
        check_kind(members)?;
        let times = Times {
            exp: date(members, "exp")?,
            nbf: date(members, "nbf")?,
            iat: date(members, "iat")?,
        };
        self.leeway.check(&times, now).map_err(|untimely| match untimely {
            Untimely::Expired => Rejection::expired(),
            Untimely::ExpiryIsNoDate => Rejection::invalid("the expiry is not a date"),
            Untimely::NotValidYet | Untimely::IssuedInFuture => {
                Rejection::invalid("the access token is not good yet")
            }
        })?;
        let issuer = self.issuer_of(members)?;
        let audience = self.check_audience(members)?;
        Ok(Principal {
            subject: name(members, "sub")?.map(Into::into),
            client_id: name(members, "client_id")?.map(Into::into),
            issuer,
            token_id: name(members, "jti")?.map(Into::into),
            audience: audience.iter().flat_map(Texts::iter).map(Into::into).collect(),
            scopes: scopes(members)?,
            issued_at: NumericDate::optional(times.iat, "the time of issue is not a date")?,
            expires_at: NumericDate::optional(times.exp, "the expiry is not a date")?,
            acr: text(members, "acr")?.map(Into::into),
            authenticated_at: NumericDate::optional(
                date(members, "auth_time")?,
                "the time of log-in is not a date",
            )?,
        })
    }

    /// Returns the issuer that the answer names, or else the one that is known to have answered.
    fn issuer_of(&self, members: &Members) -> Result<Option<Arc<str>>, Rejection> {
        match (name(members, "iss")?, &self.issuer) {
            (Some(named), Some(own)) if **own != *named => {
                Err(Rejection::invalid("the access token is of another issuer"))
            }
            (Some(named), None) => Ok(Some(named.into())),
            (_, own) => Ok(own.as_ref().or(self.signer.as_ref()).cloned()),
        }
    }

    fn check_audience<'m>(&self, members: &'m Members) -> Result<Option<Texts<'m>>, Rejection> {
        let audience = texts(members, "aud")?;
        let Some(own) = &self.audience else { return Ok(audience) };
        match &audience {
            None if self.missing_audience => Ok(audience),
            None => Err(Rejection::invalid("the access token names no audience")),
            Some(named) if named.iter().any(|one| own.iter().any(|own| **own == *one)) => {
                Ok(audience)
            }
            Some(_) => Err(Rejection::invalid("the access token is for another audience")),
        }
    }

    /// Returns the end of a good token: its expiry and the leeway, or `None` if no clock can show it.
    pub(super) fn good_until(&self, principal: &Principal) -> Option<SystemTime> {
        self.leeway.end(principal.expires_at()?)
    }

    /// Checks once more what time alone changes.
    ///
    /// # Errors
    ///
    /// When the token has expired.
    pub(super) fn recheck(&self, principal: &Principal, now: SystemTime) -> Result<(), Rejection> {
        match principal.expires_at() {
            Some(expiry) if self.leeway.is_over(expiry, now) => Err(Rejection::expired()),
            _ => Ok(()),
        }
    }
}

/// Refuses tokens that are not access tokens, and access tokens that need a proof.
fn check_kind(members: &Members) -> Result<(), Rejection> {
    let is = |text: &str, names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(text));
    let bound =
        || Rejection::invalid("the access token is bound to a key, and proofs are not read");
    if member(members, "cnf").is_some() {
        return Err(bound());
    }
    match text(members, "token_type")? {
        Some(kind) if is(kind, &["dpop", "pop", "mac"]) => return Err(bound()),
        Some(kind) if !is(kind, &["bearer", "access_token"]) => return Err(not_an_access_token()),
        _ => {}
    }
    match text(members, "token_use")? {
        Some(kind) if !is(kind, &["access_token", "access"]) => return Err(not_an_access_token()),
        _ => {}
    }
    // Keycloak answers for its other tokens too, and marks them here.
    match member(members, "typ") {
        Some(Value::String(kind)) if is(kind, &["id", "refresh", "offline", "logout"]) => {
            Err(not_an_access_token())
        }
        _ => Ok(()),
    }
}

fn not_an_access_token() -> Rejection {
    Rejection::invalid("it is not an access token")
}

/// Returns the member `name`. Null counts as absent.
fn member<'m>(members: &'m Members, name: &str) -> Option<&'m Value> {
    members.get(name).filter(|value| !value.is_null())
}

fn wrong_type(name: &str) -> Rejection {
    malformed(&format!("`{name}` is of the wrong type"))
}

/// Reads a date: seconds, also as the text of a number, which some servers send.
pub(super) fn date(members: &Members, name: &str) -> Result<Option<NumericDate>, Rejection> {
    let seconds = match member(members, name) {
        None => return Ok(None),
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    };
    let seconds = seconds.filter(|seconds| seconds.is_finite()).ok_or_else(|| wrong_type(name))?;
    Ok(Some(NumericDate::new(seconds)))
}

/// Reads a text. An empty one counts as absent.
fn text<'m>(members: &'m Members, name: &str) -> Result<Option<&'m str>, Rejection> {
    match member(members, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(wrong_type(name)),
    }
}

/// Reads the name of someone or something. An empty one is no name, and not an absent one either.
fn name<'m>(members: &'m Members, name: &str) -> Result<Option<&'m str>, Rejection> {
    match member(members, name) {
        Some(Value::String(text)) if text.is_empty() => {
            Err(Rejection::invalid(format!("the `{name}` of the access token is empty")))
        }
        _ => text(members, name),
    }
}

/// Reads one text, or a list of texts.
pub(super) fn texts<'m>(members: &'m Members, name: &str) -> Result<Option<Texts<'m>>, Rejection> {
    let text = |item: &'m Value| item.as_str().map(Cow::Borrowed);
    let texts = match member(members, name) {
        None => return Ok(None),
        Some(Value::String(text)) => Some(Texts::One(text.into())),
        Some(Value::Array(list)) => list.iter().map(text).collect::<Option<_>>().map(Texts::Many),
        Some(_) => None,
    };
    texts.map(Some).ok_or_else(|| wrong_type(name))
}

/// Reads `scope`, one text or a list. An item that is not a scope grants nothing.
fn scopes(members: &Members) -> Result<ScopeSet, Rejection> {
    let texts = texts(members, "scope")?;
    let scopes = texts.iter().flat_map(Texts::scopes);
    Ok(scopes.filter_map(|scope| Scope::new(scope).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::RejectionKind::{self, Expired, Invalid, Unavailable};
    use proptest::prelude::*;
    use serde_json::json;
    use std::time::Duration;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn judge(rules: &Rules, members: Value) -> Result<Principal, RejectionKind> {
        let Value::Object(members) = members else { panic!("{members}") };
        rules.judge(&members, at(1000)).map_err(|rejection| rejection.kind())
    }

    fn leeway(seconds: u64) -> Leeway {
        Leeway::new(Duration::from_secs(seconds)).unwrap()
    }

    fn exact() -> Rules {
        Rules { leeway: leeway(0), ..Rules::default() }
    }

    #[test]
    fn a_principal_has_what_the_answer_says_in_every_form_that_servers_send() {
        let members = json!({
            "sub": "alice", "client_id": "app", "scope": "read  write", "iss": "https://as.example",
            "aud": "https://api.example", "jti": "1", "exp": 1100, "iat": 900.9, "auth_time": "800",
            "acr": "high", "username": "Alice", "nbf": null, "token_type": "",
        });
        let principal = Principal::new("alice")
            .with_client_id("app")
            .with_scopes("read write".parse().unwrap())
            .with_issuer("https://as.example")
            .with_audience(["https://api.example"])
            .with_token_id("1")
            .with_expiry(at(1100))
            .with_issued_at(at(900) + Duration::from_millis(900))
            .with_authentication(Some("high"), Some(at(800)));
        assert_eq!(judge(&exact(), members), Ok(principal));

        let listed = json!({"scope": ["read", "a\"b", "x y", ""], "aud": ["a", "b"], "acr": ""});
        let principal = Principal::without_subject()
            .with_scopes("read".parse().unwrap())
            .with_audience(["a", "b"]);
        assert_eq!(judge(&exact(), listed), Ok(principal));
        assert_eq!(judge(&exact(), json!({})), Ok(Principal::without_subject()));
    }

    #[test]
    fn a_member_of_the_wrong_type_makes_the_answer_unreadable() {
        for members in [
            json!({"exp": true}),
            json!({"exp": "soon"}),
            json!({"exp": "NaN"}),
            json!({"nbf": [1]}),
            json!({"iat": {}}),
            json!({"auth_time": "inf"}),
            json!({"sub": 1}),
            json!({"iss": ["https://as.example"]}),
            json!({"aud": 1}),
            json!({"aud": ["a", 1]}),
            json!({"scope": {"read": true}}),
            json!({"client_id": false}),
            json!({"token_type": 1}),
            json!({"token_use": ["access"]}),
        ] {
            assert_eq!(judge(&exact(), members.clone()), Err(Unavailable), "{members}");
        }
    }

    #[test]
    fn time_is_judged_with_the_leeway_and_what_is_no_date_is_refused() {
        for (members, seconds, refused) in [
            (json!({"exp": 970}), 30, Some(Expired)),
            (json!({"exp": 971}), 30, None),
            (json!({"exp": "971"}), 30, None),
            (json!({"exp": -1}), 300, Some(Invalid)),
            (json!({"exp": 18_446_744_073_709_551_615_u64}), 0, Some(Invalid)),
            (json!({"nbf": 1030}), 30, None),
            (json!({"nbf": 1031}), 30, Some(Invalid)),
            (json!({"iat": 1030}), 30, None),
            (json!({"iat": 1031}), 30, Some(Invalid)),
            (json!({"iat": -5}), 0, Some(Invalid)),
            (json!({"auth_time": 1e300}), 0, Some(Invalid)),
        ] {
            let rules = Rules { leeway: leeway(seconds), ..Rules::default() };
            assert_eq!(judge(&rules, members.clone()).err(), refused, "{members} {seconds}");
        }
    }

    #[test]
    fn a_kept_verdict_ends_when_a_new_one_would() {
        let principal = Principal::new("alice").with_expiry(at(970));
        let rules = Rules::default();
        assert!(rules.recheck(&principal, at(999)).is_ok());
        assert!(rules.recheck(&principal, at(1000)).is_err());
        assert!(rules.recheck(&Principal::new("bob"), at(u64::from(u32::MAX))).is_ok());
    }

    #[test]
    fn an_audience_that_is_asked_for_must_be_named() {
        let rules = Rules { audience: Some(vec!["a".into(), "b".into()]), ..Rules::default() };
        let lax = Rules { missing_audience: true, ..rules.clone() };
        let nobody = Rules { audience: Some(Vec::new()), ..lax.clone() };
        for (members, strict, missing_allowed) in [
            (json!({"aud": "b"}), true, true),
            (json!({"aud": ["x", "a"]}), true, true),
            (json!({"aud": "A"}), false, false),
            (json!({"aud": "a "}), false, false),
            (json!({"aud": []}), false, false),
            (json!({"aud": ""}), false, false),
            (json!({"aud": null}), false, true),
            (json!({}), false, true),
        ] {
            let good = |rules| {
                judge(rules, members.clone()).map_or_else(
                    |kind| {
                        assert_eq!(kind, Invalid);
                        false
                    },
                    |_| true,
                )
            };
            assert_eq!((good(&rules), good(&lax)), (strict, missing_allowed), "{members}");
            assert!(members.get("aud").is_none_or(Value::is_null) || !good(&nobody));
        }
    }

    #[test]
    fn an_issuer_is_compared_where_it_is_named_and_known_where_it_is_not() {
        let rules = Rules { issuer: Some("https://as.example".into()), ..Rules::default() };
        let signed = Rules { signer: rules.issuer.clone(), ..Rules::default() };
        let principal = Ok(Principal::without_subject().with_issuer("https://as.example"));
        for rules in [&rules, &signed] {
            assert_eq!(judge(rules, json!({"iss": "https://as.example"})), principal);
            assert_eq!(judge(rules, json!({})), principal);
        }
        assert_eq!(judge(&rules, json!({"iss": "https://as.example/"})), Err(Invalid));
    }

    #[test]
    fn an_empty_name_is_not_an_absent_one() {
        let rules = Rules { issuer: Some("https://as.example".into()), ..Rules::default() };
        for name in ["iss", "sub", "client_id", "jti"] {
            for rules in [&rules, &exact()] {
                assert_eq!(judge(rules, json!({name: ""})), Err(Invalid), "{name}");
                assert!(judge(rules, json!({name: null})).is_ok(), "{name}");
            }
        }
    }

    #[test]
    fn only_an_access_token_that_needs_no_proof_is_good() {
        for good in [
            json!({"token_type": "Bearer"}),
            json!({"token_type": "bearer", "token_use": "access_token"}),
            json!({"token_type": "access_token"}),
            json!({"token_use": "access", "typ": "Bearer"}),
            json!({"typ": "at+jwt", "cnf": null}),
        ] {
            assert!(judge(&exact(), good.clone()).is_ok(), "{good}");
        }
        for bad in [
            json!({"token_type": "refresh_token"}),
            json!({"token_type": "Refresh"}),
            json!({"token_type": "DPoP"}),
            json!({"token_type": "dpop", "cnf": {"jkt": "x"}}),
            json!({"token_use": "refresh_token"}),
            json!({"token_use": "refresh"}),
            json!({"token_use": "id_token"}),
            json!({"token_use": "id"}),
            json!({"typ": "ID"}),
            json!({"typ": "Offline"}),
            json!({"cnf": {"jkt": "x"}}),
            json!({"cnf": {"x5t#S256": "x"}, "token_type": "Bearer"}),
            json!({"cnf": {}}),
            json!({"cnf": "x"}),
        ] {
            assert_eq!(judge(&exact(), bad.clone()), Err(Invalid), "{bad}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "(a|Bearer|read x|[0-9]{1,9}|[ -~]{0,6})".prop_map(Value::from),
        ];
        let list = prop::collection::vec(leaf.clone(), 0..3).prop_map(Value::from);
        prop_oneof![4 => leaf, 1 => list]
    }

    proptest! {
        #[test]
        fn whatever_is_good_is_in_its_time_and_for_this_audience(
            members in prop::collection::vec(
                ("(exp|nbf|iat|iss|aud|sub|scope|cnf|token_type|token_use|typ|acr|jti)", value()),
                0..6,
            ),
            leeway_s in 0..=300_u64,
            now in any::<u32>(),
        ) {
            let audience = Some(vec!["a".into()]);
            let rules = Rules { audience, leeway: leeway(leeway_s), ..Rules::default() };
            let leeway = Duration::from_secs(leeway_s);
            let (now, members) = (at(now.into()), members.into_iter().collect());
            if let Ok(principal) = rules.judge(&members, now) {
                prop_assert!(principal.expires_at().is_none_or(|expiry| now < expiry + leeway));
                let end = principal.expires_at().map(|expiry| expiry + leeway);
                prop_assert_eq!(rules.good_until(&principal), end);
                prop_assert!(principal.audience().any(|one| one == "a"));
                prop_assert!(members.get("cnf").is_none_or(Value::is_null));
            }
        }
    }
}
