//! Checks in tests that resources live as they should, and that nothing is left behind.

mod laws; // what must hold of a life

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use forebear_hooks::{
    AsyncHook, AsyncId, Events, Kind, Outcome, Reason, Resource, RuntimeId, execution_async_id,
};

use crate::inspect;
use crate::tracker;

/// One event, as a [`Recorder`] heard it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Of which resource.
    pub id: AsyncId,
    /// Which event.
    pub event: Event,
    /// Which resource was current.
    pub current: Option<AsyncId>,
    /// On which thread.
    pub thread: ThreadId,
}

/// An event and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `init`; whether it was told late, to a hook that attached to what existed.
    Init {
        /// Told late.
        is_replayed: bool,
    },
    /// `before`.
    Before,
    /// `after`.
    After,
    /// `promise_resolve`.
    PromiseResolve(Outcome),
    /// `destroy`.
    Destroy(Reason),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Init { is_replayed: false } => f.write_str("init"),
            Event::Init { is_replayed: true } => f.write_str("init:replayed"),
            Event::Before => f.write_str("before"),
            Event::After => f.write_str("after"),
            Event::PromiseResolve(outcome) => write!(f, "resolve:{outcome:?}"),
            Event::Destroy(reason) => write!(f, "destroy:{reason:?}"),
        }
    }
}

/// A hook that writes down what it hears, and checks it against the invariants L1 to L7.
///
/// ```
/// use forebear_context::testing::Recorder;
/// use forebear_hooks::{AsyncResource, Kind, create_hook};
///
/// let kind = Kind::new("EXAMPLE");
/// let recorder = create_hook(Recorder::new()).kinds([kind]).enable()?;
/// let resource = AsyncResource::new(kind);
/// let id = resource.id();
/// resource.run_in_async_scope(|| ());
/// resource.emit_destroy();
/// assert_eq!(recorder.sequence(id), "init before after destroy:Completed");
/// recorder.assert_valid();
/// # Ok::<(), forebear_hooks::EnableError>(())
/// ```
#[derive(Debug, Default)]
pub struct Recorder {
    log: Mutex<Log>,
}

#[derive(Clone, Debug, Default)]
struct Log {
    heard: Vec<Heard>,
    known: HashMap<AsyncId, Known>,
}

/// What is known of a resource from its first event.
#[derive(Clone, Debug)]
struct Known {
    kind: Kind,
    label: String,
    creator: Option<AsyncId>,
}

impl Log {
    fn ended(&self) -> HashSet<AsyncId> {
        let ends = self.heard.iter().filter(|heard| matches!(heard.event, Event::Destroy(_)));
        ends.map(|heard| heard.id).collect()
    }
}

impl Recorder {
    /// Makes one that has heard nothing.
    #[must_use]
    pub fn new() -> Recorder {
        Recorder::default()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, resource: &Resource<'_>, event: Event) {
        let (id, current) = (resource.id(), execution_async_id());
        let known = || Known {
            kind: resource.kind(),
            label: resource.label().to_owned(),
            creator: resource.creator_id(),
        };
        let mut log = self.log();
        log.known.entry(id).or_insert_with(known);
        log.heard.push(Heard { id, event, current, thread: thread::current().id() });
    }

    /// Returns all that was heard, in order.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        self.log().heard.clone()
    }

    /// Forgets the resources that have ended.
    pub fn clear(&self) {
        let mut log = self.log();
        let ended = log.ended();
        log.heard.retain(|heard| !ended.contains(&heard.id));
        log.known.retain(|id, _| !ended.contains(id));
    }

    /// Returns the events of a resource, as text: `init before after destroy:Completed`.
    #[must_use]
    pub fn sequence(&self, id: AsyncId) -> String {
        let log = self.log();
        let events = log.heard.iter().filter(|heard| heard.id == id).map(|heard| heard.event);
        events.map(|event| event.to_string()).collect::<Vec<_>>().join(" ")
    }

    /// Returns the resources that were heard of, in the order of their ids.
    #[must_use]
    pub fn ids(&self) -> Vec<AsyncId> {
        self.ids_where(|_| true)
    }

    /// Returns the resources of a kind.
    #[must_use]
    pub fn ids_of_kind(&self, kind: Kind) -> Vec<AsyncId> {
        self.ids_where(|known| known.kind == kind)
    }

    /// Returns the resources with a label.
    #[must_use]
    pub fn ids_labelled(&self, label: &str) -> Vec<AsyncId> {
        self.ids_where(|known| known.label == label)
    }

    fn ids_where(&self, wanted: impl Fn(&Known) -> bool) -> Vec<AsyncId> {
        let log = self.log();
        let ids = log.known.iter().filter(|(_, known)| wanted(known)).map(|(id, _)| *id);
        let mut ids: Vec<AsyncId> = ids.collect();
        ids.sort_unstable();
        ids
    }

    /// Returns the resources of which `init` was heard and `destroy` was not.
    #[must_use]
    pub fn alive(&self) -> Vec<AsyncId> {
        let ended = self.log().ended();
        self.ids().into_iter().filter(|id| !ended.contains(id)).collect()
    }

    /// Checks what was heard against the invariants, and returns what is wrong, as sentences.
    ///
    /// What is alive may go on, and run while this looks; see [`alive`](Recorder::alive).
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let Log { heard, known } = self.log().clone();
        laws::check(&heard, &known)
    }

    /// Panics if [`check`](Recorder::check) finds something.
    ///
    /// # Panics
    /// With all that is wrong, and what was heard.
    #[track_caller]
    pub fn assert_valid(&self) {
        let wrong = self.check();
        assert!(wrong.is_empty(), "\n{}\nheard:\n{}", wrong.join("\n"), self.transcript());
    }

    /// Panics if something is wrong, or not everything has ended.
    ///
    /// # Panics
    /// With what is wrong, or what is alive.
    #[track_caller]
    pub fn assert_ended(&self) {
        self.assert_valid();
        let alive = self.alive();
        assert!(alive.is_empty(), "still alive: {alive:?}\nheard:\n{}", self.transcript());
    }

    /// Writes what was heard, one line per event.
    #[must_use]
    pub fn transcript(&self) -> String {
        let log = self.log().clone();
        let mut text = String::new();
        for Heard { id, event, current, .. } in &log.heard {
            let known = &log.known[id];
            let current = current.map(|id| id.to_string()).unwrap_or_default();
            let _ = writeln!(text, "{id} {} {} {event}  in {current}", known.kind, known.label);
        }
        text
    }
}

impl AsyncHook for Recorder {
    fn events(&self) -> Events {
        Events::ALL
    }

    fn init(&self, resource: &Resource<'_>) {
        self.write(resource, Event::Init { is_replayed: resource.is_replayed() });
    }

    fn before(&self, resource: &Resource<'_>) {
        self.write(resource, Event::Before);
    }

    fn after(&self, resource: &Resource<'_>) {
        self.write(resource, Event::After);
    }

    fn promise_resolve(&self, resource: &Resource<'_>, outcome: Outcome) {
        self.write(resource, Event::PromiseResolve(outcome));
    }

    fn destroy(&self, resource: &Resource<'_>, reason: Reason) {
        self.write(resource, Event::Destroy(reason));
    }
}

/// Panics if something of a runtime that has ended is still in the map. Of a runtime whose lineage
/// is off, nothing ever is.
///
/// # Panics
/// With the tree of what is left.
#[track_caller]
pub fn assert_quiescent(runtime: RuntimeId) {
    let left = tracker::len_of(runtime);
    assert!(left == 0, "{left} resources of {runtime:?} are left:\n{}", inspect::tree_of(runtime));
}

#[cfg(test)]
mod tests {
    use super::{Event, Heard, Known, Recorder};
    use forebear_hooks::{AsyncId, Kind, Reason};
    use std::thread;

    fn id(raw: u64) -> AsyncId {
        AsyncId::from_u64(raw).unwrap()
    }

    /// Feeds a recorder with events of tasks.
    fn recorder(events: &[(u64, Event)]) -> Recorder {
        let recorder = Recorder::new();
        let mut log = recorder.log();
        for (raw, event) in events {
            let known = Known { kind: Kind::TASK, label: "made up".to_owned(), creator: None };
            log.known.insert(id(*raw), known);
            let thread = thread::current().id();
            log.heard.push(Heard { id: id(*raw), event: *event, current: Some(id(9)), thread });
        }
        drop(log);
        recorder
    }

    const INIT: Event = Event::Init { is_replayed: false };
    const COMPLETED: Event = Event::Destroy(Reason::Completed);

    #[test]
    fn what_is_wrong_is_said_with_the_resource_and_all_that_was_heard() {
        let wrong = recorder(&[(1, INIT), (1, COMPLETED)]);
        let payload = std::panic::catch_unwind(|| wrong.assert_valid()).unwrap_err();
        assert_eq!(
            payload.downcast_ref::<String>().unwrap(),
            "\n#1 TASK made up: L3: it ended without promise_resolve\nheard:\n\
             #1 TASK made up init  in #9\n#1 TASK made up destroy:Completed  in #9\n"
        );
        let alive = recorder(&[(1, INIT)]);
        alive.assert_valid();
        let payload = std::panic::catch_unwind(|| alive.assert_ended()).unwrap_err();
        assert!(payload.downcast_ref::<String>().unwrap().starts_with("still alive: [#1]"));
    }

    #[test]
    fn what_has_ended_can_be_forgotten_and_what_is_alive_is_not() {
        let recorder = recorder(&[(1, INIT), (2, INIT), (2, COMPLETED)]);
        assert_eq!(recorder.check().len(), 1);
        recorder.clear();
        assert_eq!((recorder.ids(), recorder.alive()), (vec![id(1)], vec![id(1)]));
        assert_eq!(recorder.sequence(id(1)), "init");
        recorder.assert_valid();
    }
}
