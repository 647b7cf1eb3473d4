//! Tells points in time by the clock of the runtime, which tests can stop and move.

use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

use crate::config::Flavor;
use crate::driver::timers::Timers;
use crate::enter;
use crate::handle::Handle;
use crate::task::yield_now;
use crate::time::FAR_FUTURE;

/// A point in time by the clock of the runtime that is current, which is the system's monotonic
/// clock unless a test has stopped it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(std::time::Instant);

impl Instant {
    /// Returns the present.
    #[must_use]
    pub fn now() -> Instant {
        let here = enter::try_with_current(|shared| shared.driver.timers.clock.now());
        Instant(here.unwrap_or_else(|_| std::time::Instant::now()))
    }

    /// Makes an instant of std's.
    #[must_use]
    pub fn from_std(std: std::time::Instant) -> Instant {
        Instant(std)
    }

    /// Returns std's.
    #[must_use]
    pub fn into_std(self) -> std::time::Instant {
        self.0
    }

    /// Returns how long ago it was; nothing if it is to come.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(*self)
    }

    /// Returns how long after `earlier` it is; nothing if it is before.
    #[must_use]
    pub fn duration_since(&self, earlier: Instant) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// Returns how long after `earlier` it is; nothing if it is before.
    #[must_use]
    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// Returns how long after `earlier` it is; `None` if it is before.
    #[must_use]
    pub fn checked_duration_since(&self, earlier: Instant) -> Option<Duration> {
        self.0.checked_duration_since(earlier.0)
    }

    /// Returns the instant so much later, if it can be told.
    #[must_use]
    pub fn checked_add(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_add(duration).map(Instant)
    }

    /// Returns the instant so much earlier, if it can be told.
    #[must_use]
    pub fn checked_sub(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_sub(duration).map(Instant)
    }

    /// Returns the instant so much later, or one so far ahead that it is never.
    pub(crate) fn saturating_add(self, duration: Duration) -> Instant {
        Instant(self.0.checked_add(duration).unwrap_or_else(|| self.0 + FAR_FUTURE))
    }
}

pub(super) fn clock_of(handle: &Handle) -> &Timers {
    &handle.shared().driver.timers
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, duration: Duration) -> Instant {
        Instant(self.0 + duration)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        self.0 += duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, duration: Duration) -> Instant {
        Instant(self.0 - duration)
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        self.0 -= duration;
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

impl From<std::time::Instant> for Instant {
    fn from(std: std::time::Instant) -> Instant {
        Instant(std)
    }
}

impl From<Instant> for std::time::Instant {
    fn from(instant: Instant) -> std::time::Instant {
        instant.0
    }
}

#[track_caller]
fn current_thread() -> Handle {
    let handle = Handle::current();
    assert!(
        handle.shared().config.flavor == Flavor::CurrentThread,
        "the clock can be stopped on a current-thread runtime only: build one with \
         `Builder::new_current_thread`"
    );
    handle
}

/// Stops the clock of the runtime: [`Instant::now`] and all timers stand still.
///
/// While it stands and the runtime has nothing to do, the clock moves to the next timer by itself;
/// so a test of an hour's timeout takes no time.
///
/// # Panics
/// Outside a current-thread runtime, and if the clock stands already.
#[track_caller]
pub fn pause() {
    let is_news = clock_of(&current_thread()).clock.pause();
    assert!(is_news, "the clock of this runtime stands already");
}

/// Lets the clock of the runtime go on.
///
/// # Panics
/// Outside a current-thread runtime, and if the clock goes already.
#[track_caller]
pub fn resume() {
    let is_news = clock_of(&current_thread()).clock.resume();
    assert!(is_news, "the clock of this runtime goes already");
}

/// Moves the clock, which must stand, and lets those run whose timers are then due.
///
/// # Panics
/// Outside a current-thread runtime, and if the clock goes.
pub async fn advance(by: Duration) {
    let handle = current_thread();
    let is_moved = clock_of(&handle).clock.advance(by);
    assert!(is_moved, "the clock of this runtime goes: stop it with `pause` first");
    clock_of(&handle).fire(&mut Vec::new());
    yield_now().await;
}
