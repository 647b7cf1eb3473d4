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

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;

use crate::current;
use crate::emit;
use crate::filter::Newborn;
use crate::frame::{Frame, Heir};
use crate::id::{AsyncId, RuntimeId};
use crate::kind::Kind;
use crate::reason::{Outcome, Reason};
use crate::record::{Ext, FLOW_ROOT, OTHER_CREATOR, Record};
use crate::registry;
use crate::resource::{Probe, Resource};

pub use crate::current::Entered;

/// Lets go of what this thread remembers of the enabled hooks.
///
/// For executors, before a thread parks: a hook that is disabled while it is parked can then be
/// freed. The next emission on this thread takes a lock once.
pub fn rest() {
    registry::rest();
}

/// What is said about a resource before it begins.
#[must_use = "nothing is created before `Life::begin`"]
#[derive(Debug)]
pub struct Birth {
    kind: Kind,
    label: fn() -> &'static str,
    location: &'static Location<'static>,
    name: Option<Cow<'static, str>>,
    trigger: Option<AsyncId>,
    link: Option<AsyncId>,
    runtime: Option<RuntimeId>,
    context: Context,
    is_flow_root: bool,
    is_root: bool,
}

#[derive(Debug)]
enum Context {
    Inherit(Heir),
    Given(Frame),
}

impl Birth {
    /// Begins a description. `label` gives the name of the resource's code, if it gets no name.
    #[track_caller]
    pub fn new(kind: Kind, label: fn() -> &'static str) -> Birth {
        Birth {
            kind,
            label,
            location: Location::caller(),
            name: None,
            trigger: None,
            link: None,
            runtime: None,
            context: Context::Inherit(Heir::of(kind)),
            is_flow_root: kind == Kind::FLOW,
            is_root: false,
        }
    }

    /// Says where it was made, if not where [`new`](Birth::new) was called.
    pub fn location(mut self, location: &'static Location<'static>) -> Birth {
        self.location = location;
        self
    }

    /// Gives it a name.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Birth {
        self.name = Some(name.into());
        self
    }

    /// Says what caused it, if that is not what is running.
    pub fn trigger(mut self, trigger: AsyncId) -> Birth {
        self.trigger = Some(trigger);
        self
    }

    /// Links it to a resource from which it does not descend.
    pub fn link(mut self, link: AsyncId) -> Birth {
        self.link = Some(link);
        self
    }

    /// Says to which runtime it belongs, if not to that of what is running.
    pub fn runtime(mut self, runtime: RuntimeId) -> Birth {
        self.runtime = Some(runtime);
        self
    }

    /// Gives it this context instead of what it would inherit.
    pub fn frame(mut self, frame: Frame) -> Birth {
        self.context = Context::Given(frame);
        self
    }

    /// Lets it inherit as something that outlives the work that makes it, such as a listener.
    pub fn recurring(mut self) -> Birth {
        self.context = Context::Inherit(Heir::Recurring);
        self
    }

    /// Declares it the beginning of a unit of work.
    pub fn flow_root(mut self) -> Birth {
        self.is_flow_root = true;
        self
    }

    /// Says whether it is to be a root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.is_root
    }

    /// Makes it a root: with an empty context, no creator and no trigger, but a link to what is
    /// running.
    pub fn root(mut self) -> Birth {
        self.link = self.link.or_else(current::execution_async_id);
        self.context = Context::Given(Frame::empty());
        self.is_flow_root = true;
        self.is_root = true;
        self
    }
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
    pub fn unborn(birth: Birth) -> Life {
        current::with_record(|creator| Life { record: conceive(birth, creator) })
    }

    /// Emits `init`, once. For who made it, before others know it.
    pub fn born(&self) {
        if self.record.begin_once() {
            emit::init(&self.record, None);
        }
    }

    /// As [`born`](Life::born), with something that can tell what the resource is doing.
    pub fn born_with_probe(&self, probe: &dyn Fn() -> Probe) {
        if self.record.begin_once() {
            emit::init(&self.record, Some(probe));
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
        self.destroy(reason);
    }

    fn destroy(&mut self, reason: Reason) {
        if self.record.end_once() {
            emit::destroy(&self.record, reason);
        }
        self.record.let_go();
    }

    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> AsyncId {
        self.record.id
    }

    /// Returns what caused it.
    #[must_use]
    pub fn trigger_id(&self) -> Option<AsyncId> {
        self.record.trigger
    }

    /// Returns where it was made.
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.record.location
    }

    /// Returns its context.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.record.frame
    }

    /// Shows it as hooks see it.
    #[must_use]
    pub fn resource(&self) -> Resource<'_> {
        Resource::plain(&self.record)
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.destroy(Reason::Dropped);
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

/// Makes the record: who made it, what it takes over, which hooks follow it.
///
/// `parent` is what is running: the creator, unless the birth is a root's.
fn conceive(birth: Birth, parent: Option<&Record>) -> Record {
    let mut record = Record::new(AsyncId::next(), birth.kind, birth.label, birth.location);
    let creator = if birth.is_root { None } else { parent };
    let creator_id = creator.map(|creator| creator.id);
    let caused = || if birth.is_root { None } else { current::stated_trigger().or(creator_id) };
    record.trigger = birth.trigger.or_else(caused);
    // What is made by code of a runtime, and does not say otherwise, belongs to that runtime.
    record.runtime = birth.runtime.or_else(|| parent.and_then(|parent| parent.runtime));
    record.frame = match birth.context {
        Context::Inherit(heir) => current::with_frame(|frame| frame.inherit(heir)),
        Context::Given(frame) => frame,
    };
    let family = Family { parent, creator, is_flow_root: birth.is_flow_root };
    let hidden = family.decide(&mut record);

    // A root, too, leads back to what made it, by its link.
    if let Some(parent) = parent {
        parent.mark_parent();
    }
    let has_other_creator = creator_id != record.trigger;
    if has_other_creator || birth.name.is_some() || birth.link.is_some() || hidden != 0 {
        let creator = if has_other_creator { creator_id } else { None };
        let (name, link) = (birth.name, birth.link);
        let ext = Box::new(Ext { name, creator, link, hidden, ..Ext::default() });
        // The record is new, so the box is the first.
        let _ = record.ext.set(ext);
    }
    let flag = |is_raised, flag| if is_raised { flag } else { 0 };
    record
        .set_at_birth(flag(birth.is_flow_root, FLOW_ROOT) | flag(has_other_creator, OTHER_CREATOR));
    record
}

/// What a newborn has from its ancestors.
struct Family<'a> {
    parent: Option<&'a Record>,
    creator: Option<&'a Record>,
    is_flow_root: bool,
}

impl Family<'_> {
    /// Sets which hooks follow the record (R2 of the registry); returns from which it is hidden.
    #[inline]
    fn decide(&self, record: &mut Record) -> u32 {
        if let Some(epoch) = registry::nobody_since() {
            record.epoch = epoch;
            return 0;
        }
        self.ask_hooks(record)
    }

    fn ask_hooks(&self, record: &mut Record) -> u32 {
        let hooks = registry::hooks();
        record.epoch = hooks.epoch;
        let mut hidden = 0;
        for hook in &hooks.hooks {
            // Bits of a parent that is older than the hook speak of an earlier hook in its slot.
            let known = |record: &&Record| record.epoch >= hook.epoch;
            let inherited = self.parent.filter(known).map_or(0, Record::hidden);
            if inherited & hook.bit() != 0 || current::is_called(hook.slot, hook.epoch) {
                hidden |= hook.bit();
                continue;
            }
            let creator = self.creator.filter(known);
            let newborn = Newborn {
                id: record.id,
                creator: self.creator.map(|creator| creator.id),
                is_flow_root: self.is_flow_root,
                creator_is_followed: creator.map(|creator| creator.scope & hook.bit() != 0),
            };
            if hook.filter.follows(&newborn, hook.epoch) {
                record.scope |= hook.bit();
            }
        }
        hidden
    }
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
