//! Measures how long what is ready waits for a worker, and finds tasks that wake themselves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dashmap::DashMap;
use forebear_hooks::wakes::{WakeWatch, watch};
use forebear_hooks::{AsyncHook, Events, Resource};

use super::histogram::{Histogram, Spread};
use super::names::{Names, Place};

/// A hook that measures delays by kind, label and site: from `init` to the first poll, and from each
/// wake to the poll that follows. Enable it for tasks.
///
/// As long as it lives, executors note when tasks are woken, and by whom.
///
/// ```
/// use forebear_context::observers::Delays;
/// use forebear_hooks::{Kind, create_hook};
///
/// let delays = create_hook(Delays::new()).kinds([Kind::TASK]).enable()?;
/// assert!(delays.report().is_empty());
/// # Ok::<(), forebear_hooks::EnableError>(())
/// ```
#[derive(Debug)]
pub struct Delays {
    names: Names,
    measured: DashMap<u32, Arc<Measured>>,
    _watch: WakeWatch,
}

/// What was measured at one place. Relaxed: each number stands for itself.
#[derive(Debug, Default)]
struct Measured {
    spawn: Histogram,
    wake: Histogram,
    polls: AtomicU64,
    self_wakes: AtomicU64,
}

/// How long tasks of one place waited for a worker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlaceDelays {
    /// The place.
    pub place: Place,
    /// From `init` to the first poll.
    pub spawn: Spread,
    /// From wakes to polls.
    pub wake: Spread,
    /// How often they were polled.
    pub polls: u64,
    /// How often they woke themselves while they ran: if that is nearly as often, they are busy
    /// waiting.
    pub self_wakes: u64,
}

/// What is kept in a task.
struct Kept {
    measured: Arc<Measured>,
    seen: Mutex<Seen>,
}

#[derive(Clone, Copy)]
struct Seen {
    /// When it was made, before its first poll.
    made: Option<Instant>,
    /// The last wake that was measured.
    wake: Option<Instant>,
    self_wakes: u64,
}

impl Default for Delays {
    fn default() -> Delays {
        Delays::new()
    }
}

impl Delays {
    /// Makes one that has measured nothing.
    #[must_use]
    pub fn new() -> Delays {
        Delays { names: Names::new(), measured: DashMap::new(), _watch: watch() }
    }

    /// Returns what was measured: those places first whose tasks waited longest.
    #[must_use]
    pub fn report(&self) -> Vec<PlaceDelays> {
        let places = self.names.copy();
        let mut all: Vec<PlaceDelays> = self
            .measured
            .iter()
            .filter_map(|one| {
                Some(PlaceDelays {
                    place: places.get(*one.key() as usize)?.clone(),
                    spawn: one.spawn.read(),
                    wake: one.wake.read(),
                    polls: one.polls.load(Ordering::Relaxed),
                    self_wakes: one.self_wakes.load(Ordering::Relaxed),
                })
            })
            .collect();
        all.sort_by_key(|one| std::cmp::Reverse(one.wake.max().max(one.spawn.max())));
        all
    }

    fn keep(&self, r: &Resource<'_>, made: Option<Instant>) -> Option<Arc<Kept>> {
        let measured = self.measured.entry(self.names.number(r)).or_default().clone();
        let (_, self_wakes) = r.wakes();
        // What was before is not measured.
        let seen = Seen { made, wake: r.woken().map(|woken| woken.at), self_wakes };
        r.set_slot(Kept { measured, seen: Mutex::new(seen) });
        r.slot()
    }
}

impl AsyncHook for Delays {
    fn events(&self) -> Events {
        Events::INIT | Events::BEFORE | Events::AFTER
    }

    fn init(&self, r: &Resource<'_>) {
        if !r.is_replayed() {
            self.keep(r, Some(r.now()));
        }
    }

    fn before(&self, r: &Resource<'_>) {
        let Some(kept) = r.slot::<Kept>().or_else(|| self.keep(r, None)) else { return };
        kept.measured.polls.fetch_add(1, Ordering::Relaxed);
        let mut seen = kept.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = seen.made.take() {
            kept.measured.spawn.add(r.now().saturating_duration_since(made));
        }
        if let Some(woken) = r.woken().filter(|woken| seen.wake != Some(woken.at)) {
            seen.wake = Some(woken.at);
            kept.measured.wake.add(r.now().saturating_duration_since(woken.at));
        }
    }

    fn after(&self, r: &Resource<'_>) {
        let Some(kept) = r.slot::<Kept>() else { return };
        let (_, self_wakes) = r.wakes();
        let mut seen = kept.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let more = self_wakes.saturating_sub(seen.self_wakes);
        seen.self_wakes = self_wakes;
        kept.measured.self_wakes.fetch_add(more, Ordering::Relaxed);
    }
}
