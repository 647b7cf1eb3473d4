//! Tests groups of tasks, and subtrees: what descends from a task along the edge of its creator.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use forebear::hooks::{AsyncId, AsyncResource, Kind};
use forebear::sync::oneshot;
use forebear::task::{self, JoinHandle, TaskGroup, abort_subtree, join_subtree};
use forebear::time::{Duration, sleep};

use crate::support::{Places, check, current_thread, multi_thread, on_each};

/// Counts how often it is dropped.
#[derive(Clone)]
struct Drops(Arc<AtomicU32>);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Spawns a tree of tasks that never end, so many on each of so many levels.
fn grow(width: u32, depth: u32, drops: Arc<AtomicU32>) -> BoxFuture {
    let held = Drops(drops.clone());
    Box::pin(async move {
        let _held = held;
        for _ in 0..if depth > 0 { width } else { 0 } {
            drop(task::spawn(grow(width, depth - 1, drops.clone())));
        }
        pending::<()>().await;
    })
}

type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        task::yield_now().await;
    }
}

#[test]
fn a_group_waits_for_all_that_descends_from_its_tasks() {
    on_each(async || {
        let done = Arc::new(AtomicU32::new(0));
        let group = TaskGroup::new();
        let count = |done: &Arc<AtomicU32>| {
            let done = done.clone();
            async move {
                sleep(Duration::from_millis(1)).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        };
        let (inner, outer) = (done.clone(), done.clone());
        group.spawn(async move {
            task::spawn(async move {
                task::spawn(count(&inner));
                task::spawn_blocking(move || inner.fetch_add(1, Ordering::Relaxed));
            });
            forebear::flow("inside", async move { task::spawn(count(&outer)).id() }).await;
        });
        group.join().await;
        assert_eq!((done.load(Ordering::Relaxed), group.len()), (3, 0));
        group.join().await;
    });
}

#[test]
fn a_group_that_is_aborted_aborts_all_that_descends_from_its_tasks() {
    on_each(async || {
        let drops = Arc::new(AtomicU32::new(0));
        let group = TaskGroup::new();
        group.spawn(grow(3, 3, drops.clone()));
        until(|| group.len() == 40).await;
        assert_eq!(group.abort(), 40);
        group.join().await;
        assert_eq!(drops.load(Ordering::Relaxed), 40);
        assert!(group.is_aborted() && group.is_empty());
    });
}

#[test]
fn what_comes_after_the_abort_is_aborted_before_it_begins() {
    /// Spawns when it is dropped.
    struct Spawns(Arc<AtomicU32>, Option<oneshot::Sender<JoinHandle<()>>>);

    impl Drop for Spawns {
        fn drop(&mut self) {
            let began = self.0.clone();
            let child = task::spawn(async move {
                began.fetch_add(1, Ordering::Relaxed);
            });
            self.1.take().unwrap().send(child).unwrap();
        }
    }

    on_each(async || {
        let began = Arc::new(AtomicU32::new(0));
        let group = TaskGroup::new();
        let (child, spawned) = oneshot::channel();
        let spawns = Spawns(began.clone(), Some(child));
        let member = group.spawn(async move {
            let _spawns = spawns;
            pending::<()>().await;
        });
        group.abort();
        assert!(member.await.unwrap_err().is_cancelled());
        assert!(spawned.await.unwrap().await.unwrap_err().is_cancelled());
        assert!(group.spawn(async {}).await.unwrap_err().is_cancelled());
        assert!(group.spawn_blocking(|| ()).await.unwrap_err().is_cancelled());
        group.join().await;
        assert_eq!(began.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_root_escapes_and_so_does_what_others_spawn() {
    on_each(async || {
        let group = TaskGroup::new();
        let (root, rooted) = oneshot::channel();
        let (end, ending) = oneshot::channel::<()>();
        group.spawn(async move {
            let task = forebear::spawn_root(async move { ending.await.is_ok() });
            root.send(task).unwrap();
            pending::<()>().await;
        });
        let root = rooted.await.unwrap();
        let other = task::spawn(async {
            task::yield_now().await;
            3
        });
        assert_eq!(group.len(), 1);
        drop(group);
        end.send(()).unwrap();
        assert!(root.await.unwrap());
        assert_eq!(other.await.unwrap(), 3);
    });
}

#[test]
fn a_group_inside_a_group_belongs_to_both() {
    on_each(async || {
        let outer = Arc::new(TaskGroup::new());
        let inner = Arc::new(TaskGroup::new());
        let theirs = inner.clone();
        let member = outer.spawn(async move {
            theirs.spawn(grow(2, 1, Arc::default()));
            pending::<()>().await;
        });
        until(|| outer.len() == 4 && inner.len() == 3).await;
        inner.abort();
        inner.join().await;
        assert_eq!((outer.len(), member.is_finished()), (1, false));
        outer.abort();
        outer.join().await;
        assert!(member.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_group_that_is_dropped_aborts_and_one_that_is_detached_does_not() {
    on_each(async || {
        let group = TaskGroup::new();
        let member = group.spawn(pending::<()>());
        drop(group);
        assert!(member.await.unwrap_err().is_cancelled());

        let group = TaskGroup::default();
        let (end, ending) = oneshot::channel::<u32>();
        let member = group.spawn(ending);
        group.detach();
        task::yield_now().await;
        end.send(3).unwrap();
        assert_eq!(member.await.unwrap().unwrap(), 3);
    });
}

#[test]
fn a_member_that_waits_for_its_group_is_told_so() {
    on_each(async || {
        let group = Arc::new(TaskGroup::new());
        let theirs = group.clone();
        let error = group.spawn(async move { theirs.join().await }).await.unwrap_err();
        let told = error.into_panic().downcast::<&str>().unwrap();
        assert!(told.contains("for itself"), "{told}");
        group.join().await;
        let member = task::spawn(async { join_subtree(task::id()).await });
        assert!(member.await.unwrap_err().is_panic());
    });
}

#[test]
fn a_subtree_is_aborted_with_all_that_is_alive_of_it() {
    on_each(async || {
        let drops = Arc::new(AtomicU32::new(0));
        let root = task::spawn(grow(3, 2, drops.clone()));
        let other = task::spawn(grow(1, 1, drops.clone()));
        let id = root.id();
        until(|| forebear::inspect::tree().to_string().matches("task ").count() == 15).await;
        assert_eq!(abort_subtree(id), 13);
        join_subtree(id).await;
        assert_eq!(drops.load(Ordering::Relaxed), 13);
        assert!(root.await.unwrap_err().is_cancelled());
        assert!(!other.is_finished());
        assert_eq!(abort_subtree(id), 0, "nothing is left");
        abort_subtree(other.id());
        join_subtree(other.id()).await;
        assert_eq!(drops.load(Ordering::Relaxed), 15);
    });
}

/// Spawns a chain of tasks of which each waits for the next, and tells who has seen that one end.
fn line(length: u32, waiting: Arc<AtomicU32>, seen: Arc<AtomicU32>) -> BoxFuture {
    Box::pin(async move {
        let mut next = match length {
            1 => task::spawn(pending::<()>()),
            _ => task::spawn(line(length - 1, waiting.clone(), seen.clone())),
        };
        let mut is_waiting = false;
        let ended = std::future::poll_fn(|cx| {
            let polled = Pin::new(&mut next).poll(cx);
            if polled.is_pending() && !std::mem::replace(&mut is_waiting, true) {
                waiting.fetch_add(1, Ordering::Relaxed);
            }
            polled
        });
        drop(ended.await);
        seen.fetch_add(1, Ordering::Relaxed);
    })
}

#[test]
fn who_waits_for_what_it_created_does_not_see_that_aborted() {
    check(multi_thread(3), async |_| {
        let seen = Arc::new(AtomicU32::new(0));
        for _ in 0..100 {
            let waiting = Arc::new(AtomicU32::new(0));
            let root = task::spawn(line(30, waiting.clone(), seen.clone()));
            until(|| waiting.load(Ordering::Relaxed) == 30).await;
            abort_subtree(root.id());
            assert!(root.await.unwrap_err().is_cancelled());
        }
        assert_eq!(seen.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_subtree_reaches_across_a_parent_that_is_gone() {
    on_each(async || {
        let (child, spawned) = oneshot::channel();
        let (gone, is_gone) = oneshot::channel();
        let root = task::spawn(async move {
            let middle = task::spawn(async move {
                child.send(task::spawn(pending::<()>())).unwrap();
            });
            middle.await.unwrap();
            gone.send(()).unwrap();
            pending::<()>().await;
        });
        let child = spawned.await.unwrap();
        is_gone.await.unwrap();
        assert_eq!(abort_subtree(root.id()), 2);
        assert!(child.await.unwrap_err().is_cancelled());
        assert!(root.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_flow_can_be_the_root_of_a_subtree() {
    on_each(async || {
        let (tell, told) = oneshot::channel::<AsyncId>();
        let owner = task::spawn(forebear::flow("order", async move {
            let work = task::spawn(pending::<()>());
            tell.send(forebear::hooks::execution_async_id().unwrap()).unwrap();
            work.await.unwrap_err().is_cancelled()
        }));
        assert_eq!(abort_subtree(told.await.unwrap()), 1);
        assert!(owner.await.unwrap(), "the flow's own task goes on");
    });
}

#[test]
fn the_creator_decides_not_the_task_that_is_polled() {
    check(current_thread(), async |_| {
        let group = TaskGroup::new();
        // Made outside, used inside: what its code creates descends from where it was made.
        let resource = AsyncResource::new(Kind::new("POOL"));
        let (child, spawned) = oneshot::channel();
        group.spawn(async move {
            let task = resource.run_in_async_scope(|| task::spawn(pending::<()>()));
            child.send((task, resource)).unwrap();
        });
        let (task, resource) = spawned.await.unwrap();
        group.join().await;
        assert!(!task.is_finished());
        assert_eq!(abort_subtree(resource.id()), 1);
        assert!(task.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn subtrees_end_while_they_grow() {
    check(multi_thread(3), async |_| {
        for _ in 0..50 {
            let root = task::spawn(async {
                loop {
                    drop(task::spawn(grow(2, 3, Arc::default())));
                    task::yield_now().await;
                }
            });
            let id = root.id();
            task::yield_now().await;
            abort_subtree(id);
            join_subtree(id).await;
            let left = forebear::inspect::tree().to_string().matches("task ").count();
            assert_eq!(left, 0, "{}", forebear::inspect::tree());
            assert!(root.await.is_err());
        }
    });
}

#[test]
fn members_say_where_they_were_spawned() {
    let runtime = multi_thread(1);
    let tasks = Places::watch(&runtime, Kind::TASK);
    let jobs = Places::watch(&runtime, Kind::BLOCKING);
    let handle = runtime.handle().clone();
    runtime.block_on(async {
        let group = TaskGroup::new();
        tasks.check_last_of("spawn", || group.spawn(async {}));
        tasks.check_last_of("spawn_on", || group.spawn_on(async {}, &handle));
        jobs.check_last_of("spawn_blocking", || group.spawn_blocking(|| ()));
        group.join().await;
    });
}
