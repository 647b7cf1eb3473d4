//! Takes tasks from threads that are not workers, in shards.
//!
//! Each pushing thread has a home shard, so that two of them do not meet; a worker takes a batch
//! from the first shard it finds non-empty, beginning with its own.
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
use crate::task::cell::TaskRef;

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
    tasks: VecDeque<TaskRef>,
    is_closed: bool,
}

/// More shards than this help nobody: pushing threads that are active at once are few.
const SHARDS_MAX: usize = 8;

/// A shard that becomes empty keeps room for so many tasks and gives back the rest.
const KEPT_TASKS: usize = 1024;

/// A worker takes at most so many tasks at once, to leave some for the others.
const BATCH_MAX_TASKS: usize = 32;

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
    pub(crate) fn push_new(&self, task: TaskRef) -> Result<(), TaskRef> {
        let shard = self.home_shard();
        let mut queue = shard.queue.lock();
        if queue.is_closed {
            return Err(task);
        }
        shard.push(&mut queue, task);
        Ok(())
    }

    /// Queues a task that was woken.
    pub(crate) fn push_woken(&self, task: TaskRef) {
        let shard = self.home_shard();
        shard.push(&mut shard.queue.lock(), task);
    }

    /// Queues what `take` returns, if anything. It is not called if the runtime is ending.
    pub(crate) fn push_from(&self, take: impl FnOnce() -> Option<TaskRef>) -> bool {
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
    pub(crate) fn push_all(&self, tasks: Vec<TaskRef>) {
        let shard = self.home_shard();
        let mut queue = shard.queue.lock();
        for task in tasks {
            shard.push(&mut queue, task);
        }
    }

    fn home_shard(&self) -> &Shard {
        &self.shards[home() % self.shards.len()]
    }

    /// Takes a task, and hands more of them to `more`, so that the workers share what there is.
    pub(crate) fn pop_batch(
        &self,
        worker: usize,
        workers: usize,
        mut more: impl FnMut(TaskRef),
    ) -> Option<TaskRef> {
        let shards = self.shards.len();
        for turn in 0..shards {
            let shard = &self.shards[(worker + turn) % shards];
            let len = shard.seen_len();
            if len == 0 {
                continue;
            }
            let batch = (len / workers + 1).min(BATCH_MAX_TASKS);
            let mut queue = shard.queue.lock();
            let Some(first) = queue.tasks.pop_front() else { continue };
            for _ in 1..batch {
                let Some(task) = queue.tasks.pop_front() else { break };
                more(task);
            }
            shard.popped(&mut queue);
            return Some(first);
        }
        None
    }

    /// Takes one task.
    pub(crate) fn pop(&self, worker: usize) -> Option<TaskRef> {
        self.pop_batch(worker, usize::MAX, |_| {})
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

    fn push(&self, queue: &mut Queue, task: TaskRef) {
        queue.tasks.push_back(task);
        self.len.store(queue.tasks.len(), Ordering::Relaxed);
    }

    fn popped(&self, queue: &mut Queue) {
        self.len.store(queue.tasks.len(), Ordering::Release);
        if queue.tasks.is_empty() && queue.tasks.capacity() > KEPT_TASKS {
            queue.tasks = VecDeque::new();
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::Inject;
    use crate::hooks::life::{Birth, Life};
    use crate::hooks::{Kind, RuntimeId};
    use crate::primitive::Mutex;
    use crate::task::cell::{self, TaskRef};
    use crate::task::poll;
    use loom::sync::Arc;
    use loom::thread;

    /// Loom reports a future that is never dropped, by what it holds.
    fn task(held: &Arc<()>) -> TaskRef {
        let life = Life::unborn(Birth::new(Kind::TASK, || "model"));
        let runtime = RuntimeId::from_u32(1).expect("1 is a number of a runtime");
        let held = held.clone();
        cell::allocate(async move { drop(held) }, life, runtime).0.born()
    }

    fn cancel_all(inject: &Inject) {
        while let Some(task) = inject.pop(0) {
            poll::refuse(task, None);
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
                    refused.for_each(|task| poll::refuse(task, None));
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
            left.into_iter().for_each(|task| poll::refuse(task, None));
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
