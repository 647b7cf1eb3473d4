//! What is known of one resource, as plain data.

use std::sync::Arc;
use std::time::Duration;

use forebear_hooks::waits::Until;
use forebear_hooks::{AsyncId, Kind, LiveState, RuntimeId};

use crate::inspect::counts::Counts;
use crate::inspect::json::name_of;
use crate::inspect::label::{Label, Site};

/// A resource, as it was when somebody looked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResourceInfo {
    /// Its id.
    pub id: AsyncId,
    /// Its kind.
    pub kind: Kind,
    /// Its name, else the name of its code.
    pub label: Label,
    /// Where it was made.
    pub location: Site,
    /// What caused it.
    pub trigger: Option<AsyncId>,
    /// Whose code made it.
    pub creator: Option<AsyncId>,
    /// Where it came from, if it does not descend from there.
    pub link: Option<AsyncId>,
    /// Its runtime, `None` on a foreign one.
    pub runtime: Option<RuntimeId>,
    /// How old it was; `None` if it was gone and is remembered as an ancestor only.
    pub age: Option<Duration>,
    /// What it was doing, for a task.
    pub state: Option<LiveState>,
    /// How many wakers of it there were, at most, for a task: what else keeps it in memory, such as
    /// a handle that can abort it, may be among them.
    pub wakers: Option<u32>,
    /// What it waited for, as far as a timer, a socket or a task had its waker. Of channels and locks
    /// nothing is known.
    pub waits: Box<[WaitsFor]>,
    /// When it is due, for a timer that somebody waits for.
    pub due: Option<Duration>,
    /// The flow whose context it has.
    pub flow: Option<FlowRef>,
    /// Its polls and times, as long as somebody [counts](super::count) them.
    pub counts: Option<Box<Counts>>,
    /// Its context, as far as that was declared to be shown.
    pub context: Arc<[(Label, String)]>,
}

/// What a resource waits for: see [`Waits`](super::text::Waits) for how it prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitsFor {
    /// The other resource.
    pub on: AsyncId,
    /// What about it.
    pub until: Until,
}

/// A flow, by whose context a resource is bound to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowRef {
    /// Which one.
    pub id: AsyncId,
    /// How long ago it ended, if it has.
    pub ended: Option<Duration>,
}

impl ResourceInfo {
    /// Begins one with what every resource has: all else is unknown, and it is of age zero.
    #[must_use]
    pub fn new(id: AsyncId, kind: Kind, label: impl Into<Label>, location: Site) -> ResourceInfo {
        ResourceInfo {
            id,
            kind,
            label: label.into(),
            location,
            trigger: None,
            creator: None,
            link: None,
            runtime: None,
            age: Some(Duration::ZERO),
            state: None,
            wakers: None,
            waits: Box::default(),
            due: None,
            flow: None,
            counts: None,
            context: Arc::default(),
        }
    }

    /// Says whether it was gone, and is remembered because others descend from it.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.age.is_none()
    }

    /// Returns what it was doing, in a word: `running`, `queued`, `idle` or `gone`. Of what is no
    /// task, nothing.
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        match self.state {
            _ if self.is_gone() => "gone",
            Some(state) => name_of(state),
            None => "",
        }
    }

    /// Says whether it is a task that waits and that nobody can wake: there is no waker of it. It can
    /// only be aborted.
    #[must_use]
    pub fn never_wakes(&self) -> bool {
        self.state == Some(LiveState::Idle) && self.wakers == Some(0)
    }
}
