//! Runs tasks, one after the other, until there are none; then looks for more, then sleeps.
//!
//! [`Worker::run`] is the loop of a worker thread, and the documentation of the scheduler. The
//! current-thread flavour has one worker, which the thread in `block_on` borrows:
//! [`Worker::run_until`].

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::driver::Turn;
use crate::enter;
use crate::hooks::RuntimeId;
use crate::hooks::life;
use crate::primitive::{AtomicU64, Ordering};
use crate::queue::inject;
use crate::queue::local::{Local, Pushed};
use crate::scheduler::deputy::{Clerk, Post};
use crate::scheduler::idle::Searching;
use crate::scheduler::{Remote, Shared};
use crate::task::cell::Runnable;
use crate::task::poll;

pub(crate) struct Worker {
    runtime: RuntimeId,
    shared: Arc<Shared>,
    index: usize,
    local: Local,
    /// Counts how often it has looked for a task, and when it is to look elsewhere first.
    tick: Cell<u32>,
    next_glance: Cell<u32>,
    next_inject: Cell<u32>,
    /// A turn of the driver is making tasks ready: they go behind each other, not into the slot,
    /// and others are woken for them once, at the end.
    is_dispatching: Cell<bool>,
    /// So many tasks were made stealable since somebody was last asked to look.
    unannounced: Cell<usize>,
    /// Whom to steal from first.
    random: Cell<u32>,
    /// Kept between turns, to not allocate in each.
    wakers: Cell<Vec<Waker>>,
    /// Changes places with what is in the injector.
    batch: Cell<VecDeque<Runnable>>,
    post: Arc<Post>,
    /// Since when it is not asleep.
    awake_since: Cell<Instant>,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, index: usize, local: Local) -> Worker {
        #[allow(clippy::cast_possible_truncation, reason = "any number will do")]
        let random = Cell::new(0x9e37_79b9 ^ (index as u32 + 1));
        Worker {
            runtime: shared.id(),
            shared,
            index,
            local,
            tick: Cell::new(0),
            next_glance: Cell::new(0),
            next_inject: Cell::new(0),
            is_dispatching: Cell::new(false),
            unannounced: Cell::new(0),
            random,
            wakers: Cell::new(Vec::new()),
            batch: Cell::new(VecDeque::new()),
            post: Post::new(),
            awake_since: Cell::new(Instant::now()),
        }
    }

    /// Hands all tasks of its own queue to the others, before it blocks.
    pub(crate) fn vacate(&self) {
        let mut is_any = false;
        // It is in a poll, but not in one that anybody rescues the slot from.
        self.local.slot.end_poll();
        while let Some(task) = self.local.pop() {
            self.shared.inject.push_woken(task);
            is_any = true;
        }
        self.local.slot.begin_poll();
        if is_any {
            self.shared.notify();
        }
    }

    /// Returns the worker as somebody for whom another may stand in.
    pub(crate) fn clerk(&self) -> Clerk {
        Clerk::worker(self.shared.clone(), self.index, self.post.clone())
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    #[inline]
    pub(crate) fn runtime(&self) -> RuntimeId {
        self.runtime
    }

    #[inline]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    #[inline]
    pub(crate) fn serves(&self, runtime: RuntimeId) -> bool {
        self.runtime == runtime
    }

    fn remote(&self) -> &Remote {
        &self.shared.remotes[self.index]
    }

    /// Runs tasks until the runtime ends.
    pub(crate) fn run(&self) {
        enter::worker(self, || self.run_here());
    }

    fn run_here(&self) {
        let _async = enter::asynchronous();
        let mut searching = None;
        while !self.shared.ending.has_begun() {
            if let Some(task) = self.next() {
                self.stop_search(searching.take());
                self.execute(task);
                continue;
            }
            searching = searching.or_else(|| self.shared.idle.try_search());
            match searching.as_ref().and_then(|_| self.steal()) {
                Some(task) => {
                    self.stop_search(searching.take());
                    self.execute(task);
                }
                None => searching = self.sleep(searching.take()),
            }
        }
        Searching::end_any(searching);
        // The last worker to leave takes it that nobody else runs tasks any more.
        self.post.wait_for_deputies();
        self.drain();
    }

    /// Takes the task to run next from its own queue, or from the injector.
    fn next(&self) -> Option<Runnable> {
        let tick = self.tick.get();
        self.tick.set(tick.wrapping_add(1));
        if tick == self.next_glance.get() {
            self.next_glance.set(tick.wrapping_add(self.shared.config.event_interval_ticks));
            self.glance();
        }
        if tick == self.next_inject.get() {
            self.next_inject.set(tick.wrapping_add(self.shared.config.inject_interval_ticks));
            if let Some(task) = self.shared.inject.pop(self.index) {
                return Some(task);
            }
        }
        self.local.pop().or_else(|| self.pop_inject())
    }

    /// Takes what came from outside. All but the first go into its own queue, for others to steal.
    fn pop_inject(&self) -> Option<Runnable> {
        let mut batch = self.batch.take();
        self.shared.inject.take_all(self.index, &mut batch);
        let first = batch.pop_front();
        for task in batch.drain(..) {
            let pushed = self.local.push_back(task);
            self.note(pushed);
        }
        inject::shrink(&mut batch);
        self.batch.set(batch);
        first
    }

    /// Takes tasks from another worker.
    fn steal(&self) -> Option<Runnable> {
        let workers = self.shared.remotes.len();
        let start = self.next_random() as usize % workers;
        for turn in 0..workers {
            let victim = (start + turn) % workers;
            if victim == self.index {
                continue;
            }
            let stolen = self.local.steal_from(&self.shared.remotes[victim].queue);
            if stolen.is_some() {
                return stolen;
            }
        }
        self.pop_inject()
    }

    /// Marsaglia's xorshift: any order of victims will do, but not the same for all.
    fn next_random(&self) -> u32 {
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        self.random.set(random);
        random
    }

    /// Ends a search that found work; the last to find some asks another to search on.
    fn stop_search(&self, searching: Option<Searching<'_>>) {
        let next = searching.and_then(|searching| searching.found(|| self.shared.has_work()));
        if let Some(worker) = next {
            self.shared.unpark(worker);
        }
    }

    fn execute(&self, task: Runnable) {
        self.local.slot.begin_poll();
        let again = poll::run(task);
        self.local.slot.end_poll();
        if let Some(again) = again {
            let pushed = self.local.push_back(again);
            self.note(pushed);
        }
        self.announce();
    }

    /// Queues a task that this thread has made ready.
    pub(crate) fn push(&self, task: Runnable) {
        let pushed = if self.is_dispatching.get() {
            self.local.push_back(task)
        } else {
            self.local.push(task)
        };
        self.note(pushed);
    }

    /// Remembers that others should look, and asks them at once if it is plain that they sleep.
    ///
    /// The fence that makes sure is paid once per poll, in [`announce`](Worker::announce).
    fn note(&self, pushed: Pushed) {
        if pushed == Pushed::Private {
            return;
        }
        self.unannounced.set(self.unannounced.get() + 1);
        if !self.is_dispatching.get() && self.shared.idle.is_quiet() {
            self.announce();
        }
    }

    /// Asks others to look for what was made stealable.
    fn announce(&self) {
        if self.unannounced.replace(0) > 0 && self.shared.remotes.len() > 1 {
            self.shared.notify();
        }
    }

    /// Takes what the driver has, if nobody else holds it, and nobody has done so just now.
    fn glance(&self) {
        if self.shared.driver.is_worth_a_glance() {
            self.turn(Turn::Glance);
        } else {
            self.dispatch();
        }
    }

    /// Wakes whom a turn has found, and whoever's timer is due.
    fn dispatch(&self) {
        let mut wakers = self.wakers.take();
        self.is_dispatching.set(true);
        self.shared.driver.wake_all(&mut wakers);
        self.is_dispatching.set(false);
        self.wakers.set(wakers);
        self.announce();
    }

    /// Takes what the driver has, and wakes whom it concerns. Says whether it could have the driver.
    fn turn(&self, turn: Turn) -> bool {
        let had_driver = self.poll_driver(turn);
        if had_driver {
            self.dispatch();
        }
        had_driver
    }

    /// Takes what the driver has, for `dispatch`. Says whether it could have the driver.
    fn poll_driver(&self, turn: Turn) -> bool {
        let mut wakers = self.wakers.take();
        let Some(mut driver) = self.shared.driver_core.try_lock() else {
            self.wakers.set(wakers);
            return false;
        };
        let parker = &self.remote().parker;
        if turn == Turn::Glance {
            driver.turn(&self.shared.driver, turn, &mut wakers);
        } else if parker.begin_in_driver() {
            driver.turn(&self.shared.driver, turn, &mut wakers);
            parker.end_in_driver();
        }
        drop(driver);
        self.wakers.set(wakers);
        true
    }

    /// Sleeps until there is work. Returns the right to search for it, if somebody gave it.
    fn sleep<'a>(&'a self, searching: Option<Searching<'a>>) -> Option<Searching<'a>> {
        let asleep = self.shared.idle.sleep(self.index, searching);
        self.note_sleep();
        // It may drop what is foreign, which may make tasks ready: before the last look.
        life::rest();
        let stays_awake = (self.shared.has_work() && !asleep.is_covered())
            || !self.local.is_empty()
            || self.shared.ending.has_begun()
            || asleep.is_chosen();
        let had_driver = !stays_awake && self.park();
        // Before it wakes anybody: those may ask for help, and not from this worker.
        let searching = asleep.wake();
        self.shared.monitor.worker_woke();
        self.note_wake();
        if had_driver {
            self.dispatch();
        }
        searching
    }

    /// Says that it has nothing to do. What that makes ready is seen by the last look.
    fn note_sleep(&self) {
        let busy = self.awake_since.get().elapsed();
        let remote = self.remote();
        add(&remote.busy_ns, u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX));
        add(&remote.parks, 1);
        self.shared.config.thread_parks();
    }

    fn note_wake(&self) {
        self.awake_since.set(Instant::now());
        add(&self.remote().unparks, 1);
        self.shared.config.thread_unparks();
    }

    /// Sleeps in the driver or, if somebody else does, on its own. Says which.
    fn park(&self) -> bool {
        let had_driver = self.poll_driver(Turn::Sleep);
        if !had_driver {
            self.remote().parker.park();
        }
        had_driver
    }

    /// Cancels what is left in its own queue; the last worker to come here cancels all the rest.
    fn drain(&self) {
        self.drain_queue();
        if self.shared.ending.leave() {
            self.drain_runtime();
        }
    }

    fn drain_queue(&self) {
        while let Some(task) = self.local.pop() {
            poll::refuse(task);
        }
    }

    /// Cancels every task of the runtime; nobody else runs tasks any more.
    ///
    /// A task that some other thread is just waking is waited for: that thread will queue it.
    pub(crate) fn drain_runtime(&self) {
        loop {
            self.drain_queue();
            while let Some(task) = self.shared.inject.pop(self.index) {
                poll::refuse(task);
                self.drain_queue();
            }
            let (idle, busy) = self.shared.stop_all();
            let is_any_idle = !idle.is_empty();
            idle.into_iter().for_each(poll::refuse);
            if is_any_idle {
                // Their destructors may have made others ready.
                continue;
            }
            let asleep = self.shared.idle.sleep(self.index, None);
            let is_empty = self.shared.inject.is_empty();
            if is_empty && busy > 0 && !asleep.is_chosen() {
                // Whoever has taken them to wake them will queue them.
                self.remote().parker.park();
            }
            Searching::end_any(asleep.wake());
            if is_empty && busy == 0 {
                self.shared.finish_ending();
                // Who was told of the end may have spawned something here.
                self.drain_queue();
                return;
            }
        }
    }

    /// Runs tasks, and `root` each time it is woken, until `root` is ready: the loop of the
    /// current-thread flavour.
    pub(crate) fn run_until<R>(&self, mut root: impl FnMut() -> Poll<R>) -> R {
        loop {
            if let Poll::Ready(output) = root() {
                return output;
            }
            // The root has its turn as often as the injector.
            let mut is_idle = false;
            for _ in 0..self.shared.config.inject_interval_ticks {
                match self.next() {
                    Some(task) => self.execute(task),
                    None => {
                        is_idle = true;
                        break;
                    }
                }
            }
            if is_idle {
                self.rest();
            }
        }
    }

    /// Sleeps until there is something to do, once: the current-thread flavour.
    fn rest(&self) {
        if self.remote().parker.take() {
            // The root was woken: nobody sleeps.
            return;
        }
        // It may drop what is foreign, which may make tasks ready: before the last look.
        life::rest();
        let asleep = self.shared.idle.sleep(self.index, None);
        self.note_sleep();
        let stays_awake =
            !self.shared.inject.is_empty() || !self.local.is_empty() || self.skip_time();
        let had_driver = !stays_awake && self.park();
        Searching::end_any(asleep.wake());
        self.note_wake();
        if had_driver {
            self.dispatch();
        }
    }

    /// If the clock stands and nothing else can happen, moves it to the next timer. Says whether
    /// something was made ready, or may have been.
    fn skip_time(&self) -> bool {
        let timers = &self.shared.driver.timers;
        if !timers.clock.is_paused() || self.shared.blocking.is_busy() {
            return false;
        }
        self.turn(Turn::Glance);
        if !self.local.is_empty() || !self.shared.inject.is_empty() {
            return true;
        }
        if self.remote().parker.take() {
            return true;
        }
        let Some(next_ns) = timers.next_deadline_ns() else { return false };
        let ahead = next_ns.saturating_sub(timers.clock.now_ns());
        timers.clock.advance(Duration::from_nanos(ahead));
        self.turn(Turn::Glance);
        true
    }
}

/// Adds to a number that only this thread writes, and others read: Relaxed, and no
/// read-modify-write.
fn add(number: &AtomicU64, more: u64) {
    number.store(number.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}
