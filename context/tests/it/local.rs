//! Tests the verbs of one value.

use std::future::pending;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use forebear_context::{AsyncLocal, OwnedAsyncLocal, Snapshot};

use crate::support::{OnDrop, finish, panic_of, panic_quietly, pause, poll, resource};

static A: AsyncLocal<u32> = AsyncLocal::named("a");
static B: AsyncLocal<String> = AsyncLocal::named("b");

fn seen() -> (Option<u32>, Option<String>) {
    (A.get(), B.get())
}

#[test]
fn a_value_is_seen_in_its_scope_and_nowhere_else() {
    assert_eq!(seen(), (None, None));
    A.sync_scope(1, || {
        assert_eq!(seen(), (Some(1), None));
        B.sync_scope("x".into(), || {
            assert_eq!(seen(), (Some(1), Some("x".into())));
            A.sync_scope(2, || assert_eq!(seen(), (Some(2), Some("x".into()))));
            A.sync_exit(|| assert_eq!(seen(), (None, Some("x".into()))));
            assert_eq!(seen(), (Some(1), Some("x".into())));
        });
        assert_eq!(seen(), (Some(1), None));
    });
    assert_eq!(seen(), (None, None));
}

#[test]
fn every_way_to_read_reads_the_same() {
    let check = |want: Option<u32>| {
        assert_eq!(A.with(|value| value.copied()), want);
        assert_eq!(A.get(), want);
        assert_eq!(A.get_arc().as_deref().copied(), want);
        assert_eq!(A.get_or_default(), want.unwrap_or(0));
        assert_eq!(A.try_get().ok(), want);
    };
    check(None);
    A.sync_scope(7, || check(Some(7)));
    A.sync_scope(7, || A.sync_exit(|| check(None)));
}

#[test]
fn a_shared_value_is_not_copied() {
    static NO_COPY: AsyncLocal<Mutex<u32>> = AsyncLocal::named("no copy");
    NO_COPY.sync_scope(Mutex::new(1), || {
        let shared = NO_COPY.get_arc().unwrap();
        *shared.lock().unwrap() += 1;
        NO_COPY.with(|value| assert_eq!(*value.unwrap().lock().unwrap(), 2));
        assert!(Arc::ptr_eq(&shared, &NO_COPY.get_arc().unwrap()));
    });
}

#[test]
fn a_default_is_read_where_nothing_is_set() {
    static WITH: AsyncLocal<Vec<u32>> = AsyncLocal::named("with default").with_default(|| vec![9]);
    let check = |want: &[u32]| {
        assert_eq!(WITH.get().as_deref(), Some(want));
        assert_eq!(WITH.with(|value| value.cloned()).as_deref(), Some(want));
        assert_eq!(WITH.get_arc().as_deref().map(Vec::as_slice), Some(want));
        assert_eq!(WITH.get_or_default(), want);
        assert_eq!(WITH.try_get().unwrap(), want);
    };
    check(&[9]);
    WITH.sync_scope(vec![1], || {
        check(&[1]);
        WITH.sync_exit(|| check(&[9]));
    });
    // It is one value, however often it is read.
    assert!(Arc::ptr_eq(&WITH.get_arc().unwrap(), &WITH.get_arc().unwrap()));
}

#[test]
fn a_default_may_read_and_write_context() {
    static CURIOUS: AsyncLocal<u32> =
        AsyncLocal::named("curious").with_default(|| A.sync_scope(4, || A.get().unwrap() + 1));
    A.sync_scope(1, || {
        assert_eq!(CURIOUS.get(), Some(5));
        assert_eq!(A.get(), Some(1));
    });
}

#[test]
fn a_scope_holds_over_every_await_and_ends_with_its_future() {
    let mut future = pin!(A.scope(1, async {
        let before = A.get();
        pause().await;
        B.scope("inner".into(), async {
            pause().await;
            assert_eq!(seen(), (Some(1), Some("inner".into())));
        })
        .await;
        (before, seen())
    }));
    for _ in 0..2 {
        assert_eq!(poll(future.as_mut()), Poll::Pending);
        assert_eq!(seen(), (None, None));
    }
    assert_eq!(poll(future.as_mut()), Poll::Ready((Some(1), (Some(1), None))));
    assert_eq!(seen(), (None, None));
}

#[test]
fn scopes_that_are_put_around_each_other_add_up() {
    let both = A.scope(1, B.scope("x".into(), async { seen() }));
    assert_eq!(finish(both), (Some(1), Some("x".into())));
    let inner_wins = A.scope(1, A.scope(2, async { A.get() }));
    assert_eq!(finish(inner_wins), Some(2));
    let gone = A.scope(1, B.scope("x".into(), A.exit(async { seen() })));
    assert_eq!(finish(gone), (None, Some("x".into())));
}

#[test]
fn a_scope_is_polled_in_the_context_of_each_poll() {
    let mut future = pin!(A.scope(1, async {
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(seen());
            pause().await;
        }
        all
    }));
    for outer in ["x", "y"] {
        assert_eq!(B.sync_scope(outer.into(), || poll(future.as_mut())), Poll::Pending);
    }
    assert_eq!(poll(future.as_mut()), Poll::Pending);
    let want = [Some("x".to_owned()), Some("y".to_owned()), None].map(|b| (Some(1), b));
    assert_eq!(poll(future.as_mut()), Poll::Ready(want.to_vec()));
}

#[test]
fn a_destructor_sees_the_value_of_its_scope_however_it_comes_to_run() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let note = || {
        let told = told.clone();
        OnDrop(move || told.lock().unwrap().push(A.get()))
    };
    let take = || std::mem::take(&mut *told.lock().unwrap());

    let on_drop = note();
    finish(A.scope(1, async move { drop(on_drop) }));
    let captured = note();
    finish(A.scope(2, async move {
        let _captured = captured;
        pause().await;
    }));
    let captured = note();
    let mut cancelled = Box::pin(A.scope(3, async move {
        let _captured = captured;
        pending::<()>().await;
    }));
    assert!(poll(cancelled.as_mut()).is_pending());
    drop(cancelled);
    let captured = note();
    drop(A.scope(4, async move { drop(captured) }));
    let captured = note();
    let panics = A.scope(5, async move {
        let _captured = captured;
        panic_quietly("inside");
    });
    assert_eq!(panic_of(|| finish::<_>(panics)).as_deref(), Some("inside"));
    assert_eq!(take(), [1, 2, 3, 4, 5].map(Some));
    assert_eq!(A.get(), None);
}

#[test]
fn a_panic_leaves_no_value_behind() {
    assert_eq!(panic_of(|| A.sync_scope(1, || panic_quietly("a"))).as_deref(), Some("a"));
    assert_eq!(panic_of(|| A.sync_exit(|| panic_quietly("b"))).as_deref(), Some("b"));
    assert_eq!(panic_of(|| A.with(|_| panic_quietly("c"))).as_deref(), Some("c"));
    assert_eq!(seen(), (None, None));
}

#[test]
fn a_scope_that_is_done_says_so_when_it_is_polled_again() {
    let mut future = pin!(A.scope(1, async {}));
    assert!(poll(future.as_mut()).is_ready());
    let said = panic_of(|| poll(future.as_mut())).unwrap();
    assert_eq!(said, "a scope was polled after it had completed");
    assert!(format!("{future:?}").contains("is_done: true"));
}

#[test]
fn keys_made_at_run_time_are_told_apart_and_their_clones_are_not() {
    let first = OwnedAsyncLocal::<u32>::named("same name");
    let second = OwnedAsyncLocal::<u32>::named("same name");
    first.sync_scope(1, || {
        assert_eq!((first.get(), first.clone().get(), second.get()), (Some(1), Some(1), None));
    });
    let built: OwnedAsyncLocal<u32> = AsyncLocal::named("built").with_default(|| 3).into();
    assert_eq!((built.get(), built.name()), (Some(3), "built"));
}

#[test]
fn a_scope_of_a_local_key_can_be_spawned() {
    fn spawnable<F: Future<Output = Option<u32>> + Send + 'static>(future: F) -> F {
        future
    }
    let task = {
        let key = OwnedAsyncLocal::<u32>::named("local");
        let inside = key.clone();
        spawnable(key.scope(5, async move { inside.get() }))
    };
    let seen = std::thread::spawn(|| finish(task)).join().unwrap();
    assert_eq!(seen, Some(5));
}

#[test]
fn a_value_outlives_its_key() {
    let key = OwnedAsyncLocal::<Arc<()>>::named("short");
    let value = Arc::new(());
    let held = key.sync_scope(value.clone(), Snapshot::capture);
    drop(key);
    assert_eq!(Arc::strong_count(&value), 2);
    drop(held);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn what_is_missing_is_said_with_its_key_and_the_lineage_of_the_work() {
    forebear_context::tracker::ensure_enabled();
    let error = A.try_get().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`a` is not set outside a task: wrap the work that needs it in `scope`"
    );
    let (outer, inner) = (resource("outer"), None);
    let inner = outer.run_in_async_scope(|| inner.unwrap_or_else(|| resource("inner")));
    let error = inner.run_in_async_scope(|| A.try_get()).unwrap_err();
    assert_eq!(error.key(), "a");
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with(&format!("`a` is not set in {}: ", inner.id())), "{text}");
    assert!(lines[1].contains(&format!("{} other inner context/tests/it/", inner.id())), "{text}");
    assert!(lines[2].contains(&format!("triggered by · {} other outer", outer.id())), "{text}");
    assert_eq!(format!("{error:?}"), text);
}
