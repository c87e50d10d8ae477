//! Checks the members of an answer ([RFC 7662 §4]): a token that is good for the server may not be
//! good here.
//!
//! [RFC 7662 §4]: https://www.rfc-editor.org/rfc/rfc7662#section-4

use super::answer::malformed;
use crate::validate::{
    Principal, Rejection,
    claims::{Claims, NOT_GOOD, Profile, expired, listed, shown, told, unfit},
    times::{Leeway, Untimely},
};
use serde_json::Value;
use std::{borrow::Cow, iter::once, sync::Arc, time::SystemTime};

#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) profile: Profile,
    /// `None` accepts any.
    pub(super) audience: Option<Vec<Box<str>>>,
    pub(super) missing_audience: bool,
    pub(super) issuer: Option<Arc<str>>,
    /// Who signs the answers, if they are signed.
    pub(super) signer: Option<Arc<str>>,
    pub(super) leeway: Leeway,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            profile: Profile::others(),
            audience: None,
            missing_audience: false,
            issuer: None,
            signer: None,
            leeway: Leeway::default(),
        }
    }
}

impl Rules {
    /// Returns the principal of a token that `answer` finds good.
    ///
    /// # Errors
    ///
    /// When the token is not good here at `now`, and when a member is of the wrong type.
    pub(super) fn judge(&self, answer: &Value, now: SystemTime) -> Result<Principal, Rejection> {
        let claims = Claims::of(answer).ok_or_else(|| malformed("it is not a JSON object"))?;
        self.profile.check_types(&claims).map_err(|told| unfit(NOT_GOOD, &told))?;
        self.leeway.check(&claims.times, now).map_err(|untimely| {
            let told = claims.told_time(untimely, now);
            match untimely {
                Untimely::Expired => Rejection::expired().with_cause(told),
                Untimely::ExpiryIsNoDate => unfit("the expiry is not a date", &told),
                _ => unfit("the access token is not good yet", &told),
            }
        })?;
        let issuer = self.issuer_of(&claims)?;
        self.check_audience(&claims)?;
        self.profile.principal(&claims, issuer, || Cow::Borrowed(answer))
    }

    /// Returns the issuer that the answer names, or else the one that is known to have answered.
    fn issuer_of(&self, claims: &Claims<'_>) -> Result<Option<Arc<str>>, Rejection> {
        match (claims.iss().ok().flatten(), &self.issuer) {
            (Some(named), Some(own)) if **own != *named => {
                let told = told("iss", listed(once(&**own)), shown(Some(named)));
                Err(unfit("the access token is of another issuer", &told))
            }
            (Some(named), None) => Ok(Some(named.into())),
            (_, own) => Ok(own.as_ref().or(self.signer.as_ref()).cloned()),
        }
    }

    fn check_audience(&self, claims: &Claims<'_>) -> Result<(), Rejection> {
        let Some(own) = &self.audience else { return Ok(()) };
        let public = match &claims.aud {
            None if self.missing_audience => return Ok(()),
            Some(_) if claims.is_for(own) => return Ok(()),
            None => "the access token names no audience",
            Some(_) => "the access token is for another audience",
        };
        Err(unfit(public, &claims.told_audience(own.iter().map(AsRef::as_ref))))
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
        match principal.expires_at().filter(|expiry| self.leeway.is_over(*expiry, now)) {
            None => Ok(()),
            over => Err(expired(over, now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::RejectionKind::{self, Expired, Invalid};
    use proptest::prelude::*;
    use serde_json::json;
    use std::{borrow::Borrow, time::Duration};

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn judge(rules: &Rules, members: impl Borrow<Value>) -> Result<Principal, RejectionKind> {
        rules.judge(members.borrow(), at(1000)).map_err(|rejection| rejection.kind())
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
            "aud": "https://api.example", "jti": "1", "exp": 1100, "iat": 900.9, "auth_time": 800,
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
    fn time_is_judged_with_the_leeway_and_what_is_no_date_is_refused() {
        for (members, seconds, refused) in [
            (json!({"exp": 970}), 30, Some(Expired)),
            (json!({"exp": 971}), 30, None),
            (json!({"exp": -1}), 300, Some(Invalid)),
            (json!({"exp": 18_446_744_073_709_551_615_u64}), 0, Some(Invalid)),
            (json!({"nbf": 1030}), 30, None),
            (json!({"nbf": 1031}), 30, Some(Invalid)),
            (json!({"iat": 1030}), 30, None),
            (json!({"iat": 1031}), 30, Some(Invalid)),
            (json!({"iat": -5}), 0, Some(Invalid)),
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
            (json!({"aud": []}), false, true),
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
            assert!(!good(&nobody) || missing_allowed && !strict, "{members}");
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
            let (now, members) = (at(now.into()), Value::Object(members.into_iter().collect()));
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
