//! Names the values of frames: who has the key has the value.
//!
//! # Invariants
//! K1. A [`FrameValue`] with a tag holds a `T` if a `FrameKey<T>` has that tag: tags are given out
//!     once, a clone of a key has the same `T`, and only [`FrameKey::value`] puts a value beside a
//!     tag.
//!
//! # Memory ordering
//!
//! Everything is Relaxed: a tag is a number and nothing more, and its uniqueness needs only the
//! modification order of the variable that it is taken from.

#![allow(unsafe_code, reason = "island: reads a value without asking it for its type")]

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// The right to read and write one value of a frame, which is a `T`.
///
/// It is a constant. When it is first used it gets a number that no other key has; numbers follow
/// each other, which lets a frame find a value by looking at one place.
pub struct FrameKey<T> {
    /// The number, with the bits of the rule above it; 0 until it is needed.
    tag: AtomicU64,
    rule: u64,
    /// It takes and gives a `T`, and holds none.
    value: PhantomData<fn(T) -> T>,
}

/// Bits of a tag: which heirs do not take the value over, and which do although they recur.
const SAME_TASK: u64 = 1 << 63;
const NEVER: u64 = 1 << 62;
const RECURRING: u64 = 1 << 61;

impl<T> FrameKey<T> {
    /// Makes a key that no other key equals.
    #[must_use]
    pub const fn new(inherit: Inherit) -> FrameKey<T> {
        FrameKey::of_rule(0).inherit(inherit)
    }

    /// Makes another key, whose value is taken over by this rule.
    #[must_use]
    pub const fn inherit(self, inherit: Inherit) -> FrameKey<T> {
        let heirs = match inherit {
            Inherit::Always => 0,
            Inherit::SameTask => SAME_TASK,
            Inherit::Never => NEVER,
        };
        FrameKey::of_rule(self.rule & RECURRING | heirs)
    }

    /// Makes another key, whose value resources may hold that outlive many units of work: listeners,
    /// intervals, pooled connections. Without this they do not, so that they keep nobody's context
    /// alive.
    #[must_use]
    pub const fn recurring(self) -> FrameKey<T> {
        FrameKey::of_rule(self.rule | RECURRING)
    }

    /// Returns the rule by which its value is taken over.
    #[must_use]
    pub const fn rule(&self) -> Inherit {
        match self.rule & (SAME_TASK | NEVER) {
            0 => Inherit::Always,
            SAME_TASK => Inherit::SameTask,
            _ => Inherit::Never,
        }
    }

    const fn of_rule(rule: u64) -> FrameKey<T> {
        FrameKey { tag: AtomicU64::new(0), rule, value: PhantomData }
    }

    /// The tag, 0 if nobody has needed it yet.
    #[inline]
    pub(crate) fn tag_if_used(&self) -> u64 {
        self.tag.load(Ordering::Relaxed)
    }

    fn tag(&self) -> u64 {
        match self.tag_if_used() {
            0 => self.number(),
            tag => tag,
        }
    }

    #[cold]
    fn number(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Of two threads that number a key at once, one does so in vain.
        let tag = NEXT.fetch_add(1, Ordering::Relaxed) | self.rule;
        let earlier = self.tag.compare_exchange(0, tag, Ordering::Relaxed, Ordering::Relaxed);
        earlier.err().unwrap_or(tag)
    }

    /// Puts a value under the key, for [`Frame::changed`](crate::Frame::changed).
    #[must_use]
    pub fn value(&self, value: Arc<T>) -> FrameValue
    where
        T: Send + Sync + 'static,
    {
        FrameValue { tag: self.tag(), value: Some(value) }
    }

    /// Says that there is to be no value, for [`Frame::changed`](crate::Frame::changed).
    #[must_use]
    pub fn no_value(&self) -> FrameValue {
        FrameValue { tag: self.tag(), value: None }
    }
}

/// The clone is the same key.
impl<T> Clone for FrameKey<T> {
    fn clone(&self) -> FrameKey<T> {
        FrameKey { tag: AtomicU64::new(self.tag()), rule: self.rule, value: PhantomData }
    }
}

impl<T> fmt::Debug for FrameKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameKey").field("tag", &self.tag).finish_non_exhaustive()
    }
}

/// A value under its key, or that there is none under it.
#[derive(Clone, Default)]
pub struct FrameValue {
    /// The tag of the key; 0 for nothing at all.
    pub(crate) tag: u64,
    pub(crate) value: Option<Arc<dyn Any + Send + Sync>>,
}

impl FrameValue {
    /// Returns the value, if it is one of this key.
    #[must_use]
    #[inline]
    pub fn get<T: 'static>(&self, key: &FrameKey<T>) -> Option<&T> {
        // The tag 0 of a key that nobody has used has no value beside it.
        if self.tag != key.tag_if_used() {
            return None;
        }
        let value = &**self.value.as_ref()?;
        debug_assert!(value.is::<T>(), "a value that is not of its key's type");
        // SAFETY: by K1 it is a `T`, and the borrow lasts as long as that of `self`.
        Some(unsafe { &*ptr::from_ref(value).cast::<T>() })
    }

    /// Returns the value with its reference count, if it is one of this key.
    #[must_use]
    pub fn get_arc<T: Send + Sync + 'static>(&self, key: &FrameKey<T>) -> Option<Arc<T>> {
        if self.tag != key.tag_if_used() {
            return None;
        }
        self.value.clone()?.downcast().ok()
    }

    /// As [`get_arc`](FrameValue::get_arc), giving up this reference.
    #[must_use]
    pub fn into_arc<T: Send + Sync + 'static>(self, key: &FrameKey<T>) -> Option<Arc<T>> {
        if self.tag != key.tag_if_used() {
            return None;
        }
        self.value?.downcast().ok()
    }

    pub(crate) fn is_for(&self, heir: Heir) -> bool {
        let is = |rule| self.tag & rule != 0;
        match heir {
            Heir::SameTask => !is(NEVER),
            Heir::OtherTask => !is(NEVER | SAME_TASK),
            Heir::Recurring => !is(NEVER | SAME_TASK) && is(RECURRING),
        }
    }
}

impl fmt::Debug for FrameValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameValue")
            .field("tag", &self.tag)
            .field("is_set", &self.value.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{FrameKey, Inherit};
    use std::sync::Arc;

    #[test]
    fn a_value_is_read_through_its_key_and_no_other() {
        let (mine, other) = (FrameKey::new(Inherit::Always), FrameKey::new(Inherit::Always));
        let value = mine.value(Arc::new("text".to_owned()));
        assert_eq!(value.get(&mine).map(String::as_str), Some("text"));
        assert_eq!(value.get(&mine.clone()).map(String::as_str), Some("text"));
        assert!(value.get::<String>(&other).is_none() && value.get_arc(&other).is_none());
        assert!(value.get::<u64>(&FrameKey::new(Inherit::Always)).is_none());
        assert!(mine.no_value().get(&mine).is_none());
        let kept = value.get_arc(&mine);
        assert_eq!(value.into_arc(&mine), kept);
    }

    #[test]
    fn another_rule_makes_another_key() {
        let key = FrameKey::new(Inherit::Always);
        let value = key.value(Arc::new(1_u32));
        let other = key.inherit(Inherit::Never);
        assert!(value.get(&other).is_none());
        let value = other.value(Arc::new(1_u32));
        assert_eq!(other.rule(), Inherit::Never);
        let third = other.recurring();
        assert!(value.get(&third).is_none());
        assert_eq!(third.rule(), Inherit::Never);
        assert_eq!(third.inherit(Inherit::SameTask).rule(), Inherit::SameTask);
    }

    #[test]
    fn threads_that_use_a_key_at_once_give_it_one_number() {
        static KEY: FrameKey<u32> = FrameKey::new(Inherit::Always);
        let threads: Vec<_> =
            (0..8).map(|number| std::thread::spawn(move || KEY.value(Arc::new(number)))).collect();
        for (number, thread) in (0..8).zip(threads) {
            let value = thread.join().expect("nothing in it panics");
            assert_eq!(value.get(&KEY), Some(&number));
        }
    }
}
