//! Notes who woke a task, and when, while somebody wants to know.
//!
//! A wake is no event: it happens to a task from outside, mostly in the code of another, and far more
//! often than anything else. So nobody is told of it. As long as a [`WakeWatch`] lives, executors note
//! the last one with the task, where whoever is told of its next poll finds it.
//!
//! # Memory ordering
//!
//! All Relaxed. What hands a woken task to the thread that polls it hands on what was noted before;
//! whoever looks from outside may find the parts of two wakes together.

use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use crate::current;
use crate::id::AsyncId;
use crate::life::Life;
use crate::sync::{AtomicU64, Ordering};

/// So many watches there are. On std's atomics even under loom, which has no static ones.
static WATCHES: AtomicUsize = AtomicUsize::new(0);

/// Times are counted from here.
static START: OnceLock<Instant> = OnceLock::new();

/// Lets wakes be noted as long as it lives.
#[must_use = "wakes are noted until it is dropped"]
#[derive(Debug)]
pub struct WakeWatch(());

/// Lets wakes be noted from now on.
///
/// Each wake of a task that waits then costs a reading of the clock, and the first of a task an
/// allocation.
pub fn watch() -> WakeWatch {
    START.get_or_init(Instant::now);
    WATCHES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    WakeWatch(())
}

impl Drop for WakeWatch {
    fn drop(&mut self) {
        WATCHES.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Says whether wakes are to be noted: for executors, which ask at each.
#[inline]
#[must_use]
pub fn are_watched() -> bool {
    WATCHES.load(std::sync::atomic::Ordering::Relaxed) > 0
}

/// The last wake of a task that waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Woken {
    /// Whose code woke it; `None` if it was a timer or the system, or code of no resource.
    pub by: Option<AsyncId>,
    /// When.
    pub at: Instant,
}

/// What is noted with a task.
#[derive(Default)]
pub(crate) struct WakeNote {
    /// In nanoseconds since the start, plus one; 0 if none was noted.
    at: AtomicU64,
    by: AtomicU64,
    wakes: AtomicU64,
    self_wakes: AtomicU64,
}

impl WakeNote {
    fn note(&self) {
        let start = *START.get_or_init(Instant::now);
        let since = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let by = current::execution_async_id().map_or(0, AsyncId::get);
        self.by.store(by, Ordering::Relaxed);
        self.at.store(since.saturating_add(1), Ordering::Relaxed);
        self.wakes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn last(&self) -> Option<Woken> {
        let since = self.at.load(Ordering::Relaxed).checked_sub(1)?;
        let at = START.get()?.checked_add(Duration::from_nanos(since))?;
        Some(Woken { by: AsyncId::from_u64(self.by.load(Ordering::Relaxed)), at })
    }

    /// Returns how often it was woken, and how often by itself while it ran.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.wakes.load(Ordering::Relaxed), self.self_wakes.load(Ordering::Relaxed))
    }
}

impl Life {
    /// Notes that a task which waited was woken by the code that runs here. For executors, if wakes
    /// [are watched](are_watched), before anybody can poll the task.
    #[cold]
    pub fn woken(&self) {
        self.record.ext().wake.note();
    }

    /// Notes that a task woke itself while it ran. For executors, if wakes
    /// [are watched](are_watched).
    #[cold]
    pub fn woke_itself(&self) {
        self.record.ext().wake.self_wakes.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Woken, are_watched, watch};
    use crate::kind::Kind;
    use crate::life::{Birth, Life};
    use std::time::Instant;

    #[test]
    fn the_last_wake_is_noted_with_the_task() {
        let watching = watch();
        assert!(are_watched());
        let (task, waker) = (Birth::new(Kind::TASK, || "task"), Birth::new(Kind::TASK, || "waker"));
        let (task, waker) = (Life::begin(task), Life::begin(waker));
        assert_eq!(task.resource().woken(), None);
        let before = Instant::now();
        waker.run(|_| task.woken());
        let Some(Woken { by, at }) = task.resource().woken() else { panic!("nothing was noted") };
        assert_eq!(by, Some(waker.id()));
        assert!(at >= before && at <= Instant::now());
        task.woken();
        assert_eq!(task.resource().woken().and_then(|woken| woken.by), None);
        task.woke_itself();
        assert_eq!(task.resource().wakes(), (2, 1));
        drop(watching);
    }
}
