//! Says until when the work has to be done: a word that travels like a value, and is only shortened.
//!
//! Here are the parts that need no timer. The runtime's own module of this name also ends the work
//! when its time is over.

use std::future::Future;
use std::time::{Duration, Instant};

use forebear_hooks::Frame;

use crate::scope::{Change, Scope};

/// Returns until when the work that is current has to be done, if that was said.
#[must_use]
pub fn current() -> Option<Instant> {
    Frame::with_current(Frame::deadline)
}

/// Returns how much time is left for the work that is current: nothing if its time is over.
///
/// ```
/// use std::time::{Duration, Instant};
/// use forebear_context::deadline;
///
/// let soon = Instant::now() + Duration::from_secs(9);
/// let left = deadline::sync_until(soon, deadline::remaining).unwrap();
/// assert!(left <= Duration::from_secs(9));
/// assert_eq!(deadline::remaining(), None);
/// ```
#[must_use]
pub fn remaining() -> Option<Duration> {
    current().map(|deadline| deadline.saturating_duration_since(Instant::now()))
}

/// Returns a future that runs `future` with a deadline: this one, or a sooner one that is around. It
/// tells the work, and does not end it.
///
/// # Cancel safety
/// As safe as `future`. Its destructor, too, sees the deadline.
pub fn until<F: Future>(deadline: Instant, future: F) -> Scope<F> {
    Scope::new(Change::Deadline(deadline), future)
}

/// Runs `f` with a deadline: this one, or a sooner one that is around.
pub fn sync_until<R>(deadline: Instant, f: impl FnOnce() -> R) -> R {
    Frame::with_current(|frame| frame.with_deadline(deadline)).sync_scope(f)
}
