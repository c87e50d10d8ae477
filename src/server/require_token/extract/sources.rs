use crate::{ConfigError, TokenLocation};

/// Where a layer reads tokens, and how.
#[derive(Clone, Debug)]
pub(in crate::server) struct Sources {
    /// Those that were set, read or not.
    set: Vec<TokenLocation>,
    /// Those that are read.
    locations: Vec<TokenLocation>,
    pub(in crate::server) dpop: DpopReading,
    /// The passwords with which a Basic user name is a token.
    pub(in crate::server) basic_passwords: Vec<Box<str>>,
    pub(in crate::server) query_on_any_method: bool,
    /// Takes the first of several tokens instead of refusing the request.
    pub(in crate::server) first_wins: bool,
    /// Takes the credentials that a browser adds to the requests of other sites.
    pub(in crate::server) cross_site: bool,
}

/// Whether DPoP tokens are read.
#[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "proofs are signed"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum DpopReading {
    Off,
    /// After the other locations.
    Beside,
    Alone,
}

/// The index of a location in the list of its [`Sources`].
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct LocationIndex(pub(super) usize);

impl LocationIndex {
    pub(in crate::server) const FIRST: Self = Self(0);
}

impl Sources {
    pub(in crate::server) fn new<I>(locations: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item = TokenLocation>,
    {
        let mut sources = Self {
            set: Vec::new(),
            locations: Vec::new(),
            dpop: DpopReading::Off,
            basic_passwords: vec!["".into()],
            query_on_any_method: false,
            first_wins: false,
            cross_site: false,
        };
        sources.set_locations(locations)?;
        Ok(sources)
    }

    pub(in crate::server) fn set_locations<I>(&mut self, locations: I) -> Result<(), ConfigError>
    where
        I: IntoIterator<Item = TokenLocation>,
    {
        self.set.clear();
        for location in locations {
            if location == TokenLocation::Dpop {
                return Err(ConfigError::new("DPoP tokens need a proof: with_dpop reads them"));
            }
            if !self.set.contains(&location) {
                self.set.push(location);
            }
        }
        if self.set.is_empty() {
            return Err(ConfigError::new(
                "RequireToken needs a location: with_locations names none",
            ));
        }
        self.set_dpop(self.dpop);
        Ok(())
    }

    /// Reads DPoP tokens too, or alone.
    pub(in crate::server) fn set_dpop(&mut self, dpop: DpopReading) {
        self.dpop = dpop;
        let others = if dpop == DpopReading::Alone { &[][..] } else { &self.set };
        let own = (dpop != DpopReading::Off).then_some(TokenLocation::Dpop);
        self.locations = others.iter().cloned().chain(own).collect();
    }

    /// Returns the locations that were set and are not read, because DPoP tokens are read alone.
    pub(in crate::server) fn unread(&self) -> &[TokenLocation] {
        if self.dpop == DpopReading::Alone { &self.set } else { &[] }
    }

    pub(in crate::server) fn locations(&self) -> &[TokenLocation] {
        &self.locations
    }

    pub(in crate::server) fn location(&self, index: LocationIndex) -> &TokenLocation {
        self.locations.get(index.0).unwrap_or(&TokenLocation::Bearer)
    }

    pub(in crate::server) fn reads_basic(&self) -> bool {
        let basic = |location: &TokenLocation| {
            matches!(location, TokenLocation::BasicUserName | TokenLocation::BasicPassword(_))
        };
        self.locations.iter().any(basic)
    }
}
