//! Gives foreign futures and streams an id and a life, on whatever executor they run.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use crate::fault::quietly;
use crate::id::AsyncId;
use crate::kind::Kind;
use crate::life::{Birth, Life, Running};
use crate::reason::{Outcome, Reason};

/// Gives `future` a life of its own, of kind [`Kind::FUTURE`].
///
/// For another kind or a name, make an [`AsyncResource`](crate::AsyncResource) and give it the
/// future with [`instrument`](crate::AsyncResource::instrument).
///
/// # Hooks
/// `init` here; a pair around every poll, and around the destructor if it is dropped unfinished;
/// `promise_resolve` when it is ready; `destroy` when it is done or dropped. After a poll that
/// panicked that is its drop, too, with [`Reason::Panicked`].
///
/// # Examples
/// Any executor will do; here is one in a line:
/// ```
/// use std::pin::pin;
/// use std::task::{Context, Poll, Waker};
/// use forebear_hooks::{execution_async_id, instrument};
///
/// let mut future = pin!(instrument(async { execution_async_id() }));
/// let id = future.id();
/// let seen = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
/// # use std::future::Future;
/// assert_eq!(seen, Poll::Ready(id));
/// ```
#[track_caller]
pub fn instrument<F: Future>(future: F) -> Instrumented<F> {
    Instrumented::new(Life::begin(Birth::new(Kind::FUTURE, std::any::type_name::<F>)), future)
}

/// Gives `stream` a life of its own, of kind [`Kind::STREAM`].
///
/// # Hooks
/// `init` here; a pair around every poll for an item, and around the destructor if it is dropped
/// unfinished; `promise_resolve` at its end; `destroy` after that, or when it is dropped.
#[track_caller]
pub fn instrument_stream<S: Stream>(stream: S) -> InstrumentedStream<S> {
    let life = Life::begin(Birth::new(Kind::STREAM, std::any::type_name::<S>));
    InstrumentedStream { life: Some(life), is_in_poll: false, stream: Some(stream) }
}

pin_project! {
    /// A future with a life: see [`instrument`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Instrumented<F: Future> {
        // `None` once `destroy` was emitted.
        life: Option<Life>,
        // Still true after a poll that panicked.
        is_in_poll: bool,
        #[pin]
        future: Option<F>,
    }

    impl<F: Future> PinnedDrop for Instrumented<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            abandon(this.life.take(), *this.is_in_poll, || this.future.set(None));
        }
    }
}

impl<F: Future> Instrumented<F> {
    pub(crate) fn new(life: Life, future: F) -> Instrumented<F> {
        Instrumented { life: Some(life), is_in_poll: false, future: Some(future) }
    }

    /// Returns its id, `None` once it is done.
    #[must_use]
    pub fn id(&self) -> Option<AsyncId> {
        self.life.as_ref().map(Life::id)
    }
}

impl<F: Future> Future for Instrumented<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let Some(life) = this.life.as_ref() else {
            panic!("an instrumented future was polled after it had completed");
        };
        *this.is_in_poll = true;
        let ready = life.run(|running| {
            let ready = match this.future.as_mut().as_pin_mut() {
                Some(future) => future.poll(cx),
                None => return Poll::Pending,
            };
            if ready.is_ready() {
                conclude(running, || this.future.set(None));
            }
            ready
        });
        *this.is_in_poll = false;
        if ready.is_ready() {
            complete(this.life.take());
        }
        ready
    }
}

impl<F: Future> fmt::Debug for Instrumented<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instrumented").field("life", &self.life).finish_non_exhaustive()
    }
}

pin_project! {
    /// A stream with a life: see [`instrument_stream`].
    #[must_use = "streams do nothing unless polled"]
    pub struct InstrumentedStream<S: Stream> {
        // `None` once `destroy` was emitted.
        life: Option<Life>,
        // Still true after a poll that panicked.
        is_in_poll: bool,
        #[pin]
        stream: Option<S>,
    }

    impl<S: Stream> PinnedDrop for InstrumentedStream<S> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            abandon(this.life.take(), *this.is_in_poll, || this.stream.set(None));
        }
    }
}

impl<S: Stream> InstrumentedStream<S> {
    /// Returns its id, `None` once it is done.
    #[must_use]
    pub fn id(&self) -> Option<AsyncId> {
        self.life.as_ref().map(Life::id)
    }
}

impl<S: Stream> Stream for InstrumentedStream<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        // A stream that has ended stays ended.
        let Some(life) = this.life.as_ref() else { return Poll::Ready(None) };
        *this.is_in_poll = true;
        let item = life.run(|running| {
            let item = match this.stream.as_mut().as_pin_mut() {
                Some(stream) => stream.poll_next(cx),
                None => Poll::Ready(None),
            };
            if matches!(item, Poll::Ready(None)) {
                conclude(running, || this.stream.set(None));
            }
            item
        });
        *this.is_in_poll = false;
        if matches!(item, Poll::Ready(None)) {
            complete(this.life.take());
        }
        item
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}

impl<S: Stream> fmt::Debug for InstrumentedStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstrumentedStream").field("life", &self.life).finish_non_exhaustive()
    }
}

/// The result is there: says so, then drops what made it, as code of the resource. What was said is
/// final, so a destructor that panics takes nothing back.
fn conclude(running: &Running<'_>, drop_source: impl FnOnce()) {
    running.promise_resolve(Outcome::Ready);
    quietly(drop_source);
}

fn complete(life: Option<Life>) {
    if let Some(life) = life {
        life.end(Reason::Completed);
    }
}

/// Drops what is unfinished as code of the resource, and ends the resource, also when the
/// destructor panics.
fn abandon(life: Option<Life>, is_in_poll: bool, drop_source: impl FnOnce()) {
    let Some(life) = life else { return };
    let reason = if is_in_poll { Reason::Panicked } else { Reason::Cancelled };
    let ending = Ending(Some((life, reason)));
    if let Some((life, _)) = &ending.0 {
        life.run(|_| drop_source());
    }
}

/// Ends a life when it is dropped, on return and on unwind alike.
struct Ending(Option<(Life, Reason)>);

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some((life, reason)) = self.0.take() {
            life.end(reason);
        }
    }
}
