//! Lets other tasks go first.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::task::waker;

thread_local! {
    /// The task that this thread polls, by its address, which is compared and never followed; with
    /// [`YIELDED`] when it has asked to be polled again.
    static POLLED: Cell<usize> = const { Cell::new(0) };
}

/// No task has an odd address.
const YIELDED: usize = 1;

/// Puts the task at the end of its worker's queue.
///
/// # Cancel safety
/// Safe.
///
/// # Hooks
/// Emits nothing but the pair of the task's next poll.
pub fn yield_now() -> YieldNow {
    YieldNow { has_yielded: false }
}

/// The future of [`yield_now`].
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct YieldNow {
    has_yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_yielded {
            return Poll::Ready(());
        }
        self.has_yielded = true;
        again(cx);
        Poll::Pending
    }
}

/// Sees to it that whoever is being polled is polled again, when others have had their turn.
///
/// A task of ours tells that to its own poll, which has the right to it and can pass that on to
/// the queue: a wake would take three read-modify-writes of its state.
#[inline]
pub(crate) fn again(cx: &Context<'_>) {
    let polled = POLLED.get();
    match waker::task_of(cx.waker()) {
        Some(task) if task.addr().get() == polled & !YIELDED => POLLED.set(polled | YIELDED),
        _ => cx.waker().wake_by_ref(),
    }
}

/// Runs `poll`, which polls the task at this address. Says also whether it yielded.
#[inline]
pub(crate) fn watch<R>(task: usize, poll: impl FnOnce() -> R) -> (R, bool) {
    let outer = POLLED.replace(task);
    let polled = poll();
    (polled, POLLED.replace(outer) & YIELDED != 0)
}
