//! Gives work a time by which it has to be done, and ends it then.
//!
//! A deadline travels like a context value: to the tasks that the work spawns, to the timeouts it
//! sets, to the services it calls. It is only ever shortened.
//!
//! ```
//! use forebear::deadline;
//! use forebear::time::{Duration, sleep};
//!
//! # forebear::runtime::Runtime::new()?.block_on(async {
//! let late = deadline::within(Duration::from_millis(5), async {
//!     let child = forebear::spawn(async { deadline::remaining() });
//!     assert!(child.await.unwrap().is_some());
//!     sleep(Duration::from_secs(60)).await
//! });
//! assert!(late.await.is_err());
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use forebear_context::{Scope, deadline};
use pin_project_lite::pin_project;

pub use forebear_context::deadline::{current, sync_until, until};

use crate::time::error::Elapsed;
use crate::time::{Instant, Timeout};

/// Returns how much time is left for the work that is current: nothing if its time is over, `None`
/// if it may take as long as it takes. By the clock of the runtime, which tests can stop.
#[must_use]
pub fn remaining() -> Option<Duration> {
    let deadline = Instant::from_std(deadline::current()?);
    Some(deadline.saturating_duration_since(Instant::now()))
}

/// Runs a future that has to be done within so long, or by the deadline that is around, if that is
/// sooner. The future, and what it creates, knows that deadline.
///
/// # Errors
/// The output is [`Elapsed`] if the time came first.
///
/// # Panics
/// Outside a runtime.
///
/// # Cancel safety
/// As safe as `future`, which is dropped with it.
///
/// # Hooks
/// Those of a [`sleep`](crate::time::sleep()).
///
/// # Examples
/// See the [module](self).
#[track_caller]
pub fn within<F: Future>(duration: Duration, future: F) -> Within<F> {
    let own = Instant::now().saturating_add(duration);
    // What is made under a deadline is bounded by it without being told: see `timeout`.
    let future = until(own.into_std(), future);
    Within { timeout: Timeout::new(own, future, Location::caller()) }
}

pin_project! {
    /// The future of [`within`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Within<F> {
        #[pin]
        timeout: Timeout<Scope<F>>,
    }
}

impl<F: Future> Future for Within<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().timeout.poll(cx)
    }
}

impl<F> fmt::Debug for Within<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Within").field("timeout", &self.timeout).finish()
    }
}
