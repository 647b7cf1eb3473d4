//! Tells one ledger what is alive and what has ended: the id map of the context layer.
//!
//! Hooks listen to whatever they want; the ledger has one purpose, to know of everything that is
//! alive what it is and why, and therefore need not hear of everything. An executor can show what is
//! alive in memory of its own: its *residents*, which are many and short. See [`set_census`]. They
//! cost nothing here; but a task is entered when it first waits, so that it is found without a
//! search. Everything else is entered at its birth.
//!
//! What has created others is told to the ledger when it ends, entered or not, so that their lineage
//! can still be followed.

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use crate::coarse::Coarse;
use crate::frame::Frame;
use crate::record::Record;
use crate::resource::{Facts, LiveState, Probe, Resource};

/// Keeps account of what is alive. It must not panic: nobody would catch that.
pub trait Ledger: Send + Sync + 'static {
    /// Enters a resource. Says whether it did; else it will be asked again when a task waits the
    /// next time.
    fn enter(&self, resource: &Resource<'_>, entrance: &Entrance) -> bool;

    /// Takes note of the end of a resource that was entered, or has created others, or both. It is
    /// called after every hook's `destroy`.
    fn leave(&self, resource: &Resource<'_>, was_entered: bool);
}

/// What a ledger is told beside the resource.
#[derive(Clone, Copy, Debug)]
pub struct Entrance {
    /// When it was born.
    pub born: Coarse,
    /// What finds it, if it is a task.
    pub probe: Option<Probe>,
}

static LEDGER: OnceLock<&'static dyn Ledger> = OnceLock::new();

/// Lets a ledger be kept, for the life of the process. Says whether it is: there can be one.
pub fn set_ledger(ledger: &'static dyn Ledger) -> bool {
    LEDGER.set(ledger).is_ok()
}

/// Enters a resource that has begun, if a ledger is kept. For who is alone with it.
#[inline]
pub(crate) fn begin(record: &Record) {
    if let Some(ledger) = LEDGER.get() {
        enter(*ledger, record, &Entrance { born: Coarse::now(), probe: None });
    }
}

/// Enters a task that is about to wait, if it is not entered yet. For who is alone with it.
#[inline]
pub(crate) fn wait(record: &Record, entrance: impl FnOnce() -> Entrance) {
    if let Some(ledger) = LEDGER.get() {
        enter(*ledger, record, &entrance());
    }
}

#[inline(never)]
fn enter(ledger: &dyn Ledger, record: &Record, entrance: &Entrance) {
    if ledger.enter(&Resource::plain(record), entrance) {
        record.mark_entered();
    }
}

/// Tells of the end of a resource.
#[inline(never)]
pub(crate) fn leave(record: &Record) {
    if let Some(ledger) = LEDGER.get() {
        ledger.leave(&Resource::plain(record), record.is_entered());
    }
}

/// A resource, as somebody sees it from outside, while it lives on.
pub struct Sighting<'a> {
    facts: Facts<'a>,
    record: &'a Record,
    state: Option<LiveState>,
    born: Coarse,
    wakers: Option<u32>,
}

impl<'a> Sighting<'a> {
    pub(crate) fn of(record: &'a Record, state: Option<LiveState>, born: Coarse) -> Sighting<'a> {
        Sighting { facts: Facts::of(record), record, state, born, wakers: None }
    }

    /// Says how many wakers there are, for an executor that counts them.
    #[must_use]
    pub fn with_wakers(self, wakers: u32) -> Sighting<'a> {
        Sighting { wakers: Some(wakers), ..self }
    }
}

impl Sighting<'_> {
    /// Returns what it was doing, if it is a task.
    #[must_use]
    pub fn state(&self) -> Option<LiveState> {
        self.state
    }

    /// Returns when it was born.
    #[must_use]
    pub fn born(&self) -> Coarse {
        self.born
    }

    /// Returns how many wakers of it there are, at most, if it is a task whose executor counts them:
    /// what else keeps it in memory, such as a handle that can abort it, may be among them.
    ///
    /// An idle task with none can never be woken, only aborted.
    #[must_use]
    pub fn wakers(&self) -> Option<u32> {
        self.wakers
    }

    /// Says whether it is in the ledger.
    #[must_use]
    pub fn is_entered(&self) -> bool {
        self.record.is_entered()
    }

    /// Returns a copy of its context, unless it has just let go of that.
    #[must_use]
    pub fn frame(&self) -> Option<Frame> {
        self.record.frame.look(&self.record.lookers)
    }
}

impl<'a> Deref for Sighting<'a> {
    type Target = Facts<'a>;

    fn deref(&self) -> &Facts<'a> {
        &self.facts
    }
}

impl fmt::Debug for Sighting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.facts.fmt(f)
    }
}

/// Shows residents of an executor to a function that calls nothing foreign: those that lie together
/// at `from`, a place in memory, or next behind it. Returns where the rest begins, `None` behind the
/// last. The first place is 0.
pub type Census = fn(from: usize, &mut dyn FnMut(&Sighting<'_>)) -> Option<usize>;

static CENSUS: OnceLock<Census> = OnceLock::new();

/// Lets the residents of an executor be found, for the life of the process. Says whether they will
/// be: there can be one such executor.
pub fn set_census(census: Census) -> bool {
    CENSUS.set(census).is_ok()
}

/// Shows every resident, entered or not, to `f`, which calls nothing foreign.
pub fn take_census(mut f: impl FnMut(&Sighting<'_>)) {
    let mut from = Some(0);
    while let Some(place) = from {
        from = continue_census(place, &mut f);
    }
}

/// Shows some of the residents to `f`, which calls nothing foreign: the first from a place in memory
/// on. Returns where to go on, `None` if that was all. The first place is 0.
///
/// Between two calls nothing is held, so it may take as long as it wants.
pub fn continue_census(from: usize, mut f: impl FnMut(&Sighting<'_>)) -> Option<usize> {
    CENSUS.get().and_then(|census| census(from, &mut f))
}
