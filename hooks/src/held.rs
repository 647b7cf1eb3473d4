//! Holds the frame of a resource from its birth to its end, and lets others copy it meanwhile.
//!
//! The resource's own code reads the frame without asking anybody; whoever looks from outside asks
//! the word, and so does the end. If somebody is looking when the resource ends, the frame is left
//! to the last who looks.
//!
//! # State
//!
//! | bits | name    | set by            | cleared by        | meaning                            |
//! |------|---------|-------------------|-------------------|------------------------------------|
//! | 0    | `ENDED` | [`Held::end`]     | never             | the resource reads its frame no more |
//! | 1..8 | lookers | [`Held::look`]    | [`Held::look`]    | so many are copying the frame      |
//!
//! # Invariants
//! H1. The frame is written only to take it out, which is done once: by `end` if nobody looks, else
//!     by the last looker. An empty frame is never written.
//! H2. Who looks is counted by the word, and nobody begins to look once `ENDED` is there.
//! H3. The resource's own code does not read the frame any more when it calls `end`.
//!
//! # Memory ordering
//!
//! The Acquire of the last looker's count down, and of `end`, pairs with the Release of every count
//! down before it: the frame is taken out after all have read it. To be counted is Relaxed: what makes
//! the resource known to the looker makes its frame visible.

#![allow(unsafe_code, reason = "island: a frame that is read while it may be taken out")]

use std::cell::UnsafeCell;

use crate::frame::Frame;
use crate::sync::{AtomicU8, Ordering};

/// The frame. Its word lies apart from it, where there is room.
pub(crate) struct Held(UnsafeCell<Frame>);

/// Who looks at a frame, and whether it is over.
pub(crate) struct Lookers(AtomicU8);

const ENDED: u8 = 1;
const LOOKER: u8 = 1 << 1;
/// More than so many look on another occasion.
const LOOKERS_MAX: u8 = u8::MAX / LOOKER;

// SAFETY: by H1 and H2 nobody reads the frame while it is taken out, and a `Frame` itself may be
// used by many threads.
unsafe impl Sync for Held {}

impl Held {
    #[inline]
    pub(crate) fn new(frame: Frame) -> Held {
        Held(UnsafeCell::new(frame))
    }

    /// Returns the frame, for the resource's own code, which runs before its end.
    #[inline]
    pub(crate) fn get(&self) -> &Frame {
        // SAFETY: by H3 the resource has not ended, so by H1 and H2 nobody writes.
        unsafe { &*self.0.get() }
    }

    /// Takes the frame out, for who is alone with the resource.
    #[inline]
    pub(crate) fn take(&mut self) -> Frame {
        std::mem::take(self.0.get_mut())
    }

    /// Takes the frame out where others may be looking: then it is left to them.
    ///
    /// # Safety
    /// - The resource's own code does not read the frame any more (H3).
    #[inline]
    pub(crate) unsafe fn end(&self, lookers: &Lookers) -> Option<Frame> {
        if self.get().is_empty() || lookers.0.fetch_or(ENDED, Ordering::AcqRel) != 0 {
            return None;
        }
        // SAFETY: nobody looks, and nobody will (H2): by H3 nobody else reads either.
        Some(std::mem::take(unsafe { &mut *self.0.get() }))
    }

    /// Copies the frame for somebody else, unless the resource has ended.
    pub(crate) fn look(&self, lookers: &Lookers) -> Option<Frame> {
        let count = |now| {
            let is_open = now & ENDED == 0 && now / LOOKER < LOOKERS_MAX;
            is_open.then_some(now + LOOKER)
        };
        lookers.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).ok()?;
        // SAFETY: by H2 the word counts us, so by H1 nobody writes.
        let copy = unsafe { &*self.0.get() }.clone();
        let before = lookers.0.fetch_sub(LOOKER, Ordering::AcqRel);
        if before == LOOKER | ENDED {
            // It has ended meanwhile, and this was the last to look. Its own reference goes first,
            // so that `copy` is what decides about the values.
            // SAFETY: by H1 the frame is ours to take out.
            drop(std::mem::take(unsafe { &mut *self.0.get() }));
        }
        Some(copy)
    }
}

impl Lookers {
    #[inline]
    pub(crate) fn none() -> Lookers {
        Lookers(AtomicU8::new(0))
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::{Held, Lookers};
    use crate::frame::Frame;
    use crate::key::{FrameKey, Inherit};
    use loom::thread;
    use std::sync::Arc;

    /// Whoever comes last, the value is let go of once, and nobody sees half a frame.
    #[test]
    fn a_frame_that_is_looked_at_while_it_ends_is_let_go_of_once() {
        loom::model(|| {
            let (key, value) = (FrameKey::new(Inherit::Always), Arc::new(7_i32));
            let frame = Frame::empty().with(&key, value.clone());
            let held = Arc::new((Held::new(frame), Lookers::none()));
            let looking = [(); 2].map(|()| {
                let held = held.clone();
                thread::spawn(move || held.0.look(&held.1))
            });
            // SAFETY: nobody calls `get` here (H3).
            let taken = unsafe { held.0.end(&held.1) };
            drop(taken);
            for looking in looking {
                let seen = looking.join().expect("who looks does not fail");
                assert!(seen.is_none_or(|frame| frame.get(&key).is_some()));
            }
            assert_eq!(Arc::strong_count(&value), 1, "the value is let go of");
        });
    }
}
