//! Gives a resource its life. For executors, and for layers that make resources of their own.
//!
//! A [`Life`] is the proof that a resource has begun and not ended: making one emits `init`,
//! [`Life::run`] is the only way to run code as the resource and emits the pair, and
//! [`Life::end`] takes the life. What the types do not allow cannot be emitted: two `init`, an
//! unpaired `before`, a second `destroy`.
//!
//! ```
//! use forebear_hooks::{Kind, Outcome, Reason, life::{Birth, Life}};
//!
//! let life = Life::begin(Birth::new(Kind::TIMER, || "sleep"));
//! life.run(|running| running.promise_resolve(Outcome::Ready));
//! life.end(Reason::Completed);
//! ```

use std::fmt;
use std::panic::Location;

use crate::current;
use crate::emit;
use crate::fault;
use crate::frame::Frame;
use crate::id::{AsyncId, RuntimeId};
use crate::ledger::{self, Entrance};
use crate::reason::{Outcome, Reason};
use crate::record::Record;
use crate::registry;
use crate::resource::{Probe, Resource};

pub use crate::birth::Birth;
pub use crate::current::Entered;

/// Lets go of what this thread remembers of the enabled hooks.
///
/// For executors, before a thread parks: a hook that is disabled while it is parked can then be
/// freed. The next emission on this thread takes a lock once.
pub fn rest() {
    registry::rest();
}

/// A resource that has begun and not ended.
///
/// Dropping it ends it with [`Reason::Dropped`].
pub struct Life {
    pub(crate) record: Record,
}

impl Life {
    /// Creates the resource and emits `init`.
    #[must_use = "dropping a life ends it"]
    pub fn begin(birth: Birth) -> Life {
        let life = Life::unborn(birth);
        life.born();
        life
    }

    /// Creates the resource without emitting `init` yet, for one that has to be put in its place
    /// first. Until [`born`](Life::born) it is nobody: nothing that is done with it emits.
    #[must_use = "dropping a life ends it"]
    #[inline(always)]
    pub fn unborn(birth: Birth) -> Life {
        Life::unborn_into(birth, |life| life)
    }

    /// As [`unborn`](Life::unborn), with what puts it in its place: most are then made there.
    #[inline(always)]
    pub fn unborn_into<R>(birth: Birth, put: impl FnOnce(Life) -> R) -> R {
        birth.conceive(|record| put(Life { record }))
    }

    /// Emits `init`, once. For who made it, before others know it.
    #[inline]
    pub fn born(&self) {
        if self.record.begin_once() {
            ledger::begin(&self.record);
            emit::init(&self.record, None);
        }
    }

    /// As [`born`](Life::born), for a resident, which a census finds.
    #[inline]
    pub fn born_in_sight(&self) {
        if self.record.begin_once() {
            emit::init(&self.record, None);
        }
    }

    /// As [`born_in_sight`](Life::born_in_sight), for a task, with what finds it without a census. It
    /// is entered into the ledger when it first [`waits`](Life::waits).
    #[inline]
    pub fn born_with_probe(&self, probe: Probe) {
        if self.record.begin_once() {
            emit::init(&self.record, Some(probe));
        }
    }

    /// Says that a task is about to wait, before anybody can wake it: see
    /// [`ledger`](mod@crate::ledger). For who runs it.
    #[inline]
    pub fn waits(&self, entrance: impl FnOnce() -> Entrance) {
        if !self.record.is_entered() {
            ledger::wait(&self.record, entrance);
        }
    }

    /// Runs `f` as code of the resource: emits `before`, calls `f` with the resource and its
    /// context current, and emits `after`, also when `f` panics.
    #[inline]
    pub fn run<R>(&self, f: impl FnOnce(&Running<'_>) -> R) -> R {
        run(&self.record, f)
    }

    /// Emits `promise_resolve` if it was not emitted before, opening a pair if code of another
    /// resource is innermost on the stack. Says whether it did.
    pub fn promise_resolve(&self, outcome: Outcome) -> bool {
        resolve(&self.record, outcome)
    }

    /// Ends the resource: emits `destroy`, then lets go of its context.
    ///
    /// It never panics: what destructors of the context's values throw has been reported by the
    /// panic hook, and goes no further.
    pub fn end(mut self, reason: Reason) {
        self.end_alone(reason);
    }

    #[inline]
    fn end_alone(&mut self, reason: Reason) {
        self.conclude(reason);
        let frame = self.record.frame.take();
        if !frame.is_empty() {
            fault::drop_quietly(frame);
        }
    }

    /// The end without the frame, which is let go of last. For who is alone with the resource.
    #[inline]
    pub(crate) fn conclude(&self, reason: Reason) {
        if self.record.end_once() {
            emit::destroy(&self.record, reason);
            if self.record.is_of_account() {
                ledger::leave(&self.record);
            }
        }
        self.record.empty_slots();
    }

    /// Returns its id.
    #[must_use]
    #[inline]
    pub fn id(&self) -> AsyncId {
        self.record.id
    }

    /// Returns the runtime it belongs to, `None` if it lives on a foreign one.
    #[must_use]
    #[inline]
    pub fn runtime(&self) -> Option<RuntimeId> {
        self.record.runtime
    }

    /// Returns what caused it.
    #[must_use]
    pub fn trigger_id(&self) -> Option<AsyncId> {
        self.record.trigger
    }

    /// Returns the function that names its code.
    #[must_use]
    pub fn code_name(&self) -> fn() -> &'static str {
        self.record.label
    }

    /// Returns where it was made.
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.record.location
    }

    /// Returns its context.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        self.record.frame.get()
    }

    /// Shows it as hooks see it.
    #[must_use]
    pub fn resource(&self) -> Resource<'_> {
        Resource::plain(&self.record)
    }
}

impl Drop for Life {
    #[inline]
    fn drop(&mut self) {
        self.end_alone(Reason::Dropped);
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.resource().fmt(f)
    }
}

/// Proof that code of a resource is on the stack. Dropping it emits `after`.
pub struct Running<'a> {
    record: &'a Record,
    pair: emit::Pair,
}

impl Running<'_> {
    /// Returns the id of the resource that is running.
    #[must_use]
    pub fn id(&self) -> AsyncId {
        self.record.id
    }

    /// As [`Life::promise_resolve`].
    #[expect(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn promise_resolve(&self, outcome: Outcome) -> bool {
        resolve(self.record, outcome)
    }
}

impl Drop for Running<'_> {
    #[inline]
    fn drop(&mut self) {
        emit::after(self.record, std::mem::take(&mut self.pair));
    }
}

impl fmt::Debug for Running<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Running").field(&self.record.id).finish()
    }
}

#[inline]
fn run<R>(record: &Record, f: impl FnOnce(&Running<'_>) -> R) -> R {
    current::run_as(record, || f(&Running { record, pair: emit::before(record) }))
}

#[inline]
fn resolve(record: &Record, outcome: Outcome) -> bool {
    let is_first = record.resolve_once();
    if is_first {
        if current::is_running(record) {
            emit::promise_resolve(record, outcome);
        } else {
            run(record, |_| emit::promise_resolve(record, outcome));
        }
    }
    is_first
}

#[cfg(all(test, loom))]
mod model {
    use super::{Birth, Life};
    use crate::kind::Kind;
    use crate::reason::Outcome;
    use loom::thread;
    use std::sync::Arc;

    #[test]
    fn of_two_threads_that_resolve_one_is_first() {
        loom::model(|| {
            let life = Arc::new(Life::begin(Birth::new(Kind::OTHER, || "model")));
            let other = thread::spawn({
                let life = life.clone();
                move || life.promise_resolve(Outcome::Ready)
            });
            let mine = life.promise_resolve(Outcome::Ready);
            assert_ne!(mine, other.join().expect("the other has tried"));
        });
    }

    /// A child made on another thread marks its parent while that is resolved.
    #[test]
    fn marks_that_two_threads_make_are_both_kept() {
        loom::model(|| {
            let life = Arc::new(Life::begin(Birth::new(Kind::OTHER, || "model")));
            let other = thread::spawn({
                let life = life.clone();
                move || life.run(|_| drop(Life::begin(Birth::new(Kind::OTHER, || "child"))))
            });
            life.promise_resolve(Outcome::Ready);
            other.join().expect("the child has been made");
            assert!(life.resource().is_parent());
            assert!(!life.promise_resolve(Outcome::Ready));
        });
    }
}
