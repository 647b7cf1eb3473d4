//! Knows which hooks are enabled, and lets every thread read the list without a lock.
//!
//! The list is changed under a lock and numbered by `version`. Each thread keeps a copy of the
//! list and compares the number, so an emission costs one load; only a thread that finds another
//! number takes the lock. A copy is reference-counted within its thread, so an emission and the
//! `after` of a pair keep the list they began with.
//!
//! What is asked most often, *does anybody want this event?*, stands apart in one mask per event.
//!
//! # Invariants
//! R1. An epoch belongs to one `enable`; epochs only grow. A list has the epoch of the last.
//! R2. A record's `scope` and `epoch` come from one list: a bit in a record as young as a hook
//!     was decided by that hook.
//!
//! # Memory ordering
//!
//! `change` publishes in the order masks, `epoch` (Release), `version` (Release). The Acquire load
//! of `epoch` in [`Registry::nobody_since`] pairs with the first: who sees an epoch sees the bit of
//! its hook in `enabled`, so no record claims to be younger than a hook that it ignored. The
//! Acquire load of `version` in [`Registry::is_current`] pairs with the second only to be
//! prompt; the list itself is read under the lock. Masks are Relaxed: an event that must be told
//! is told on a thread that already knows the hook through the record's birth.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::OnceLock;

use crate::events::{Event, Events};
use crate::fault::Fault;
use crate::filter::{Cause, EnableError, Filter};
use crate::hook::AsyncHook;
use crate::sync::{Arc, AtomicU32, AtomicU64, Mutex, Ordering, global};

/// So many hooks can be enabled at once: one bit each in every record.
pub const HOOKS_MAX: usize = 32;

/// A hook that listens.
pub(crate) struct Enabled {
    pub(crate) slot: u8,
    pub(crate) epoch: u32,
    pub(crate) events: Events,
    pub(crate) filter: Filter,
    pub(crate) hook: Arc<dyn AsyncHook>,
    /// Set once, when the hook panicked; it is called no more.
    pub(crate) fault: OnceLock<Fault>,
}

impl Enabled {
    pub(crate) fn bit(&self) -> u32 {
        1 << self.slot
    }
}

/// The hooks that are enabled, in the order in which they were.
#[derive(Clone)]
pub(crate) struct HookSet {
    version: u64,
    pub(crate) epoch: u32,
    pub(crate) hooks: Vec<Arc<Enabled>>,
}

pub(crate) struct Registry {
    list: Mutex<HookSet>,
    version: AtomicU64,
    epoch: AtomicU32,
    /// The slots in use.
    enabled: AtomicU32,
    /// Per event, the slots that want it.
    wants: [AtomicU32; Event::COUNT],
    /// The slots of hooks that also follow what is older than they are.
    attaching: AtomicU32,
}

global! {
    REGISTRY: Registry = Registry::new()
}

thread_local! {
    /// This thread's copy of the list. Taken out while it is looked at.
    static COPY: Cell<Option<Rc<HookSet>>> = const { Cell::new(None) };
}

impl Registry {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Registry {
        Registry {
            list: Mutex::new(HookSet { version: 0, epoch: 0, hooks: Vec::new() }),
            version: AtomicU64::new(0),
            epoch: AtomicU32::new(0),
            enabled: AtomicU32::new(0),
            wants: [const { AtomicU32::new(0) }; Event::COUNT],
            attaching: AtomicU32::new(0),
        }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Registry {
        Registry {
            list: Mutex::new(HookSet { version: 0, epoch: 0, hooks: Vec::new() }),
            version: AtomicU64::new(0),
            epoch: AtomicU32::new(0),
            enabled: AtomicU32::new(0),
            wants: std::array::from_fn(|_| AtomicU32::new(0)),
            attaching: AtomicU32::new(0),
        }
    }

    /// Says whether some hook may want `event` of a resource with these bits.
    #[inline]
    pub(crate) fn wants(&self, event: Event, scope: u32) -> bool {
        let wanted = self.wants[event as usize].load(Ordering::Relaxed);
        wanted != 0 && wanted & (scope | self.attaching.load(Ordering::Relaxed)) != 0
    }

    /// Returns the epoch, if nobody who was enabled up to it is listening.
    #[inline]
    pub(crate) fn nobody_since(&self) -> Option<u32> {
        let epoch = self.epoch.load(Ordering::Acquire);
        (self.enabled.load(Ordering::Relaxed) == 0).then_some(epoch)
    }

    /// Says whether `copy` is the list as it is now.
    #[inline]
    fn is_current(&self, copy: &HookSet) -> bool {
        copy.version == self.version.load(Ordering::Acquire)
    }

    pub(crate) fn copy(&self) -> HookSet {
        self.list.lock().clone()
    }

    pub(crate) fn enable(
        &self,
        hook: Arc<dyn AsyncHook>,
        events: Events,
        filter: Filter,
    ) -> Result<Arc<Enabled>, EnableError> {
        let mut list = self.list.lock();
        let used = list.hooks.iter().fold(0, |used, hook| used | hook.bit());
        let slot = used.trailing_ones();
        if slot as usize >= HOOKS_MAX {
            return Err(EnableError(Cause::Full));
        }
        let epoch = list.epoch.checked_add(1).ok_or(EnableError(Cause::Exhausted))?;
        #[allow(clippy::cast_possible_truncation, reason = "below HOOKS_MAX")]
        let slot = slot as u8;
        let fault = OnceLock::new();
        let enabled = Arc::new(Enabled { slot, epoch, events, filter, hook, fault });
        list.hooks.push(enabled.clone());
        list.epoch = epoch;
        self.publish(&mut list);
        Ok(enabled)
    }

    /// Takes the hook off the list; says whether it was there.
    pub(crate) fn disable(&self, enabled: &Enabled) -> bool {
        let mut list = self.list.lock();
        let Some(place) = list.hooks.iter().position(|hook| hook.epoch == enabled.epoch) else {
            return false;
        };
        let removed = list.hooks.remove(place);
        self.publish(&mut list);
        drop(list);
        // Perhaps the last reference to foreign code: it must not go under the lock.
        drop(removed);
        true
    }

    fn publish(&self, list: &mut HookSet) {
        let slots = |of: &dyn Fn(&Enabled) -> bool| {
            list.hooks.iter().filter(|hook| of(hook)).fold(0, |slots, hook| slots | hook.bit())
        };
        for event in Event::ALL {
            let wanted = slots(&|hook| hook.events.has(event));
            self.wants[event as usize].store(wanted, Ordering::Relaxed);
        }
        self.attaching.store(slots(&|hook| hook.filter.attach_existing), Ordering::Relaxed);
        self.enabled.store(slots(&|_| true), Ordering::Relaxed);
        self.epoch.store(list.epoch, Ordering::Release);
        list.version += 1;
        self.version.store(list.version, Ordering::Release);
    }
}

pub(crate) fn enable<H: AsyncHook>(
    hook: Arc<H>,
    events: Events,
    filter: Filter,
) -> Result<Arc<Enabled>, EnableError> {
    REGISTRY.enable(hook, events, filter)
}

pub(crate) fn disable(enabled: &Enabled) {
    if REGISTRY.disable(enabled) {
        rest();
    }
}

#[inline]
pub(crate) fn wants(event: Event, scope: u32) -> bool {
    REGISTRY.wants(event, scope)
}

#[inline]
pub(crate) fn nobody_since() -> Option<u32> {
    REGISTRY.nobody_since()
}

/// Returns the list as it is now, from this thread's copy if that is current.
pub(crate) fn hooks() -> Rc<HookSet> {
    let copy = COPY.try_with(Cell::take).ok().flatten();
    let current = match copy {
        Some(copy) if REGISTRY.is_current(&copy) => copy,
        // What the old copy held is dropped here: no lock is held, and nothing is borrowed.
        _ => Rc::new(REGISTRY.copy()),
    };
    let _ = COPY.try_with(|copy| copy.set(Some(current.clone())));
    current
}

/// Lets go of this thread's copy, so that a hook that is disabled meanwhile can be freed.
pub(crate) fn rest() {
    drop(COPY.try_with(Cell::take).ok().flatten());
}
