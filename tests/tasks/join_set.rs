//! Tests sets of tasks.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use forebear::hooks::Kind;
use forebear::runtime::Handle;
use forebear::sync::oneshot;
use forebear::task::{self, JoinSet};
use forebear::time::{Duration, sleep};

use crate::support::{Places, check, current_thread, multi_thread, on_each};

#[test]
fn outputs_come_in_the_order_in_which_tasks_complete() {
    on_each(async || {
        let mut set = JoinSet::new();
        let mut ends = Vec::new();
        for number in 0..5 {
            let (end, ending) = oneshot::channel::<()>();
            ends.push(Some(end));
            set.spawn(async move {
                ending.await.unwrap();
                number
            });
        }
        assert_eq!(set.len(), 5);
        for number in [3, 0, 4, 1, 2] {
            ends[number].take().unwrap().send(()).unwrap();
            assert_eq!(set.join_next().await.unwrap().unwrap(), number);
        }
        assert!(set.is_empty() && set.join_next().await.is_none());
    });
}

#[test]
fn an_output_comes_with_the_id_of_its_task_and_so_does_an_error() {
    on_each(async || {
        let mut set = JoinSet::new();
        let done = set.spawn(async { 7 }).id();
        assert_eq!(set.join_next_with_id().await.unwrap().unwrap(), (done, 7));
        let aborted = set.spawn(pending());
        aborted.abort();
        let error = set.join_next_with_id().await.unwrap().unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(error.id(), aborted.id());
        assert!(aborted.is_finished());
    });
}

#[test]
fn try_join_next_does_not_wait() {
    check(current_thread(), async |_| {
        let mut set = JoinSet::new();
        assert!(set.try_join_next().is_none());
        let (end, ending) = oneshot::channel();
        let task = set.spawn(async { ending.await.unwrap() });
        assert!(set.try_join_next().is_none());
        task::yield_now().await;
        assert!(set.try_join_next_with_id().is_none());
        end.send(3).unwrap();
        while !task.is_finished() {
            task::yield_now().await;
        }
        assert_eq!(set.try_join_next_with_id().unwrap().unwrap(), (task.id(), 3));
        assert!(set.try_join_next().is_none() && set.is_empty());
    });
}

#[test]
fn a_panic_is_an_error_of_its_task_and_join_all_passes_it_on() {
    on_each(async || {
        let mut set = JoinSet::new();
        set.spawn(async { std::panic::resume_unwind(Box::new("planned")) });
        let error = set.join_next().await.unwrap().unwrap_err();
        assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "planned");

        set.spawn(async { std::panic::resume_unwind(Box::new("planned")) });
        let left = set.spawn(pending::<()>());
        let panicked = task::spawn(set.join_all()).await.unwrap_err();
        assert_eq!(*panicked.into_panic().downcast::<&str>().unwrap(), "planned");
        until(|| left.is_finished()).await;

        let mut set = JoinSet::<()>::new();
        set.spawn(pending()).abort();
        let panicked = task::spawn(set.join_all()).await.unwrap_err();
        let told = *panicked.into_panic().downcast::<String>().unwrap();
        assert!(told.contains("was cancelled"), "{told}");
    });
}

/// Waits until something is so, which nothing tells.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        task::yield_now().await;
    }
}

#[test]
fn what_is_left_is_aborted_with_the_set_unless_it_was_detached() {
    struct Counts(Arc<AtomicUsize>);

    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    on_each(async || {
        let dropped = Arc::new(AtomicUsize::new(0));
        let count = || Counts(dropped.clone());
        let task = |counts: Counts| async move {
            let _counts = counts;
            pending::<()>().await;
        };
        let mut set: JoinSet<()> = (0..10).map(|_| task(count())).collect();
        set.extend((0..5).map(|_| task(count())));
        drop(set);
        until(|| dropped.load(Ordering::Relaxed) == 15).await;

        let mut set = JoinSet::new();
        let (end, ending) = oneshot::channel::<()>();
        let detached = set.spawn(async { ending.await.unwrap() });
        set.detach_all();
        assert!(set.is_empty() && set.join_next().await.is_none());
        drop(set);
        task::yield_now().await;
        assert!(!detached.is_finished());
        end.send(()).unwrap();
        until(|| detached.is_finished()).await;
    });
}

#[test]
fn shutdown_aborts_and_waits() {
    on_each(async || {
        let mut set: JoinSet<()> = (0..10).map(|_| pending()).collect();
        let handles: Vec<_> = (0..10).map(|_| set.spawn(pending())).collect();
        set.shutdown().await;
        assert!(set.is_empty() && handles.iter().all(task::AbortHandle::is_finished));
        set.spawn(async {});
        assert!(set.join_next().await.unwrap().is_ok(), "it goes on");
    });
}

#[test]
fn a_set_takes_jobs_that_block_and_tasks_of_other_runtimes() {
    on_each(async || {
        let other = multi_thread(1);
        let handle = other.handle().clone();
        let mut set = JoinSet::new();
        set.spawn_blocking(Handle::current);
        set.spawn_on(async { Handle::current() }, &handle);
        set.spawn_blocking_on(Handle::current, &handle);
        set.build_task().name("named").spawn(async { Handle::current() });
        set.build_task().spawn_on(async { Handle::current() }, &handle);
        set.build_task().spawn_blocking(Handle::current);
        set.build_task().spawn_blocking_on(Handle::current, &handle);
        let ran_on: Vec<_> = set.join_all().await.iter().map(Handle::id).collect();
        assert_eq!(ran_on.iter().filter(|id| **id == handle.id()).count(), 4);
        assert_eq!(ran_on.iter().filter(|id| **id == Handle::current().id()).count(), 3);
        task::spawn_blocking(move || drop(other)).await.unwrap();
    });
}

#[test]
fn whoever_polled_last_is_woken() {
    check(current_thread(), async |_| {
        let mut set = JoinSet::new();
        let (end, ending) = oneshot::channel::<()>();
        set.spawn(async { ending.await.unwrap() });
        task::yield_now().await;
        assert!(set.poll_join_next(&mut Context::from_waker(Waker::noop())).is_pending());
        let mut end = Some(end);
        let joined = poll_fn(|cx| {
            let joined = set.poll_join_next(cx);
            if let Some(end) = end.take() {
                assert!(joined.is_pending());
                end.send(()).unwrap();
            }
            joined
        });
        assert!(joined.await.unwrap().is_ok());
    });
}

#[test]
fn a_join_that_is_given_up_loses_nothing() {
    check(current_thread(), async |_| {
        let mut set = JoinSet::new();
        set.spawn(async {
            task::yield_now().await;
            5
        });
        {
            let mut join = pin!(set.join_next());
            let first = poll_fn(|cx| Poll::Ready(join.as_mut().poll(cx))).await;
            assert!(first.is_pending());
        }
        sleep(Duration::from_millis(1)).await;
        assert_eq!(set.join_next().await.unwrap().unwrap(), 5);
    });
}

#[test]
fn a_set_of_many_that_come_and_go_stays_small() {
    check(multi_thread(3), async |_| {
        let mut set = JoinSet::new();
        let mut sum = 0;
        for round in 0..100_u64 {
            for number in 0..100 {
                set.spawn(async move { round * 100 + number });
            }
            for _ in 0..99 {
                sum += set.join_next().await.unwrap().unwrap();
            }
        }
        sum += set.join_all().await.into_iter().sum::<u64>();
        assert_eq!(sum, 9999 * 10_000 / 2);
    });
}

#[test]
fn members_say_where_they_were_spawned() {
    let runtime = multi_thread(1);
    let tasks = Places::watch(&runtime, Kind::TASK);
    let jobs = Places::watch(&runtime, Kind::BLOCKING);
    let handle = runtime.handle().clone();
    runtime.block_on(async {
        let mut set = JoinSet::new();
        tasks.check_last_of("spawn", || set.spawn(async {}));
        tasks.check_last_of("spawn_on", || set.spawn_on(async {}, &handle));
        tasks.check_last_of("build_task", || set.build_task().name("a").spawn(async {}));
        tasks.check_last_of("build_task on", || set.build_task().spawn_on(async {}, &handle));
        tasks.check_last_of("extend", || set.extend([async {}]));
        tasks.check_last_of("collect", || JoinSet::from_iter([async {}]));
        jobs.check_last_of("spawn_blocking", || set.spawn_blocking(|| ()));
        jobs.check_last_of("spawn_blocking_on", || set.spawn_blocking_on(|| (), &handle));
        jobs.check_last_of("build a job", || set.build_task().spawn_blocking(|| ()));
        jobs.check_last_of("build it on", || set.build_task().spawn_blocking_on(|| (), &handle));
        set.join_all().await;
    });
}
