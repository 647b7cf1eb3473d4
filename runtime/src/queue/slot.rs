//! Holds the task that a worker is to run next, where the monitor can take it away.
//!
//! The worker looks here after every poll, so looking must cost nothing; the monitor comes once in a
//! while, when a worker is stuck in a poll. So they agree by phases. While the worker polls, the
//! slot is the monitor's to empty; in between it is the worker's. The worker says in which phase it
//! is, and then looks whether the monitor is there; the monitor says that it is there, and then
//! looks in which phase the worker is. Only if that is still the poll that it has found stuck, it
//! takes the task.
//!
//! # Invariants
//! S1. What is in the slot is a `Runnable` turned raw, which is the slot's, or null.
//! S2. The [`Owner`] exists once per slot. It fills the slot only when it has emptied it, or found it
//!     empty, in its own phase.
//! S3. The slot is emptied by the owner in its own phase, and by the monitor, under the lock, in the
//!     other.
//!
//! # Memory ordering
//!
//! Ending a poll: `SayPhase`; the light fence; `ReadRescue`. Rescuing: `SayRescue`; the heavy fence;
//! `ReadPhase`. One of the fences is first: the owner sees the monitor and waits for its lock, or the
//! monitor sees that the poll is over and takes nothing. What the monitor did is visible to the
//! owner by the lock or, if it was done before, by the Release of the end of `SayRescue` and the
//! Acquire of `ReadRescue`. What the owner did before a poll is visible to the monitor by the Release
//! of `SayPhase` and the Acquire of `ReadPhase`; what it puts there meanwhile, by the Release and
//! Acquire of the slot.

#![allow(unsafe_code, reason = "island: a task that two threads may take, one at a time")]

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;

use crate::asymmetric;
use crate::primitive::{AtomicBool, AtomicPtr, AtomicU64, Mutex, Ordering};
use crate::task::cell::Runnable;

/// What the monitor reaches.
pub(crate) struct Slot {
    task: AtomicPtr<()>,
    /// How many polls were begun and ended: odd while the worker polls.
    phase: AtomicU64,
    is_rescuing: AtomicBool,
    lock: Mutex<()>,
}

/// The worker's end. It may change threads, and be used by one at a time.
pub(crate) struct Owner {
    slot: Arc<Slot>,
    one_thread: PhantomData<Cell<()>>,
}

/// Makes both ends.
pub(super) fn new() -> (Owner, Arc<Slot>) {
    let slot = Arc::new(Slot {
        task: AtomicPtr::new(ptr::null_mut()),
        phase: AtomicU64::new(0),
        is_rescuing: AtomicBool::new(false),
        lock: Mutex::default(),
    });
    (Owner { slot: slot.clone(), one_thread: PhantomData }, slot)
}

impl Owner {
    /// Fills the slot, which is empty (S2).
    #[inline]
    pub(super) fn put(&self, task: Runnable) {
        debug_assert!(self.slot.task.load(Ordering::Relaxed).is_null(), "a task would be lost");
        self.slot.task.store(task.into_raw(), Ordering::Release);
    }

    /// Empties the slot, between polls.
    #[inline]
    pub(super) fn take(&self) -> Option<Runnable> {
        assert!(self.phase() % 2 == 0, "the slot is emptied during a poll");
        let task = self.slot.task.load(Ordering::Acquire);
        self.slot.task.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: by S1 it is the slot's, and by S3, since no poll is on, nobody else takes it out.
        unsafe { Runnable::from_raw(task) }
    }

    /// Says that a poll begins, during which the slot may be emptied by another.
    #[inline]
    pub(crate) fn begin_poll(&self) {
        self.slot.phase.store(self.phase().wrapping_add(1), Ordering::Release);
    }

    /// Says that a poll has ended.
    #[inline]
    pub(crate) fn end_poll(&self) {
        self.slot.phase.store(self.phase().wrapping_add(1), Ordering::Release);
        asymmetric::light();
        if self.slot.is_rescuing.load(Ordering::Acquire) {
            self.slot.wait();
        }
    }

    /// Only the owner changes it, but for a deputy, who adds an even number.
    #[inline]
    fn phase(&self) -> u64 {
        self.slot.phase.load(Ordering::Relaxed)
    }
}

impl Slot {
    #[cold]
    fn wait(&self) {
        drop(self.lock.lock());
    }

    /// Counts the phases: for who wants to know whether the worker goes on.
    pub(crate) fn phases(&self) -> u64 {
        self.phase.load(Ordering::Relaxed)
    }

    /// Counts a poll by somebody who stands in for the worker.
    pub(crate) fn count_poll(&self) {
        self.phase.fetch_add(2, Ordering::Relaxed);
    }

    /// Empties the slot, if the worker is in the poll that was `seen`.
    pub(crate) fn rescue(&self, seen: u64) -> Option<Runnable> {
        let is_polling = seen % 2 == 1;
        if !is_polling || self.task.load(Ordering::Relaxed).is_null() {
            return None;
        }
        let _lock = self.lock.lock();
        self.is_rescuing.store(true, Ordering::Relaxed);
        asymmetric::heavy();
        let is_stuck = self.phase.load(Ordering::Acquire) == seen;
        let task = if is_stuck { self.task.load(Ordering::Acquire) } else { ptr::null_mut() };
        if !task.is_null() {
            self.task.store(ptr::null_mut(), Ordering::Relaxed);
        }
        self.is_rescuing.store(false, Ordering::Release);
        // SAFETY: by S1 it is the slot's; by S3, because the poll goes on, nobody else takes it out.
        unsafe { Runnable::from_raw(task) }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::new;
    use crate::hooks::life::Birth;
    use crate::hooks::{AsyncId, Kind, RuntimeId};
    use crate::resident::Sort;
    use crate::task::cell::{self, Runnable};
    use crate::task::poll;
    use loom::thread;
    use std::future::pending;

    fn spawn() -> (Runnable, AsyncId) {
        let runtime = RuntimeId::from_u32(1).expect("1 is a number of a runtime");
        let birth = Birth::new(Kind::TASK, || "model").runtime(runtime);
        let (newborn, join) = cell::allocate(pending::<()>(), birth, None, Sort::Task);
        let id = newborn.id();
        let task = newborn.born();
        drop(join);
        (task, id)
    }

    /// The worker makes a task ready in each of two polls, and takes what is there after each. The
    /// monitor comes at any moment, with what it saw at any other.
    #[test]
    fn what_is_in_the_slot_is_taken_once() {
        loom::model(|| {
            let (owner, slot) = new();
            let rescuing = thread::spawn(move || {
                let seen = slot.phases();
                let task = slot.rescue(seen);
                let is_taken = task.is_some();
                task.into_iter().for_each(poll::refuse);
                usize::from(is_taken)
            });
            let mut taken = 0;
            for _ in 0..2 {
                owner.begin_poll();
                owner.put(spawn().0);
                owner.end_poll();
                if let Some(task) = owner.take() {
                    poll::refuse(task);
                    taken += 1;
                }
            }
            assert_eq!(taken + rescuing.join().unwrap(), 2, "how many were taken");
        });
    }
}
