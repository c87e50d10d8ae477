//! A token in a file that another program replaces.

use crate::{
    AccessToken, ClientSecretSource, Clock,
    back_channel::jwt_expiry,
    client::{Error, ErrorKind, TokenResponse},
    observe::tokens,
};
use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long what was read is remembered. The kubelet replaces a token long before its end.
const MEMORY: Duration = Duration::from_secs(60);

pub(super) struct TokenFile {
    path: PathBuf,
    file: ClientSecretSource,
    clock: Clock,
    /// The last good token.
    last: Mutex<Option<AccessToken>>,
}

impl TokenFile {
    pub(super) fn new(path: PathBuf, clock: Clock) -> Self {
        let file = ClientSecretSource::from_file(&path);
        Self { path, file, clock, last: Mutex::default() }
    }

    /// Reads the file, or returns the last token while that is good.
    pub(super) fn read(&self) -> Result<TokenResponse, Error> {
        let newest = self.newest();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let token = match (newest, last.as_ref()) {
            (Ok(token), _) => token,
            (Err(error), Some(last)) if self.left(last) != Some(Duration::ZERO) => {
                tokens::file_unread(&error);
                last.clone()
            }
            (Err(error), _) => return Err(error),
        };
        *last = Some(token.clone());
        let lifetime = self.left(&token).map_or(MEMORY, |left| left.min(MEMORY));
        Ok(TokenResponse::new(token).with_lifetime(lifetime))
    }

    fn newest(&self) -> Result<AccessToken, Error> {
        let failed = |text: Box<str>| Error::new(ErrorKind::Source, text);
        let text = self.file.unexpired(self.clock.wall()).map_err(failed)?;
        AccessToken::new(text.expose())
            .map_err(|why| failed(format!("{}: {why}", self.path.display()).into()))
    }

    /// Returns how long `token` is good, if it says so.
    fn left(&self, token: &AccessToken) -> Option<Duration> {
        let expiry = jwt_expiry::expiry(token.expose()).ok()??;
        Some(expiry.duration_since(self.clock.wall()).unwrap_or_default())
    }
}
