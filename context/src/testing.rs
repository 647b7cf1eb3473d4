//! Checks in tests that resources live as they should, and that nothing is left behind.

use std::collections::HashMap;
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

#[derive(Clone, Debug)]
struct Known {
    kind: Kind,
    label: String,
    creator: Option<AsyncId>,
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

    /// Forgets what was heard.
    pub fn clear(&self) {
        *self.log() = Log::default();
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
        let is_alive = |id: &AsyncId| !self.sequence(*id).contains("destroy");
        self.ids().into_iter().filter(is_alive).collect()
    }

    /// Checks what was heard against the invariants, and returns what is wrong, as sentences.
    ///
    /// What is alive may go on; see [`alive`](Recorder::alive).
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let log = self.log().clone();
        let mut wrong = Vec::new();
        let mut lives: HashMap<AsyncId, Checked> = HashMap::new();
        let mut stacks: HashMap<ThreadId, Vec<AsyncId>> = HashMap::new();
        for heard in &log.heard {
            let known = &log.known[&heard.id];
            let stack = stacks.entry(heard.thread).or_default();
            let life = lives.entry(heard.id).or_default();
            life.hear(heard, known, stack, &mut |what: &str| {
                wrong.push(format!("{} {} {}: {what}", heard.id, known.kind, known.label));
            });
        }
        for (id, life) in &lives {
            let known = &log.known[id];
            if life.has_ended && !life.is_resolved && must_resolve(known.kind) {
                wrong.push(format!("{id} {}: L3: ended without promise_resolve", known.kind));
            }
        }
        for (thread, stack) in stacks.iter().filter(|(_, stack)| !stack.is_empty()) {
            wrong.push(format!("L2: {thread:?} still runs {stack:?}"));
        }
        wrong
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

fn must_resolve(kind: Kind) -> bool {
    [Kind::TASK, Kind::BLOCK_ON, Kind::BLOCKING, Kind::FLOW].contains(&kind)
}

/// What a check knows of one resource so far.
#[derive(Default)]
struct Checked {
    has_begun: bool,
    has_ended: bool,
    is_resolved: bool,
    open: usize,
}

impl Checked {
    fn hear(
        &mut self,
        heard: &Heard,
        known: &Known,
        stack: &mut Vec<AsyncId>,
        wrong: &mut dyn FnMut(&str),
    ) {
        if self.has_ended {
            wrong("L4: an event after destroy");
        }
        if !self.has_begun && !matches!(heard.event, Event::Init { .. }) {
            wrong("L1, L7: an event before init");
        }
        match heard.event {
            Event::Init { is_replayed } => {
                if std::mem::replace(&mut self.has_begun, true) {
                    wrong("L1: a second init");
                }
                if !is_replayed && known.creator.is_some() && heard.current != known.creator {
                    wrong("L6: in init, current is not the creator");
                }
                return;
            }
            Event::Destroy(_) => {
                self.has_ended = true;
                if self.open > 0 {
                    wrong("L2, L4: destroy while it runs");
                }
                return;
            }
            Event::Before => {
                self.open += 1;
                stack.push(heard.id);
            }
            Event::After => {
                self.open = self.open.saturating_sub(1);
                if stack.pop() != Some(heard.id) {
                    wrong("L2: after does not match the innermost before of its thread");
                }
            }
            Event::PromiseResolve(_) => {
                if std::mem::replace(&mut self.is_resolved, true) {
                    wrong("L3: a second promise_resolve");
                }
                if stack.last() != Some(&heard.id) {
                    wrong("L3: promise_resolve outside a pair");
                }
            }
        }
        if heard.current != Some(heard.id) {
            wrong("L6: current is not the resource itself");
        }
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

/// Panics if something of a runtime that has ended is still in the map.
///
/// # Panics
/// With the tree of what is left.
#[track_caller]
pub fn assert_quiescent(runtime: RuntimeId) {
    let left = tracker::len_of(runtime);
    assert!(left == 0, "{left} resources of {runtime:?} are left:\n{}", inspect::tree_of(runtime));
}
