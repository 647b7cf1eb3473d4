//! Finds a runtime by its id: how a thread that is not a worker reaches the runtime of a task that
//! it wakes.
//!
//! A task names its runtime by number, so that a spawn counts nothing that others count too; only
//! such a wake looks the number up, and keeps the runtime for as long as it takes. Slots are
//! reused, numbers are not: above the slot's index a number has a generation.

use std::io;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use crate::hooks::RuntimeId;
use crate::scheduler::Shared;
use crate::task::local_queue::LocalQueue;

/// At most so many runtimes, and sets of local tasks, are alive at once.
const RUNTIMES_MAX: usize = 1024;
const INDEX_BITS: u32 = RUNTIMES_MAX.ilog2();

struct Slot {
    /// Of the last runtime that had the slot.
    generation: u32,
    is_taken: bool,
    target: Target<Weak<Shared>, Weak<LocalQueue>>,
}

/// Where the tasks of a number are queued: with a runtime, or with a set of local tasks.
#[derive(Clone)]
pub(crate) enum Target<R, L> {
    Runtime(R),
    Local(L),
}

const NOWHERE: Target<Weak<Shared>, Weak<LocalQueue>> = Target::Runtime(Weak::new());

// On std's lock even under loom, which has no static ones.
static SLOTS: [RwLock<Slot>; RUNTIMES_MAX] =
    [const { RwLock::new(Slot { generation: 0, is_taken: false, target: NOWHERE }) }; RUNTIMES_MAX];

/// A number that no other runtime has or had. Dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct Claim(RuntimeId);

/// Takes a number.
pub(crate) fn claim() -> io::Result<Claim> {
    for (index, slot) in SLOTS.iter().enumerate() {
        let mut slot = slot.write().unwrap_or_else(PoisonError::into_inner);
        let is_used_up = slot.generation >> (u32::BITS - INDEX_BITS) != 0;
        if slot.is_taken || is_used_up {
            continue;
        }
        slot.generation += 1;
        let index = u32::try_from(index).unwrap_or(0);
        if let Some(id) = RuntimeId::from_u32(slot.generation << INDEX_BITS | index) {
            slot.is_taken = true;
            return Ok(Claim(id));
        }
    }
    Err(io::Error::other("1024 runtimes are alive in this process: drop one, or share a Handle"))
}

fn slot_of(id: RuntimeId) -> &'static RwLock<Slot> {
    &SLOTS[id.get() as usize % RUNTIMES_MAX]
}

impl Claim {
    pub(crate) fn id(&self) -> RuntimeId {
        self.0
    }

    /// Lets the runtime be found.
    pub(crate) fn publish(&self, runtime: &Arc<Shared>) {
        self.set(Target::Runtime(Arc::downgrade(runtime)));
    }

    /// Lets a set of local tasks be found.
    pub(crate) fn publish_local(&self, queue: &Arc<LocalQueue>) {
        self.set(Target::Local(Arc::downgrade(queue)));
    }

    fn set(&self, target: Target<Weak<Shared>, Weak<LocalQueue>>) {
        slot_of(self.0).write().unwrap_or_else(PoisonError::into_inner).target = target;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut slot = slot_of(self.0).write().unwrap_or_else(PoisonError::into_inner);
        slot.is_taken = false;
        slot.target = NOWHERE;
    }
}

/// Returns every runtime that is alive.
pub(crate) fn all_runtimes() -> Vec<Arc<Shared>> {
    let runtime =
        |slot: &RwLock<Slot>| match &slot.read().unwrap_or_else(PoisonError::into_inner).target {
            Target::Runtime(runtime) => runtime.upgrade(),
            Target::Local(_) => None,
        };
    SLOTS.iter().filter_map(runtime).collect()
}

/// Finds the runtime, or the set of local tasks, of a number, if it is alive.
pub(crate) fn find(id: RuntimeId) -> Option<Target<Arc<Shared>, Arc<LocalQueue>>> {
    let slot = slot_of(id).read().unwrap_or_else(PoisonError::into_inner);
    let target = slot.target.clone();
    let target = match target {
        Target::Runtime(runtime) => runtime.upgrade().map(Target::Runtime),
        Target::Local(queue) => queue.upgrade().map(Target::Local),
    };
    // This may be the last that keeps the runtime, whose end needs the slot.
    drop(slot);
    target.filter(|target| match target {
        Target::Runtime(runtime) => runtime.id() == id,
        Target::Local(queue) => queue.id() == id,
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::claim;

    #[test]
    fn a_number_is_not_used_twice() -> std::io::Result<()> {
        let first = claim()?;
        let id = first.id();
        drop(first);
        for _ in 0..100 {
            assert_ne!(claim()?.id(), id);
        }
        Ok(())
    }
}
