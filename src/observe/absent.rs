//! What stands in for a facade whose feature is off: of the same shape, and without effect.

#[cfg(not(feature = "metrics"))]
pub(super) mod metrics {
    use crate::observe::words::{Event, Outcome};
    use std::time::Duration;

    pub(in crate::observe) fn count_decision(_: Outcome, _: &str, _: &str) {}

    pub(in crate::observe) fn count(_: Event) {}

    pub(crate) struct Uses;

    impl Uses {
        pub(crate) fn new() -> Self {
            Self
        }

        pub(crate) fn none() -> Self {
            Self
        }

        #[inline]
        pub(crate) fn used(&self) {}
    }

    pub(in crate::observe) struct ExpiresIn;

    impl ExpiresIn {
        pub(in crate::observe) fn new(_: Option<String>) -> Self {
            Self
        }

        pub(in crate::observe) fn set(&self, _: Option<Duration>) {}
    }
}

#[cfg(not(feature = "tracing"))]
pub(super) mod tracing {
    macro_rules! event {
        ($($tokens:tt)*) => {};
    }

    macro_rules! enabled {
        ($($tokens:tt)*) => {
            false
        };
    }

    macro_rules! span {
        ($($tokens:tt)*) => {
            Span
        };
    }

    pub(in crate::observe) use {enabled, event, span};

    pub(crate) struct Span;

    impl Span {
        pub(crate) fn current() -> Self {
            Self
        }

        pub(in crate::observe) fn id(&self) {}

        pub(in crate::observe) fn follows_from(&self, (): ()) {}
    }

    pub(crate) trait Instrument: Sized {
        fn instrument(self, _: Span) -> Self {
            self
        }
    }

    impl<F: Future> Instrument for F {}
}
