//! Queues a worker's own tasks: a slot for the one that was made ready last, and a deque.
//!
//! The slot keeps a pair of tasks that wake each other on one worker with hot caches, and without
//! waking anybody. It would starve the deque if it were always served first, so after
//! [`LIFO_POLLS_MAX`] polls in a row the deque has its turn. Other workers steal from the deque
//! only; a slot that is stuck behind a long poll is rescued by the monitor.
//!
//! # Memory ordering
//!
//! The deque hands tasks on with Release and Acquire, as crossbeam documents; of the slot see
//! `slot.rs`. A push is not a fence: see `scheduler/idle.rs`.

use std::cell::Cell;
use std::sync::Arc;

use crossbeam_deque::{Steal, Stealer, Worker as Deque};

use crate::queue::slot::{self, Owner, Slot};
use crate::task::cell::Runnable;

/// The slot is served so many times in a row before the deque has its turn.
///
/// tokio chose 3 after an uncapped slot had starved other tasks; measured here, larger values
/// gain nothing.
const LIFO_POLLS_MAX: u32 = 3;

/// A thief takes half of what there is, but at most so many tasks, which it will run soon.
const STEAL_MAX_TASKS: usize = 32;

/// The worker's end.
pub(crate) struct Local {
    deque: Deque<Runnable>,
    pub(crate) slot: Owner,
    /// Whether the slot was filled and not emptied by us.
    slot_is_set: Cell<bool>,
    lifo_polls: Cell<u32>,
}

/// What other threads reach.
pub(crate) struct Shared {
    stealer: Stealer<Runnable>,
    pub(crate) slot: Arc<Slot>,
}

pub(crate) fn new() -> (Local, Shared) {
    let deque = Deque::new_fifo();
    let (owner, slot) = slot::new();
    let shared = Shared { stealer: deque.stealer(), slot };
    let (slot_is_set, lifo_polls) = (Cell::new(false), Cell::new(0));
    (Local { deque, slot: owner, slot_is_set, lifo_polls }, shared)
}

/// Whether other workers can get at something that was not there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Pushed {
    /// No: do not wake anybody.
    Private,
    /// Yes.
    Stealable,
}

impl Local {
    /// Queues a task that was made ready by the one that runs: the first of them goes before all
    /// others, the rest behind. That the last goes first, as elsewhere, would take a swap for each.
    #[inline]
    pub(crate) fn push(&self, task: Runnable) -> Pushed {
        if self.slot_is_set.replace(true) {
            self.deque.push(task);
            return Pushed::Stealable;
        }
        self.slot.put(task);
        Pushed::Private
    }

    /// Queues a task behind all others. One that is alone is not worth waking anybody for.
    #[inline]
    pub(crate) fn push_back(&self, task: Runnable) -> Pushed {
        let was_empty = self.deque.is_empty();
        self.deque.push(task);
        if was_empty { Pushed::Private } else { Pushed::Stealable }
    }

    /// Takes the task to run next.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Runnable> {
        if self.slot_is_set.get() {
            if self.lifo_polls.get() < LIFO_POLLS_MAX {
                self.slot_is_set.set(false);
                if let Some(task) = self.slot.take() {
                    self.lifo_polls.set(self.lifo_polls.get() + 1);
                    return Some(task);
                }
            } else {
                self.slot_is_set.set(false);
                if let Some(task) = self.slot.take() {
                    self.deque.push(task);
                }
            }
        }
        self.lifo_polls.set(0);
        self.deque.pop()
    }

    /// Takes about half of what is in `victim`'s deque. Returns the first task of it.
    pub(crate) fn steal_from(&self, victim: &Shared) -> Option<Runnable> {
        loop {
            let limit = STEAL_MAX_TASKS;
            match victim.stealer.steal_batch_with_limit_and_pop(&self.deque, limit) {
                Steal::Success(task) => return Some(task),
                Steal::Empty => return None,
                // Another thief was faster; there may be more.
                Steal::Retry => {}
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.deque.is_empty() && !self.slot_is_set.get()
    }
}

impl Shared {
    /// Says whether there is nothing to steal. Exact only after a fence.
    pub(crate) fn is_empty(&self) -> bool {
        self.stealer.is_empty()
    }

    /// Takes one task, for who has no deque of its own.
    pub(crate) fn steal_one(&self) -> Option<Runnable> {
        loop {
            match self.stealer.steal() {
                Steal::Success(task) => return Some(task),
                Steal::Empty => return None,
                // Another thief was faster; there may be more.
                Steal::Retry => {}
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.stealer.len()
    }
}
