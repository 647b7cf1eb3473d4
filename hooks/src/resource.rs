//! Shows a hook the resource that an event is about.

use std::any::Any;
use std::cell::{Cell, OnceCell};
use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;
use std::time::Instant;

use crate::frame::Frame;
use crate::id::{AsyncId, RuntimeId};
use crate::kind::Kind;
use crate::ledger::Sighting;
use crate::record::{FLOW_ROOT, Record, SlotValue};
use crate::wakes::Woken;

/// What one emission shares between the hooks that hear it.
pub(crate) struct Emission<'a> {
    pub(crate) record: &'a Record,
    pub(crate) probe: Option<Probe>,
    /// Whether it is the `init` that a late hook is told.
    pub(crate) is_replay: bool,
    /// The epoch of the hook that is being called, which names that hook's slot; else 0.
    pub(crate) hook: Cell<u32>,
    clock: OnceCell<Instant>,
}

impl<'a> Emission<'a> {
    #[inline]
    pub(crate) fn of(record: &'a Record) -> Emission<'a> {
        let (hook, clock) = (Cell::new(0), OnceCell::new());
        Emission { record, probe: None, is_replay: false, hook, clock }
    }

    /// An `init`, with what can tell what the resource is doing.
    #[inline]
    pub(crate) fn of_init(record: &'a Record, probe: Option<Probe>) -> Emission<'a> {
        Emission { probe, ..Emission::of(record) }
    }

    /// The same for one hook that is told `init` late, at the same time.
    pub(crate) fn replay(&self) -> Emission<'a> {
        Emission { is_replay: true, clock: self.clock.clone(), ..Emission::of(self.record) }
    }
}

/// What is known of a resource from its birth on.
#[derive(Clone, Copy)]
pub struct Facts<'a>(&'a Record);

impl Facts<'_> {
    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> AsyncId {
        self.0.id
    }

    /// Returns the id of the resource that caused it, `None` if it was made outside all resources.
    #[must_use]
    pub fn trigger_id(&self) -> Option<AsyncId> {
        self.0.trigger
    }

    /// Returns the id of the resource whose code made it.
    #[must_use]
    pub fn creator_id(&self) -> Option<AsyncId> {
        self.0.creator()
    }

    /// Returns the resource it is linked to without descending from it: where a `spawn_root`
    /// came from, for one.
    #[must_use]
    pub fn link(&self) -> Option<AsyncId> {
        self.0.ext.get().and_then(|ext| ext.link)
    }

    /// Returns its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Returns its name, else a name for its code, such as `orders::ship`.
    #[must_use]
    pub fn label(&self) -> &str {
        self.0.label()
    }

    /// Returns its label if that is known for the life of the process, as all but names made at
    /// run time are; for those, the name of its code.
    #[must_use]
    pub fn static_label(&self) -> &'static str {
        self.0.static_label()
    }

    /// Returns the function that names its code, for who wants to call it later or never: what it
    /// returns is not yet shortened as a label is.
    #[must_use]
    pub fn code_name(&self) -> fn() -> &'static str {
        self.0.label
    }

    /// Says whether it was given a name.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.0.ext.get().is_some_and(|ext| ext.name.is_some())
    }

    /// Returns where in the program it was made.
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.0.location
    }

    /// Returns the runtime it belongs to, `None` if it lives on a foreign one.
    #[must_use]
    pub fn runtime(&self) -> Option<RuntimeId> {
        self.0.runtime
    }

    /// Says whether a unit of work begins here: sampling hooks draw at such resources.
    #[must_use]
    pub fn is_flow_root(&self) -> bool {
        self.0.has(FLOW_ROOT)
    }

    /// Returns the last wake of a task that waited, as long as wakes are
    /// [watched](crate::wakes::watch): the same again if it was polled since without one.
    #[must_use]
    pub fn woken(&self) -> Option<Woken> {
        self.0.ext.get().and_then(|ext| ext.wake.last())
    }

    /// Returns how many wakes of a task were noted while it waited, and how many of its own while it
    /// ran.
    #[must_use]
    pub fn wakes(&self) -> (u64, u64) {
        self.0.ext.get().map_or((0, 0), |ext| ext.wake.counts())
    }

    /// Says whether its code has created other resources so far. Of what it caused without creating
    /// it (see [`with_trigger`](crate::with_trigger)) it does not know, unless it succeeds itself.
    #[must_use]
    pub fn is_parent(&self) -> bool {
        self.0.is_parent()
    }
}

impl<'a> Facts<'a> {
    pub(crate) fn of(record: &'a Record) -> Facts<'a> {
        Facts(record)
    }
}

impl fmt::Debug for Facts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource")
            .field("id", &self.id())
            .field("kind", &self.kind())
            .field("label", &self.label())
            .field("trigger", &self.trigger_id())
            .finish_non_exhaustive()
    }
}

/// A resource, for as long as an event about it is told.
pub struct Resource<'a> {
    facts: Facts<'a>,
    emission: Option<&'a Emission<'a>>,
}

impl<'a> Resource<'a> {
    pub(crate) fn plain(record: &'a Record) -> Resource<'a> {
        Resource { facts: Facts(record), emission: None }
    }

    #[inline]
    pub(crate) fn told(emission: &'a Emission<'a>) -> Resource<'a> {
        Resource { facts: Facts(emission.record), emission: Some(emission) }
    }

    fn record(&self) -> &'a Record {
        self.facts.0
    }

    /// The epoch of the hook that is looking.
    fn hook_epoch(&self) -> Option<u32> {
        self.emission.map(|told| told.hook.get()).filter(|epoch| *epoch != 0)
    }
}

/// All that does not change while it lives.
impl<'a> Deref for Resource<'a> {
    type Target = Facts<'a>;

    fn deref(&self) -> &Facts<'a> {
        &self.facts
    }
}

impl Resource<'_> {
    /// Returns its context.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        self.record().frame.get()
    }

    /// Says whether this `init` is told late, to a hook that attached to what existed.
    #[must_use]
    pub fn is_replayed(&self) -> bool {
        self.emission.is_some_and(|told| told.is_replay)
    }

    /// Returns the time of the event: the clock is read once per emission, and only if asked.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.emission.map_or_else(Instant::now, |told| *told.clock.get_or_init(Instant::now))
    }

    /// Returns something that says, later and from any thread, what the resource is doing.
    ///
    /// Only `init` of a task has one.
    #[must_use]
    pub fn probe(&self) -> Option<Probe> {
        self.emission.and_then(|told| told.probe)
    }

    /// Keeps `value` in the resource for the hook that is being called, in place of what it kept
    /// before. It is freed before that hook's `destroy` returns; if the hook did not ask for that
    /// event, or was disabled before it, right after the others' `destroy`.
    ///
    /// Outside a hook's callback it does nothing.
    pub fn set_slot<T: Any + Send + Sync>(&self, value: T) {
        let Some(hook_epoch) = self.hook_epoch() else { return };
        let value: Arc<dyn Any + Send + Sync> = Arc::new(value);
        let mut slots = self.record().ext().slots.lock();
        let kept = slots.iter_mut().find(|slot| slot.hook_epoch == hook_epoch);
        let old = match kept {
            Some(slot) => Some(std::mem::replace(&mut slot.value, value)),
            None => {
                slots.push(SlotValue { hook_epoch, value });
                None
            }
        };
        drop(slots);
        // Foreign code: it must not run under the lock.
        drop(old);
    }

    /// Returns what the hook that is being called keeps in the resource, if it is a `T`.
    #[must_use]
    pub fn slot<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let hook_epoch = self.hook_epoch()?;
        let slots = self.record().ext.get()?.slots.lock();
        let value = slots.iter().find(|slot| slot.hook_epoch == hook_epoch)?.value.clone();
        drop(slots);
        value.downcast().ok()
    }
}

impl fmt::Debug for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.facts.fmt(f)
    }
}

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LiveState {
    /// Its code is on some thread's stack.
    Running,
    /// It is ready and waits for a thread.
    Queued,
    /// It waits for something.
    Idle,
}

/// Finds a task where its executor keeps it, without keeping it.
///
/// It is to be used only while the task is known not to have ended: it knows a place, in which
/// another may be after that.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    place: usize,
    show: Show,
}

/// Shows the task in a place, if there is one, to a function that calls nothing foreign.
pub type Show = fn(usize, &mut dyn FnMut(&Sighting<'_>));

impl Probe {
    /// Makes a probe for an executor that can show a task by its place in memory, where there may
    /// be none any more.
    #[must_use]
    #[inline]
    pub fn new(place: usize, show: Show) -> Probe {
        Probe { place, show }
    }

    /// Looks at the task: returns what `f` makes of it, `None` if it has ended.
    pub fn look<R>(&self, f: impl FnOnce(&Sighting<'_>) -> R) -> Option<R> {
        let (mut f, mut seen) = (Some(f), None);
        (self.show)(self.place, &mut |sighting| seen = f.take().map(|f| f(sighting)));
        seen
    }
}
