//! The source of a secret that may change while the program runs.

use super::{jwt_expiry, scrub};
use crate::ClientSecret;
use std::{
    error::Error,
    fmt,
    fs::File,
    io::Read,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};
use zeroize::Zeroizing;

/// The longest secret that is read from a file, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// The source of a client's secret, or of a token that a client presents: a fixed [`ClientSecret`],
/// or one that is read at each attempt, so that a rotated secret is used without a restart.
///
/// While the next attempt is delayed because the authorization server refused the client, each call
/// reads the secret again. A changed secret is tried at once.
///
/// The task that fetches tokens reads it, or the call that would fail. Reading must not block for
/// long. If it fails, so does the attempt, and nothing is sent.
///
/// ```
/// use tower_oauth2::{ClientAuthentication, ClientSecretSource};
///
/// let file = ClientSecretSource::from_file("/run/secrets/client-secret");
/// let client = ClientAuthentication::basic("id", file);
/// ```
#[derive(Clone)]
pub struct ClientSecretSource {
    source: Source,
    /// The secret that was returned last.
    last: Arc<Mutex<Option<ClientSecret>>>,
}

type AskForSecret = dyn Fn() -> Result<ClientSecret, Box<str>> + Send + Sync;

#[derive(Clone)]
enum Source {
    Fixed(ClientSecret),
    Asked { ask: Arc<AskForSecret>, name: Arc<str> },
}

impl ClientSecretSource {
    fn new(source: Source) -> Self {
        Self { source, last: Arc::default() }
    }

    fn asked(
        name: &str,
        ask: impl Fn() -> Result<ClientSecret, Box<str>> + Send + Sync + 'static,
    ) -> Self {
        Self::new(Source::Asked { ask: Arc::new(ask), name: name.into() })
    }

    /// Reads the file at `path`, without the line ends after the secret: at most 64 KiB of UTF-8,
    /// in a regular file or behind a link to one. The read blocks, so the file should be local.
    pub fn from_file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self::asked(&format!("file {}", path.display()), move || {
            read(&path).map_err(|why| {
                format!("the secret cannot be read from {}: {why}", path.display()).into()
            })
        })
    }

    /// Reads the environment variable `name`, byte for byte.
    pub fn from_env(name: impl Into<String>) -> Self {
        let name = name.into();
        Self::asked("environment", move || match std::env::var(&name) {
            Ok(secret) if !secret.is_empty() => Ok(secret.into()),
            _ => Err(format!("the client's secret is not in the variable {name:?}").into()),
        })
    }

    /// Calls `secret`.
    ///
    /// ```
    /// use tower_oauth2::{ClientSecret, ClientSecretSource};
    ///
    /// # fn newest() -> std::io::Result<ClientSecret> { Ok("s3cr3t".into()) }
    /// let source = ClientSecretSource::from_fn(|| newest());
    /// ```
    pub fn from_fn<F, E>(secret: F) -> Self
    where
        F: Fn() -> Result<ClientSecret, E> + Send + Sync + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Self::asked("closure", move || {
            secret().map_err(|error| {
                let why = scrub::chain(error.into().as_ref(), str::to_owned);
                format!("there is no client secret: {why}").into()
            })
        })
    }

    /// Returns the secret for an attempt.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(crate) fn secret(&self) -> Result<ClientSecret, Box<str>> {
        match &self.source {
            Source::Fixed(secret) => Ok(secret.clone()),
            Source::Asked { ask, .. } => {
                let secret = ask()?;
                *self.last() = Some(secret.clone());
                Ok(secret)
            }
        }
    }

    /// Returns the secret for an attempt. It may be a JWT.
    ///
    /// # Errors
    ///
    /// When there is none, or it is a JWT that has expired at `now` or is cut off.
    pub(crate) fn unexpired(&self, now: SystemTime) -> Result<ClientSecret, Box<str>> {
        let secret = self.secret()?;
        let Source::Asked { name, .. } = &self.source else { return Ok(secret) };
        let ended = match jwt_expiry::expiry(secret.expose()) {
            Ok(expiry) => expiry.and_then(|expiry| now.duration_since(expiry).ok()),
            Err(why) => {
                return Err(format!("the JWT of the {name} cannot be sent: {why}").into());
            }
        };
        match ended {
            Some(ago) => {
                Err(format!("the JWT of the {name} expired {} s ago", ago.as_secs()).into())
            }
            None => Ok(secret),
        }
    }

    /// Returns the secret if it is fixed.
    pub(crate) fn fixed(&self) -> Option<&ClientSecret> {
        match &self.source {
            Source::Fixed(secret) => Some(secret),
            Source::Asked { .. } => None,
        }
    }

    /// Returns `true` if the secret is read anew at each attempt.
    pub(crate) fn may_change(&self) -> bool {
        matches!(self.source, Source::Asked { .. })
    }

    /// Returns `true` if the secret has changed since it was last returned.
    pub(crate) fn has_changed(&self) -> bool {
        let Source::Asked { ask, .. } = &self.source else { return false };
        let Ok(secret) = ask() else { return false };
        self.last().as_ref().is_none_or(|last| last.expose() != secret.expose())
    }

    /// Returns the same source, with its own memory of the last secret.
    pub(crate) fn detached(&self) -> Self {
        Self::new(self.source.clone())
    }

    fn last(&self) -> MutexGuard<'_, Option<ClientSecret>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a file that an attempt needs: without the line ends after it, at most [`MAX_FILE`].
pub(super) fn read(path: &std::path::Path) -> Result<ClientSecret, String> {
    let failed = |error: std::io::Error| error.kind().to_string();
    // A pipe would block for ever, before it is opened already.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err("it is no regular file".into());
    }
    let file = File::open(path).map_err(failed)?;
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_FILE {
        return Err("it is longer than 64 KiB".into());
    }
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err("it is empty".into()),
        secret => Ok(ClientSecret::new(secret)),
    }
}

impl<T: Into<ClientSecret>> From<T> for ClientSecretSource {
    fn from(secret: T) -> Self {
        Self::new(Source::Fixed(secret.into()))
    }
}

impl fmt::Debug for ClientSecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Fixed(secret) => secret.fmt(f),
            Source::Asked { name, .. } => write!(f, "ClientSecretSource({name})"),
        }
    }
}
