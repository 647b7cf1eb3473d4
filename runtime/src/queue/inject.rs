//! Takes tasks from threads that are not workers, in shards.
//!
//! Each pushing thread has a home shard, so that two of them do not meet; a worker that has nothing
//! to do takes all that is in the first shard it finds non-empty, beginning with its own, and lets
//! others steal from it. So the lock of a shard is held for moments, however much is in it, and
//! whoever pushes rarely finds it taken.
//!
//! # Invariants
//! J1. A closed injector takes no new task: its spawner is refused and cancels it. A task that is
//!     woken is always taken: it is known to its runtime, whose end waits for it.
//!
//! # Memory ordering
//!
//! What a task brings along is handed on by the shard's lock. `len` is written under the lock and
//! read without it: a reader that must not miss a task has a fence before the read, which pairs
//! with the fence that the pusher has after the push (see `scheduler/idle.rs`). Its Release after a
//! batch was taken pairs with the Acquire in [`Shard::seen_len`]: who misses the batch here finds
//! it with the worker that took it.

use std::cell::Cell;
use std::collections::VecDeque;

use crossbeam_utils::CachePadded;

use crate::primitive::{AtomicUsize, Mutex, Ordering};
use crate::task::cell::Runnable;

pub(crate) struct Inject {
    shards: Box<[CachePadded<Shard>]>,
}

#[derive(Default)]
struct Shard {
    queue: Mutex<Queue>,
    len: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Runnable>,
    is_closed: bool,
}

/// More shards than this help nobody: pushing threads that are active at once are few.
const SHARDS_MAX: usize = 8;

/// A queue that becomes empty keeps room for so many tasks and gives back the rest.
const KEPT_TASKS: usize = 1024;

/// Gives back the room that an empty queue does not need.
pub(crate) fn shrink(tasks: &mut VecDeque<Runnable>) {
    if tasks.is_empty() && tasks.capacity() > KEPT_TASKS {
        *tasks = VecDeque::new();
    }
}

thread_local! {
    /// Which shard this thread pushes to, modulo their number.
    static HOME: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Gives each thread a number of its own, for as long as there are enough.
fn home() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = HOME.try_with(|home| {
        let number = home.get().unwrap_or_else(|| {
            // Relaxed: any distribution will do.
            NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
        });
        home.set(Some(number));
        number
    });
    number.unwrap_or(0)
}

impl Inject {
    pub(crate) fn new(workers: usize) -> Inject {
        let shards = workers.clamp(1, SHARDS_MAX);
        Inject { shards: (0..shards).map(|_| CachePadded::default()).collect() }
    }

    /// Queues a new task; `Err` if the runtime is ending.
    pub(crate) fn push_new(&self, task: Runnable) -> Result<(), Runnable> {
        let shard = self.home_shard();
        let mut queue = shard.queue.lock();
        if queue.is_closed {
            return Err(task);
        }
        shard.push(&mut queue, task);
        Ok(())
    }

    /// Queues a task that was woken.
    pub(crate) fn push_woken(&self, task: Runnable) {
        let shard = self.home_shard();
        shard.push(&mut shard.queue.lock(), task);
    }

    /// Queues what `take` returns, if anything. It is not called if the runtime is ending.
    pub(crate) fn push_from(&self, take: impl FnOnce() -> Option<Runnable>) -> bool {
        let shard = self.home_shard();
        let mut queue = shard.queue.lock();
        let task = if queue.is_closed { None } else { take() };
        let is_any = task.is_some();
        if let Some(task) = task {
            shard.push(&mut queue, task);
        }
        is_any
    }

    /// Queues tasks that are known to be ready at once.
    pub(crate) fn push_all(&self, tasks: Vec<Runnable>) {
        let shard = self.home_shard();
        let mut queue = shard.queue.lock();
        for task in tasks {
            shard.push(&mut queue, task);
        }
    }

    fn home_shard(&self) -> &Shard {
        &self.shards[home() % self.shards.len()]
    }

    /// Lists the shards that are worth a look, a worker's own first.
    fn shards_for(&self, worker: usize) -> impl Iterator<Item = &Shard> {
        let (behind, first) = self.shards.split_at(worker % self.shards.len());
        let shards = first.iter().chain(behind).map(|shard| &**shard);
        shards.filter(|shard| shard.seen_len() > 0)
    }

    /// Takes all tasks of a shard: puts them into `batch`, which is empty.
    pub(crate) fn take_all(&self, worker: usize, batch: &mut VecDeque<Runnable>) {
        for shard in self.shards_for(worker) {
            let mut queue = shard.queue.lock();
            std::mem::swap(&mut queue.tasks, batch);
            shard.popped(&mut queue);
            if !batch.is_empty() {
                return;
            }
        }
    }

    /// Takes one task.
    pub(crate) fn pop(&self, worker: usize) -> Option<Runnable> {
        self.shards_for(worker).find_map(|shard| {
            let mut queue = shard.queue.lock();
            let task = queue.tasks.pop_front();
            shard.popped(&mut queue);
            task
        })
    }

    /// Refuses new tasks from now on.
    pub(crate) fn close(&self) {
        for shard in &self.shards {
            shard.queue.lock().is_closed = true;
        }
    }

    /// Says whether nothing was seen in any shard. Exact only after a fence.
    pub(crate) fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.seen_len() == 0)
    }

    /// Says about how many tasks wait.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.seen_len()).sum()
    }
}

impl Shard {
    fn seen_len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    fn push(&self, queue: &mut Queue, task: Runnable) {
        queue.tasks.push_back(task);
        self.len.store(queue.tasks.len(), Ordering::Relaxed);
    }

    fn popped(&self, queue: &mut Queue) {
        self.len.store(queue.tasks.len(), Ordering::Release);
        shrink(&mut queue.tasks);
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::Inject;
    use crate::hooks::life::Birth;
    use crate::hooks::{Kind, RuntimeId};
    use crate::primitive::Mutex;
    use crate::resident::Sort;
    use crate::task::cell::{self, Runnable};
    use crate::task::poll;
    use loom::sync::Arc;
    use loom::thread;

    /// Loom reports a future that is never dropped, by what it holds.
    fn task(held: &Arc<()>) -> Runnable {
        let runtime = RuntimeId::from_u32(1).expect("1 is a number of a runtime");
        let birth = Birth::new(Kind::TASK, || "model").runtime(runtime);
        let held = held.clone();
        cell::allocate(async move { drop(held) }, birth, None, Sort::Task).0.born()
    }

    fn cancel_all(inject: &Inject) {
        while let Some(task) = inject.pop(0) {
            poll::refuse(task);
        }
    }

    #[test]
    fn what_is_pushed_while_the_injector_is_closed_is_refused_or_popped() {
        loom::model(|| {
            let inject = Arc::new(Inject::new(1));
            let held = Arc::new(());
            let pushing = thread::spawn({
                let inject = inject.clone();
                let tasks = [task(&held), task(&held)];
                move || {
                    let pushed = tasks.map(|task| inject.push_new(task));
                    let is_accepted = pushed.each_ref().map(Result::is_ok);
                    assert!(is_accepted != [false, true], "once closed, it stays closed");
                    let refused = pushed.into_iter().filter_map(Result::err);
                    refused.for_each(|task| poll::refuse(task));
                }
            });
            inject.close();
            // As the last worker to leave does; it finds all that was accepted.
            cancel_all(&inject);
            let is_empty_after_the_end = inject.is_empty();
            pushing.join().unwrap();
            assert!(is_empty_after_the_end && inject.is_empty());
            assert_eq!(Arc::strong_count(&held), 1, "every future was dropped");
        });
    }

    #[test]
    fn what_the_monitor_rescues_is_pushed_before_the_end_or_stays_where_it_is() {
        loom::model(|| {
            let inject = Arc::new(Inject::new(1));
            let held = Arc::new(());
            let slot = Arc::new(Mutex::new(Some(task(&held))));
            let rescuing = thread::spawn({
                let (inject, slot) = (inject.clone(), slot.clone());
                move || inject.push_from(|| slot.lock().take())
            });
            inject.close();
            // As a worker that leaves does, and the last of them after it.
            let left = slot.lock().take();
            left.into_iter().for_each(|task| poll::refuse(task));
            cancel_all(&inject);
            assert_eq!(Arc::strong_count(&held), 1, "the future was dropped");
            rescuing.join().unwrap();
        });
    }

    #[test]
    fn two_workers_that_pop_get_each_task_once() {
        loom::model(|| {
            let inject = Arc::new(Inject::new(1));
            let held = Arc::new(());
            for _ in 0..2 {
                assert!(inject.push_new(task(&held)).is_ok());
            }
            let popping = thread::spawn({
                let inject = inject.clone();
                move || cancel_all(&inject)
            });
            cancel_all(&inject);
            popping.join().unwrap();
            assert_eq!(Arc::strong_count(&held), 1, "every future was dropped");
        });
    }
}
