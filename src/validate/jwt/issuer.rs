use super::{
    rules::{mismatch, unverified},
    template::Template,
};
use crate::{
    Algorithm, ConfigError,
    jose::TENANT,
    validate::{
        Jwks, Rejection,
        claims::{Claims, Holder, Profile, REQUIRED, holder_setters, listed, shown},
    },
};
use std::{borrow::Cow, sync::Arc};

/// An issuer whose tokens are accepted, with its keys, the audience, the algorithms, and what its
/// access tokens look like.
///
/// # Defaults
///
/// No audience: one must be named. Every algorithm with a public key is allowed; with a
/// [shared secret](Jwks::from_secret) its own alone. Tokens are those of
/// [RFC 9068](https://www.rfc-editor.org/rfc/rfc9068): `typ` is `at+jwt`, and `iss`, `exp`, `aud`, `sub`,
/// `client_id`, `iat` and `jti` are required.
///
/// # Other profiles
///
/// Each setting below loosens one rule. [`allow_other_profiles`](Self::allow_other_profiles) is the
/// set of those that most issuers without RFC 9068 need. None of them makes a token pass that is not
/// signed by the issuer, that has expired, that is bound to a key (`cnf`), or that has `events` (log-out
/// tokens). [Odd tokens](crate::guide::odd_tokens) lists what becomes of each claim.
///
/// | tokens | setting |
/// |---|---|
/// | whose `typ` is another, or absent | [`with_types`](Self::with_types), [`allow_missing_type`](Self::allow_missing_type) |
/// | without `sub`, `client_id`, `iat` or `jti` | [`with_required_claims`](Self::with_required_claims) |
/// | whose client is in `azp` | [`allow_azp_as_client_id`](Self::allow_azp_as_client_id) |
/// | whose `scope` is a list, or no scope | [`allow_other_scopes`](Self::allow_other_scopes) |
/// | whose `sub` is a number | [`allow_numeric_subjects`](Self::allow_numeric_subjects) |
/// | without `iss` | [`allow_missing_issuer`](Self::allow_missing_issuer) |
/// | without `aud` | [`dangerous_allow_missing_audience`](Self::dangerous_allow_missing_audience) |
/// | that are ID tokens | [`dangerous_allow_id_tokens`](Self::dangerous_allow_id_tokens) |
///
/// ```
/// use tower_oauth2::{Algorithm, Transport, validate::{Jwks, TrustedIssuer}};
///
/// let keys = Jwks::from_url("https://as.example/jwks", Transport::https())?;
/// let issuer = TrustedIssuer::new("https://as.example", keys)
///     .with_audience(["https://api.example"])
///     .with_algorithms([Algorithm::Es256, Algorithm::EdDsa])?;
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct TrustedIssuer {
    pub(super) identifier: Arc<str>,
    pub(super) keys: Jwks,
    pub(super) profile: Profile,
    pub(super) without_issuer: bool,
    pub(super) template: Option<Template>,
    audience: Vec<Box<str>>,
    algorithms: Vec<Algorithm>,
    /// Without `application/`.
    types: Vec<Cow<'static, str>>,
    /// They were set, and the claims that are required.
    has_types: bool,
    has_required: bool,
    without_type: bool,
    without_audience: bool,
    id_token_clients: Vec<Box<str>>,
}

impl TrustedIssuer {
    /// Creates an issuer of this identifier, which is compared with `iss` byte for byte.
    pub fn new(identifier: impl Into<Arc<str>>, keys: Jwks) -> Self {
        Self {
            identifier: identifier.into(),
            algorithms: keys.algorithms(),
            keys,
            profile: Profile::strict(),
            without_issuer: false,
            template: None,
            audience: Vec::new(),
            types: vec!["at+jwt".into()],
            has_types: false,
            has_required: false,
            without_type: false,
            without_audience: false,
            id_token_clients: Vec::new(),
        }
    }

    /// Creates an issuer of every tenant: `template` with the identifier of a tenant (`tid`) in the place
    /// of `{tenantid}`, as Entra's metadata for any tenant (`common`) name it:
    ///
    /// 1. `iss` must fit the template, and its tenant must be a GUID and the token's `tid`.
    /// 2. A key with a member `issuer` verifies tokens of that issuer alone, or of those that fit it if it
    ///    is a template. A key without one verifies tokens of every tenant.
    /// 3. [`Principal::issuer`](crate::validate::Principal::issuer) is the `iss` of the token. The subject
    ///    (`sub`) says nothing without it.
    ///
    /// **Everybody with an account of any organization then has a good token**: allow some by
    /// [`with_tenants`](Self::with_tenants), or check the issuer in a
    /// [`Policy`](crate::server::Policy). One tenant alone is an issuer like another, made by
    /// [`new`](Self::new).
    ///
    /// ```
    /// use tower_oauth2::{Transport, validate::{Jwks, TrustedIssuer}};
    ///
    /// let keys = "https://login.microsoftonline.com/common/discovery/v2.0/keys";
    /// let keys = Jwks::from_url(keys, Transport::https())?;
    /// let template = "https://login.microsoftonline.com/{tenantid}/v2.0";
    /// let issuer = TrustedIssuer::from_template(template, keys)?
    ///     .with_audience(["6731de76-14a6-49ae-97bc-6eba6914391e"])
    ///     .allow_other_profiles();
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When `template` has `{tenantid}` not exactly once.
    pub fn from_template(template: impl Into<Arc<str>>, keys: Jwks) -> Result<Self, ConfigError> {
        let issuer = Self::new(template, keys);
        let template = Some(Template::new(&issuer.identifier)?);
        Ok(Self { template, ..issuer })
    }

    /// Sets the tenants of a [template](Self::from_template) whose tokens are accepted. Defaults to all.
    ///
    /// # Errors
    ///
    /// When a tenant is not a GUID with lower-case digits, and when the issuer has no template.
    pub fn with_tenants<I>(mut self, tenants: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item: Into<Box<str>>>,
    {
        let Some(template) = &mut self.template else {
            let text = format!("the issuer {:?} is not a template of tenants", self.identifier);
            return Err(ConfigError::new(text));
        };
        template.set_tenants(tenants.into_iter().map(Into::into).collect())?;
        Ok(self)
    }

    /// Sets the audience: a token must be for one of `audience` (`aud`,
    /// [RFC 9068 §4](https://www.rfc-editor.org/rfc/rfc9068#section-4)), compared byte for byte.
    /// Defaults to none, which validators accept only with
    /// [`dangerous_allow_missing_audience`](Self::dangerous_allow_missing_audience).
    pub fn with_audience<I: IntoIterator<Item: Into<Box<str>>>>(mut self, audience: I) -> Self {
        self.audience = audience.into_iter().map(Into::into).collect();
        self
    }

    /// Accepts access tokens of servers without RFC 9068 too: the `typ` `JWT` and none, no required
    /// claims besides `iss`, `exp` and `aud`, [`azp` as the client](Self::allow_azp_as_client_id), and
    /// [other scopes](Self::allow_other_scopes). ID tokens and refresh tokens are refused as far as they
    /// can be recognized (by `typ`, `token_use`, `token_type`, `at_hash` or `c_hash`). If the ID tokens of
    /// the issuer look like its access tokens, use an audience that they do not have. The types of
    /// [`with_types`](Self::with_types) and the claims of
    /// [`with_required_claims`](Self::with_required_claims) stay, whichever is called first. Defaults to
    /// RFC 9068 alone.
    pub fn allow_other_profiles(mut self) -> Self {
        if !self.has_types {
            self.types = vec!["at+jwt".into(), "jwt".into()];
        }
        if !self.has_required {
            self.profile.required.clear();
        }
        self.allow_missing_type().allow_azp_as_client_id().allow_other_scopes()
    }

    /// Sets the types of access tokens (`typ` in the header), in place of `at+jwt`. Case and a leading
    /// `application/` do not count.
    pub fn with_types<I: IntoIterator<Item: Into<String>>>(mut self, types: I) -> Self {
        let types = types.into_iter().map(|typ| Cow::Owned(typ.into()));
        self.types = types.map(without_application).collect();
        self.has_types = true;
        self
    }

    /// Accepts tokens without `typ` too. Defaults to refusing them.
    pub fn allow_missing_type(mut self) -> Self {
        self.without_type = true;
        self
    }

    /// Sets which of `sub`, `client_id`, `iat` and `jti` a token must have. Defaults to all four.
    ///
    /// # Errors
    ///
    /// When one of `claims` is another.
    pub fn with_required_claims<'c, I>(mut self, claims: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item = &'c str>,
    {
        let known = |name: &'c str| {
            REQUIRED.into_iter().find(|known| *known == name).ok_or_else(|| {
                let known = listed(REQUIRED.into_iter());
                ConfigError::new(format!("the claim {name:?} cannot be required: name {known}"))
            })
        };
        self.profile.required = claims.into_iter().map(known).collect::<Result<_, _>>()?;
        self.has_required = true;
        Ok(self)
    }

    /// Takes `azp` as the client of tokens without `client_id`. Defaults to no client.
    pub fn allow_azp_as_client_id(mut self) -> Self {
        self.profile.azp_is_client = true;
        self
    }

    /// Accepts a `scope` that is a list, each item one scope. What is not a scope, such as an item with a
    /// space, grants nothing. Defaults to refusing a list, and scopes of other characters than
    /// [RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3) has.
    pub fn allow_other_scopes(mut self) -> Self {
        self.profile.other_scopes = true;
        self
    }

    /// Accepts a `sub` that is a whole number, as the text of its digits: 42 and `"42"` are then one
    /// subject. Defaults to refusing it.
    pub fn allow_numeric_subjects(mut self) -> Self {
        self.profile.numeric_subjects = true;
        self
    }

    /// Accepts tokens without `iss` as tokens of this issuer. Safe where nobody else has the keys, so
    /// only for keys without a URL: [`Jwks::from_secret`], [`Jwks::from_pem`] and [`Jwks::from_json`]; for
    /// one issuer of a validator; and not for a [template](Self::from_template). Defaults to refusing them.
    pub fn allow_missing_issuer(mut self) -> Self {
        self.without_issuer = true;
        self
    }

    /// Accepts tokens whose `aud` is absent, null or empty too, as some realms of Keycloak issue them.
    /// A token without `aud` that this issuer made for another API is then accepted. An audience that a
    /// token names must still be one of [`with_audience`](Self::with_audience). Defaults to refusing
    /// them.
    pub fn dangerous_allow_missing_audience(mut self) -> Self {
        self.without_audience = true;
        self
    }

    /// Accepts ID tokens of these clients: each `aud` must be one of `client_ids`, and `azp` too where it
    /// is there. **Every holder of a user's ID token can then call**, each of these clients among them: an ID
    /// token says who logged in, and not that the client may call this API.
    ///
    /// For issuers whose access tokens are ID tokens to the letter (Dex), and for the ID tokens of
    /// Google's users. Most of them need [`allow_other_profiles`](Self::allow_other_profiles) as well.
    /// `nonce`, `at_hash` and `c_hash` are not compared with anything. Other tokens must still be for
    /// [`with_audience`](Self::with_audience). Defaults to refusing what says that it is an ID token.
    pub fn dangerous_allow_id_tokens<I>(mut self, client_ids: I) -> Self
    where
        I: IntoIterator<Item: Into<Box<str>>>,
    {
        self.id_token_clients = client_ids.into_iter().map(Into::into).collect();
        self.profile.id_tokens = true;
        self
    }

    holder_setters!();

    fn with_holder(mut self, change: impl FnOnce(&mut Holder)) -> Self {
        change(&mut self.profile.holder);
        self
    }

    /// Sets the algorithms that tokens may be signed with. Defaults to all that suit the keys.
    ///
    /// # Errors
    ///
    /// When `algorithms` is empty, and when one does not suit the keys: algorithms with a shared
    /// secret and algorithms with a public key never mix.
    pub fn with_algorithms<I>(mut self, algorithms: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item = Algorithm>,
    {
        let algorithms: Vec<_> = algorithms.into_iter().map(Algorithm::checked_as).collect();
        if algorithms.is_empty() {
            return Err(ConfigError::new(
                "an issuer needs an algorithm: with_algorithms names none",
            ));
        }
        let possible = self.keys.algorithms();
        if let Some(other) = algorithms.iter().find(|one| !possible.contains(one)) {
            let text = format!("the algorithm {other} does not suit the keys of the issuer");
            return Err(ConfigError::new(text));
        }
        self.algorithms = algorithms;
        Ok(self)
    }

    pub(super) fn allows(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Checks that the settings fit one another, `other` and the issuer that allows a missing issuer.
    pub(super) fn check(
        &self,
        other: Option<&Self>,
        unnamed: Option<&Self>,
    ) -> Result<(), ConfigError> {
        let name = &self.identifier;
        let named_none = self.audience.is_empty() && self.id_token_clients.is_empty();
        let text = if !self.without_audience && named_none {
            format!("the issuer {name:?} has no audience: name one with with_audience")
        } else if self.without_audience && self.profile.id_tokens {
            format!(
                "the issuer {name:?} allows ID tokens and a missing audience, by which ID tokens of \
                 other clients would pass: allow one of them"
            )
        } else if self.without_issuer && (self.template.is_some() || !self.keys.is_fixed()) {
            format!(
                "the issuer {name:?} allows a missing issuer, and is a template or has keys with a \
                 URL: use TrustedIssuer::new with Jwks::from_secret, from_pem or from_json"
            )
        } else if let (true, Some(Self { identifier, .. })) = (self.without_issuer, unnamed) {
            format!(
                "the issuers {identifier:?} and {name:?} both allow a missing issuer: only one can"
            )
        } else if self.template.is_none() && name.contains(TENANT) {
            format!(
                "the issuer {name:?} is a template, which no token names: use \
                 TrustedIssuer::from_template"
            )
        } else if other.is_some_and(|other| other.keys.is_symmetric() != self.keys.is_symmetric()) {
            "an issuer with a shared secret cannot stand beside one with public keys: give each a \
             validator, and both to first_of"
                .to_owned()
        } else {
            return Ok(());
        };
        Err(ConfigError::new(text))
    }

    /// Checks that the type is that of an access token, and that the claims, which are not verified, are
    /// of their types.
    pub(super) fn check_kind(
        &self,
        typ: Option<&str>,
        claims: &Claims<'_>,
    ) -> Result<(), Rejection> {
        if !self.accepts_type(typ) {
            let expected = listed(self.types.iter().map(AsRef::as_ref));
            return Err(mismatch("typ", expected, shown(typ)));
        }
        self.profile.check_types(claims).map_err(unverified)
    }

    /// Returns the `iss` of a token of a [template](Self::from_template) whose payload has the same
    /// tenant; `None` without a template.
    pub(super) fn tenant_issuer<'c>(
        &self,
        claims: &'c Claims<'_>,
        payload: &[u8],
    ) -> Result<Option<&'c str>, Rejection> {
        let (Some(template), Ok(Some(iss))) = (&self.template, claims.iss()) else {
            return Ok(None);
        };
        template.check(iss, payload).map(|()| Some(iss))
    }

    /// Checks that the token is for this API.
    pub(super) fn check_audience(&self, claims: &Claims<'_>) -> Result<(), Rejection> {
        let (clients, id_tokens) = (&self.id_token_clients, self.profile.id_tokens);
        let is_for_us = match &claims.aud {
            None => self.without_audience,
            Some(_) if id_tokens && claims.is_of_clients(clients) => true,
            Some(_) => claims.is_for(&self.audience) && !(id_tokens && claims.is_id_token()),
        };
        if is_for_us {
            return Ok(());
        }
        let other_client = id_tokens.then(|| claims.told_client(clients)).flatten();
        Err(unverified(other_client.unwrap_or_else(|| {
            claims.told_audience(self.audience.iter().chain(clients).map(AsRef::as_ref))
        })))
    }

    /// Returns `true` if the `typ` of a header is that of an access token. Media types compare
    /// without case, and `application/` may be left out
    /// ([RFC 7515 §4.1.9](https://www.rfc-editor.org/rfc/rfc7515#section-4.1.9)).
    fn accepts_type(&self, typ: Option<&str>) -> bool {
        typ.map_or(self.without_type, |typ| {
            self.types.iter().any(|own| own.eq_ignore_ascii_case(typ))
        })
    }
}

/// Returns a media type without `application/`.
pub(super) fn without_application(typ: Cow<'_, str>) -> Cow<'_, str> {
    fn bare(typ: &str) -> &str {
        match typ.split_at_checked("application/".len()) {
            Some((start, bare)) if start.eq_ignore_ascii_case("application/") => bare,
            _ => typ,
        }
    }
    match typ {
        Cow::Borrowed(typ) => Cow::Borrowed(bare(typ)),
        Cow::Owned(typ) => Cow::Owned(bare(&typ).to_owned()),
    }
}

opaque_debug!(TrustedIssuer { identifier, audience, algorithms, types, profile, .. });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_compares_without_case_and_without_application() {
        let keys = || Jwks::from_secret(Algorithm::Hs256, "0123456789abcdef0123456789abcdef");
        let strict = TrustedIssuer::new("https://as.example", keys().unwrap());
        let lenient = strict.clone().allow_other_profiles();
        let accepts = |issuer: &TrustedIssuer, typ: Option<&'static str>| {
            issuer.accepts_type(typ.map(|typ| without_application(typ.into())).as_deref())
        };
        for good in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
            assert!(accepts(&strict, Some(good)) && accepts(&lenient, Some(good)), "{good}");
        }
        for other in [None, Some("JWT"), Some("jwt"), Some("application/jwt")] {
            assert!(!accepts(&strict, other) && accepts(&lenient, other), "{other:?}");
        }
        for bad in ["", "dpop+jwt", "id+jwt", "logout+jwt", "application/", "x/at+jwt", "at+jwt "] {
            assert!(!accepts(&strict, Some(bad)) && !accepts(&lenient, Some(bad)), "{bad}");
        }
        let own = strict.with_types(["application/Session+JWT"]);
        assert!(accepts(&own, Some("session+jwt")) && !accepts(&own, Some("at+jwt")));
    }
}
