//! Knows which hooks are enabled, and lets every thread read the list without a lock.
//!
//! The list is changed under a lock and numbered by `version`. Each thread keeps a copy of the
//! list and compares the number, so an emission costs one load; only a thread that finds another
//! number takes the lock. A copy is reference-counted within its thread, so an emission and the
//! `after` of a pair keep the list they began with.
//!
//! What is asked most often, *does anybody want this event?*, stands apart in one mask per event.
//! [`hook`](mod@crate::hook) enables and disables; [`life`](crate::life) asks at each birth,
//! [`emit`](crate::emit) at each event.
//!
//! # Invariants
//! R1. An epoch belongs to one `enable`, and epochs only grow. A list has the epoch of the last one
//!     before it, so a hook that is on some list has at most the epoch of that list.
//! R2. A record's `scope` and `epoch` come from one list: a record as young as a hook that is
//!     enabled has that hook's decision as its bit.
//!
//! # Memory ordering
//!
//! [`Registry::publish`] writes, under the lock, `version` (Relaxed), then the masks (Release), then
//! `epoch` (Release). Three promises stand on that order.
//!
//! *No event is skipped that a hook on a record's list wants.* Whoever emits was reached by the
//! birth of the record, and that birth read its list under the lock, behind the masks of every hook
//! on it.
//!
//! *Once an event is skipped because a hook is gone, no later one is told to that hook.* The Acquire
//! loads of masks in [`Registry::wants`] pair with their Release: who sees that a bit is gone sees
//! the version that took it away, and so does everybody whom the resource reaches from there. What
//! `version` finds old is read anew under the lock.
//!
//! *R2 holds where nobody listens.* The Acquire load of `epoch` in [`Registry::nobody_since`] pairs
//! with its Release: who sees an epoch sees the bit of its hook in `enabled`, or that the hook is
//! gone, so no record claims to be as young as a hook that it ignored.
//!
//! The models in this file check these, and that nothing that begins after `disable` returned is
//! told, against all interleavings of two threads.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use crate::digest;
use crate::events::{Event, Events};
use crate::fault::{self, Fault};
use crate::filter::{Cause, EnableError, Filter};
use crate::hook::AsyncHook;
use crate::sync::{AtomicU32, AtomicU64, Mutex, Ordering, global, per_thread};

/// So many hooks can be enabled at once: one bit each in every record.
pub const HOOKS_MAX: usize = 32;

/// A hook that listens.
pub(crate) struct Enabled {
    /// The bit of its slot in every record.
    pub(crate) bit: u32,
    pub(crate) epoch: u32,
    pub(crate) events: Events,
    pub(crate) filter: Filter,
    /// See [`Filter::is_tested_late`].
    pub(crate) is_tested_late: bool,
    pub(crate) hook: Arc<dyn AsyncHook>,
    /// Set once, when the hook panicked; it is called no more.
    pub(crate) fault: OnceLock<Fault>,
}

impl Enabled {
    /// Says whether it wants `before` or `after`.
    pub(crate) fn wants_pair(&self) -> bool {
        self.events.has(Event::Before) || self.events.has(Event::After)
    }
}

/// The hooks that are enabled, in the order in which they were.
#[derive(Clone)]
pub(crate) struct HookSet {
    pub(crate) version: u64,
    pub(crate) epoch: u32,
    pub(crate) hooks: Vec<Arc<Enabled>>,
}

impl HookSet {
    /// Returns the slots of the hooks that are so.
    pub(crate) fn slots(&self, are: impl Fn(&Enabled) -> bool) -> u32 {
        self.hooks.iter().filter(|hook| are(hook)).fold(0, |slots, hook| slots | hook.bit)
    }
}

impl Drop for HookSet {
    /// The last list that knows a hook frees it, on whatever thread and in the middle of whatever
    /// emission that is.
    fn drop(&mut self) {
        self.hooks.drain(..).for_each(fault::drop_quietly);
    }
}

struct Registry {
    list: Mutex<HookSet>,
    version: AtomicU64,
    epoch: AtomicU32,
    /// The slots in use.
    enabled: AtomicU32,
    /// Per event, the slots that want it; with `before`, those that want `after` alone, too.
    wants: [AtomicU32; Event::COUNT],
    /// The slots of hooks that also follow what is older than they are.
    attaching: AtomicU32,
}

global! {
    REGISTRY: Registry = Registry::new()
}

per_thread! {
    /// This thread's copy of the list. Taken out while it is looked at.
    COPY: Cell<Option<Rc<HookSet>>> = Cell::new(None);
}

impl Registry {
    #[cfg(not(loom))]
    const fn new() -> Registry {
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
    fn new() -> Registry {
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
    fn wants(&self, event: Event, scope: u32) -> bool {
        let wanted = self.wants[event as usize].load(Ordering::Acquire);
        wanted != 0 && wanted & (scope | self.attaching.load(Ordering::Acquire)) != 0
    }

    /// Returns the epoch, if nobody who was enabled up to it is listening.
    #[inline]
    fn nobody_since(&self) -> Option<u32> {
        let epoch = self.epoch.load(Ordering::Acquire);
        (self.enabled.load(Ordering::Relaxed) == 0).then_some(epoch)
    }

    /// Says whether `copy` is the list as it is now.
    #[inline]
    fn is_current(&self, copy: &HookSet) -> bool {
        copy.version == self.version.load(Ordering::Relaxed)
    }

    fn copy(&self) -> HookSet {
        self.list.lock().clone()
    }

    fn enable(
        &self,
        hook: Arc<dyn AsyncHook>,
        events: Events,
        filter: Filter,
    ) -> Result<Arc<Enabled>, EnableError> {
        let mut list = self.list.lock();
        let used = list.hooks.iter().fold(0, |used, hook| used | hook.bit);
        let slot = used.trailing_ones();
        if slot as usize >= HOOKS_MAX {
            return Err(EnableError(Cause::Full));
        }
        let epoch = list.epoch.checked_add(1).ok_or(EnableError(Cause::Exhausted))?;
        let bit = 1 << slot;
        let fault = OnceLock::new();
        let is_tested_late = filter.is_tested_late();
        let enabled = Enabled { bit, epoch, events, filter, is_tested_late, hook, fault };
        let enabled = Arc::new(enabled);
        list.hooks.push(enabled.clone());
        list.epoch = epoch;
        self.publish(&mut list);
        Ok(enabled)
    }

    /// Takes the hook off the list; says whether it was there.
    fn disable(&self, enabled: &Enabled) -> bool {
        let mut list = self.list.lock();
        let Some(place) = list.hooks.iter().position(|hook| hook.epoch == enabled.epoch) else {
            return false;
        };
        // Not the last reference: the caller has one, so foreign code is not freed under the lock.
        list.hooks.remove(place);
        self.publish(&mut list);
        true
    }

    fn publish(&self, list: &mut HookSet) {
        list.version += 1;
        self.version.store(list.version, Ordering::Relaxed);
        for event in Event::ALL {
            let is_wanted = |hook: &Enabled| match event {
                Event::Before => hook.wants_pair(),
                _ => hook.events.has(event),
            };
            self.wants[event as usize].store(list.slots(is_wanted), Ordering::Release);
        }
        self.attaching.store(list.slots(|hook| hook.filter.attach_existing), Ordering::Release);
        self.enabled.store(list.slots(|_| true), Ordering::Relaxed);
        self.epoch.store(list.epoch, Ordering::Release);
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
        _ => renew(),
    };
    let _ = COPY.try_with(|copy| copy.set(Some(current.clone())));
    current
}

#[cold]
fn renew() -> Rc<HookSet> {
    let list = REGISTRY.copy();
    digest::note(&list);
    Rc::new(list)
}

/// Says whether the list has this version now.
#[inline]
pub(crate) fn is_version(version: u64) -> bool {
    version == REGISTRY.version.load(Ordering::Relaxed)
}

/// Lets go of this thread's copy, so that a hook that is disabled meanwhile can be freed.
pub(crate) fn rest() {
    drop(COPY.try_with(Cell::take).ok().flatten());
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{HOOKS_MAX, Registry};
    use crate::events::Events;
    use crate::filter::Filter;
    use crate::hook::Closures;
    use std::sync::Arc;

    #[test]
    fn a_registry_that_has_run_out_of_epochs_or_slots_says_so() {
        let registry = Registry::new();
        let enable =
            || registry.enable(Arc::new(Closures::default()), Events::NONE, Filter::default());
        let hooks: Vec<_> = (0..HOOKS_MAX).map(|_| enable().unwrap()).collect();
        assert!(enable().is_err_and(|refused| refused.is_full()));
        assert!(registry.disable(&hooks[5]));
        assert!(!registry.disable(&hooks[5]));
        assert_eq!(enable().unwrap().bit, 1 << 5);

        assert!(registry.disable(&hooks[6]));
        registry.list.lock().epoch = u32::MAX;
        let refused = enable().err().unwrap();
        assert!(!refused.is_full());
        assert_eq!(refused.to_string(), "hooks were enabled 2^32 times in this process");
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::REGISTRY;
    use crate::events::Event;
    use crate::hook::{AsyncHook, HookHandle, create_hook};
    use crate::kind::Kind;
    use crate::life::{Birth, Life};
    use crate::reason::Reason;
    use crate::resource::Resource;
    use crate::sync::{AtomicU32, Ordering};
    use loom::thread;
    use std::sync::{Arc, Mutex, PoisonError};

    /// Notes what it hears, on std's lock: loom switches threads only where its own types are
    /// used, so a callback is one step.
    #[derive(Default)]
    struct Heard(Mutex<Vec<Event>>);

    impl Heard {
        fn enable() -> HookHandle<Heard> {
            create_hook(Heard::default()).enable().expect("a slot is free")
        }

        fn note(&self, event: Event) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        }

        fn take(&self) -> Vec<Event> {
            std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    impl AsyncHook for Heard {
        fn init(&self, _: &Resource<'_>) {
            self.note(Event::Init);
        }

        fn before(&self, _: &Resource<'_>) {
            self.note(Event::Before);
        }

        fn after(&self, _: &Resource<'_>) {
            self.note(Event::After);
        }

        fn destroy(&self, _: &Resource<'_>, _: Reason) {
            self.note(Event::Destroy);
        }
    }

    const WHOLE: [Event; 4] = [Event::Init, Event::Before, Event::After, Event::Destroy];

    fn begin() -> Life {
        Life::begin(Birth::new(Kind::OTHER, || "model"))
    }

    fn live() {
        let life = begin();
        life.run(|_| ());
        life.end(Reason::Completed);
    }

    /// R2, for the first hook of all.
    #[test]
    fn a_record_as_young_as_the_first_hook_has_its_decision() {
        loom::model(|| {
            let enabling = thread::spawn(Heard::enable);
            let life = begin();
            let hook = enabling.join().expect("the hook is enabled");
            let is_young = life.record.epoch >= hook.enabled.epoch;
            assert_eq!(life.record.scope & hook.enabled.bit != 0, is_young);
        });
    }

    /// R2, for a hook that comes while another is enabled and this thread has a copy of the list.
    #[test]
    fn a_record_as_young_as_a_second_hook_has_its_decision() {
        loom::model(|| {
            let _first = Heard::enable();
            begin().end(Reason::Completed);
            let enabling = thread::spawn(Heard::enable);
            let life = begin();
            let hook = enabling.join().expect("the hook is enabled");
            let is_young = life.record.epoch >= hook.enabled.epoch;
            assert_eq!(life.record.scope & hook.enabled.bit != 0, is_young);
        });
    }

    /// Both a birth and the end of a resource that the hook followed.
    #[test]
    fn what_begins_after_disable_returned_is_not_told() {
        loom::model(|| {
            let hook = Heard::enable();
            let heard = hook.hook.clone();
            let is_over = Arc::new(AtomicU32::new(0));
            let disabling = thread::spawn({
                let is_over = is_over.clone();
                move || {
                    drop(hook);
                    is_over.store(1, Ordering::Release);
                }
            });
            let followed = begin();
            if is_over.load(Ordering::Acquire) == 1 {
                heard.take();
                followed.end(Reason::Completed);
                live();
                assert_eq!(heard.take(), []);
            }
            disabling.join().expect("the hook is disabled");
        });
    }

    /// What a hook may hear of a life that races with its end: no event behind one that it missed,
    /// and no `before` without `after`.
    fn assert_cut_cleanly(heard: &[Event]) {
        let is_pair_cut = heard.last() == Some(&Event::Before);
        assert!(WHOLE.starts_with(heard) && !is_pair_cut, "{heard:?}");
    }

    #[test]
    fn a_life_that_races_with_disable_is_cut_cleanly() {
        loom::model(|| {
            let hook = Heard::enable();
            let heard = hook.hook.clone();
            let disabling = thread::spawn(move || drop(hook));
            live();
            assert_cut_cleanly(&heard.take());
            disabling.join().expect("the hook is disabled");
        });
    }

    /// The second thread has an old copy of the list, and learns that it is old from the first.
    #[test]
    fn a_life_on_two_threads_that_races_with_the_reuse_of_a_slot_is_cut_cleanly() {
        loom::model(|| {
            let hook = Heard::enable();
            let heard = hook.hook.clone();
            begin().end(Reason::Completed);
            heard.take();
            let beginning = thread::spawn(begin);
            let renewing = thread::spawn(move || {
                drop(hook);
                Heard::enable()
            });
            let life = beginning.join().expect("the life has begun");
            life.end(Reason::Completed);
            let told = heard.take();
            assert!(
                matches!(told[..], [] | [Event::Init] | [Event::Init, Event::Destroy]),
                "{told:?}"
            );
            drop(renewing.join().expect("the second hook is enabled"));
        });
    }

    #[test]
    fn a_life_that_races_with_enable_is_followed_whole_or_not_at_all() {
        loom::model(|| {
            let enabling = thread::spawn(Heard::enable);
            live();
            let hook = enabling.join().expect("the hook is enabled");
            let heard = hook.take();
            assert!(heard.is_empty() || heard == WHOLE, "{heard:?}");
        });
    }

    /// The new hook must not take the old one's bits for its own, nor the old one's list hide it.
    #[test]
    fn a_life_that_races_with_the_reuse_of_a_slot_is_followed_whole_or_not_at_all() {
        loom::model(|| {
            let first = Heard::enable();
            let first_heard = first.hook.clone();
            let renewing = thread::spawn(move || {
                drop(first);
                Heard::enable()
            });
            live();
            let second = renewing.join().expect("the second hook is enabled");
            assert_eq!(second.enabled.bit, 1);
            let heard = second.take();
            assert!(heard.is_empty() || heard == WHOLE, "{heard:?}");
            assert_cut_cleanly(&first_heard.take());
        });
    }

    #[test]
    fn hooks_that_are_enabled_at_once_get_a_slot_and_an_epoch_each() {
        loom::model(|| {
            let other = thread::spawn(Heard::enable);
            let mine = Heard::enable();
            let other = other.join().expect("the hook is enabled");
            assert_ne!(mine.enabled.bit, other.enabled.bit);
            assert_ne!(mine.enabled.epoch, other.enabled.epoch);
            live();
            assert_eq!((mine.take(), other.take()), (WHOLE.into(), WHOLE.into()));
            assert!(REGISTRY.nobody_since().is_none());
        });
    }
}
