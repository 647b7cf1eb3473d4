//! Stands in for a worker whose task blocks its thread: sees to the worker's share of the work until
//! the worker is back.
//!
//! A deputy has no queue of its own. It takes tasks from the injector and from the queues of
//! workers, and what they wake or spawn goes to the injector, as from any thread outside. Else it
//! is what a worker is: it is woken under the worker's number, and sleeps with the worker's parker,
//! in the driver if nobody else does. So the number of those who look for work stays the same.
//! While the runtime is ending it goes on, and cancels what it finds: the task that blocks may be
//! waiting for one of them.
//!
//! A task that a deputy runs may block, too; then another deputy stands in for the first.
//!
//! # Invariants
//! D1. Each worker's post has one holder: the worker, or the last deputy that was appointed. Only the
//!     holder may use the worker's parker and its place among the sleepers, and it does so under
//!     the post's lock, unless it is the worker.
//! D2. Whoever blocks gives the post to its deputy. A worker that is back takes it from whoever has
//!     it; a deputy that is back takes it from its own deputy, if that still has it.
//! D3. Who has lost the post leaves when it has run its task. It may be in a poll; the worker waits
//!     for that only before it leaves the runtime.
//!
//! # Memory ordering
//!
//! Who has the post is Relaxed: that there is one holder needs only the modification order. Who
//! takes it back then unparks the other, which orders the two for one that sleeps, and takes the
//! lock, which orders them for one that comes to it later.

use std::sync::Arc;
use std::task::Waker;
use std::thread;

use crate::driver::Turn;
use crate::enter;
use crate::handle::Handle;
use crate::hooks::life;
use crate::primitive::{AtomicU32, Mutex, Ordering};
use crate::scheduler::Shared;
use crate::scheduler::idle::Searching;
use crate::task::cell::Runnable;
use crate::task::poll;

/// The number of the worker itself among those who may have its post.
const WORKER: u32 = 0;

/// The post of one worker.
pub(crate) struct Post {
    holder: AtomicU32,
    last_deputy: AtomicU32,
    lock: Mutex<()>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl Post {
    pub(crate) fn new() -> Arc<Post> {
        Arc::new(Post {
            holder: AtomicU32::new(WORKER),
            last_deputy: AtomicU32::new(WORKER),
            lock: Mutex::default(),
            threads: Mutex::default(),
        })
    }

    /// Lets the post pass from one to another. Says whether it did.
    fn pass(&self, from: u32, to: u32) -> bool {
        let passed = self.holder.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
        passed.is_ok()
    }

    /// Waits for all deputies, when the worker is about to leave the runtime.
    pub(crate) fn wait_for_deputies(&self) {
        loop {
            let Some(deputy) = self.threads.lock().pop() else { return };
            // One that panicked has said so.
            let _ = deputy.join();
        }
    }

    fn keep(&self, deputy: thread::JoinHandle<()>) {
        let mut threads = self.threads.lock();
        threads.retain(|deputy| !deputy.is_finished());
        threads.push(deputy);
    }
}

/// A thread that works for a runtime under the number of one of its workers.
#[derive(Clone)]
pub(crate) struct Clerk {
    shared: Arc<Shared>,
    index: usize,
    post: Arc<Post>,
    number: u32,
}

/// The thread may block until this is dropped: somebody stands in for it.
#[must_use = "the deputy is called back when it is dropped"]
pub(crate) struct Appointed {
    clerk: Clerk,
    deputy: u32,
}

impl Clerk {
    pub(crate) fn worker(shared: Arc<Shared>, index: usize, post: Arc<Post>) -> Clerk {
        Clerk { shared, index, post, number: WORKER }
    }

    /// Lets another thread stand in for this one. `None` if this one does not have its post any
    /// more, or the system has no thread: the others then work without it.
    pub(crate) fn appoint(&self) -> Option<Appointed> {
        let number = self.post.last_deputy.fetch_add(1, Ordering::Relaxed) + 1;
        let deputy = Clerk { number, ..self.clone() };
        if !self.post.pass(self.number, number) {
            return None;
        }
        let thread = self.shared.config.thread("deputy").spawn(move || deputy.run());
        let Ok(thread) = thread else {
            self.post.pass(number, self.number);
            return None;
        };
        self.post.keep(thread);
        Some(Appointed { clerk: self.clone(), deputy: number })
    }
}

impl Drop for Appointed {
    fn drop(&mut self) {
        let Clerk { shared, index, post, number } = &self.clerk;
        let is_back = match *number {
            WORKER => {
                post.holder.store(WORKER, Ordering::Relaxed);
                true
            }
            _ => post.pass(self.deputy, *number),
        };
        if is_back {
            shared.unpark(*index);
            // D1: what sleeps on the worker's parker is gone when this has been taken.
            drop(post.lock.lock());
        }
    }
}

/// What a deputy does next.
enum Step {
    Run(Runnable),
    Rest,
    Leave,
}

impl Clerk {
    /// The body of a deputy's thread.
    fn run(&self) {
        let _handle = enter::handle(Handle::new(self.shared.clone()));
        enter::work_for(self.shared.id());
        self.shared.config.thread_starts();
        enter::serve_as(self.clone(), || self.work());
        // It may have been woken for something that it does not do any more.
        if self.shared.has_work() {
            self.shared.notify();
        }
        self.shared.config.thread_stops();
    }

    fn work(&self) {
        let _async = enter::asynchronous();
        let mut wakers = Vec::new();
        let mut tick = 0_u32;
        loop {
            tick = tick.wrapping_add(1);
            if tick % self.shared.config.event_interval_ticks == 0 {
                self.turn(Turn::Glance, &mut wakers);
            }
            match self.next() {
                Step::Run(task) => self.execute(task),
                Step::Rest => {
                    // It may drop what is foreign, which may make tasks ready: before the last
                    // look.
                    life::rest();
                    self.sleep(&mut wakers);
                }
                Step::Leave => return,
            }
            self.shared.driver.wake_all(&mut wakers);
        }
    }

    fn is_at_its_post(&self) -> bool {
        self.post.holder.load(Ordering::Relaxed) == self.number
    }

    fn next(&self) -> Step {
        let _lock = self.post.lock.lock();
        if !self.is_at_its_post() {
            return Step::Leave;
        }
        let queues = || self.shared.remotes.iter();
        let stolen = || queues().find_map(|remote| remote.queue.steal_one());
        match self.shared.inject.pop(self.index).or_else(stolen) {
            Some(task) => Step::Run(task),
            None => Step::Rest,
        }
    }

    fn execute(&self, task: Runnable) {
        let Clerk { shared, index, .. } = self;
        shared.remotes[*index].queue.slot.count_poll();
        if shared.ending.has_begun() {
            poll::refuse(task);
        } else if let Some(again) = poll::run(task) {
            shared.push_woken(again);
        }
    }

    /// Sleeps once, as the worker would. Whom the driver found is added to `wakers`.
    fn sleep(&self, wakers: &mut Vec<Waker>) {
        let _lock = self.post.lock.lock();
        if !self.is_at_its_post() {
            return;
        }
        let asleep = self.shared.idle.sleep(self.index, None);
        let is_needed = self.shared.has_work() || asleep.is_chosen() || !self.is_at_its_post();
        if !is_needed && !self.turn(Turn::Sleep, wakers) {
            self.shared.remotes[self.index].parker.park();
        }
        // If it was chosen to search, it does so next.
        Searching::end_any(asleep.wake());
        self.shared.monitor.worker_woke();
    }

    /// Says whether it could have the driver.
    fn turn(&self, turn: Turn, wakers: &mut Vec<Waker>) -> bool {
        let Some(mut driver) = self.shared.driver_core.try_lock() else { return false };
        let parker = &self.shared.remotes[self.index].parker;
        if turn == Turn::Glance {
            driver.turn(&self.shared.driver, turn, wakers);
        } else if parker.begin_in_driver() {
            driver.turn(&self.shared.driver, turn, wakers);
            parker.end_in_driver();
        }
        true
    }
}
