use super::both;
use crate::{
    Answer, Clock, RequestHead,
    validate::{CacheSupport, Rejection, ValidateToken, Validated, Verdict},
};
use http::{Extensions, HeaderMap, Method, Uri, Version};
use std::{
    fmt,
    ops::ControlFlow::{self, Break, Continue},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::SystemTime,
};
use zeroize::Zeroizing;

/// Combines two validators: `second` judges the tokens that `first` does not know.
///
/// See [`FirstOf`].
pub fn first_of<A, B>(first: A, second: B) -> FirstOf<A, B>
where
    A: ValidateToken,
    B: ValidateToken<Claims = A::Claims>,
{
    FirstOf { first, second: Arc::new(second) }
}

/// Two validators of the same claims, called one after the other.
///
/// | verdict of the first | result |
/// |---|---|
/// | good | good |
/// | [`not_mine`](Rejection::not_mine), [`unknown`](Rejection::unknown), a JWT of none of its issuers | the second decides; a token that it does not know either is refused as invalid |
/// | any other verdict on the token: invalid, expired, revoked … | that verdict: the first knows the token as its own |
/// | [`unavailable`](Rejection::unavailable), [`internal`](Rejection::internal) | good if the second finds it good; otherwise the outage or failure |
///
/// An outage never becomes a 401. If both are unavailable, the shorter of the two times is the time
/// to try again. If one is unavailable and one fails, the answer is unavailable.
///
/// Nesting to the left or to the right is the same: `first_of(a, first_of(b, c))`. For a list of
/// validators at run time, fold [`SharedValidator`](crate::validate::SharedValidator)s. For claims of
/// different types, [map them](ValidateToken::map_claims) to a common one.
///
/// An `Introspection` knows every token, since its server answers alike for unknown and revoked
/// tokens. Put it last, or use a [`Route`](super::Route).
///
/// The second validator sees tokens of the first, and the first those of the second. If a token
/// shows which validator it is for, use a [`Route`](super::Route), which calls no other.
///
/// Put a cache around each of the two. A cache around both is correct, but calls them more often:
/// when either refuses a cached verdict at a [recheck](CacheSupport::recheck), both are called again.
/// Such are a token without an expiry beside a `JwtValidator`, and a token in its leeway beside a
/// validator without one, at each request.
///
/// A clone shares what the validators share in their clones.
///
/// ```
/// use tower_oauth2::{
///     AccessToken,
///     server::RequireToken,
///     validate::{Principal, Rejection, StaticTokens, Validated, first_of},
/// };
///
/// let robots = StaticTokens::new();
/// robots.insert("mF_9.B5f-4.1JqM", Principal::new("robot"))?;
/// let people = async |token: AccessToken| match token.expose() {
///     "2YotnFZFEjr1zCsicMWpAA" => Ok(Validated::from(Principal::new("alice"))),
///     _ => Err(Rejection::unknown()),
/// };
/// let layer = RequireToken::new("api", first_of(robots, people))?;
/// # let _ = layer;
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[must_use]
pub struct FirstOf<A, B> {
    first: A,
    second: Arc<B>,
}

impl<A: ValidateToken, B: ValidateToken<Claims = A::Claims>> ValidateToken for FirstOf<A, B> {
    type Claims = A::Claims;
    type Future = FirstOfFuture<A, B>;

    fn validate(&self, token: &str, request: RequestHead<'_>) -> Answer<Self::Future> {
        match self.first.validate(token, request) {
            Answer::Ready(verdict) => match next(verdict) {
                Break(verdict) => Answer::Ready(verdict),
                Continue(before) => ask(&*self.second, token, request, before),
            },
            Answer::Pending(verdict) => {
                let second = self.second.clone();
                let question =
                    Box::new(Question { second, presented: Presented::of(token, request) });
                let state = State::First { verdict, question: Some(question) };
                Answer::Pending(FirstOfFuture { state })
            }
        }
    }

    fn cache_support(&self) -> &dyn CacheSupport<A::Claims> {
        self
    }
}

impl<A, B> CacheSupport<A::Claims> for FirstOf<A, B>
where
    A: ValidateToken,
    B: ValidateToken<Claims = A::Claims>,
{
    fn split_at(&self, token: &[u8]) -> usize {
        let (first, second) = (self.first.cache_support(), self.second.cache_support());
        // What is secret to one of them is.
        first.split_at(token).min(second.split_at(token))
    }

    fn recheck(&self, validated: &Validated<A::Claims>, now: SystemTime) -> Result<(), Rejection> {
        // Either of them may have found it good.
        self.first.cache_support().recheck(validated, now)?;
        self.second.cache_support().recheck(validated, now)
    }

    fn clock(&self) -> Option<Clock> {
        self.first.cache_support().clock().or_else(|| self.second.cache_support().clock())
    }

    fn generation(&self) -> u64 {
        both(self.first.cache_support().generation(), self.second.cache_support().generation())
    }
}

/// Breaks with the verdict of the first, or goes on with its rejection to the second.
fn next<C>(verdict: Verdict<C>) -> ControlFlow<Verdict<C>, Rejection> {
    match verdict {
        Err(rejection) if !rejection.is_final() => Continue(rejection),
        verdict => Break(verdict),
    }
}

fn ask<A: ValidateToken, B: ValidateToken<Claims = A::Claims>>(
    second: &B,
    token: &str,
    request: RequestHead<'_>,
    before: Rejection,
) -> Answer<FirstOfFuture<A, B>> {
    match second.validate(token, request) {
        Answer::Ready(verdict) => Answer::Ready(verdict.map_err(|own| before.or(own))),
        Answer::Pending(verdict) => {
            let state = State::Second { verdict, before: Some(before) };
            Answer::Pending(FirstOfFuture { state })
        }
    }
}

/// The call of the second, prepared while the first takes its time.
struct Question<B> {
    second: Arc<B>,
    presented: Presented,
}

/// A token and the head of its request, while the first takes its time.
struct Presented {
    token: Zeroizing<String>,
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    extensions: Extensions,
}

impl Presented {
    fn of(token: &str, head: RequestHead<'_>) -> Self {
        Self {
            token: Zeroizing::new(token.to_owned()),
            method: head.method().clone(),
            uri: head.uri().clone(),
            version: head.version(),
            headers: head.headers().clone(),
            extensions: head.extensions().clone(),
        }
    }

    fn head(&self) -> RequestHead<'_> {
        RequestHead::new(&self.method, &self.uri, self.version, &self.headers, &self.extensions)
    }
}

pin_project_lite::pin_project! {
    /// The future of a [`FirstOf`].
    #[must_use = "futures do nothing unless polled"]
    pub struct FirstOfFuture<A: ValidateToken, B: ValidateToken> {
        #[pin]
        state: State<A, B>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProjection]
    enum State<A: ValidateToken, B: ValidateToken> {
        First {
            #[pin]
            verdict: A::Future,
            // Boxed: a head is large, and only a verdict that takes I/O gets here.
            question: Option<Box<Question<B>>>,
        },
        Second {
            #[pin]
            verdict: B::Future,
            before: Option<Rejection>,
        },
    }
}

impl<A: ValidateToken, B: ValidateToken<Claims = A::Claims>> Future for FirstOfFuture<A, B> {
    type Output = Verdict<A::Claims>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let state = match self.as_mut().project().state.project() {
                StateProjection::First { verdict, question } => {
                    let verdict = ready!(verdict.poll(cx));
                    // Taken once: the state is replaced below.
                    let Some(question) = question.take() else { return Poll::Pending };
                    let before = match next(verdict) {
                        Break(verdict) => return Poll::Ready(verdict),
                        Continue(before) => before,
                    };
                    let Question { second, presented } = &*question;
                    match ask::<A, B>(second, &presented.token, presented.head(), before) {
                        Answer::Ready(verdict) => return Poll::Ready(verdict),
                        Answer::Pending(FirstOfFuture { state }) => state,
                    }
                }
                StateProjection::Second { verdict, before } => {
                    let verdict = ready!(verdict.poll(cx));
                    let before = before.take();
                    return Poll::Ready(verdict.map_err(|own| match before {
                        Some(before) => before.or(own),
                        None => own,
                    }));
                }
            };
            self.as_mut().project().state.set(state);
        }
    }
}

impl<A: Clone, B> Clone for FirstOf<A, B> {
    fn clone(&self) -> Self {
        Self { first: self.first.clone(), second: self.second.clone() }
    }
}

opaque_debug!(FirstOf<A: fmt::Debug, B: fmt::Debug> { first, second, .. });

opaque_debug!(FirstOfFuture<A: ValidateToken, B: ValidateToken> { .. });
