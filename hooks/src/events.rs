//! Lists the five events, as numbers and as a set.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// One of the five events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Init,
    Before,
    After,
    PromiseResolve,
    Destroy,
}

impl Event {
    pub(crate) const COUNT: usize = 5;
    pub(crate) const ALL: [Event; Event::COUNT] =
        [Event::Init, Event::Before, Event::After, Event::PromiseResolve, Event::Destroy];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Event::Init => "init",
            Event::Before => "before",
            Event::After => "after",
            Event::PromiseResolve => "promise_resolve",
            Event::Destroy => "destroy",
        }
    }
}

/// A set of events: those a hook wants to hear of.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Events(u8);

impl Events {
    /// No event.
    pub const NONE: Events = Events(0);
    /// A resource was created.
    pub const INIT: Events = Events(1 << Event::Init as u8);
    /// Its code is about to run.
    pub const BEFORE: Events = Events(1 << Event::Before as u8);
    /// Its code has stopped running.
    pub const AFTER: Events = Events(1 << Event::After as u8);
    /// Its result is decided.
    pub const PROMISE_RESOLVE: Events = Events(1 << Event::PromiseResolve as u8);
    /// It can never run again.
    pub const DESTROY: Events = Events(1 << Event::Destroy as u8);
    /// All five.
    pub const ALL: Events = Events((1 << Event::COUNT) - 1);

    /// Says whether every event of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Events) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) const fn has(self, event: Event) -> bool {
        self.0 & (1 << event as u8) != 0
    }
}

impl BitOr for Events {
    type Output = Events;

    fn bitor(self, other: Events) -> Events {
        Events(self.0 | other.0)
    }
}

impl BitOrAssign for Events {
    fn bitor_assign(&mut self, other: Events) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Event::ALL.iter().filter(|event| self.has(**event)).map(|event| event.name());
        f.debug_set().entries(names).finish()
    }
}
