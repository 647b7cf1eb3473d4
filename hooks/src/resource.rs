//! Shows a hook the resource that an event is about.

use std::any::Any;
use std::cell::OnceCell;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use crate::frame::Frame;
use crate::id::{AsyncId, RuntimeId};
use crate::kind::Kind;
use crate::record::{FLOW_ROOT, Record, SlotValue};

/// What one emission shares between the hooks that hear it.
pub(crate) struct Emission<'a> {
    pub(crate) record: &'a Record,
    pub(crate) probe: Option<&'a dyn Fn() -> Probe>,
    pub(crate) clock: OnceCell<Instant>,
}

impl<'a> Emission<'a> {
    pub(crate) fn of(record: &'a Record) -> Emission<'a> {
        Emission { record, probe: None, clock: OnceCell::new() }
    }
}

/// A resource, for as long as an event about it is told.
pub struct Resource<'a> {
    record: &'a Record,
    emission: Option<&'a Emission<'a>>,
    /// The epoch of the hook that is looking: it names that hook's slot.
    hook_epoch: Option<u32>,
    is_replayed: bool,
}

impl<'a> Resource<'a> {
    pub(crate) fn plain(record: &'a Record) -> Resource<'a> {
        Resource { record, emission: None, hook_epoch: None, is_replayed: false }
    }

    pub(crate) fn told(emission: &'a Emission<'a>, hook_epoch: u32) -> Resource<'a> {
        Resource {
            record: emission.record,
            emission: Some(emission),
            hook_epoch: Some(hook_epoch),
            is_replayed: false,
        }
    }

    pub(crate) fn replayed(emission: &'a Emission<'a>, hook_epoch: u32) -> Resource<'a> {
        Resource { is_replayed: true, ..Resource::told(emission, hook_epoch) }
    }
}

impl Resource<'_> {
    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> AsyncId {
        self.record.id
    }

    /// Returns the id of the resource that caused it, `None` if it was made outside all resources.
    #[must_use]
    pub fn trigger_id(&self) -> Option<AsyncId> {
        self.record.trigger
    }

    /// Returns the id of the resource whose code made it.
    #[must_use]
    pub fn creator_id(&self) -> Option<AsyncId> {
        self.record.creator()
    }

    /// Returns the resource it is linked to without descending from it: where a `spawn_root`
    /// came from, for one.
    #[must_use]
    pub fn link(&self) -> Option<AsyncId> {
        self.record.ext.get().and_then(|ext| ext.link)
    }

    /// Returns its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.record.kind
    }

    /// Returns its name, else a name for its code, such as `orders::ship`.
    #[must_use]
    pub fn label(&self) -> &str {
        self.record.label()
    }

    /// Returns its label if that is known for the life of the process, as all but names made at
    /// run time are; for those, the name of its code.
    #[must_use]
    pub fn static_label(&self) -> &'static str {
        self.record.static_label()
    }

    /// Returns the function that names its code, for who wants to call it later or never: what it
    /// returns is not yet shortened as a label is.
    #[must_use]
    pub fn code_name(&self) -> fn() -> &'static str {
        self.record.label
    }

    /// Says whether it was given a name.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.record.ext.get().is_some_and(|ext| ext.name.is_some())
    }

    /// Returns where in the program it was made.
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.record.location
    }

    /// Returns its context.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.record.frame
    }

    /// Returns the runtime it belongs to, `None` if it lives on a foreign one.
    #[must_use]
    pub fn runtime(&self) -> Option<RuntimeId> {
        self.record.runtime
    }

    /// Says whether a unit of work begins here: sampling hooks draw at such resources.
    #[must_use]
    pub fn is_flow_root(&self) -> bool {
        self.record.has(FLOW_ROOT)
    }

    /// Says whether its code has created other resources so far. What it caused without creating
    /// it (see [`with_trigger`](crate::with_trigger)) does not count.
    #[must_use]
    pub fn is_parent(&self) -> bool {
        self.record.is_parent()
    }

    /// Says whether this `init` is told late, to a hook that attached to what existed.
    #[must_use]
    pub fn is_replayed(&self) -> bool {
        self.is_replayed
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
        self.emission.and_then(|told| told.probe).map(|make| make())
    }

    /// Keeps `value` in the resource for the hook that is being called, in place of what it kept
    /// before. It is freed before that hook's `destroy` returns; if the hook did not ask for that
    /// event, or was disabled before it, right after the others' `destroy`.
    ///
    /// Outside a hook's callback it does nothing.
    pub fn set_slot<T: Any + Send + Sync>(&self, value: T) {
        let Some(hook_epoch) = self.hook_epoch else { return };
        let value: Arc<dyn Any + Send + Sync> = Arc::new(value);
        let mut slots = self.record.ext().slots.lock();
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
        let hook_epoch = self.hook_epoch?;
        let slots = self.record.ext.get()?.slots.lock();
        let value = slots.iter().find(|slot| slot.hook_epoch == hook_epoch)?.value.clone();
        drop(slots);
        value.downcast().ok()
    }
}

impl fmt::Debug for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource")
            .field("id", &self.id())
            .field("kind", &self.kind())
            .field("label", &self.label())
            .field("trigger", &self.trigger_id())
            .finish_non_exhaustive()
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

/// Says what a resource is doing, without touching it.
///
/// It keeps the memory of the resource, not its life: `destroy` does not wait for it.
#[derive(Clone, Debug)]
pub struct Probe {
    waker: Waker,
    read: fn(&Waker) -> LiveState,
}

impl Probe {
    /// Makes a probe for an executor that can read a task's state from the task's waker.
    #[must_use]
    pub fn new(waker: Waker, read: fn(&Waker) -> LiveState) -> Probe {
        Probe { waker, read }
    }

    /// Returns the waker it was made of, for the executor that made it.
    #[must_use]
    pub fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Returns what the resource is doing now.
    #[must_use]
    pub fn state(&self) -> LiveState {
        (self.read)(&self.waker)
    }
}
