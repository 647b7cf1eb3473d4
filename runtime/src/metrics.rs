//! Counts what a runtime is doing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::enter;
use crate::primitive::Ordering;
use crate::scheduler::{Shared, Worker};

/// Returns which worker of its runtime this thread is: the number that [`RuntimeMetrics`] counts by.
///
/// `None` on a thread that is no worker, such as one of the blocking pool, or one in `block_on` of a
/// runtime with threads of its own. A task may be on another worker after each `await`.
///
/// # Examples
/// ```
/// use forebear::runtime::{Runtime, worker_index};
///
/// let runtime = Runtime::new()?;
/// assert_eq!(runtime.block_on(async { worker_index() }), None);
/// let index = runtime.spawn(async { worker_index() });
/// assert!(runtime.block_on(index)?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn worker_index() -> Option<usize> {
    enter::with_worker(|worker| worker.map(Worker::index))
}

/// What a runtime is doing, in numbers. Each call looks anew, and takes short locks.
#[derive(Clone)]
pub struct RuntimeMetrics {
    shared: Arc<Shared>,
}

impl RuntimeMetrics {
    pub(crate) fn new(shared: Arc<Shared>) -> RuntimeMetrics {
        RuntimeMetrics { shared }
    }

    /// Returns the number of workers.
    #[must_use]
    pub fn num_workers(&self) -> usize {
        self.shared.remotes.len()
    }

    /// Returns the number of tasks that are not complete. It looks at each of them.
    #[must_use]
    pub fn num_alive_tasks(&self) -> usize {
        self.shared.count_tasks()
    }

    /// Returns how many tasks wait in the injector.
    #[must_use]
    pub fn global_queue_depth(&self) -> usize {
        self.shared.inject.len()
    }

    /// Returns how many tasks wait in the queue of a worker.
    ///
    /// # Panics
    /// If there is no such worker.
    #[must_use]
    pub fn worker_local_queue_depth(&self, worker: usize) -> usize {
        self.shared.remotes[worker].queue.len()
    }

    /// Returns how many tasks a worker has begun to poll.
    ///
    /// # Panics
    /// If there is no such worker.
    #[must_use]
    pub fn worker_poll_count(&self, worker: usize) -> u64 {
        self.shared.polls(worker)
    }

    /// Returns how often a worker has gone to sleep because it had nothing to do.
    ///
    /// # Panics
    /// If there is no such worker.
    #[must_use]
    pub fn worker_park_count(&self, worker: usize) -> u64 {
        self.shared.remotes[worker].parks.load(Ordering::Relaxed)
    }

    /// Returns how often a worker has gone to sleep or gone on: it is odd while the worker sleeps.
    ///
    /// # Panics
    /// If there is no such worker.
    #[must_use]
    pub fn worker_park_unpark_count(&self, worker: usize) -> u64 {
        let remote = &self.shared.remotes[worker];
        // The later one first, so that the difference is never negative.
        let unparks = remote.unparks.load(Ordering::Relaxed);
        remote.parks.load(Ordering::Relaxed) + unparks
    }

    /// Returns for how long a worker was not asleep, up to when it last went to sleep.
    ///
    /// # Panics
    /// If there is no such worker.
    #[must_use]
    pub fn worker_total_busy_duration(&self, worker: usize) -> Duration {
        Duration::from_nanos(self.shared.remotes[worker].busy_ns.load(Ordering::Relaxed))
    }

    /// Returns the number of threads of the blocking pool.
    #[must_use]
    pub fn num_blocking_threads(&self) -> usize {
        self.shared.blocking.threads()
    }

    /// Returns how many timers are registered.
    #[must_use]
    pub fn num_timers(&self) -> usize {
        self.shared.driver.timers.len()
    }

    /// Returns how many sockets and other sources of the system are registered.
    #[must_use]
    pub fn io_driver_fd_count(&self) -> usize {
        self.shared.driver.reactor.len()
    }
}

impl fmt::Debug for RuntimeMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeMetrics")
            .field("num_workers", &self.num_workers())
            .field("num_alive_tasks", &self.num_alive_tasks())
            .field("global_queue_depth", &self.global_queue_depth())
            .field("num_blocking_threads", &self.num_blocking_threads())
            .field("num_timers", &self.num_timers())
            .field("io_driver_fd_count", &self.io_driver_fd_count())
            .finish()
    }
}
