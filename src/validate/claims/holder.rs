//! Who holds a token, beyond the registered claims: its client, roles, session and actor.

use super::{NOT_GOOD, listed, shown, told, unfit};
use crate::{
    ConfigError,
    validate::{
        Principal, Rejection,
        principal::{Actor, More},
    },
};
use serde_json::Value;

/// How many names a JSON pointer may have.
const MAX_SEGMENTS: usize = 8;
/// How many roles a token has at most. Those after them do not count.
const MAX_ROLES: usize = 256;
/// How many actors of a chain are kept (RFC 8693 §4.1).
const MAX_ACTORS: usize = 4;

/// What a principal has beyond the registered claims, and the clients whose tokens are accepted.
/// Defaults to nothing, and to all clients.
#[derive(Clone, Debug, Default)]
pub(in crate::validate) struct Holder {
    /// The first of them that a token has names its client. Empty leaves that to the profile.
    pub(in crate::validate) client_claims: Vec<Box<str>>,
    pub(in crate::validate) client_ids: Option<Vec<Box<str>>>,
    pub(in crate::validate) role_claims: Vec<Box<str>>,
    /// The names of an object are roles.
    pub(in crate::validate) role_objects: bool,
    pub(in crate::validate) actor: bool,
    pub(in crate::validate) session: bool,
}

impl Holder {
    /// Sets the claims that hold roles.
    ///
    /// # Errors
    ///
    /// When one is empty, or a JSON pointer that is malformed or too long.
    pub(in crate::validate) fn set_role_claims(
        &mut self,
        claims: impl Iterator<Item = Box<str>>,
    ) -> Result<(), ConfigError> {
        let checked = claims.map(|claim| {
            let segments = claim.strip_prefix('/').map(|rest| rest.split('/'));
            let is_pointer = segments.is_none_or(|mut segments| {
                let escapes = |segment: &str| {
                    segment.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
                };
                segments.clone().count() <= MAX_SEGMENTS && segments.all(escapes)
            });
            match is_pointer && !claim.is_empty() {
                true => Ok(claim),
                false => Err(ConfigError::new(format!(
                    "the role claim {claim:?} is neither a name nor a JSON pointer (RFC 6901) of at \
                     most {MAX_SEGMENTS} names"
                ))),
            }
        });
        self.role_claims = checked.collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Returns `true` if the claims themselves have to be looked at.
    pub(in crate::validate) fn reads_claims(&self) -> bool {
        self.actor || self.session || !self.role_claims.is_empty() || !self.client_claims.is_empty()
    }

    /// Adds to `principal` what `claims` say, which the issuer vouches for.
    ///
    /// # Errors
    ///
    /// When the token is of another client, or its `act` is not an object.
    pub(in crate::validate) fn apply(
        &self,
        claims: &Value,
        principal: &mut Principal,
    ) -> Result<(), Rejection> {
        if !self.client_claims.is_empty() {
            principal.client_id = self.client(claims)?.map(Into::into);
        }
        self.check_client(principal.client_id())?;
        let mut more = More::default();
        let mut roles: Vec<_> =
            self.role_claims.iter().flat_map(|at| self.roles(claims, at)).collect();
        roles.truncate(MAX_ROLES);
        more.roles = roles.into_iter().map(Into::into).collect();
        if self.session {
            more.session_id = text(claims.get("sid")).map(Into::into);
            let amr = claims.get("amr").into_iter().flat_map(texts);
            more.authentication_methods = amr.map(Into::into).collect();
        }
        if self.actor {
            more.actor = actor(claims.get("act"), MAX_ACTORS)?;
        }
        principal.more = (more != More::default()).then(|| Box::new(more));
        Ok(())
    }

    /// Returns the client that the first of the client claims names.
    fn client<'c>(&self, claims: &'c Value) -> Result<Option<&'c str>, Rejection> {
        let there = self.client_claims.iter().find_map(|claim| {
            let value = claims.get(&**claim)?;
            let is_absent = value.is_null() || value == "" || *value == Value::Array(Vec::new());
            (!is_absent).then_some((claim, value))
        });
        let Some((claim, value)) = there else { return Ok(None) };
        let wrong = || unfit(NOT_GOOD, &told(claim, "a text", "another value"));
        value.as_str().map(Some).ok_or_else(wrong)
    }

    /// Checks that the token is of one of the clients.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub(super) fn check_client(&self, client_id: Option<&str>) -> Result<(), Rejection> {
        let name = self.client_claims.first().map_or("client_id", |first| first);
        match &self.client_ids {
            Some(own) if !own.iter().any(|own| Some(&**own) == client_id) => {
                let expected = listed(own.iter().map(AsRef::as_ref));
                let told = told(name, expected, shown(client_id));
                Err(unfit("the access token is of another client", &told))
            }
            None if client_id.is_none() && !self.client_claims.is_empty() => {
                let told = told(name, "a client", shown(None));
                Err(unfit("the access token names no client", &told))
            }
            _ => Ok(()),
        }
    }

    fn roles<'c>(&self, claims: &'c Value, at: &str) -> Vec<&'c str> {
        let value = if at.starts_with('/') { claims.pointer(at) } else { claims.get(at) };
        match value {
            Some(Value::Object(members)) if self.role_objects => {
                members.keys().map(String::as_str).take(MAX_ROLES).collect()
            }
            Some(value) => texts(value).take(MAX_ROLES).collect(),
            None => Vec::new(),
        }
    }
}

/// Returns a text that is not empty.
fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Returns the text that `value` is, or the texts of the list that it is, each whole.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    items.iter().filter_map(|item| text(Some(item)))
}

fn actor(act: Option<&Value>, depth: usize) -> Result<Option<Actor>, Rejection> {
    let members = match act {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(members)) => members,
        Some(_) => {
            let told = told("act", "an object", "another value");
            return Err(unfit("the actor of the access token cannot be read", &told));
        }
    };
    let earlier = match depth.checked_sub(1) {
        None | Some(0) => None,
        Some(depth) => actor(members.get("act"), depth)?,
    };
    Ok(Some(Actor {
        subject: text(members.get("sub")).map(Into::into),
        issuer: text(members.get("iss")).map(Into::into),
        client_id: text(members.get("client_id")).map(Into::into),
        earlier: earlier.map(Box::new),
    }))
}

/// Defines the settings of a [`Holder`] for a type with the method `with_holder`.
macro_rules! holder_setters {
    () => {
        /// Accepts only tokens of these clients, compared byte for byte: the check for issuers whose
        /// tokens name no audience. Defaults to all clients.
        pub fn with_client_ids<I: IntoIterator<Item: Into<Box<str>>>>(self, client_ids: I) -> Self {
            let client_ids = client_ids.into_iter().map(Into::into).collect();
            self.with_holder(|holder| holder.client_ids = Some(client_ids))
        }

        /// Sets the claims that name the client, such as `azp`, `appid` or `cid`: the first that a
        /// token has, which must be a text. A token without any of them is refused. Defaults to `client_id`, and to `azp`
        /// where that is allowed.
        pub fn with_client_claims<I: IntoIterator<Item: Into<Box<str>>>>(self, claims: I) -> Self {
            let claims = claims.into_iter().map(Into::into).collect();
            self.with_holder(|holder| holder.client_claims = claims)
        }

        /// Sets the claims that hold roles: a JSON pointer
        /// ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) if it begins with `/`, such as
        /// `/realm_access/roles`, or else a name. Each text there, or each text in a list, is one role
        /// of [`Principal::roles`](crate::validate::Principal::roles), the first 256 of a token, and the
        /// same wherever it is: `admin` in two claims is one role. Anything else grants none. Defaults
        /// to none.
        ///
        /// # Errors
        ///
        /// When one is empty, or a pointer that is malformed or of more than 8 names.
        pub fn with_role_claims<I>(self, claims: I) -> Result<Self, crate::ConfigError>
        where
            I: IntoIterator<Item: Into<Box<str>>>,
        {
            let mut set = Ok(());
            let changed = self.with_holder(|holder| {
                set = holder.set_role_claims(claims.into_iter().map(Into::into));
            });
            set.map(|()| changed)
        }

        /// Takes the names of an object at a role claim for roles too, whatever their values say: for
        /// Zitadel, which has there in which organization a role is held. Defaults to no roles.
        pub fn allow_role_objects(self) -> Self {
            self.with_holder(|holder| holder.role_objects = true)
        }

        /// Reads who acts for the subject (`act`,
        /// [RFC 8693 §4.1](https://www.rfc-editor.org/rfc/rfc8693#section-4.1)) into
        /// [`Principal::actor`](crate::validate::Principal::actor), with up to three earlier actors. An
        /// `act` that is not an object, such as an empty text or a list, refuses the token; `null` is no
        /// actor, and an empty object one without a name. Defaults to not reading it.
        pub fn with_actor(self) -> Self {
            self.with_holder(|holder| holder.actor = true)
        }

        /// Reads the session (`sid`) and how the user authenticated (`amr`) into
        /// [`Principal::session_id`](crate::validate::Principal::session_id) and
        /// [`Principal::authentication_methods`](crate::validate::Principal::authentication_methods).
        /// Defaults to not reading them.
        pub fn with_session_claims(self) -> Self {
            self.with_holder(|holder| holder.session = true)
        }
    };
}

pub(in crate::validate) use holder_setters;
