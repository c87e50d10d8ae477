use crate::vocabulary::clock::MAX_LIFETIME;
use std::{sync::Arc, time::Duration};

/// Decides when a [`TokenCache`](crate::client::TokenCache) fetches, how long its callers wait, and
/// how long a token counts as good.
///
/// ```
/// use std::time::Duration;
/// use tower_oauth2::client::RefreshPolicy;
///
/// let policy = RefreshPolicy::default().with_patience(Duration::from_secs(10));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RefreshPolicy {
    /// Shared, because each user of a pool has a policy.
    values: Arc<Values>,
}

#[derive(Clone, Debug)]
pub(in crate::client) struct Values {
    pub(in crate::client) lead_ratio: f64,
    pub(in crate::client) lead_cap: Duration,
    pub(in crate::client) jitter: bool,
    pub(in crate::client) margin: Option<Duration>,
    pub(in crate::client) patience: Duration,
    pub(in crate::client) fetch_deadline: Duration,
    pub(in crate::client) min_interval: Duration,
    pub(in crate::client) default_lifetime: Duration,
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        let values = Values {
            lead_ratio: 0.2,
            lead_cap: Duration::from_secs(5 * 60),
            jitter: true,
            margin: None,
            patience: Duration::from_secs(5),
            fetch_deadline: Duration::from_secs(30),
            min_interval: Duration::from_secs(1),
            default_lifetime: Duration::from_secs(5 * 60),
        };
        Self { values: Arc::new(values) }
    }
}

impl Values {
    /// Returns how long before its end a token of this lifetime is renewed.
    pub(in crate::client) fn lead(&self, lifetime: Duration) -> Duration {
        lifetime.mul_f64(self.lead_ratio).min(self.lead_cap)
    }

    /// Returns how long before its end a token of this lifetime is not used any more.
    pub(in crate::client) fn margin(&self, lifetime: Duration) -> Duration {
        match self.margin {
            Some(margin) => margin.min(lifetime / 2),
            None => Duration::from_secs(10).min(self.lead(lifetime) / 2),
        }
    }
}

impl RefreshPolicy {
    pub(in crate::client) fn values(&self) -> &Values {
        &self.values
    }

    fn change(&mut self) -> &mut Values {
        Arc::make_mut(&mut self.values)
    }

    /// Sets how long before its expiry a token is renewed in the background: `ratio` of its lifetime
    /// (between 0 and 1), at most `cap`. Defaults to 0.2 and 5 min.
    pub fn with_lead(mut self, ratio: f64, cap: Duration) -> Self {
        self.change().lead_ratio = if ratio.is_finite() { ratio.clamp(0.0, 1.0) } else { 0.0 };
        self.change().lead_cap = cap;
        self
    }

    /// Renews all tokens at the full lead. Defaults to an earlier moment of each cache's own, by up
    /// to another lead, so that a fleet that started at once does not renew at once.
    pub fn without_jitter(mut self) -> Self {
        self.change().jitter = false;
        self
    }

    /// Sets how long before its expiry a token is no longer sent, at most half of its lifetime.
    /// Defaults to 10 s, at most half of the lead.
    pub fn with_safety_margin(mut self, margin: Duration) -> Self {
        self.change().margin = Some(margin);
        self
    }

    /// Sets how long a caller waits for a token, for fetches and the pauses between them together. With
    /// zero it waits for the fetch in flight, however long, and for no pause. Defaults to 5 s.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.change().patience = patience;
        self
    }

    /// Sets how long one fetch may take. Defaults to 30 s. Time in which the process was stopped does
    /// not count. After it, callers give up a fetch whose runtime does not run, and start another.
    ///
    /// For a session, keep it longer than the connect timeout of the transport, 10 s for
    /// `Transport::https`: a renewal that is cut off earlier counts as sent, and its answer as lost.
    pub fn with_fetch_deadline(mut self, deadline: Duration) -> Self {
        self.change().fetch_deadline = deadline;
        self
    }

    /// Sets the least time between the starts of two fetches, whatever the server says. The first
    /// fetch after a rejection, or after the credential changed, does not wait for it, once in
    /// that time. Defaults to 1 s.
    pub fn with_min_interval(mut self, interval: Duration) -> Self {
        self.change().min_interval = interval;
        self
    }

    /// Sets how long a token is good if the server names no lifetime, at most ten years. A token that
    /// cannot be fetched again is then good until it is rejected. Defaults to 5 min.
    pub fn with_default_lifetime(mut self, lifetime: Duration) -> Self {
        self.change().default_lifetime = lifetime.min(MAX_LIFETIME);
        self
    }
}
