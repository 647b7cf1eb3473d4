//! Knows what a list of hooks says about newborns, so that a birth need not ask each hook.
//!
//! A thread makes a digest of its copy of the list when it takes one. Whether the digest is of the
//! list as it is now, the version tells, as it does for the copy: see
//! [`registry`](crate::registry).

use std::cell::Cell;

use crate::filter::Newborns;
use crate::id::RuntimeId;
use crate::kind::Kind;
use crate::record::Record;
use crate::registry::{self, Enabled, HookSet};
use crate::sync::per_thread;

per_thread! {
    /// Of this thread's last copy.
    DIGEST: Cell<Digest> = Cell::new(Digest::NONE);
    /// The slots of the hooks that take every newborn of a kind, by its number, where some take
    /// some kinds only.
    OF_KINDS: [Cell<u32>; KINDS_LISTED] = [const { Cell::new(0) }; KINDS_LISTED];
}

/// A birth of one of so many kinds need not ask hooks that follow some kinds.
const KINDS_LISTED: usize = 64;

/// What a list says about newborns without a look at each hook.
#[derive(Clone, Copy)]
pub(crate) struct Digest {
    version: u64,
    pub(crate) epoch: u32,
    /// The slots of the hooks that take every newborn.
    every: u32,
    /// Whether a hook takes those of some kinds: then [`OF_KINDS`] says which hooks take a newborn.
    has_kinds: bool,
    /// The slots of the hooks among these that take what belongs to `runtime`, and to no other.
    bound: u32,
    runtime: Option<RuntimeId>,
    /// The slots of the hooks that draw at flow roots.
    drawing: u32,
    /// Whether a hook wants to look at each newborn.
    is_partial: bool,
}

impl Digest {
    /// Of no list: none has this version.
    const NONE: Digest = Digest {
        version: u64::MAX,
        epoch: 0,
        every: 0,
        has_kinds: false,
        bound: 0,
        runtime: None,
        drawing: 0,
        is_partial: true,
    };

    fn of(list: &HookSet) -> Digest {
        let are = |hook: &Enabled, newborns| hook.filter.newborns() == newborns;
        let drawing = list.slots(|hook| are(hook, Newborns::Drawn));
        let asked = list.slots(|hook| are(hook, Newborns::Asked));
        let is_bound = |hook: &Enabled| hook.filter.runtime.is_some();
        let bound = list.slots(is_bound) & !drawing;
        let mut runtimes = list.hooks.iter().filter_map(|hook| hook.filter.runtime);
        let runtime = runtimes.next();
        let is_of_one = runtimes.all(|other| Some(other) == runtime);
        Digest {
            version: list.version,
            epoch: list.epoch,
            every: list.slots(|hook| are(hook, Newborns::Every)),
            has_kinds: list.slots(|hook| are(hook, Newborns::OfKinds)) != 0,
            bound,
            runtime,
            drawing,
            is_partial: asked != 0 || !is_of_one,
        }
    }

    /// Returns which hooks follow a newborn, if that can be said without asking them: what draws
    /// follows what is no flow root just if it follows the creator.
    #[inline]
    pub(crate) fn scope(
        &self,
        kind: Kind,
        runtime: Option<RuntimeId>,
        creator: Option<&Record>,
        is_flow_root: bool,
    ) -> Option<u32> {
        if self.is_partial {
            return None;
        }
        let mut every = self.every;
        if self.has_kinds {
            every = OF_KINDS.with(|slots| slots.get(kind.index()).map(Cell::get))?;
        }
        if runtime != self.runtime {
            every &= !self.bound;
        }
        if self.drawing == 0 {
            return Some(every);
        }
        // Bits of a creator that is older than a hook speak of an earlier hook in its slot.
        let is_known = creator.is_none_or(|creator| creator.epoch >= self.epoch);
        let inherited = creator.map_or(0, |creator| creator.scope & self.drawing);
        (is_known && !is_flow_root).then_some(every | inherited)
    }
}

/// Returns the slots of the hooks that take every newborn of this kind.
fn taking(list: &HookSet, kind: Option<Kind>) -> u32 {
    list.slots(|hook| match hook.filter.newborns() {
        Newborns::Every => true,
        Newborns::OfKinds => kind.is_some_and(|kind| hook.filter.admits(kind, hook.filter.runtime)),
        Newborns::Drawn | Newborns::Asked => false,
    })
}

/// Makes the digest of this thread's new copy.
pub(crate) fn note(list: &HookSet) {
    let digest = Digest::of(list);
    DIGEST.with(|place| place.set(digest));
    if digest.has_kinds {
        OF_KINDS.with(|places| {
            for (index, place) in places.iter().enumerate() {
                place.set(taking(list, Kind::at(index)));
            }
        });
    }
}

/// Returns what the list says about newborns, if this thread has had a copy of it as it is now.
#[inline]
pub(crate) fn current() -> Option<Digest> {
    let digest = DIGEST.with(Cell::get);
    registry::is_version(digest.version).then_some(digest)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{DIGEST, KINDS_LISTED, note};
    use crate::events::Events;
    use crate::filter::{Filter, Newborn};
    use crate::hook::Closures;
    use crate::id::{AsyncId, RuntimeId};
    use crate::kind::Kind;
    use crate::registry::{Enabled, HookSet};
    use std::cell::Cell;
    use std::sync::{Arc, OnceLock};

    fn list_of(filters: &[&Filter]) -> HookSet {
        let enabled = |(slot, filter): (u32, &&Filter)| {
            let is_tested_late = filter.is_tested_late();
            Arc::new(Enabled {
                bit: 1 << slot,
                epoch: slot + 1,
                events: Events::ALL,
                filter: (*filter).clone(),
                is_tested_late,
                hook: Arc::new(Closures::default()),
                fault: OnceLock::new(),
            })
        };
        let hooks: Vec<_> = (0..).zip(filters).map(enabled).collect();
        HookSet { version: 1, epoch: filters.len() as u32, hooks }
    }

    /// Whatever the digest answers, the hooks would have answered.
    #[test]
    fn a_digest_agrees_with_the_hooks_where_it_knows() {
        let runtimes = [1, 2].map(RuntimeId::from_u32);
        let kinds = [Kind::TIMER, Kind::TASK, Kind::at(KINDS_LISTED + 1).expect("it has a number")];
        let mut filters = Vec::new();
        for kinds in [None, Some(vec![kinds[0]]), Some(vec![kinds[1], kinds[2]])] {
            for runtime in [None, runtimes[0], runtimes[1]] {
                for sample in [None, Some(1.0)] {
                    let kinds = kinds.clone();
                    filters.push(Filter { kinds, runtime, sample, ..Filter::default() });
                }
            }
        }
        let (mut known, mut unknown) = (0, 0);
        for pair in filters.iter().flat_map(|one| filters.iter().map(move |other| [one, other])) {
            let list = list_of(&pair);
            note(&list);
            let digest = DIGEST.with(Cell::get);
            for (kind, runtime) in
                kinds.iter().flat_map(|kind| [None, runtimes[0]].map(|runtime| (*kind, runtime)))
            {
                let newborn = Newborn {
                    id: AsyncId::next(),
                    kind,
                    runtime,
                    creator: None,
                    is_flow_root: false,
                    creator_is_followed: None,
                };
                match digest.scope(kind, runtime, None, false) {
                    Some(scope) => {
                        let follow = list.slots(|hook| hook.filter.follows(&newborn, hook.epoch));
                        assert_eq!(scope, follow, "{pair:?} {kind:?} {runtime:?}");
                        known += 1;
                    }
                    None => unknown += 1,
                }
            }
        }
        assert!(known > unknown, "{known} and {unknown}");
    }
}
