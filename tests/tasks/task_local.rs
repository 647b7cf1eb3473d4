//! Tests values that belong to a task, of both sorts.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use forebear::task;
use forebear::time::{Duration, sleep};

use crate::support::{check, current_thread, multi_thread, on_each};

forebear::task_local! {
    /// As tokio has it.
    static NUMBER: u32;
    static LIST: RefCell<Vec<u32>>;
    static ALWAYS: String, inherit(Always);
    static SAME_TASK: u32, inherit(SameTask);
    static NEVER: u32, inherit(Never)
}

forebear::task_local!(static WITHOUT_SEMICOLON: Arc<()>);

#[test]
fn a_value_is_seen_in_its_scope_and_the_outer_one_behind_it() {
    on_each(async || {
        assert!(NUMBER.try_get().is_err() && ALWAYS.try_get().is_err());
        let scope = NUMBER.scope(1, async {
            assert_eq!(NUMBER.get(), 1);
            NUMBER.scope(2, async { assert_eq!(NUMBER.get(), 2) }).await;
            NUMBER.sync_scope(3, || assert_eq!(NUMBER.get(), 3));
            task::yield_now().await;
            assert_eq!(NUMBER.get(), 1);
            ALWAYS.sync_scope("a".into(), || assert_eq!(ALWAYS.get(), "a"));
            ALWAYS.scope("b".into(), async { ALWAYS.get() }).await
        });
        assert_eq!(task::spawn(scope).await.unwrap(), "b");
        assert!(NUMBER.try_get().is_err() && ALWAYS.try_get().is_err());
    });
}

#[test]
fn what_is_spawned_has_a_value_if_the_key_says_so() {
    on_each(async || {
        let seen = || {
            let numbers = (NUMBER.try_get().ok(), SAME_TASK.try_get().ok(), NEVER.try_get().ok());
            (ALWAYS.try_get().ok(), numbers)
        };
        let here = async move {
            let flow = forebear::flow("inside", async move { seen() }).await;
            let task = task::spawn(async move { seen() }).await.unwrap();
            let job = task::spawn_blocking(seen).await.unwrap();
            (seen(), flow, task, job)
        };
        let here = NUMBER.scope(1, SAME_TASK.scope(2, NEVER.scope(3, here)));
        let (own, flow, task, job) = ALWAYS.scope("a".into(), here).await;
        let always = Some("a".to_owned());
        assert_eq!(own, (always.clone(), (Some(1), Some(2), Some(3))));
        assert_eq!(flow, (always.clone(), (Some(1), Some(2), None)));
        assert_eq!(task, (always.clone(), (None, None, None)));
        assert_eq!(job, (always, (None, None, None)));
    });
}

#[test]
fn values_that_are_not_sync_can_change_and_are_not_mixed_up_between_tasks() {
    check(current_thread(), async |_| {
        let work = |first: u32| {
            LIST.scope(RefCell::default(), async move {
                for step in 0..10 {
                    LIST.with(|list| list.borrow_mut().push(first + step));
                    task::yield_now().await;
                }
                LIST.with(RefCell::take)
            })
        };
        let tasks: Vec<_> = (0..5).map(|n| task::spawn(work(100 * n))).collect();
        for (n, task) in (0..5).zip(tasks) {
            let first = 100 * n;
            assert_eq!(task.await.unwrap(), (first..first + 10).collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_value_follows_its_task_from_thread_to_thread() {
    check(multi_thread(3), async |_| {
        let tasks: Vec<_> = (0..50)
            .map(|n| {
                task::spawn(NUMBER.scope(n, async move {
                    for _ in 0..20 {
                        assert_eq!(NUMBER.get(), n);
                        sleep(Duration::from_micros(50)).await;
                    }
                }))
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// Notes what its destructor sees.
struct Sees(Arc<AtomicU32>);

impl Drop for Sees {
    fn drop(&mut self) {
        let seen = NUMBER.try_get().unwrap_or(0) + SAME_TASK.try_get().unwrap_or(0);
        self.0.store(seen, Ordering::Relaxed);
    }
}

#[test]
fn the_destructor_of_a_future_sees_the_value_however_it_ends() {
    on_each(async || {
        let seen = Arc::new(AtomicU32::new(0));
        for (is_aborted, want) in [(false, 30), (true, 40)] {
            let sees = Sees(seen.clone());
            let task = task::spawn(NUMBER.scope(
                want - 1,
                SAME_TASK.scope(1, async move {
                    let _sees = sees;
                    if is_aborted {
                        pending::<()>().await;
                    }
                }),
            ));
            if is_aborted {
                task.abort();
            }
            assert_eq!(task.await.is_err(), is_aborted);
            assert_eq!(seen.load(Ordering::Relaxed), want);
        }
    });
}

#[test]
fn a_panic_leaves_the_value_that_was_there_before() {
    NUMBER.sync_scope(1, || {
        let panics = || NUMBER.sync_scope(2, || std::panic::resume_unwind(Box::new(())));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert_eq!(NUMBER.get(), 1);
    });
    assert!(NUMBER.try_get().is_err());
}

#[test]
fn a_value_can_be_taken_out_of_its_future() {
    let mut cx = Context::from_waker(Waker::noop());
    let mut kept = pin!(NUMBER.scope(1, async { NUMBER.try_get() }));
    assert_eq!(kept.as_mut().take_value(), Some(1));
    assert_eq!(kept.as_mut().take_value(), None);
    assert!(matches!(kept.as_mut().poll(&mut cx), Poll::Ready(Err(_))));

    let mut done = pin!(NUMBER.scope(2, async {}));
    assert!(done.as_mut().poll(&mut cx).is_ready());
    assert_eq!(done.take_value(), Some(2));

    let mut shared = pin!(ALWAYS.scope("a".into(), async { ALWAYS.try_get() }));
    assert_eq!(shared.as_mut().take_value().as_deref(), Some("a"));
    assert!(matches!(shared.as_mut().poll(&mut cx), Poll::Ready(Err(_))));
    let mut shared = pin!(ALWAYS.scope("b".into(), async { ALWAYS.get() }));
    assert!(shared.as_mut().poll(&mut cx).is_ready());
    assert_eq!(shared.take_value().as_deref(), Some("b"));
}

#[test]
fn a_value_that_others_have_cannot_be_taken() {
    check(current_thread(), async |_| {
        let spawns = std::future::poll_fn(|_| Poll::Ready(task::spawn(pending::<()>())));
        let mut scope = pin!(ALWAYS.scope("a".into(), spawns));
        let child = poll_fn(|cx| scope.as_mut().poll(cx)).await;
        assert_eq!(scope.take_value(), None);
        child.abort();
        assert!(child.await.is_err());
    });
}

#[test]
fn values_are_freed_with_their_scope() {
    on_each(async || {
        let value = Arc::new(());
        let task = task::spawn(WITHOUT_SEMICOLON.scope(value.clone(), pending::<()>()));
        task::yield_now().await;
        task.abort();
        assert!(task.await.is_err());
        WITHOUT_SEMICOLON.sync_scope(value.clone(), || ());
        drop(WITHOUT_SEMICOLON.scope(value.clone(), async {}));
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn where_nothing_is_set_the_panic_says_what_to_do() {
    let told = |f: fn() -> u32| *catch_unwind(f).unwrap_err().downcast::<String>().unwrap();
    assert_eq!(
        told(|| NUMBER.get()),
        "a task-local value is not set here: wrap the work that needs it in `scope`"
    );
    assert_eq!(
        NUMBER.try_with(|_| ()).unwrap_err().to_string(),
        "a task-local value is not set here"
    );
    let nested = || NUMBER.sync_scope(1, || NUMBER.with(|_| NUMBER.sync_scope(2, || 3)));
    let told = *catch_unwind(nested).unwrap_err().downcast::<&str>().unwrap();
    assert!(told.contains("inside `with` of the same key"), "{told}");
    let shared =
        SAME_TASK.sync_scope(1, || SAME_TASK.with(|_| SAME_TASK.sync_scope(2, || SAME_TASK.get())));
    assert_eq!(shared, 2, "a shared value is not lent out");
}

#[test]
fn a_scope_is_as_sendable_as_what_is_in_it() {
    fn is_send<T: Send>(_: &T) {}
    is_send(&LIST.scope(RefCell::default(), async {}));
    is_send(&NUMBER.scope(1, async {}));
    fn is_static_sync<T: Sync>(_: &'static T) {}
    is_static_sync(&LIST);
    forebear::task_local!(static CELL: Cell<u8>);
    is_static_sync(&CELL);
}
