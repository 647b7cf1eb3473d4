//! Ends a runtime: every task is cancelled, then every thread ends.
//!
//! 1. The injector refuses new tasks, and the lists of live tasks are closed: whoever comes later
//!    cancels its task itself. What is listed is doomed, and queued if it was idle. Only then are
//!    the workers told.
//! 2. Workers finish the poll they are in, cancel what is in their own queue, and leave. The last
//!    to leave cancels all the rest, until no task is listed.
//! 3. Jobs of the blocking pool that have not started are dropped by the pool; those that run are
//!    waited for, or left behind.
//!
//! # Memory ordering
//!
//! `has_begun` is set with Release, after the queues and lists were closed, and read with Acquire:
//! a worker that leaves because of it finds them closed. `staying` counts with Acquire and Release: the
//! last worker to leave sees all that the others did.

use std::sync::Arc;

use crate::primitive::{AtomicBool, AtomicUsize, Ordering};
use crate::scheduler::Shared;

pub(crate) struct Ending {
    has_begun: AtomicBool,
    /// How many workers have still to leave.
    staying: AtomicUsize,
}

impl Ending {
    pub(crate) fn new(workers: usize) -> Ending {
        Ending { has_begun: AtomicBool::new(false), staying: AtomicUsize::new(workers) }
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Acquire)
    }

    /// Says whether the worker that leaves is the last.
    pub(crate) fn leave(&self) -> bool {
        self.staying.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

impl Shared {
    /// Step 1. Several may call it: when it returns, all of it has been done.
    pub(crate) fn begin_ending(self: &Arc<Self>) {
        self.inject.close();
        let idle = self.owned.stop_all();
        self.inject.push_all(idle);
        // After that, since the last worker to leave takes both for closed.
        self.ending.has_begun.store(true, Ordering::Release);
        for worker in 0..self.remotes.len() {
            self.unpark(worker);
        }
        self.monitor.end();
        self.blocking.begin_ending();
    }

    /// After step 2: nobody will report anything any more, which those who still wait for a socket
    /// or a timer of this runtime, somewhere else, are told.
    pub(crate) fn finish_ending(&self) {
        self.driver.reactor.close();
        self.driver.timers.close();
    }
}
