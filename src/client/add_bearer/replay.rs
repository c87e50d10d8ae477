//! Which request bodies can be sent again after a rejection.

use bytes::Bytes;
use http_body::Body;
use http_body_util::{Empty, Full};
use std::any::Any;

/// Says whether, and how, a request body can be sent a second time.
///
/// A call whose token the resource rejects is repeated once with another token, if its body can
/// be. [`Known`] is the default; [`Never`], [`Cloned`] and [`Buffered`](crate::client::Buffered) are the
/// others.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot tell whether a body of type `{B}` can be sent again",
    note = "give another policy to `with_replay`: `Cloned` for a body that is `Clone`, \
            `Buffered` for any body, `Never` to repeat nothing"
)]
pub trait ReplayPolicy<B>: Clone + Send + Sync + 'static {
    /// The body that the inner service gets.
    type Body: Send;

    /// What is kept for the second time.
    type Copy: Send + 'static;

    /// The body that the inner service gets, where nothing need be kept.
    fn once(&self, body: B) -> Self::Body;

    /// Splits `body` into what is sent now and what is kept, where something can be.
    fn split(&self, body: B) -> (Self::Body, Option<Self::Copy>);

    /// Whether what was kept is enough so far, so that another token is worth waiting for.
    ///
    /// Defaults to `true`.
    fn is_whole(&self, copy: &Self::Copy) -> bool {
        let _ = copy;
        true
    }

    /// The body once more, where what was kept is enough.
    fn again(&self, copy: Self::Copy) -> Option<Self::Body>;
}

/// Sends again what is known to be whole: a body at its end, `Full<Bytes>`, `Empty<Bytes>`,
/// `String`. Every other body is sent once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known;

/// Sends nothing again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Never;

/// Sends a clone again: for bodies whose clone is whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cloned;

impl<B: Body + Default + Send + 'static> ReplayPolicy<B> for Known {
    type Body = B;
    type Copy = B;

    fn once(&self, body: B) -> B {
        body
    }

    fn split(&self, body: B) -> (B, Option<B>) {
        let copy = if body.is_end_stream() {
            Some(B::default())
        } else {
            copy_as::<Full<Bytes>, B>(&body)
                .or_else(|| copy_as::<Empty<Bytes>, B>(&body))
                .or_else(|| copy_as::<String, B>(&body))
        };
        (body, copy)
    }

    fn again(&self, copy: B) -> Option<B> {
        Some(copy)
    }
}

/// A clone of `body` where it is a `T`.
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

    fn once(&self, body: B) -> B {
        body
    }

    fn split(&self, body: B) -> (B, Option<B>) {
        let copy = body.clone();
        (body, Some(copy))
    }

    fn again(&self, copy: B) -> Option<B> {
        Some(copy)
    }
}
