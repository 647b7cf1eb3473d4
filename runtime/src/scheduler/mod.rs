//! Decides which worker runs which task, and when.
//!
//! A task that becomes ready is queued by [`schedule`]: with the worker on whose thread that
//! happens, or with the injector. Workers take tasks from their own queue, from the injector, and
//! from each other; one that finds nothing sleeps, in the driver if nobody else does.

pub(crate) mod deputy; // who stands in for a worker that blocks
pub(crate) mod idle; // who sleeps, and whom to wake
pub(crate) mod lookup; // runtimes by number
pub(crate) mod monitor; // who looks after stuck workers
pub(crate) mod shutdown; // how it ends
pub(crate) mod worker; // the loop

use std::io;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use crate::asymmetric;
use crate::blocking::Pool;
use crate::config::Config;
use crate::driver::{self, Driver};
use crate::enter;
use crate::hooks::{CoarseTick, RuntimeId, ledger};
use crate::park::{Found, Parker};
use crate::primitive::{AtomicU64, Mutex};
use crate::queue::inject::Inject;
use crate::queue::local::{self, Local};
use crate::resident;
use crate::task::cell::{self, Runnable};
use crate::task::local_set;
use crate::task::poll;

use idle::Idle;
pub(crate) use lookup::Target;
use monitor::Monitor;
use shutdown::Ending;
pub(crate) use worker::Worker;

/// What all threads of a runtime share.
pub(crate) struct Shared {
    claim: lookup::Claim,
    pub(crate) config: Config,
    pub(crate) inject: Inject,
    pub(crate) idle: Idle,
    pub(crate) remotes: Box<[CachePadded<Remote>]>,
    pub(crate) driver: driver::Handle,
    /// The end of the driver that sleeps: whoever has nothing else to do holds it.
    pub(crate) driver_core: Mutex<Driver>,
    pub(crate) blocking: Pool,
    pub(crate) monitor: Monitor,
    pub(crate) ending: Ending,
}

/// What other threads reach of a worker.
pub(crate) struct Remote {
    pub(crate) queue: local::Shared,
    pub(crate) parker: Parker,
    /// How often it has gone to sleep, and how often it has gone on. Relaxed, as the next.
    pub(crate) parks: AtomicU64,
    pub(crate) unparks: AtomicU64,
    /// For how long it was not asleep, up to when it last went to sleep.
    pub(crate) busy_ns: AtomicU64,
}

/// Makes what all threads share, and the queues of the workers.
pub(crate) fn new(config: Config) -> io::Result<(Arc<Shared>, Vec<Local>)> {
    let workers = config.workers;
    let (driver, handle) = driver::new(workers, config.io_events_max)?;
    if config.is_paused_at_start {
        handle.timers.clock.pause();
    }
    let mut locals = Vec::with_capacity(workers);
    let mut remotes = Vec::with_capacity(workers);
    for _ in 0..workers {
        let (local, queue) = local::new();
        locals.push(local);
        remotes.push(CachePadded::new(Remote {
            queue,
            parker: Parker::new(),
            parks: AtomicU64::new(0),
            unparks: AtomicU64::new(0),
            busy_ns: AtomicU64::new(0),
        }));
    }
    let shared = Arc::new(Shared {
        claim: lookup::claim()?,
        inject: Inject::new(workers),
        idle: Idle::new(workers),
        remotes: remotes.into_boxed_slice(),
        driver: handle,
        driver_core: Mutex::new(driver),
        blocking: Pool::new(&config),
        monitor: Monitor::new(),
        ending: Ending::new(workers),
        config,
    });
    asymmetric::prepare();
    // Said again it changes nothing.
    let _ = ledger::set_census(resident::census);
    shared.claim.publish(&shared);
    Ok((shared, locals))
}

/// Queues a task that was woken.
#[inline]
pub(crate) fn schedule(task: Runnable) {
    let elsewhere = enter::with_worker(|worker| match worker {
        Some(worker) if task.queue() == Some(worker.runtime()) => {
            worker.push(task);
            None
        }
        _ => Some(task),
    });
    if let Some(task) = elsewhere {
        schedule_elsewhere(task);
    }
}

#[cold]
fn schedule_elsewhere(task: Runnable) {
    let Err(task) = local_set::push_here(task) else { return };
    match task.queue().and_then(lookup::find) {
        Some(Target::Runtime(shared)) => shared.push_woken(task),
        Some(Target::Local(queue)) => queue.push_woken(task),
        // A runtime does not end before its tasks. If one is left, it ends here.
        None => poll::refuse(task),
    }
}

impl Shared {
    pub(crate) fn id(&self) -> RuntimeId {
        self.claim.id()
    }

    /// Returns the present, if tasks are to note when they were born.
    #[inline]
    pub(crate) fn birth_time(&self) -> Option<CoarseTick> {
        if self.config.is_mapped { Some(CoarseTick::now()) } else { None }
    }

    /// Queues a new task, or cancels it if the runtime is ending.
    #[inline]
    pub(crate) fn push_new(&self, task: Runnable) {
        let elsewhere = enter::with_worker(|worker| match worker {
            Some(worker) if worker.serves(self.id()) => {
                worker.push(task);
                None
            }
            _ => Some(task),
        });
        if let Some(task) = elsewhere {
            self.push_new_from_outside(task);
        }
    }

    fn push_new_from_outside(&self, task: Runnable) {
        match self.inject.push_new(task) {
            Ok(()) => self.notify(),
            Err(task) => poll::refuse(task),
        }
    }

    pub(crate) fn push_woken(&self, task: Runnable) {
        self.inject.push_woken(task);
        self.notify();
    }

    /// Sees to it that some worker looks for work that was just made stealable.
    #[inline]
    pub(crate) fn notify(&self) {
        if let Some(worker) = self.idle.notify() {
            self.unpark(worker);
        }
    }

    pub(crate) fn unpark(&self, worker: usize) {
        if self.remotes[worker].parker.unpark() == Found::InDriver {
            self.driver.wake();
        }
    }

    /// Says whether there is work for whoever looks. Exact only after a fence.
    pub(crate) fn has_work(&self) -> bool {
        !self.inject.is_empty() || self.remotes.iter().any(|remote| !remote.queue.is_empty())
    }

    /// Dooms every task that has waited and is not complete. Returns those that have to be queued for
    /// that; the others are queued or running already, and are counted.
    pub(crate) fn stop_all(&self) -> (Vec<Runnable>, usize) {
        let (mut submit, mut busy) = (Vec::new(), 0);
        cell::each_of(self.id(), |task| {
            // What has not waited yet is in a queue, or its spawner is about to see it refused.
            if task.state().load().is_listed() {
                match task.stop() {
                    Some(task) => submit.push(task),
                    None if task.state().load().is_listed() => busy += 1,
                    None => {}
                }
            }
        });
        (submit, busy)
    }

    /// Says how many tasks are not complete.
    pub(crate) fn count_tasks(&self) -> usize {
        let mut count = 0;
        cell::each_of(self.id(), |_| count += 1);
        count
    }

    /// Says how many polls a worker has begun.
    pub(crate) fn polls(&self, worker: usize) -> u64 {
        self.remotes[worker].queue.slot.phases().div_ceil(2)
    }
}
