//! Waits until a point in time.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::handle::Handle;
use crate::hooks::life::{Birth, Life};
use crate::hooks::{AsyncId, Kind, Outcome, Reason};
use crate::task::coop;
use crate::time::Instant;
use crate::time::entry::Entry;

/// Waits for so long.
///
/// It never ends early, and on an idle Linux machine late by about a tenth of a millisecond.
///
/// # Panics
/// Outside a runtime.
///
/// # Cancel safety
/// Safe: dropping it cancels the timer.
///
/// # Hooks
/// `init` here; once it has elapsed, in its owner's poll, `before`, `promise_resolve` and `after`;
/// `destroy` at its drop.
///
/// # Examples
/// ```
/// use forebear::time::{Duration, Instant, sleep};
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let start = Instant::now();
/// sleep(Duration::from_millis(5)).await;
/// assert!(start.elapsed() >= Duration::from_millis(5));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(Instant::now().saturating_add(duration))
}

/// Waits until a point in time. See [`sleep`].
///
/// # Panics
/// Outside a runtime.
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::new(deadline, || "sleep", Location::caller())
}

/// The future of [`sleep`].
#[must_use = "futures do nothing unless polled"]
pub struct Sleep {
    entry: Entry,
    life: Option<Life>,
    label: fn() -> &'static str,
    deadline: Instant,
    has_elapsed: bool,
}

impl Sleep {
    pub(super) fn new(
        deadline: Instant,
        label: fn() -> &'static str,
        location: &'static Location<'static>,
    ) -> Sleep {
        let handle = match Handle::try_current() {
            Ok(handle) => handle,
            Err(error) => panic!("{error} (a timer was made at {location})"),
        };
        let birth = Birth::new(Kind::TIMER, label).location(location).runtime(handle.id());
        let life = Some(Life::begin(birth));
        let entry = Entry::new(handle.shared().clone());
        Sleep { entry, life, label, deadline, has_elapsed: false }
    }

    /// Returns the timer's id.
    #[must_use]
    pub fn id(&self) -> Option<AsyncId> {
        self.life.as_ref().map(Life::id)
    }

    /// Returns when it ends.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Says whether it has ended, as its polls have found.
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        self.has_elapsed
    }

    /// Lets it end at another time.
    ///
    /// # Hooks
    /// If it had elapsed, its resource ends and another begins, whose trigger is the old.
    pub fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.entry.cancel();
        self.deadline = deadline;
        if std::mem::replace(&mut self.has_elapsed, false) {
            self.begin_again();
        }
    }

    fn begin_again(&mut self) {
        let Some(old) = self.life.take() else { return };
        let birth = Birth::new(Kind::TIMER, self.label)
            .location(old.location())
            .runtime(self.entry.shared().id())
            .trigger(old.id());
        self.life = Some(Life::begin(birth));
        old.end(Reason::Completed);
    }
}

impl Unpin for Sleep {}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let proceed = ready!(coop::poll_proceed(cx));
        let deadline = self.deadline;
        if !self.has_elapsed && !self.entry.poll_due(deadline, cx) {
            return Poll::Pending;
        }
        proceed.made_progress();
        if self.has_elapsed {
            return Poll::Ready(());
        }
        self.has_elapsed = true;
        if let Some(life) = &self.life {
            life.run(|running| running.promise_resolve(Outcome::Ready));
        }
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(life) = self.life.take() {
            life.end(if self.has_elapsed { Reason::Completed } else { Reason::Dropped });
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("id", &self.id())
            .field("deadline", &self.deadline)
            .field("has_elapsed", &self.has_elapsed)
            .finish()
    }
}
