//! Queues the tasks that stay on one thread: every thread may wake them, and only that one takes
//! them out.
//!
//! Such a task is what any task is, but that its future tells the number of this queue, in the place
//! of its runtime's. So a wake, from wherever, brings it here, and tells whoever drives the set.
//!
//! # Invariants
//! Q1. Only the thread that made the set calls [`take`](LocalQueue::take), and runs what it takes: a
//!     future in here may not leave its thread.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::Waker;

use crate::hooks::RuntimeId;
use crate::primitive::{Condvar, Mutex};
use crate::scheduler::lookup::{self, Claim};
use crate::task::cell::Runnable;
use crate::task::waker::{drop_foreign, wake_foreign};

pub(crate) struct LocalQueue {
    claim: Claim,
    inner: Mutex<Inner>,
    /// Rung when a task comes after the end has begun, for the thread that waits for the last.
    bell: Condvar,
}

#[derive(Default)]
struct Inner {
    tasks: VecDeque<Runnable>,
    /// Those whose polls drive the set, to be woken when a task comes. There may be several, one
    /// inside the other.
    drivers: Vec<Waker>,
    /// Somebody is taking tasks out until there are none: nobody has to be woken.
    is_served: bool,
    is_closed: bool,
}

impl LocalQueue {
    pub(crate) fn new() -> io::Result<Arc<LocalQueue>> {
        let claim = lookup::claim()?;
        let queue = LocalQueue { claim, inner: Mutex::default(), bell: Condvar::new() };
        let queue = Arc::new(queue);
        queue.claim.publish_local(&queue);
        Ok(queue)
    }

    pub(crate) fn id(&self) -> RuntimeId {
        self.claim.id()
    }

    /// Queues a new task; `Err` if the set is ending.
    pub(crate) fn push_new(&self, task: Runnable) -> Result<(), Runnable> {
        if self.inner.lock().is_closed {
            return Err(task);
        }
        self.push_woken(task);
        Ok(())
    }

    /// Queues a task that was woken.
    pub(crate) fn push_woken(&self, task: Runnable) {
        let mut inner = self.inner.lock();
        inner.tasks.push_back(task);
        let drivers = if inner.is_served { Vec::new() } else { std::mem::take(&mut inner.drivers) };
        // Only the end of the set waits for it, and to ring is a system call.
        let must_ring = inner.is_closed;
        drop(inner);
        if must_ring {
            self.bell.notify_one();
        }
        drivers.into_iter().for_each(wake_foreign);
    }

    /// Begins to take tasks out. `driver` is woken for those that come when that has ended.
    pub(crate) fn serve(&self, driver: &Waker) {
        // Cloned and dropped outside of the lock: it is foreign code.
        let driver = driver.clone();
        let mut inner = self.inner.lock();
        inner.is_served = true;
        let known = inner.drivers.iter_mut().find(|known| known.will_wake(&driver));
        let left = match known {
            Some(known) => Some(std::mem::replace(known, driver)),
            None => {
                inner.drivers.push(driver);
                None
            }
        };
        drop(inner);
        drop_foreign(left);
    }

    /// Takes the next task. If there is none, nobody serves the queue any more.
    pub(crate) fn take(&self) -> Option<Runnable> {
        let mut inner = self.inner.lock();
        let task = inner.tasks.pop_front();
        inner.is_served &= task.is_some();
        task
    }

    /// Stops taking tasks out. Says whether there are more.
    pub(crate) fn pause(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.is_served = false;
        !inner.tasks.is_empty()
    }

    /// Stops taking tasks out, and leaves those that are there to whoever else drives the set.
    pub(crate) fn leave(&self) {
        let mut inner = self.inner.lock();
        inner.is_served = false;
        let drivers =
            if inner.tasks.is_empty() { Vec::new() } else { std::mem::take(&mut inner.drivers) };
        drop(inner);
        drivers.into_iter().for_each(wake_foreign);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.inner.lock().tasks.is_empty()
    }

    /// Refuses new tasks from now on.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.is_closed = true;
        let drivers = std::mem::take(&mut inner.drivers);
        drop(inner);
        drivers.into_iter().for_each(|driver| drop_foreign(Some(driver)));
    }

    /// Waits until there is a task.
    pub(crate) fn wait(&self) {
        let mut inner = self.inner.lock();
        while inner.tasks.is_empty() {
            inner = self.bell.wait(inner);
        }
    }
}

impl fmt::Debug for LocalQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalQueue").field("id", &self.id()).finish_non_exhaustive()
    }
}
