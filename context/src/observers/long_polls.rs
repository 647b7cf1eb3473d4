//! Finds polls that hold their thread for long, also while they have not ended.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use forebear_hooks::{AsyncHook, AsyncId, Events, Resource};

use super::names::Place;
use super::threads;
use crate::inspect::context::Declarations;
use crate::inspect::text::{Age, Clean};
use crate::inspect::{Label, lineage};

/// So many are kept, the newest.
const KEPT_MAX: usize = 128;

/// Threads share this many lists, so that they rarely meet.
const LISTS: usize = 16;

/// A hook that finds code which runs for longer than a limit without giving its thread back.
///
/// Enable it for the kinds whose polls hold a worker: `TASK` and `BLOCK_ON`. See the
/// [module](super) for an example.
#[derive(Debug)]
pub struct LongPolls {
    limit: Duration,
    found: Mutex<VecDeque<LongPoll>>,
    running: [Mutex<Vec<Running>>; LISTS],
}

/// What is inside a pair just now.
#[derive(Clone, Copy, Debug)]
struct Running {
    thread: u16,
    id: AsyncId,
    since: Instant,
}

/// A poll that took long.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LongPoll {
    /// Whose it was.
    pub id: AsyncId,
    /// What that is, and where it was made; `None` if that is not known.
    pub place: Option<Place>,
    /// How long it took, or takes so far.
    pub took: Duration,
    /// Whether it has ended.
    pub is_over: bool,
    /// Its context, as far as that was declared to be shown.
    pub context: Vec<(Label, String)>,
}

impl LongPolls {
    /// Makes one that finds polls longer than this.
    #[must_use]
    pub fn new(limit: Duration) -> LongPolls {
        let running = [const { Mutex::new(Vec::new()) }; LISTS];
        LongPolls { limit, found: Mutex::default(), running }
    }

    /// Returns the last of those that have ended, the oldest first.
    #[must_use]
    pub fn found(&self) -> Vec<LongPoll> {
        lock(&self.found).iter().cloned().collect()
    }

    /// Returns those that have not ended: their threads are blocked.
    #[must_use]
    pub fn unfinished(&self) -> Vec<LongPoll> {
        let now = Instant::now();
        let mut all = Vec::new();
        for list in &self.running {
            // Copied, because what follows takes other locks.
            let running = lock(list).clone();
            let took = |one: &Running| now.saturating_duration_since(one.since);
            for one in running.iter().filter(|one| took(one) > self.limit) {
                let line = lineage(one.id);
                let info = line.resources().first();
                all.push(LongPoll {
                    id: one.id,
                    place: info.map(|r| Place {
                        kind: r.kind,
                        label: r.label.clone(),
                        site: r.location.clone(),
                    }),
                    took: took(one),
                    is_over: false,
                    context: info.map(|r| r.context.to_vec()).unwrap_or_default(),
                });
            }
        }
        all
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AsyncHook for LongPolls {
    fn events(&self) -> Events {
        Events::BEFORE | Events::AFTER
    }

    fn before(&self, r: &Resource<'_>) {
        let thread = threads::number();
        let running = Running { thread, id: r.id(), since: r.now() };
        lock(&self.running[usize::from(thread) % LISTS]).push(running);
    }

    fn after(&self, r: &Resource<'_>) {
        let thread = threads::number();
        let began = {
            let mut running = lock(&self.running[usize::from(thread) % LISTS]);
            let is_it = |one: &Running| one.thread == thread && one.id == r.id();
            running.iter().rposition(is_it).map(|place| running.swap_remove(place))
        };
        let Some(began) = began else { return };
        let took = r.now().saturating_duration_since(began.since);
        if took <= self.limit {
            return;
        }
        let context = Declarations::now().shown(r.frame());
        let place = Some(Place::of(r));
        let poll = LongPoll { id: r.id(), place, took, is_over: true, context };
        let mut found = lock(&self.found);
        let oldest = if found.len() == KEPT_MAX { found.pop_front() } else { None };
        found.push_back(poll);
        drop(found);
        drop(oldest);
    }
}

impl fmt::Display for LongPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.is_over { "held its thread for" } else { "has held its thread for" };
        write!(f, "{}", self.id)?;
        if let Some(place) = &self.place {
            write!(f, " {place}")?;
        }
        write!(f, " {verb} {}", Age(self.took))?;
        let mut context = self.context.iter();
        context.try_for_each(|(key, value)| write!(f, "  {}={}", Clean(key), Clean(value)))
    }
}
