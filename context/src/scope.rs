//! Polls a future in another frame: the one future that all scopes of this crate are.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use forebear_hooks::{Frame, FrameValue};
use pin_project_lite::pin_project;

use crate::fields::{self, Field};

/// How a scope's frame is made from the one around it.
pub(crate) enum Change {
    /// One value is another, or gone.
    Value(FrameValue),
    /// Fields are added to those of the branch.
    Fields(Vec<Field>),
    /// There is a deadline, unless a sooner one is around.
    Deadline(Instant),
    /// Whatever is around.
    Replace(Frame),
}

impl Change {
    fn apply(&self, outer: &Frame) -> Frame {
        match self {
            Change::Value(value) => outer.changed(value),
            Change::Fields(fields) => fields::with_branch(outer, fields),
            Change::Deadline(deadline) => outer.with_deadline(*deadline),
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
    /// Runs `f` in the frame of the scope.
    #[inline]
    fn run<R>(&mut self, f: impl FnOnce() -> R) -> R {
        let is_made = Frame::with_current(|outer| {
            self.made.as_ref().is_some_and(|(seen, _)| seen.ptr_eq(outer))
        });
        if !is_made {
            self.make();
        }
        match &self.made {
            Some((_, frame)) => frame.sync_scope(f),
            None => f(),
        }
    }

    #[cold]
    fn make(&mut self) {
        let Inner { change, made } = self;
        let stale = Frame::with_current(|outer| made.replace((outer.clone(), change.apply(outer))));
        // Values may go with it, whose destructors are foreign code: nothing is borrowed here.
        drop(stale);
    }

    /// Lets go of the values: the work is done, though its future may be kept.
    fn end(&mut self) {
        let change = std::mem::replace(&mut self.change, Change::Replace(Frame::empty()));
        drop((change, self.made.take()));
    }
}

pin_project! {
    /// A future that runs with other context values than what is around it.
    ///
    /// It owns what it needs, so it can be spawned. Its values are those of the place where it is
    /// polled, changed as the scope says; that place may be another one at each poll.
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
                this.inner.run(|| this.future.set(None));
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

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let ready = this.inner.run(|| {
            let Some(future) = this.future.as_mut().as_pin_mut() else {
                panic!("a scope was polled after it had completed");
            };
            let ready = future.poll(cx);
            if ready.is_ready() {
                this.future.set(None);
            }
            ready
        });
        if ready.is_ready() {
            this.inner.end();
        }
        ready
    }
}

impl<F> fmt::Debug for Scope<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("is_done", &self.future.is_none()).finish_non_exhaustive()
    }
}
