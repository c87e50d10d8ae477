//! What an access token looks like: RFC 9068, or what an issuer without it sends.

use super::{Claims, Scopes, Value, holder::Holder, listed, shown, told, unfit};
use crate::{
    Scope, ScopeSet,
    validate::{Confirmation, Principal, Rejection, times::NumericDate},
    vocabulary::members::Texts,
};
use serde_json::Value as Json;
use std::{borrow::Cow, sync::Arc};

const BOUND: &str = "the access token is bound in a way that is not supported";
const OF_ANOTHER_KIND: &str = "the token is not an access token";

/// The claims that RFC 9068 §2.2 requires besides `iss`, `exp` and `aud`.
#[cfg(feature = "jwt")]
pub(in crate::validate) const REQUIRED: [&str; 4] = ["sub", "client_id", "iat", "jti"];

/// What a token may look like to be an access token. The default is that of nobody: it requires nothing
/// and loosens nothing.
#[derive(Clone, Debug, Default)]
pub(in crate::validate) struct Profile {
    /// Some of `REQUIRED`.
    pub(in crate::validate) required: Vec<&'static str>,
    pub(in crate::validate) azp_is_client: bool,
    /// `scope` may be a list, and what is not a scope grants nothing.
    pub(in crate::validate) other_scopes: bool,
    pub(in crate::validate) numeric_subjects: bool,
    pub(in crate::validate) id_tokens: bool,
    pub(in crate::validate) holder: Holder,
}

pub(super) fn is(kind: &str, kinds: &[&str]) -> bool {
    kinds.iter().any(|one| one.eq_ignore_ascii_case(kind))
}

/// What ID tokens call themselves.
pub(super) const ID: &[&str] = &["id", "id_token"];

/// Returns what the token is bound to.
///
/// # Errors
///
/// When it is bound in a way that cannot be checked.
fn confirmation(claims: &Claims<'_>) -> Result<Option<Confirmation>, Rejection> {
    let Some(cnf) = &claims.cnf else { return Ok(None) };
    let bound = if let Value::Object(bound) = cnf { bound.confirmation() } else { None };
    match bound {
        Some(bound) => Ok(Some(bound)),
        None => {
            Err(unfit(BOUND, &told("cnf", "a thumbprint of a key or certificate", cnf.shown())))
        }
    }
}

impl Profile {
    /// The profile of RFC 9068.
    #[cfg(feature = "jwt")]
    pub(in crate::validate) fn strict() -> Self {
        Self { required: REQUIRED.into(), ..Self::default() }
    }

    /// The profile of issuers without RFC 9068.
    pub(in crate::validate) fn others() -> Self {
        Self { azp_is_client: true, other_scopes: true, ..Self::default() }
    }

    /// Checks that the claims that are read are of their types. Needs no signature.
    ///
    /// # Errors
    ///
    /// Which claim is not.
    pub(in crate::validate) fn check_types(&self, claims: &Claims<'_>) -> Result<(), String> {
        if let Some(odd) = &claims.odd {
            return Err(odd.clone());
        }
        if claims.is_sub_a_number && !self.numeric_subjects {
            return Err(told("sub", "a text", claims.sub.as_deref().unwrap_or_default()));
        }
        let azp = claims.azp.as_ref().filter(|_| self.azp_is_client && claims.client_id.is_none());
        match azp.filter(|azp| !matches!(azp, Value::Text(_))) {
            Some(azp) => Err(told("azp", "a text", azp.shown())),
            None => Ok(()),
        }
    }

    /// Returns the principal of a token that its issuer vouches for, and whose times and types were
    /// checked. `object` is the parsed payload; it is called only if the [`Holder`] reads claims.
    ///
    /// # Errors
    ///
    /// When it is not an access token of this profile, and when it needs a proof.
    pub(in crate::validate) fn principal<'o>(
        &self,
        claims: &Claims<'_>,
        issuer: Option<Arc<str>>,
        object: impl FnOnce() -> Cow<'o, Json>,
    ) -> Result<Principal, Rejection> {
        let confirmation = confirmation(claims)?;
        self.check_kind(claims, confirmation.as_ref())?;
        for name in &self.required {
            self.check_there(name, claims)?;
        }
        // All at once: it is large, and each setter would move it.
        let mut principal = Principal {
            subject: claims.sub.as_deref().map(Into::into),
            client_id: self.client_id(claims).map(Into::into),
            issuer,
            token_id: claims.jti.as_deref().map(Into::into),
            audience: claims.aud.iter().flat_map(Texts::iter).map(Into::into).collect(),
            scopes: self.scopes(&claims.scopes)?,
            issued_at: claims.times.iat.and_then(NumericDate::instant),
            expires_at: claims.times.exp.and_then(NumericDate::instant),
            acr: claims.acr.as_deref().map(Into::into),
            authenticated_at: claims.auth_time.and_then(NumericDate::instant),
            more: None,
        };
        if self.holder.reads_claims() {
            self.holder.apply(&object(), &mut principal)?;
        } else {
            self.holder.check_client(principal.client_id())?;
        }
        if let Some(confirmation) = confirmation {
            principal = principal.with_confirmation(confirmation);
        }
        Ok(principal)
    }

    /// Returns the client that the token was issued to.
    fn client_id<'c>(&self, claims: &'c Claims<'_>) -> Option<&'c str> {
        match (&claims.client_id, &claims.azp) {
            (None, Some(Value::Text(azp))) if self.azp_is_client => Some(azp),
            (own, _) => own.as_deref(),
        }
    }

    fn check_there(&self, name: &str, claims: &Claims<'_>) -> Result<(), Rejection> {
        let is_there = match name {
            "sub" => claims.sub.is_some(),
            // Checked by the holder where other claims name the client.
            "client_id" => {
                self.client_id(claims).is_some() || !self.holder.client_claims.is_empty()
            }
            "iat" => claims.times.iat.is_some(),
            _ => claims.jti.is_some(),
        };
        if is_there {
            return Ok(());
        }
        let public = format!("the access token has no {name} (RFC 9068 section 2.2)");
        Err(unfit(public, &told(name, "a value", shown(None))))
    }

    /// Refuses tokens that are not access tokens, and access tokens that need a proof. The header
    /// alone does not tell: it may have no type, and an introspected token has none that is seen.
    fn check_kind(
        &self,
        claims: &Claims<'_>,
        confirmation: Option<&Confirmation>,
    ) -> Result<(), Rejection> {
        let has_key = confirmation.is_some_and(|bound| bound.key_thumbprint().is_some());
        let kinds = [
            ("token_type", &claims.token_type),
            ("token_use", &claims.token_use),
            ("typ", &claims.typ),
        ];
        for (name, kind) in kinds {
            let Some(kind) = kind.as_deref() else { continue };
            let found = || told(name, "the kind of an access token", shown(Some(kind)));
            if name == "token_type" && has_key && is(kind, &["dpop"]) {
                continue;
            }
            if is(kind, &["dpop", "pop", "mac"]) {
                return Err(unfit(BOUND, &found()));
            }
            let is_allowed = match name {
                "token_type" | "token_use" if is(kind, &["bearer", "access_token", "access"]) => {
                    true
                }
                "token_use" | "typ" if is(kind, ID) => self.id_tokens,
                // Keycloak's kinds: anything else is a word of the issuer's own.
                "typ" => {
                    !is(kind, &["serialized-id", "refresh", "refresh_token", "offline", "logout"])
                }
                _ => false,
            };
            if !is_allowed {
                return Err(unfit(OF_ANOTHER_KIND, &found()));
            }
        }
        let hash = claims.hash.filter(|_| !self.id_tokens);
        match hash.or(claims.is_event.then_some("events")) {
            Some(name) => Err(unfit(OF_ANOTHER_KIND, &told(name, shown(None), "a value"))),
            None => Ok(()),
        }
    }

    fn scopes(&self, scopes: &Scopes<'_>) -> Result<ScopeSet, Rejection> {
        let wrong = |found: &str| {
            let text = told("scope", "scopes of RFC 6749 section 3.3 in one text", found);
            unfit("the scope of the access token is malformed", &text)
        };
        if scopes.has_list_in_scope && !self.other_scopes {
            return Err(wrong("a list"));
        }
        let mut all = ScopeSet::empty();
        for texts in scopes.iter() {
            all = all.joined(match ScopeSet::new(texts.scopes()) {
                Ok(read) => read,
                Err(_) if self.other_scopes => {
                    texts.scopes().filter_map(|scope| Scope::new(scope).ok()).collect()
                }
                Err(_) => return Err(wrong(&listed(texts.iter()))),
            });
        }
        Ok(all)
    }
}
