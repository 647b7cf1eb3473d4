//! Decides which worker to wake when there is work, and when a worker may go to sleep.
//!
//! A worker is running, searching for work, or asleep. Work is announced to at most one sleeper
//! at a time: while somebody searches, nobody is woken, because the searcher will find the work
//! or look once more before it sleeps; a searcher that finds work and was the last passes the
//! search on. So a burst wakes the workers one after the other, and a trickle wakes one.
//!
//! # Invariants
//! S1. A worker that has said that it sleeps looks into every queue before it does. If there is work
//!     it stays awake, unless somebody searches.
//! S2. Whoever makes work stealable asks [`Idle::notify`] after that.
//!
//! # Memory ordering
//!
//! No wake is lost. The pusher: `PushWork`; fence F1 in [`Idle::notify`]; `ReadSearching`, `ReadAsleep`.
//! The sleeper: `SayAsleep`, `EndSearch` in [`Idle::sleep`]; fence F2 there; `ReadQueues`. Both fences
//! are SeqCst, so one is first. If F1 is: `ReadQueues` sees `PushWork`, and the worker does not sleep.
//! If F2 is: `ReadSearching` and `ReadAsleep` see that this worker neither searches nor is awake, and
//! it, or another sleeper, is woken; unless `ReadSearching` sees a search of somebody else, who has
//! still to sleep and read the queues after F1, or finds other work: then it says `EndSearch`, has
//! a fence F3 in [`Searching::found`], and then `ReadQueues`, and if there is more passes the search
//! on. Of F1 and F3, too, one is first: the finder sees `PushWork`, or the pusher sees `EndSearch`.
//! All accesses to the words themselves are Relaxed: the fences order them. What the woken worker
//! needs to see comes through its parker and the queues.
//!
//! A sleeper that leaves work to a search, because it read that there is one after F2: the last
//! searcher says `EndSearch` before a fence, its own F2 or F3, and looks into the queues after it.
//! That fence is not before the sleeper's F2, or the sleeper would have seen `EndSearch`; so it is
//! after F1, too, and the searcher sees `PushWork`.
//!
//! A searcher that takes along more than it runs, and is not the last, asks nobody: the others will
//! see it. That is the one promise without a fence: the Release of its [`Searching::end`] pairs with
//! the Acquire of the later ends, after which those searchers look into every queue, or ask.

use crate::primitive::{AtomicIsize, AtomicU64, Ordering, fence};

pub(crate) struct Idle {
    workers: usize,
    /// How many workers search. It may be wrong by one for a moment, either way, when a worker
    /// that was woken by a notifier is faster than the notifier's count; even below zero.
    searching: AtomicIsize,
    /// One bit per worker: it sleeps, and nobody has been told to wake it.
    asleep: Box<[AtomicU64]>,
}

const BITS: usize = 64;

/// Proof that the holder is counted as searching.
#[must_use]
pub(crate) struct Searching<'a>(&'a Idle);

/// Proof that the holder has said that it sleeps.
#[must_use]
pub(crate) struct Asleep<'a> {
    idle: &'a Idle,
    worker: usize,
}

impl Idle {
    pub(crate) fn new(workers: usize) -> Idle {
        let asleep = (0..workers.div_ceil(BITS)).map(|_| AtomicU64::new(0)).collect();
        Idle { workers, searching: AtomicIsize::new(0), asleep }
    }

    /// Lets about half of the workers search, so that they do not fight over one victim. One more,
    /// because one that was just chosen may not run yet.
    ///
    /// The check and the count may race: one searcher too many is harmless.
    pub(crate) fn try_search(&self) -> Option<Searching<'_>> {
        let searching = self.searching.load(Ordering::Relaxed).max(0).unsigned_abs();
        (2 * searching <= self.workers).then(|| self.search())
    }

    fn search(&self) -> Searching<'_> {
        self.searching.fetch_add(1, Ordering::Relaxed);
        Searching(self)
    }

    /// Says that `worker` sleeps. What it must do before it really does, is S1.
    pub(crate) fn sleep(&self, worker: usize, searching: Option<Searching<'_>>) -> Asleep<'_> {
        self.asleep[worker / BITS].fetch_or(1 << (worker % BITS), Ordering::Relaxed);
        if let Some(searching) = searching {
            searching.end();
        }
        fence(Ordering::SeqCst);
        Asleep { idle: self, worker }
    }

    /// Chooses a sleeper to be woken for work that was made stealable, if one is needed. It is
    /// counted as searching already.
    #[inline]
    pub(crate) fn notify(&self) -> Option<usize> {
        fence(Ordering::SeqCst);
        if self.is_quiet() { self.choose() } else { None }
    }

    /// Says, as far as can be seen without a fence, whether somebody should be woken for work.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.searching.load(Ordering::Relaxed) <= 0 && !self.is_nobody_asleep()
    }

    fn is_nobody_asleep(&self) -> bool {
        self.asleep.iter().all(|word| word.load(Ordering::Relaxed) == 0)
    }

    /// Says whether every worker sleeps, as far as can be seen.
    pub(crate) fn is_everybody_asleep(&self) -> bool {
        let ones = |word: &AtomicU64| word.load(Ordering::Relaxed).count_ones() as usize;
        self.asleep.iter().map(ones).sum::<usize>() == self.workers
    }

    #[cold]
    fn choose(&self) -> Option<usize> {
        for (index, word) in self.asleep.iter().enumerate() {
            let mut bits = word.load(Ordering::Relaxed);
            while bits != 0 {
                let bit = bits & bits.wrapping_neg();
                if word.fetch_and(!bit, Ordering::Relaxed) & bit != 0 {
                    self.searching.fetch_add(1, Ordering::Relaxed);
                    return Some(index * BITS + bit.trailing_zeros() as usize);
                }
                // Somebody else was faster.
                bits &= !bit;
            }
        }
        None
    }
}

impl Searching<'_> {
    /// Ends a search in which nothing was found, if there was one.
    pub(crate) fn end_any(searching: Option<Searching<'_>>) {
        if let Some(searching) = searching {
            searching.end();
        }
    }

    /// Ends a search that found work. If it was the last, and there is more, chooses a sleeper to
    /// search on: to wake one for nothing is what would cost most when work comes one by one.
    pub(crate) fn found(self, has_more: impl FnOnce() -> bool) -> Option<usize> {
        let idle = self.0;
        if !self.end() {
            return None;
        }
        fence(Ordering::SeqCst);
        if has_more() { idle.notify() } else { None }
    }

    /// Ends the search. Says whether it was the last.
    fn end(self) -> bool {
        self.0.searching.fetch_sub(1, Ordering::AcqRel) <= 1
    }
}

impl<'a> Asleep<'a> {
    /// Says that the worker is awake. If it was chosen by a notifier, it is searching.
    pub(crate) fn wake(self) -> Option<Searching<'a>> {
        let bit = 1 << (self.worker % BITS);
        let word = &self.idle.asleep[self.worker / BITS];
        let was_asleep = word.fetch_and(!bit, Ordering::Relaxed) & bit != 0;
        (!was_asleep).then_some(Searching(self.idle))
    }

    /// Says whether somebody searches: then the worker may sleep though there is work.
    pub(crate) fn is_covered(&self) -> bool {
        self.idle.searching.load(Ordering::Relaxed) > 0
    }

    /// Says whether a notifier has chosen the worker.
    pub(crate) fn is_chosen(&self) -> bool {
        let word = &self.idle.asleep[self.worker / BITS];
        word.load(Ordering::Relaxed) & (1 << (self.worker % BITS)) == 0
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::{Idle, Searching};
    use crate::park::Parker;
    use crate::primitive::{AtomicUsize, Ordering};
    use loom::sync::Arc;
    use loom::thread;

    /// Workers as in `worker.rs`, with queues that order nothing by themselves: counts of tasks,
    /// Relaxed, so that whatever is seen is seen because of this file.
    struct World {
        idle: Idle,
        /// What was pushed from outside.
        inject: AtomicUsize,
        workers: Vec<Worker>,
        /// How many tasks have still to run; the workers leave when there are none.
        left: AtomicUsize,
        /// The first task to run waits for the second, by this.
        second: Parker,
        work: Work,
    }

    #[derive(Default)]
    struct Worker {
        queue: AtomicUsize,
        parker: Parker,
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Work {
        /// Each task is by itself.
        Plain,
        /// The first of two tasks ends only when the second has run: on another worker.
        Pair,
    }

    impl World {
        fn new(workers: usize, tasks: usize, work: Work) -> Arc<World> {
            Arc::new(World {
                // Of a pair both may search at once; else one has to leave it to the other: as if
                // there were fewer workers.
                idle: Idle::new(if work == Work::Pair { workers } else { 1 }),
                inject: AtomicUsize::new(0),
                workers: (0..workers).map(|_| Worker::default()).collect(),
                left: AtomicUsize::new(tasks),
                second: Parker::new(),
                work,
            })
        }

        fn push(&self, tasks: usize) {
            self.inject.fetch_add(tasks, Ordering::Relaxed);
            self.notify();
        }

        fn notify(&self) {
            if let Some(worker) = self.idle.notify() {
                let _ = self.workers[worker].parker.unpark();
            }
        }

        /// Takes all there is: one task to run, the rest for the worker's own queue, of which it
        /// tells nobody.
        fn take(&self, queue: &AtomicUsize, me: usize) -> bool {
            let taken = queue.swap(0, Ordering::Relaxed);
            if taken > 1 {
                self.workers[me].queue.fetch_add(taken - 1, Ordering::Relaxed);
            }
            taken > 0
        }

        fn steal(&self, me: usize) -> bool {
            let others = self.workers.iter().enumerate().filter(|(index, _)| *index != me);
            others.map(|(_, other)| &other.queue).chain([&self.inject]).any(|q| self.take(q, me))
        }

        fn has_work(&self) -> bool {
            let queues = self.workers.iter().map(|worker| &worker.queue);
            queues.chain([&self.inject]).any(|queue| queue.load(Ordering::Relaxed) > 0)
        }

        fn is_over(&self) -> bool {
            self.left.load(Ordering::Acquire) == 0
        }

        fn execute(&self) {
            let left = self.left.fetch_sub(1, Ordering::AcqRel) - 1;
            if self.work == Work::Pair {
                match left {
                    0 => drop(self.second.unpark()),
                    _ => self.second.park(),
                }
            }
            if left == 0 {
                for worker in &self.workers {
                    let _ = worker.parker.unpark();
                }
            }
        }

        fn run(&self, me: usize) {
            let own = &self.workers[me];
            let mut searching = None;
            while !self.is_over() {
                if self.take(&own.queue, me) {
                    self.stop_search(searching.take());
                    self.execute();
                    continue;
                }
                searching = searching.or_else(|| self.idle.try_search());
                if searching.is_some() && self.steal(me) {
                    self.stop_search(searching.take());
                    self.execute();
                    continue;
                }
                let asleep = self.idle.sleep(me, searching.take());
                let stays_awake = (self.has_work() && !asleep.is_covered())
                    || self.is_over()
                    || asleep.is_chosen();
                if !stays_awake {
                    own.parker.park();
                }
                searching = asleep.wake();
                // There may be work for one that searches already: loom lets it go first.
                thread::yield_now();
            }
            Searching::end_any(searching);
        }

        fn stop_search(&self, searching: Option<Searching<'_>>) {
            let next = searching.and_then(|searching| searching.found(|| self.has_work()));
            if let Some(worker) = next {
                let _ = self.workers[worker].parker.unpark();
            }
        }
    }

    fn spawn(world: &Arc<World>, f: impl FnOnce(&World) + 'static) -> thread::JoinHandle<()> {
        let world = world.clone();
        thread::spawn(move || f(&world))
    }

    /// Work that is left while everybody sleeps is a deadlock.
    #[test]
    fn what_is_pushed_while_a_worker_falls_asleep_is_run() {
        loom::model(|| {
            let world = World::new(1, 2, Work::Plain);
            let threads =
                [spawn(&world, |world| world.push(1)), spawn(&world, |world| world.push(1))];
            world.run(0);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }

    #[test]
    fn what_is_pushed_while_two_workers_fall_asleep_is_run() {
        loom::model(|| {
            let world = World::new(2, 1, Work::Plain);
            let pushing = spawn(&world, |world| world.push(1));
            let working = spawn(&world, |world| world.run(1));
            world.run(0);
            pushing.join().unwrap();
            working.join().unwrap();
        });
    }

    #[test]
    fn the_last_to_search_passes_the_search_on() {
        loom::model(|| {
            let world = World::new(2, 2, Work::Pair);
            let working = [0, 1].map(|me| spawn(&world, move |world| world.run(me)));
            world.push(1);
            world.push(1);
            working.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }

    #[test]
    fn what_a_searcher_takes_along_is_found_by_the_others() {
        loom::model(|| {
            let world = World::new(2, 2, Work::Pair);
            let working = [0, 1].map(|me| spawn(&world, move |world| world.run(me)));
            world.push(2);
            working.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }
}
