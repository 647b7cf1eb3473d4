//! Lets other tasks go first.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::task::coop;

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
        coop::again(cx);
        Poll::Pending
    }
}
