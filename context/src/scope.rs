//! Polls a future in another frame: the one future that all scopes of this crate are.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use forebear_hooks::{Frame, FrameKey};
use pin_project_lite::pin_project;

/// How a scope's frame is made from the one around it.
pub(crate) enum Change {
    Set(Arc<FrameKey>, Arc<dyn Any + Send + Sync>),
    Unset(Arc<FrameKey>),
    /// Whatever is around.
    Replace(Frame),
}

impl Change {
    fn apply(&self, outer: &Frame) -> Frame {
        match self {
            Change::Set(key, value) => outer.with(key, value.clone()),
            Change::Unset(key) => outer.without(key),
            Change::Replace(frame) => frame.clone(),
        }
    }
}

/// The frame of a scope, kept for as long as the one around it is the same.
pub(crate) struct Inner {
    change: Change,
    /// The frame around at the last poll, and what it became.
    made: Option<(Frame, Frame)>,
}

impl Inner {
    fn frame(&mut self) -> Frame {
        let change = &self.change;
        let made = &mut self.made;
        let stale = Frame::with_current(|outer| match made {
            Some((seen, _)) if seen.ptr_eq(outer) => None,
            _ => made.replace((outer.clone(), change.apply(outer))),
        });
        // Values may go with it, whose destructors are foreign code: nothing is borrowed here.
        drop(stale);
        made.as_ref().map(|(_, inner)| inner.clone()).unwrap_or_default()
    }
}

pin_project! {
    /// A future that runs with other context values than what is around it.
    ///
    /// It owns what it needs, so it can be spawned, and is spawned with the values of the place
    /// where it is polled, changed as its scope says.
    #[must_use = "futures do nothing unless polled"]
    pub struct Scope<F> {
        inner: Inner,
        // `None` once it has been dropped, in the frame of the scope.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Scope<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                this.inner.frame().sync_scope(|| this.future.set(None));
            }
        }
    }
}

impl<F: Future> Scope<F> {
    pub(crate) fn new(change: Change, future: F) -> Scope<F> {
        Scope { inner: Inner { change, made: None }, future: Some(future) }
    }
}

impl<F: Future> Future for Scope<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        this.inner.frame().sync_scope(|| {
            let Some(future) = this.future.as_mut().as_pin_mut() else {
                panic!("a scope was polled after it had completed");
            };
            let ready = future.poll(cx);
            if ready.is_ready() {
                this.future.set(None);
            }
            ready
        })
    }
}

impl<F> fmt::Debug for Scope<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("is_done", &self.future.is_none()).finish_non_exhaustive()
    }
}
