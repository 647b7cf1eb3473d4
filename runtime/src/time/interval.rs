//! Waits again and again.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;

use crate::handle::Handle;
use crate::hooks::life::{Birth, Life};
use crate::hooks::{AsyncId, Kind};
use crate::task::coop;
use crate::time::Instant;
use crate::time::entry::{Deadline, Entry};

/// Ticks now, and then each time such a period is over.
///
/// # Panics
/// Outside a runtime, and if the period is zero.
///
/// # Hooks
/// `init` here; a pair around each tick that is consumed; `destroy` at its drop. It holds only such
/// context as says that it may outlive the work that made it.
///
/// # Examples
/// ```
/// use forebear::time::{Duration, interval};
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let mut ticks = interval(Duration::from_millis(1));
/// let first = ticks.tick().await;
/// let second = ticks.tick().await;
/// assert!(second >= first + Duration::from_millis(1));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(Instant::now(), period)
}

/// Ticks at `start`, and then each time such a period is over. See [`interval`].
///
/// # Panics
/// Outside a runtime, and if the period is zero.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval has a period of more than zero");
    let handle = Handle::current();
    let birth =
        Birth::new(Kind::INTERVAL, || "interval").location(Location::caller()).runtime(handle.id());
    let life = Life::begin(birth);
    let entry = Entry::new(handle.id());
    Interval { entry, life, next: start, period, missed: MissedTickBehavior::default() }
}

/// A tick that is consumed so late, or by a period if that is shorter, was missed: what is due by then
/// is not merely waiting for its turn.
const MISSED_AFTER: Duration = Duration::from_millis(5);

/// What an interval does when its ticks are consumed too late: by more than 5 ms, or by more than a
/// period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// Ticks without pause until it has caught up.
    #[default]
    Burst,
    /// Ticks at once, and then a period after that.
    Delay,
    /// Ticks at once, and then when the next tick would have been by the original plan.
    Skip,
}

/// Ticks again and again: see [`interval`].
#[must_use = "an interval ticks only when it is polled"]
pub struct Interval {
    entry: Entry,
    life: Life,
    next: Instant,
    period: Duration,
    missed: MissedTickBehavior,
}

impl Interval {
    /// Waits for the next tick, and returns when it was due.
    ///
    /// # Cancel safety
    /// Safe: no tick is lost.
    pub fn tick(&mut self) -> impl Future<Output = Instant> + Send + '_ {
        std::future::poll_fn(|cx| self.poll_tick(cx))
    }

    /// Waits for the next tick, and returns when it was due.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let proceed = ready!(coop::poll_proceed(cx));
        let due = self.next;
        if !self.entry.poll_due(due, Deadline::Unknown, || Some(self.life.id()), cx) {
            return Poll::Pending;
        }
        proceed.made_progress();
        let now = self.entry.now();
        self.next = self.after(due, now);
        // The pair of the tick: what it leads to runs in the task that consumes it.
        self.life.run(|_| ());
        Poll::Ready(due)
    }

    fn after(&self, due: Instant, now: Instant) -> Instant {
        let planned = due.saturating_add(self.period);
        if now.saturating_duration_since(due) <= MISSED_AFTER.min(self.period) {
            return planned;
        }
        match self.missed {
            MissedTickBehavior::Burst => planned,
            MissedTickBehavior::Delay => now.saturating_add(self.period),
            MissedTickBehavior::Skip => {
                let late_ns = (now - due).as_nanos() % self.period.as_nanos();
                let late = Duration::from_nanos(u64::try_from(late_ns).unwrap_or(0));
                now.saturating_add(self.period - late)
            }
        }
    }

    /// Lets the next tick be a period from now.
    pub fn reset(&mut self) {
        self.reset_at(Instant::now().saturating_add(self.period));
    }

    /// Lets the next tick be now.
    pub fn reset_immediately(&mut self) {
        self.reset_at(Instant::now());
    }

    /// Lets the next tick be so long from now, and those after it a period apart.
    pub fn reset_after(&mut self, after: Duration) {
        self.reset_at(Instant::now().saturating_add(after));
    }

    /// Lets the next tick be then.
    pub fn reset_at(&mut self, deadline: Instant) {
        self.entry.cancel();
        self.next = deadline;
    }

    /// Returns the interval's id.
    #[must_use]
    pub fn id(&self) -> AsyncId {
        self.life.id()
    }

    /// Returns the period.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Returns what it does when its ticks are consumed too late.
    #[must_use]
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed
    }

    /// Says what it does when its ticks are consumed too late.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed = behavior;
    }
}

impl Unpin for Interval {}

impl Stream for Interval {
    type Item = Instant;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        self.get_mut().poll_tick(cx).map(Some)
    }
}

impl fmt::Debug for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interval")
            .field("id", &self.id())
            .field("period", &self.period)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
