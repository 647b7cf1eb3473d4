//! Waits for a future, but not longer than until a point in time.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::hooks::Frame;
use crate::task::coop;
use crate::time::{Instant, Sleep};

/// Waits for a future, but not longer than so long.
///
/// The future is polled first: if it is ready at the deadline, it has won. Work that has to be done
/// by a deadline is not waited for any longer than that.
///
/// # Errors
/// The future's output is [`Elapsed`] if the time came first.
///
/// # Panics
/// Outside a runtime.
///
/// # Cancel safety
/// As safe as `future`, which is dropped with the timeout.
///
/// # Hooks
/// Those of a [`sleep`](crate::time::sleep()).
///
/// # Examples
/// ```
/// use forebear::time::{Duration, timeout};
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let never = std::future::pending::<()>();
/// assert!(timeout(Duration::from_millis(2), never).await.is_err());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    let (future, location) = (future.into_future(), Location::caller());
    match around() {
        None => Timeout { future, delay: Sleep::for_so_long(duration, || "timeout", location) },
        Some(_) => Timeout::new(Instant::now().saturating_add(duration), future, location),
    }
}

/// Waits for a future, but not longer than until a point in time. See [`timeout`].
///
/// # Panics
/// Outside a runtime.
#[track_caller]
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout::new(deadline, future.into_future(), Location::caller())
}

/// Returns by when the work that is current has to be done.
fn around() -> Option<Instant> {
    Frame::with_current(Frame::deadline).map(Instant::from_std)
}

pin_project! {
    /// The future of [`timeout`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        delay: Sleep,
    }
}

impl<F> Timeout<F> {
    /// Waits until this deadline, or until one that is around and sooner.
    pub(crate) fn new(
        deadline: Instant,
        future: F,
        location: &'static Location<'static>,
    ) -> Timeout<F> {
        let sooner = around().map_or(deadline, |around| around.min(deadline));
        Timeout { future, delay: Sleep::until(sooner, || "timeout", location) }
    }

    /// Returns the future.
    pub fn get_ref(&self) -> &F {
        &self.future
    }

    /// Returns the future.
    pub fn get_mut(&mut self) -> &mut F {
        &mut self.future
    }

    /// Returns the future, without a limit.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let had_budget = coop::has_budget_remaining();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        // A future that uses up every budget must not keep its own limit from being seen.
        let is_used_up = had_budget && !coop::has_budget_remaining();
        let _break = is_used_up.then(coop::break_from_turns);
        Pin::new(this.delay).poll(cx).map(|()| Err(Elapsed(())))
    }
}

impl<F> fmt::Debug for Timeout<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout").field("delay", &self.delay).finish_non_exhaustive()
    }
}

/// The time came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl Elapsed {
    #[cfg(feature = "tower")]
    pub(crate) fn new() -> Elapsed {
        Elapsed(())
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for std::io::Error {
    fn from(_: Elapsed) -> std::io::Error {
        std::io::ErrorKind::TimedOut.into()
    }
}
