//! Remembers resources that are gone and from which others descend, as far as a bounded memory
//! reaches.
//!
//! Only a resource that has created or caused others is remembered, so that the many that have not
//! cost nothing here. No context is kept, and of a name that was made at run time only so much.
//!
//! The memory is cut into rings, and a thread always writes into the same one, so that threads
//! rarely meet. Each ring forgets its oldest first. Who reads looks into all of them: that is
//! seldom, and then for many.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use forebear_hooks::{AsyncId, Facts, Kind};

use crate::fields::cut;
use crate::map::{SpreadIds, label_of, name_of};

/// So many are remembered: 256 KiB, and their names.
pub(crate) const ANCESTORS_MAX: usize = 4096;

/// So many rings there are. With few, a thread has a long memory of its own; with many, threads
/// meet less.
const RINGS: usize = 8;

const RING_MAX: usize = ANCESTORS_MAX / RINGS;

/// So much of a name is remembered that was made at run time.
const NAME_MAX_BYTES: usize = 64;

/// What is remembered of a resource that is gone.
#[derive(Clone, Debug)]
pub(crate) struct Ancestor {
    pub(crate) id: AsyncId,
    pub(crate) trigger: Option<AsyncId>,
    name: Option<Cow<'static, str>>,
    code_name: fn() -> &'static str,
    pub(crate) location: &'static Location<'static>,
    pub(crate) kind: Kind,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Ancestor>() <= 64);

impl Ancestor {
    pub(crate) fn of(resource: &Facts<'_>) -> Ancestor {
        let name = match name_of(resource) {
            Some(Cow::Owned(mut name)) => {
                name.truncate(cut(&name, NAME_MAX_BYTES));
                name.shrink_to_fit();
                Some(name.into())
            }
            constant => constant,
        };
        Ancestor {
            id: resource.id(),
            trigger: resource.trigger_id(),
            name,
            code_name: resource.code_name(),
            location: resource.location(),
            kind: resource.kind(),
        }
    }

    /// Returns its name, else the name of its code.
    pub(crate) fn label(&self) -> Cow<'static, str> {
        label_of(self.name.as_ref(), self.code_name)
    }
}

// On lines of their own, so that neighbours do not meet.
#[repr(align(128))]
struct Ring {
    ancestors: Vec<Ancestor>,
    /// Where the next one goes when the ring is full: the place of the oldest.
    oldest: usize,
    forgotten: u64,
}

/// The ancestors that are gone and not forgotten.
pub(crate) struct Ancestors {
    rings: [Mutex<Ring>; RINGS],
}

thread_local! {
    /// The ring of this thread, once it has one.
    static RING: Cell<Option<usize>> = const { Cell::new(None) };
}

fn ring_of_this_thread() -> usize {
    // Relaxed: threads are dealt out evenly, whatever the order.
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    RING.get().unwrap_or_else(|| {
        let ring = NEXT.fetch_add(1, Ordering::Relaxed) % RINGS;
        RING.set(Some(ring));
        ring
    })
}

impl Ancestors {
    pub(crate) const fn new() -> Ancestors {
        const EMPTY: Ring = Ring { ancestors: Vec::new(), oldest: 0, forgotten: 0 };
        Ancestors { rings: [const { Mutex::new(EMPTY) }; RINGS] }
    }

    pub(crate) fn bury(&self, ancestor: Ancestor) {
        let mut ring = lock(&self.rings[ring_of_this_thread()]);
        if ring.ancestors.len() < RING_MAX {
            ring.ancestors.push(ancestor);
            return;
        }
        let oldest = ring.oldest;
        ring.oldest = (oldest + 1) % RING_MAX;
        ring.forgotten += 1;
        let forgotten = std::mem::replace(&mut ring.ancestors[oldest], ancestor);
        drop(ring);
        drop(forgotten);
    }

    /// Copies them all.
    pub(crate) fn copy(&self) -> HashMap<AsyncId, Ancestor, SpreadIds> {
        let mut all = HashMap::default();
        for ring in &self.rings {
            let ring = lock(ring);
            all.extend(ring.ancestors.iter().map(|ancestor| (ancestor.id, ancestor.clone())));
        }
        all
    }

    /// Copies what caused what.
    pub(crate) fn triggers(&self) -> Vec<(AsyncId, Option<AsyncId>)> {
        let mut all = Vec::with_capacity(self.len());
        for ring in &self.rings {
            let ring = lock(ring);
            all.extend(ring.ancestors.iter().map(|ancestor| (ancestor.id, ancestor.trigger)));
        }
        all
    }

    pub(crate) fn len(&self) -> usize {
        self.rings.iter().map(|ring| lock(ring).ancestors.len()).sum()
    }

    /// Returns how many were forgotten to make room.
    pub(crate) fn forgotten(&self) -> u64 {
        self.rings.iter().map(|ring| lock(ring).forgotten).sum()
    }
}

fn lock(ring: &Mutex<Ring>) -> MutexGuard<'_, Ring> {
    ring.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{ANCESTORS_MAX, Ancestor, Ancestors, RING_MAX, RINGS};
    use forebear_hooks::{AsyncId, Kind};
    use std::panic::Location;

    fn ancestor(id: u64) -> Ancestor {
        Ancestor {
            id: AsyncId::from_u64(id).unwrap(),
            trigger: None,
            name: None,
            code_name: || "parent",
            location: Location::caller(),
            kind: Kind::TASK,
        }
    }

    #[test]
    fn a_thread_remembers_its_newest_and_counts_the_rest() {
        let ancestors = Ancestors::new();
        for id in 1..=1000 {
            ancestors.bury(ancestor(id));
        }
        let known = ancestors.copy();
        let is_known = |id: u64| known.contains_key(&AsyncId::from_u64(id).unwrap());
        let ring = RING_MAX as u64;
        assert!((1..=1000 - ring).all(|id| !is_known(id)));
        assert!((1001 - ring..=1000).all(is_known));
        assert_eq!((ancestors.forgotten(), ancestors.len()), (1000 - ring, RING_MAX));
    }

    #[test]
    fn no_number_of_threads_takes_more_than_the_bound() {
        const EACH: u64 = 10_000;
        let ancestors = Ancestors::new();
        std::thread::scope(|threads| {
            for thread in 0..2 * RINGS as u64 {
                let ancestors = &ancestors;
                threads.spawn(move || {
                    (1..=EACH).for_each(|id| ancestors.bury(ancestor(thread * EACH + id)));
                });
            }
        });
        assert!(ancestors.len() <= ANCESTORS_MAX);
        assert_eq!(ancestors.forgotten() + ancestors.len() as u64, 2 * RINGS as u64 * EACH);
    }
}
