//! Which request bodies can be sent again after a rejection.

use bytes::Bytes;
use http_body::Body;
use http_body_util::{Empty, Full};
use std::any::Any;

/// Decides which request bodies can be sent a second time, and how.
///
/// If the resource rejects the token of a call, the layer repeats the call once with another token,
/// provided that its body can be sent again. The default policy is [`Known`]; the others are
/// [`Never`], [`Cloned`] and [`Buffered`](crate::client::Buffered).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot tell whether a body of type `{B}` can be sent again",
    note = "give another policy to `with_replay`: `Cloned` for a body that is `Clone`, \
            `Buffered` for any body, `Never` to repeat nothing"
)]
pub trait ReplayPolicy<B>: Clone + Send + Sync + 'static {
    /// The body that the inner service gets.
    type Body: Send;

    /// What is kept to send the body again.
    type Copy: Send + 'static;

    /// Returns `true` if [`split`](Self::split) gives a copy of `body`. A call that can be repeated does
    /// not wait for another token when a resource rejected the current one.
    ///
    /// Defaults to `false`.
    fn can_repeat(&self, body: &B) -> bool {
        let _ = body;
        false
    }

    /// Returns the body for the inner service if it will not be sent again.
    fn once(&self, body: B) -> Self::Body;

    /// Splits `body` into the body that is sent now and the copy to send it again, or `None` if it
    /// cannot be sent again.
    fn split(&self, body: B) -> (Self::Body, Option<Self::Copy>);

    /// Returns `true` if `copy` is whole so far, so that another token is worth waiting for.
    ///
    /// Defaults to `true`.
    fn is_whole(&self, copy: &Self::Copy) -> bool {
        let _ = copy;
        true
    }

    /// Returns another copy, for a call that may be repeated more than once: for a nonce of a DPoP proof,
    /// for its token, and for a second token that a store had.
    ///
    /// Defaults to `None`: the call is repeated once.
    fn keep(&self, copy: &Self::Copy) -> Option<Self::Copy> {
        let _ = copy;
        None
    }

    /// Returns the body to send again, or `None` if `copy` is not whole.
    fn again(&self, copy: Self::Copy) -> Option<Self::Body>;
}

/// Sends bodies again that are known to be whole: a body at its end, `Full<Bytes>`, `Empty<Bytes>`
/// and `String`. Every other body is sent once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known;

/// Sends no body again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Never;

/// Sends a clone of the body again, for bodies whose clone is whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cloned;

impl<B: Body + Default + Send + 'static> ReplayPolicy<B> for Known {
    type Body = B;
    type Copy = B;

    fn can_repeat(&self, body: &B) -> bool {
        let any: &dyn Any = body;
        body.is_end_stream()
            || any.is::<Full<Bytes>>()
            || any.is::<Empty<Bytes>>()
            || any.is::<String>()
    }

    fn once(&self, body: B) -> B {
        body
    }

    fn split(&self, body: B) -> (B, Option<B>) {
        let copy = self.keep(&body);
        (body, copy)
    }

    fn keep(&self, body: &B) -> Option<B> {
        if body.is_end_stream() {
            return Some(B::default());
        }
        copy_as::<Full<Bytes>, B>(body)
            .or_else(|| copy_as::<Empty<Bytes>, B>(body))
            .or_else(|| copy_as::<String, B>(body))
    }

    fn again(&self, copy: B) -> Option<B> {
        Some(copy)
    }
}

/// Returns a clone of `body` if it is a `T`.
fn copy_as<T: Clone + 'static, B: 'static>(body: &B) -> Option<B> {
    let body: &dyn Any = body;
    let mut copy = Some(body.downcast_ref::<T>()?.clone());
    let copy: &mut dyn Any = &mut copy;
    copy.downcast_mut::<Option<B>>()?.take()
}

impl<B: Send + 'static> ReplayPolicy<B> for Never {
    type Body = B;
    type Copy = B;

    fn once(&self, body: B) -> B {
        body
    }

    fn split(&self, body: B) -> (B, Option<B>) {
        (body, None)
    }

    fn again(&self, _: B) -> Option<B> {
        None
    }
}

impl<B: Clone + Send + 'static> ReplayPolicy<B> for Cloned {
    type Body = B;
    type Copy = B;

    fn can_repeat(&self, _: &B) -> bool {
        true
    }

    fn once(&self, body: B) -> B {
        body
    }

    fn split(&self, body: B) -> (B, Option<B>) {
        let copy = body.clone();
        (body, Some(copy))
    }

    fn keep(&self, copy: &B) -> Option<B> {
        Some(copy.clone())
    }

    fn again(&self, copy: B) -> Option<B> {
        Some(copy)
    }
}
