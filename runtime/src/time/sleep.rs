//! Waits until a point in time.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::driver::Clock;
use crate::enter;
use crate::hooks::life::Birth;
use crate::hooks::{AsyncId, Kind, Outcome, Reason};
use crate::resident::{Lodged, Sort};
use crate::task::coop;
use crate::time::Instant;
use crate::time::entry::{Deadline, Entry};

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
    Sleep::for_so_long(duration, || "sleep", Location::caller())
}

/// Waits until a point in time. See [`sleep`].
///
/// # Panics
/// Outside a runtime.
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::until(deadline, || "sleep", Location::caller())
}

/// The future of [`sleep`].
#[must_use = "futures do nothing unless polled"]
pub struct Sleep {
    lodged: Option<Lodged>,
    deadline: Instant,
    entry: Entry,
    known: Deadline,
    has_elapsed: bool,
}

type Label = fn() -> &'static str;

impl Sleep {
    #[inline]
    pub(crate) fn for_so_long(
        duration: Duration,
        label: Label,
        location: &'static Location<'static>,
    ) -> Sleep {
        let known = if duration.is_zero() { Deadline::Unknown } else { Deadline::Ahead };
        Sleep::make(label, location, |clock| {
            (Instant::from_std(clock.now()).saturating_add(duration), known)
        })
    }

    pub(crate) fn until(
        deadline: Instant,
        label: Label,
        location: &'static Location<'static>,
    ) -> Sleep {
        Sleep::make(label, location, |_| (deadline, Deadline::Unknown))
    }

    #[inline]
    fn make(
        label: Label,
        location: &'static Location<'static>,
        deadline: impl FnOnce(&Clock) -> (Instant, Deadline),
    ) -> Sleep {
        let here = enter::try_with_current(|shared| {
            (shared.id(), shared.birth_time(), deadline(&shared.driver.timers.clock))
        });
        let (runtime, born, (deadline, known)) = match here {
            Ok(here) => here,
            Err(error) => panic!("{error} (a timer was made at {location})"),
        };
        let birth = Birth::new(Kind::TIMER, label).location(location).runtime(runtime);
        let lodged = Some(Lodged::begin(birth, born, Sort::Timer));
        Sleep { lodged, deadline, entry: Entry::new(runtime), known, has_elapsed: false }
    }

    /// Returns the timer's id.
    #[must_use]
    pub fn id(&self) -> Option<AsyncId> {
        self.lodged.as_ref().map(|lodged| lodged.life().id())
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
        (self.deadline, self.known) = (deadline, Deadline::Unknown);
        if std::mem::replace(&mut self.has_elapsed, false) {
            self.begin_again();
        }
    }

    fn begin_again(&mut self) {
        let Some(lodged) = self.lodged.take() else { return };
        let old = lodged.life();
        let birth = Birth::new(Kind::TIMER, old.code_name())
            .location(old.location())
            .runtime(self.entry.runtime())
            .trigger_of(old);
        self.lodged = Some(Lodged::begin(birth, lodged.born(), Sort::Timer));
        lodged.end(Reason::Completed);
    }
}

impl Unpin for Sleep {}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let proceed = ready!(coop::poll_proceed(cx));
        let Sleep { lodged, deadline, entry, known, has_elapsed } = &mut *self;
        if *has_elapsed {
            proceed.made_progress();
            return Poll::Ready(());
        }
        let id = || lodged.as_ref().map(|lodged| lodged.life().id());
        if !entry.poll_due(*deadline, *known, id, cx) {
            return Poll::Pending;
        }
        proceed.made_progress();
        *has_elapsed = true;
        if let Some(lodged) = lodged {
            lodged.life().run(|running| running.promise_resolve(Outcome::Ready));
        }
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(lodged) = self.lodged.take() {
            lodged.end(if self.has_elapsed { Reason::Completed } else { Reason::Dropped });
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
