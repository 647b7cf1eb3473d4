//! Counts what is made and what ends, by place: what grows is what leaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use forebear_hooks::{AsyncHook, Events, Reason, Resource};

use super::histogram::{Histogram, Spread};
use super::names::{Names, Place};

/// A hook that counts lives by kind, label and site.
///
/// ```
/// use forebear_context::observers::Lives;
/// use forebear_hooks::{AsyncResource, Kind, create_hook};
///
/// let lives = create_hook(Lives::new()).enable()?;
/// let kept = AsyncResource::new(Kind::new("QUERY"));
/// let query = lives.report().into_iter().find(|one| one.place.kind == Kind::new("QUERY"));
/// assert_eq!(query.map(|one| (one.made, one.alive())), Some((1, 1)));
/// # drop(kept);
/// # Ok::<(), forebear_hooks::EnableError>(())
/// ```
#[derive(Debug)]
pub struct Lives {
    names: Names,
    counted: DashMap<u32, Arc<Counted>>,
}

/// What was counted of one place. Relaxed: each number stands for itself.
#[derive(Debug, Default)]
struct Counted {
    made: AtomicU64,
    ended: AtomicU64,
    lifetimes: Histogram,
}

/// What was made at one place, and how much of it has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlaceLives {
    /// The place.
    pub place: Place,
    /// So many were made while the hook was enabled.
    pub made: u64,
    /// So many of these have ended.
    pub ended: u64,
    /// How long those lived.
    pub lifetimes: Spread,
}

impl PlaceLives {
    /// Returns how many of them are alive.
    #[must_use]
    pub fn alive(&self) -> u64 {
        self.made.saturating_sub(self.ended)
    }
}

struct Born {
    at: std::time::Instant,
    counted: Arc<Counted>,
}

impl Default for Lives {
    fn default() -> Lives {
        Lives::new()
    }
}

impl Lives {
    /// Makes one that has counted nothing.
    #[must_use]
    pub fn new() -> Lives {
        Lives { names: Names::new(), counted: DashMap::new() }
    }

    /// Returns what was counted: those places first that have the most alive.
    #[must_use]
    pub fn report(&self) -> Vec<PlaceLives> {
        let places = self.names.copy();
        let mut all: Vec<PlaceLives> = self
            .counted
            .iter()
            .filter_map(|one| {
                Some(PlaceLives {
                    place: places.get(*one.key() as usize)?.clone(),
                    // Read first: what ends meanwhile was made before.
                    ended: one.ended.load(Ordering::Relaxed),
                    made: one.made.load(Ordering::Relaxed),
                    lifetimes: one.lifetimes.read(),
                })
            })
            .collect();
        all.sort_by_key(|one| std::cmp::Reverse((one.alive(), one.made)));
        all
    }
}

impl AsyncHook for Lives {
    fn events(&self) -> Events {
        Events::INIT | Events::DESTROY
    }

    fn init(&self, r: &Resource<'_>) {
        let counted = self.counted.entry(self.names.number(r)).or_default().clone();
        counted.made.fetch_add(1, Ordering::Relaxed);
        r.set_slot(Born { at: r.now(), counted });
    }

    fn destroy(&self, r: &Resource<'_>, _reason: Reason) {
        let Some(born) = r.slot::<Born>() else { return };
        born.counted.ended.fetch_add(1, Ordering::Relaxed);
        born.counted.lifetimes.add(r.now().saturating_duration_since(born.at));
    }
}
