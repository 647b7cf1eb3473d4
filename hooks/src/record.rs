//! Keeps what is known about one resource, from its `init` to its `destroy`.
//!
//! The record is made by [`life`](crate::life) and read by the emit functions and, through
//! [`Resource`](crate::Resource), by hooks. All of it is fixed at birth, except the flags, and
//! what hooks keep in the extension. The extension is boxed the first time something needs it, so
//! that most resources never have one.
//!
//! # State
//!
//! | bit | flag            | set by                     | meaning                                   |
//! |-----|-----------------|----------------------------|-------------------------------------------|
//! | 0   | `OTHER_CREATOR` | [`Flags::at_birth`]        | the creator stands in the extension       |
//! | 1   | `FLOW_ROOT`     | [`Flags::at_birth`]        | sampling hooks draw here                  |
//! | 2   | `SINGLE`        | [`Flags::at_birth`]        | its code runs on one thread at a time     |
//! | 3   | `BORN`          | [`Record::begin_once`]     | `init` is, or is being, emitted           |
//! | 4   | `RESOLVED`      | [`Record::resolve_once`]   | `promise_resolve` is, or is being, emitted |
//! | 5   | `PARENT`        | [`Record::mark_parent`]    | its code has created another resource     |
//! | 6   | `ENTERED`       | [`Record::mark_entered`]   | it is in the ledger                       |
//! | 7   | `ENDED`         | [`Record::end_once`]       | `destroy` is, or is being, emitted        |
//!
//! No flag is ever cleared.
//!
//! # Memory ordering
//!
//! Flags are Relaxed: each is a fact by itself. `RESOLVED` decides who emits, which needs only
//! that one of two read-modify-writes comes first; `PARENT` is a hint for what to remember. `BORN`,
//! `ENTERED` and `ENDED` are set by who is alone with the record, hence by a plain store. So are all
//! of them if it is `SINGLE`: what hands such a record from thread to thread hands on its flags.

use std::any::Any;
use std::borrow::Cow;
use std::panic::Location;
use std::sync::Arc;

use once_cell::race::OnceBox;

use crate::fault;
use crate::held::{Held, Lookers};
use crate::id::{AsyncId, RuntimeId};
use crate::kind::Kind;
use crate::sync::{AtomicU8, Mutex, Ordering};
use crate::wakes::WakeNote;

pub(crate) struct Record {
    pub(crate) id: AsyncId,
    pub(crate) trigger: Option<AsyncId>,
    pub(crate) frame: Held,
    pub(crate) location: &'static Location<'static>,
    pub(crate) label: fn() -> &'static str,
    pub(crate) ext: OnceBox<Ext>,
    /// The slots of the hooks that follow this resource, for what it creates to take over.
    pub(crate) scope: u32,
    /// The epoch of the registry at birth: a hook that is younger does not follow.
    pub(crate) epoch: u32,
    pub(crate) runtime: Option<RuntimeId>,
    pub(crate) kind: Kind,
    pub(crate) flags: Flags,
    /// Belongs to `frame`.
    pub(crate) lookers: Lookers,
}

/// See the table above.
pub(crate) struct Flags(AtomicU8);

impl Flags {
    #[inline(always)]
    pub(crate) fn at_birth(flags: u8) -> Flags {
        Flags(AtomicU8::new(flags))
    }
}

// A task's header starts with one of these; it has one cache line.
#[cfg(not(loom))]
const _: () = assert!(size_of::<Record>() == 64);

/// What few resources have.
#[derive(Default)]
pub(crate) struct Ext {
    pub(crate) name: Option<Cow<'static, str>>,
    /// The creator, where it is not the trigger.
    pub(crate) creator: Option<AsyncId>,
    pub(crate) link: Option<AsyncId>,
    /// The slots of the hooks in whose callbacks this resource, or an ancestor, was made.
    pub(crate) hidden: u32,
    pub(crate) slots: Mutex<Vec<SlotValue>>,
    pub(crate) replays: Mutex<Vec<Replay>>,
    pub(crate) wake: WakeNote,
}

/// Something that a hook keeps in a resource.
pub(crate) struct SlotValue {
    pub(crate) hook_epoch: u32,
    pub(crate) value: Arc<dyn Any + Send + Sync>,
}

/// How far a hook that attached late has come with this resource.
pub(crate) struct Replay {
    pub(crate) hook_epoch: u32,
    pub(crate) is_done: bool,
}

/// The creator stands in the extension, because it is not the trigger.
pub(crate) const OTHER_CREATOR: u8 = 1;
/// Sampling hooks draw here.
pub(crate) const FLOW_ROOT: u8 = 1 << 1;
/// Its code runs on one thread at a time.
pub(crate) const SINGLE: u8 = 1 << 2;
const BORN: u8 = 1 << 3;
const RESOLVED: u8 = 1 << 4;
const PARENT: u8 = 1 << 5;
const ENTERED: u8 = 1 << 6;
const ENDED: u8 = 1 << 7;

impl Ext {
    #[cold]
    fn empty_slots(&self) {
        let kept = std::mem::take(&mut *self.slots.lock());
        kept.into_iter().for_each(fault::drop_quietly);
    }
}

impl Record {
    /// What most records have instead of an extension.
    #[inline(always)]
    pub(crate) fn no_ext() -> OnceBox<Ext> {
        OnceBox::new()
    }

    /// What few records have.
    #[cold]
    pub(crate) fn ext_of(
        name: Option<Cow<'static, str>>,
        creator: Option<AsyncId>,
        link: Option<AsyncId>,
        hidden: u32,
    ) -> OnceBox<Ext> {
        let ext = OnceBox::new();
        // It is new, so the box is the first.
        let _ = ext.set(Box::new(Ext { name, creator, link, hidden, ..Ext::default() }));
        ext
    }

    pub(crate) fn ext(&self) -> &Ext {
        self.ext.get_or_init(Box::default)
    }

    pub(crate) fn creator(&self) -> Option<AsyncId> {
        if self.has(OTHER_CREATOR) {
            self.ext.get().and_then(|ext| ext.creator)
        } else {
            self.trigger
        }
    }

    #[inline]
    pub(crate) fn hidden(&self) -> u32 {
        self.ext.get().map_or(0, |ext| ext.hidden)
    }

    #[inline]
    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags.0.load(Ordering::Relaxed) & flag != 0
    }

    /// Says whether the caller has raised the flag.
    #[inline]
    fn raise(&self, flag: u8) -> bool {
        if self.has(SINGLE) { self.raise_alone(flag) } else { self.raise_among_others(flag) }
    }

    /// As [`raise`](Record::raise), for who is alone with the record.
    #[inline]
    fn raise_alone(&self, flag: u8) -> bool {
        let now = self.flags.0.load(Ordering::Relaxed);
        self.flags.0.store(now | flag, Ordering::Relaxed);
        now & flag == 0
    }

    fn raise_among_others(&self, flag: u8) -> bool {
        self.flags.0.fetch_or(flag, Ordering::Relaxed) & flag == 0
    }

    /// Says whether the caller is the one to emit `promise_resolve`.
    #[inline]
    pub(crate) fn resolve_once(&self) -> bool {
        self.raise(RESOLVED)
    }

    /// Says whether the caller is the one to emit `init`. Only for who made the record, before it
    /// is known to others.
    #[inline]
    pub(crate) fn begin_once(&self) -> bool {
        self.raise_alone(BORN)
    }

    #[inline]
    pub(crate) fn is_born(&self) -> bool {
        self.has(BORN)
    }

    /// Says whether the caller is the one to emit `destroy`: who is alone with the record.
    #[inline]
    pub(crate) fn end_once(&self) -> bool {
        self.is_born() && self.raise_alone(ENDED)
    }

    /// Frees what the hook of this epoch kept here.
    #[inline]
    pub(crate) fn empty_slot(&self, hook_epoch: u32) {
        let Some(ext) = self.ext.get() else { return };
        let mut slots = ext.slots.lock();
        let place = slots.iter().position(|slot| slot.hook_epoch == hook_epoch);
        let kept = place.map(|place| slots.swap_remove(place));
        drop(slots);
        // Foreign code: it must not run under the lock.
        drop(kept);
    }

    /// Frees what hooks kept in a record that has ended, and did not ask for `destroy`. What their
    /// destructors throw goes no further.
    #[inline]
    pub(crate) fn empty_slots(&self) {
        if let Some(ext) = self.ext.get() {
            ext.empty_slots();
        }
    }

    /// Notes that it is in the ledger. For who is alone with the record.
    pub(crate) fn mark_entered(&self) {
        self.raise_alone(ENTERED);
    }

    #[inline]
    pub(crate) fn is_entered(&self) -> bool {
        self.has(ENTERED)
    }

    /// Says whether the ledger is to hear of its end: it is in it, or others descend from it.
    #[inline]
    pub(crate) fn is_of_account(&self) -> bool {
        self.has(ENTERED | PARENT)
    }

    #[inline]
    pub(crate) fn mark_parent(&self) {
        if !self.has(PARENT) {
            self.raise(PARENT);
        }
    }

    #[inline]
    pub(crate) fn is_parent(&self) -> bool {
        self.has(PARENT)
    }

    /// Returns its name, else the name of its code.
    pub(crate) fn label(&self) -> &str {
        match self.ext.get().and_then(|ext| ext.name.as_deref()) {
            Some(name) => name,
            None => self.static_label(),
        }
    }

    /// Returns its name if that is a constant, else what `label` says, without the parts that
    /// only a compiler needs.
    pub(crate) fn static_label(&self) -> &'static str {
        if let Some(Cow::Borrowed(name)) = self.ext.get().and_then(|ext| ext.name.as_ref()) {
            return name;
        }
        let mut label = (self.label)();
        while let Some(shorter) = label.strip_suffix("::{{closure}}") {
            label = shorter;
        }
        label
    }
}
