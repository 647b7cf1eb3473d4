//! Holds the context values that travel with a resource: immutable, shared, behind one pointer.
//!
//! A frame is copied (one pointer) when a resource is created and swapped in around its code.
//! Writers pay for that: setting a value copies the entries. Only the owner of a [`FrameKey`] can
//! read or write its value, so a frame cannot be forged or searched.

use std::any::Any;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::kind::Kind;

/// Says which new resources take a value over from the frame they are created in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inherit {
    /// All of them.
    #[default]
    Always,
    /// Those that live inside the same task; a spawned task or blocking job does not.
    SameTask,
    /// None: the value is seen by the scope that set it, and by nothing that is created there.
    Never,
}

/// The right to read and write one value of a frame.
#[derive(Debug)]
pub struct FrameKey {
    id: NonZeroU64,
    inherit: Inherit,
    recurring: bool,
}

impl FrameKey {
    /// Makes a key that no other key equals.
    #[must_use]
    pub fn new(inherit: Inherit) -> FrameKey {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Relaxed: uniqueness needs only the modification order of this one variable.
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        FrameKey { id: NonZeroU64::new(id).unwrap_or(NonZeroU64::MAX), inherit, recurring: false }
    }

    /// Lets resources that outlive many units of work (listeners, intervals, pooled connections)
    /// hold the value too. Without this they do not, so that they keep nobody's context alive.
    #[must_use]
    pub fn recurring(mut self) -> FrameKey {
        self.recurring = true;
        self
    }
}

/// How a new resource stands to the one that creates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heir {
    /// It lives inside the same task: a timer, a socket, a flow.
    SameTask,
    /// It is a task or a blocking job.
    OtherTask,
    /// It outlives the work that made it: a listener, an interval.
    Recurring,
}

impl Heir {
    /// How a resource of this kind stands to what creates it, unless more is said.
    #[inline]
    pub(crate) fn of(kind: Kind) -> Heir {
        match kind {
            Kind::TASK | Kind::BLOCKING => Heir::OtherTask,
            Kind::TCP_LISTENER | Kind::UNIX_LISTENER | Kind::INTERVAL => Heir::Recurring,
            _ => Heir::SameTask,
        }
    }

    const ALL: [Heir; 3] = [Heir::SameTask, Heir::OtherTask, Heir::Recurring];
}

/// The context values of one place in the program. Cloning copies a pointer.
///
/// It says nothing about what it holds: values are read through their keys. It is what the
/// context layer stands on; programs use that layer, not this type.
#[derive(Clone, Default)]
pub struct Frame(Option<Arc<Inner>>);

struct Inner {
    entries: Vec<Entry>,
    deadline: Option<Instant>,
    /// What each sort of heir takes over, where that is not simply everything.
    heirs: [OnceLock<Frame>; 3],
    /// One bit per [`Heir`]: it does not take everything.
    partial: u8,
}

#[derive(Clone)]
struct Entry {
    key: NonZeroU64,
    inherit: Inherit,
    recurring: bool,
    value: Arc<dyn Any + Send + Sync>,
}

impl Entry {
    fn is_for(&self, heir: Heir) -> bool {
        match heir {
            Heir::SameTask => self.inherit != Inherit::Never,
            Heir::OtherTask => self.inherit == Inherit::Always,
            Heir::Recurring => self.inherit == Inherit::Always && self.recurring,
        }
    }
}

/// The frame without values.
pub(crate) static EMPTY: Frame = Frame(None);

impl Frame {
    /// Returns the frame without values.
    #[must_use]
    pub const fn empty() -> Frame {
        Frame(None)
    }

    /// Returns the frame that is current on this thread.
    #[must_use]
    pub fn current() -> Frame {
        crate::current::with_frame(Frame::clone)
    }

    /// Calls `f` with the frame that is current on this thread, which costs no reference count.
    pub fn with_current<R>(f: impl FnOnce(&Frame) -> R) -> R {
        crate::current::with_frame(f)
    }

    /// Runs `f` with this frame as the current one, then restores what was.
    pub fn sync_scope<R>(&self, f: impl FnOnce() -> R) -> R {
        crate::current::run_in_frame(self, f)
    }

    /// Makes this frame the current one for the rest of the scope that is running.
    ///
    /// The end of that scope restores what was before it, whatever becomes of the guard.
    #[must_use = "the frame is left when the guard is dropped"]
    pub fn enter(self) -> crate::life::Entered {
        crate::current::enter(self)
    }

    /// Says whether it holds no values and no deadline.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Says whether both are the same frame, not only equal ones.
    #[must_use]
    pub fn ptr_eq(&self, other: &Frame) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    fn entries(&self) -> &[Entry] {
        self.0.as_ref().map_or(&[], |inner| &inner.entries)
    }

    /// Returns the value of `key`.
    #[must_use]
    #[inline]
    pub fn get(&self, key: &FrameKey) -> Option<&Arc<dyn Any + Send + Sync>> {
        self.entries().iter().find(|entry| entry.key == key.id).map(|entry| &entry.value)
    }

    /// Returns a frame with one more value, or with another one for `key`.
    #[must_use]
    pub fn with(&self, key: &FrameKey, value: Arc<dyn Any + Send + Sync>) -> Frame {
        let FrameKey { id, inherit, recurring } = *key;
        let mut entries = Vec::with_capacity(self.entries().len() + 1);
        entries.extend(self.entries().iter().filter(|entry| entry.key != id).cloned());
        entries.push(Entry { key: id, inherit, recurring, value });
        Frame::from_parts(entries, self.deadline())
    }

    /// Returns a frame without a value for `key`.
    #[must_use]
    pub fn without(&self, key: &FrameKey) -> Frame {
        if self.get(key).is_none() {
            return self.clone();
        }
        let rest = self.entries().iter().filter(|entry| entry.key != key.id).cloned();
        Frame::from_parts(rest.collect(), self.deadline())
    }

    /// Returns when the work in this frame has to be done, if that was said.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.as_ref().and_then(|inner| inner.deadline)
    }

    /// Returns a frame whose deadline is `deadline` or, if that is sooner, the one it had.
    #[must_use]
    pub fn with_deadline(&self, deadline: Instant) -> Frame {
        let sooner = self.deadline().map_or(deadline, |had| had.min(deadline));
        Frame::from_parts(self.entries().to_vec(), Some(sooner))
    }

    fn from_parts(entries: Vec<Entry>, deadline: Option<Instant>) -> Frame {
        if entries.is_empty() && deadline.is_none() {
            return Frame::empty();
        }
        let mut partial = 0;
        for heir in Heir::ALL {
            let dropped = entries.iter().any(|entry| !entry.is_for(heir));
            // A recurring resource is not bound by the deadline of the work that made it.
            if dropped || (heir == Heir::Recurring && deadline.is_some()) {
                partial |= 1 << heir as u8;
            }
        }
        let heirs = [const { OnceLock::new() }; 3];
        Frame(Some(Arc::new(Inner { entries, deadline, heirs, partial })))
    }

    /// Returns what a resource of this kind, made in this frame, takes over.
    #[must_use]
    pub fn inherited_by(&self, kind: Kind) -> Frame {
        self.inherit(Heir::of(kind))
    }

    /// Returns what a new resource takes over: one pointer, however many values there are.
    #[inline]
    pub(crate) fn inherit(&self, heir: Heir) -> Frame {
        let Some(inner) = &self.0 else { return Frame::empty() };
        if inner.partial & (1 << heir as u8) == 0 {
            return self.clone();
        }
        inner.part_for(heir)
    }
}

impl Inner {
    #[cold]
    fn part_for(&self, heir: Heir) -> Frame {
        let part = self.heirs[heir as usize].get_or_init(|| {
            let entries = self.entries.iter().filter(|entry| entry.is_for(heir)).cloned();
            let deadline = if heir == Heir::Recurring { None } else { self.deadline };
            Frame::from_parts(entries.collect(), deadline)
        });
        part.clone()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("values", &self.entries().len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Frame, FrameKey, Heir, Inherit};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    fn number(frame: &Frame, key: &FrameKey) -> Option<i32> {
        frame.get(key).and_then(|value| value.downcast_ref().copied())
    }

    #[test]
    fn a_value_is_seen_through_its_key_only() {
        let (mine, other) = (FrameKey::new(Inherit::Always), FrameKey::new(Inherit::Always));
        let frame = Frame::empty().with(&mine, Arc::new(7_i32));
        assert_eq!((number(&frame, &mine), number(&frame, &other)), (Some(7), None));
        let again = frame.with(&mine, Arc::new(8_i32));
        assert_eq!((number(&frame, &mine), number(&again, &mine)), (Some(7), Some(8)));
        assert!(again.without(&mine).is_empty());
        assert!(frame.without(&other).ptr_eq(&frame));
    }

    #[test]
    fn heirs_take_what_the_rule_of_each_key_allows() {
        let always = FrameKey::new(Inherit::Always);
        let pool = FrameKey::new(Inherit::Always).recurring();
        let here = FrameKey::new(Inherit::SameTask);
        let never = FrameKey::new(Inherit::Never);
        let keys = [&always, &pool, &here, &never];
        let frame = keys.iter().fold(Frame::empty(), |frame, key| frame.with(key, Arc::new(1_i32)));
        let seen = |heir| keys.map(|key| number(&frame.inherit(heir), key).is_some());
        assert_eq!(seen(Heir::SameTask), [true, true, true, false]);
        assert_eq!(seen(Heir::OtherTask), [true, true, false, false]);
        assert_eq!(seen(Heir::Recurring), [false, true, false, false]);
        assert!(frame.inherit(Heir::OtherTask).ptr_eq(&frame.inherit(Heir::OtherTask)));
    }

    #[test]
    fn a_frame_of_inherited_values_is_inherited_as_it_is() {
        let frame = Frame::empty().with(&FrameKey::new(Inherit::Always), Arc::new(1_i32));
        assert!(frame.inherit(Heir::OtherTask).ptr_eq(&frame));
        assert!(frame.inherit(Heir::Recurring).is_empty());
    }

    #[test]
    fn a_deadline_is_only_ever_shortened() {
        let now = Instant::now();
        let (soon, late) = (now + Duration::from_secs(1), now + Duration::from_secs(9));
        let frame = Frame::empty().with_deadline(soon).with_deadline(late);
        assert_eq!(frame.deadline(), Some(soon));
        assert_eq!(frame.inherit(Heir::OtherTask).deadline(), Some(soon));
        assert_eq!(frame.inherit(Heir::Recurring).deadline(), None);
    }
}
