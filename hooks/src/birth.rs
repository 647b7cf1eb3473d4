//! Makes the record of a resource: of what is said about it, and of what is found where it is made.
//!
//! Most resources are described by where they are made and by whose code they are. That much is
//! compiled into each place that makes some, where the rest is left out; whoever says more pays for
//! a box.

use std::borrow::Cow;
use std::panic::Location;

use crate::current::{self, Here, MadeHere};
use crate::digest;
use crate::filter::Newborn;
use crate::frame::Frame;
use crate::held::{Held, Lookers};
use crate::id::{AsyncId, RuntimeId};
use crate::key::Heir;
use crate::kind::Kind;
use crate::life::Life;
use crate::record::{FLOW_ROOT, Flags, OTHER_CREATOR, Record, SINGLE};
use crate::registry;

/// What is said about a resource before it begins.
#[must_use = "nothing is created before `Life::begin`"]
#[derive(Debug)]
pub struct Birth {
    plain: Plain,
    more: Option<Box<More>>,
}

/// What there is to say about every resource.
#[derive(Clone, Copy, Debug)]
struct Plain {
    kind: Kind,
    label: fn() -> &'static str,
    location: &'static Location<'static>,
    runtime: Option<RuntimeId>,
    heir: Heir,
    is_single: bool,
}

/// What there is to say about few.
#[derive(Debug, Default)]
struct More {
    name: Option<Cow<'static, str>>,
    trigger: Option<AsyncId>,
    link: Option<AsyncId>,
    frame: Option<Frame>,
    is_flow_root: bool,
    is_root: bool,
}

impl Birth {
    /// Begins a description. `label` gives the name of the resource's code, if it gets no name.
    #[track_caller]
    #[inline]
    pub fn new(kind: Kind, label: fn() -> &'static str) -> Birth {
        let (location, heir) = (Location::caller(), Heir::of(kind));
        let plain = Plain { kind, label, location, runtime: None, heir, is_single: false };
        Birth { plain, more: None }
    }

    /// Says where it was made, if not where [`new`](Birth::new) was called.
    #[inline]
    pub fn location(mut self, location: &'static Location<'static>) -> Birth {
        self.plain.location = location;
        self
    }

    /// Says to which runtime it belongs, if not to that of what is running.
    #[inline]
    pub fn runtime(mut self, runtime: RuntimeId) -> Birth {
        self.plain.runtime = Some(runtime);
        self
    }

    /// Lets it inherit as something that outlives the work that makes it, such as a listener.
    #[inline]
    pub fn recurring(mut self) -> Birth {
        self.plain.heir = Heir::Recurring;
        self
    }

    /// Says that its code runs on one thread at a time, which whoever runs it sees to: that makes
    /// it cheaper to run. If two threads do run it at once, it may be told to have a result twice.
    #[inline]
    pub fn single(mut self) -> Birth {
        self.plain.is_single = true;
        self
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Gives it a name.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Birth {
        self.more().name = Some(name.into());
        self
    }

    /// Says what caused it, if that is not what is running.
    pub fn trigger(mut self, trigger: AsyncId) -> Birth {
        self.more().trigger = Some(trigger);
        self
    }

    /// As [`trigger`](Birth::trigger), of a life that is at hand: so it notes that others descend from
    /// it.
    pub fn trigger_of(self, trigger: &Life) -> Birth {
        trigger.record.mark_parent();
        self.trigger(trigger.id())
    }

    /// Links it to a resource from which it does not descend.
    pub fn link(mut self, link: AsyncId) -> Birth {
        self.more().link = Some(link);
        self
    }

    /// Gives it this context instead of what it would inherit.
    pub fn frame(mut self, frame: Frame) -> Birth {
        self.more().frame = Some(frame);
        self
    }

    /// Declares it the beginning of a unit of work.
    pub fn flow_root(mut self) -> Birth {
        self.more().is_flow_root = true;
        self
    }

    /// Says whether it is to be a root.
    #[must_use]
    #[inline]
    pub fn is_root(&self) -> bool {
        self.more.as_ref().is_some_and(|more| more.is_root)
    }

    /// Makes it a root: with an empty context, no creator and no trigger, but a link to what is
    /// running.
    pub fn root(mut self) -> Birth {
        let more = self.more();
        more.link = more.link.or_else(current::execution_async_id);
        more.frame = Some(Frame::empty());
        more.is_flow_root = true;
        more.is_root = true;
        self
    }

    /// Makes the record, and gives it to `put`, which is compiled twice: where a plain record is made,
    /// so that it is made in the place where it is put, and for the others, which are moved there.
    #[inline(always)]
    pub(crate) fn conceive<R>(self, put: impl FnOnce(Record) -> R) -> R {
        match self.more {
            None => put(current::make_here(self.plain)),
            Some(more) => put(conceive_special(self.plain, more)),
        }
    }
}

#[inline(never)]
fn conceive_special(plain: Plain, more: Box<More>) -> Record {
    current::make_here(Special(plain, more))
}

struct Special(Plain, Box<More>);

impl MadeHere for Plain {
    type Made = Record;

    #[inline(always)]
    fn make(self, here: Here<'_>) -> Record {
        conceive(self, None, here)
    }
}

impl MadeHere for Special {
    type Made = Record;

    fn make(mut self, here: Here<'_>) -> Record {
        conceive(self.0, Some(&mut *self.1), here)
    }
}

/// Makes the record: who made it, what it takes over, which hooks follow it.
///
/// What is running is the creator, unless the birth is a root's. `more` is taken out of its place,
/// which leaves a compiler no doubt about what becomes of none.
#[inline(always)]
fn conceive(plain: Plain, more: Option<&mut More>, here: Here<'_>) -> Record {
    let (id, parent) = (AsyncId::next(), here.record);
    let is_root = more.as_ref().is_some_and(|more| more.is_root);
    let creator = if is_root { None } else { parent };
    let creator_id = creator.map(|creator| creator.id);
    let caused = if is_root { None } else { here.trigger.or(creator_id) };
    let trigger = more.as_ref().and_then(|more| more.trigger).or(caused);
    let is_flow_root =
        plain.kind == Kind::FLOW || more.as_ref().is_some_and(|more| more.is_flow_root);
    // What is made by code of a runtime, and does not say otherwise, belongs to that runtime.
    let runtime = plain.runtime.or_else(|| parent.and_then(|parent| parent.runtime));
    let (scope, epoch, hidden) = match registry::nobody_since() {
        Some(epoch) => (0, epoch, 0),
        None => Family { id, kind: plain.kind, runtime, parent, creator, is_flow_root }.decide(),
    };
    // A root, too, leads back to what made it, by its link.
    if let Some(parent) = parent {
        parent.mark_parent();
    }
    let has_other_creator = creator_id != trigger;
    let mut flags = if is_flow_root { FLOW_ROOT } else { 0 };
    flags |= if has_other_creator { OTHER_CREATOR } else { 0 };
    flags |= if plain.is_single { SINGLE } else { 0 };

    let (mut name, mut link, mut frame) = (None, None, None);
    if let Some(more) = more {
        (name, link, frame) = (more.name.take(), more.link, more.frame.take());
    }
    let is_plain = !has_other_creator && name.is_none() && link.is_none() && hidden == 0;
    let ext = if is_plain {
        Record::no_ext()
    } else {
        Record::ext_of(name, if has_other_creator { creator_id } else { None }, link, hidden)
    };
    // The last thing, and never looked at here: so it is made where it is to lie, and not moved.
    Record {
        id,
        trigger,
        frame: Held::new(frame.unwrap_or_else(|| here.frame.inherit(plain.heir))),
        location: plain.location,
        label: plain.label,
        ext,
        scope,
        epoch,
        runtime,
        kind: plain.kind,
        flags: Flags::at_birth(flags),
        lookers: Lookers::none(),
    }
}

/// A newborn, and what it has from its ancestors.
struct Family<'a> {
    id: AsyncId,
    kind: Kind,
    runtime: Option<RuntimeId>,
    parent: Option<&'a Record>,
    creator: Option<&'a Record>,
    is_flow_root: bool,
}

impl Family<'_> {
    /// Decides which hooks follow it: returns their slots, the epoch of the list they are on (R2 of
    /// the registry), and the slots of those from which it is hidden.
    #[inline(never)]
    fn decide(&self) -> (u32, u32, u32) {
        if !current::is_telling() && self.parent.is_none_or(|parent| parent.hidden() == 0) {
            if let Some(digest) = digest::current() {
                let scope = digest.scope(self.kind, self.runtime, self.creator, self.is_flow_root);
                if let Some(scope) = scope {
                    return (scope, digest.epoch, 0);
                }
            }
        }
        self.ask_hooks()
    }

    #[cold]
    fn ask_hooks(&self) -> (u32, u32, u32) {
        let hooks = registry::hooks();
        let (mut scope, mut hidden) = (0, 0);
        for hook in &hooks.hooks {
            // Bits of a parent that is older than the hook speak of an earlier hook in its slot.
            let known = |record: &&Record| record.epoch >= hook.epoch;
            let inherited = self.parent.filter(known).map_or(0, Record::hidden);
            if inherited & hook.bit != 0 || current::is_called(hook.epoch) {
                hidden |= hook.bit;
                continue;
            }
            let creator = self.creator.filter(known);
            let newborn = Newborn {
                id: self.id,
                kind: self.kind,
                runtime: self.runtime,
                creator: self.creator.map(|creator| creator.id),
                is_flow_root: self.is_flow_root,
                creator_is_followed: creator.map(|creator| creator.scope & hook.bit != 0),
            };
            if hook.filter.follows(&newborn, hook.epoch) {
                scope |= hook.bit;
            }
        }
        (scope, hooks.epoch, hidden)
    }
}
