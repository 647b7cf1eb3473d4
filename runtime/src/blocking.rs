//! Runs closures that block, on threads that are begun when needed and end when idle.
//!
//! A job is a task whose only poll runs the closure, so that everything said about tasks holds for
//! it; it waits in the pool's queue instead of a worker's.
//!
//! # Invariants
//! B1. `idle` counts the threads that wait for the bell and have not been promised a job: whoever
//!     queues a job and finds one takes it out of the count and rings.
//! B2. A thread leaves the bell with a promise, or takes itself out of the count.
//! B3. `threads` counts those that will look at the queue once more. A thread that has decided to
//!     end is out of it at once: whoever queues a job after that begins another.
//! B4. A promised job that was accepted runs, even if the runtime ends before that; any other is
//!     dropped then.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::driver::reactor::gone;
use crate::enter;
use crate::handle::Handle;
use crate::hooks::life;
use crate::primitive::{Condvar, Mutex, MutexGuard};
use crate::runtime::Kept;
use crate::scheduler::Shared;
use crate::task::JoinError;
use crate::task::cell::Runnable;
use crate::task::poll;

pub(crate) struct Pool {
    inner: Mutex<Inner>,
    /// Rung for a job, or for the end.
    bell: Condvar,
    /// Rung when the last thread has ended.
    empty: Condvar,
    threads_max: usize,
    keep_alive: Duration,
}

/// What becomes of a job that waits when the runtime ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// It is dropped.
    Usual,
    /// It runs, because somebody has been told that it will have been done.
    #[cfg_attr(
        not(any(feature = "fs", feature = "io-std")),
        allow(dead_code, reason = "only these promise")
    )]
    Promised,
}

/// Whether a job waits or runs now; else it was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Accepted,
    Refused,
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<(Runnable, Duty)>,
    threads: usize,
    /// Threads that look at no queue any more, but have not ended.
    leaving: usize,
    idle: usize,
    promises: usize,
    /// Jobs that run.
    running: usize,
    is_ending: bool,
    /// What threads keep while they run, until the end begins.
    kept: Option<Arc<Kept>>,
}

impl Pool {
    pub(crate) fn new(config: &Config) -> Pool {
        Pool {
            inner: Mutex::default(),
            bell: Condvar::new(),
            empty: Condvar::new(),
            threads_max: config.blocking_threads_max,
            keep_alive: config.thread_keep_alive,
        }
    }

    /// Queues a job, or cancels it if the runtime is ending or the system has no thread for it.
    pub(crate) fn push(shared: &Arc<Shared>, job: Runnable, duty: Duty) -> Pushed {
        let pool = &shared.blocking;
        let mut inner = pool.inner.lock();
        if inner.is_ending {
            drop(inner);
            poll::refuse(job);
            return Pushed::Refused;
        }
        inner.jobs.push_back((job, duty));
        if inner.idle > 0 {
            inner.idle -= 1;
            inner.promises += 1;
            pool.bell.notify_one();
            return Pushed::Accepted;
        }
        if inner.threads == pool.threads_max {
            // Whoever is done with its job takes it.
            return Pushed::Accepted;
        }
        inner.threads += 1;
        let kept = inner.kept.clone();
        drop(inner);
        let theirs = shared.clone();
        let thread = shared.config.thread("blocking").spawn(move || Pool::run(&theirs, kept));
        if thread.is_err() { pool.give_up_thread() } else { Pushed::Accepted }
    }

    /// The system has no thread. If there is no other, nobody would ever run the jobs.
    fn give_up_thread(&self) -> Pushed {
        let mut inner = self.inner.lock();
        inner.threads -= 1;
        if inner.threads > 0 {
            return Pushed::Accepted;
        }
        let jobs = std::mem::take(&mut inner.jobs);
        self.empty.notify_all();
        drop(inner);
        jobs.into_iter().for_each(|(job, _)| poll::refuse(job));
        Pushed::Refused
    }

    /// The body of a thread.
    fn run(shared: &Arc<Shared>, kept: Option<Arc<Kept>>) {
        let _handle = enter::handle(Handle::new(shared.clone()));
        enter::serve_pool_of(shared.id());
        shared.config.thread_starts();
        let pool = &shared.blocking;
        while let Some((job, is_dropped)) = pool.next() {
            if is_dropped {
                poll::refuse(job);
            } else {
                poll::run_blocking(job);
            }
            pool.inner.lock().running -= 1;
            // A clock that stands waited for the job: the worker that could move it may sleep.
            if shared.driver.timers.clock.is_paused() {
                shared.unpark(0);
            }
        }
        shared.config.thread_stops();
        drop(kept);
        let mut inner = pool.inner.lock();
        inner.leaving -= 1;
        if inner.are_all_gone() {
            pool.empty.notify_all();
        }
    }

    /// Waits for a job, and says whether it is to be dropped. `None` when the thread is to end.
    fn next(&self) -> Option<(Runnable, bool)> {
        let mut inner = self.inner.lock();
        loop {
            if let Some((job, duty)) = inner.jobs.pop_front() {
                inner.running += 1;
                return Some((job, inner.is_ending && duty == Duty::Usual));
            }
            if inner.is_ending {
                inner.leave();
                return None;
            }
            inner.idle += 1;
            drop(inner);
            life::rest();
            inner = self.inner.lock();
            let until = Instant::now().checked_add(self.keep_alive);
            let mut timed_out = false;
            while inner.promises == 0 && !inner.is_ending && !timed_out {
                (inner, timed_out) = wait_until(&self.bell, inner, until);
            }
            if inner.promises > 0 {
                inner.promises -= 1;
                continue;
            }
            inner.idle -= 1;
            if timed_out {
                inner.leave();
                return None;
            }
        }
    }

    /// Lets each thread that begins keep this until it ends.
    pub(crate) fn keep(&self, kept: Arc<Kept>) {
        self.inner.lock().kept = Some(kept);
    }

    /// Accepts no job from now on. Those that wait are dropped by the threads, but for those that were
    /// promised (B4).
    pub(crate) fn begin_ending(&self) {
        let mut inner = self.inner.lock();
        inner.is_ending = true;
        let kept = inner.kept.take();
        drop(inner);
        // Hooks may go with it, which are foreign code: not under the lock.
        drop(kept);
        self.bell.notify_all();
    }

    /// Waits until all threads have ended, or for so long. Says whether they have.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> bool {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut inner = self.inner.lock();
        let mut timed_out = false;
        while !inner.are_all_gone() && !timed_out {
            (inner, timed_out) = wait_until(&self.empty, inner, until);
        }
        inner.are_all_gone()
    }

    /// Says whether a job waits or runs.
    pub(crate) fn is_busy(&self) -> bool {
        let inner = self.inner.lock();
        inner.running > 0 || !inner.jobs.is_empty()
    }

    /// Says how many threads there are.
    pub(crate) fn threads(&self) -> usize {
        self.inner.lock().threads
    }
}

impl Inner {
    /// A thread looks at the queue no more (B3).
    fn leave(&mut self) {
        self.threads -= 1;
        self.leaving += 1;
    }

    fn are_all_gone(&self) -> bool {
        self.threads + self.leaving == 0
    }
}

/// Waits for the bell, or until then. Says also whether the time ran out.
fn wait_until<'a>(
    bell: &Condvar,
    inner: MutexGuard<'a, Inner>,
    until: Option<Instant>,
) -> (MutexGuard<'a, Inner>, bool) {
    match until {
        None => (bell.wait(inner), false),
        Some(until) => bell.wait_timeout(inner, until.saturating_duration_since(Instant::now())),
    }
}

/// Returns what an operation came to that was a job.
///
/// # Panics
/// With what the job panicked with.
pub(crate) fn outcome<R>(joined: Result<R, JoinError>) -> io::Result<R> {
    joined.map_err(|error| match error.try_into_panic() {
        Ok(payload) => resume_unwind(payload),
        // Nobody aborts a job that is waited for but the end of its runtime.
        Err(_) => gone(),
    })
}

/// The future of a job.
pub(crate) struct Job<F>(Option<F>);

impl<F> Job<F> {
    pub(crate) fn new(closure: F) -> Job<F> {
        Job(Some(closure))
    }
}

impl<F> Unpin for Job<F> {}

impl<F: FnOnce() -> R, R> Future for Job<F> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<R> {
        match self.0.take() {
            Some(closure) => Poll::Ready(closure()),
            None => unreachable!("a job is polled once"),
        }
    }
}
