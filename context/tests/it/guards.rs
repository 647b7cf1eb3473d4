//! Tests values that are set for the rest of a scope, and values whose destructors meddle.

use std::mem::forget;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use forebear_context::{AsyncLocal, Snapshot};

use crate::support::{finish, panic_of, panic_quietly, pause, poll, resource};

static A: AsyncLocal<u32> = AsyncLocal::named("a");

#[test]
fn a_guard_sets_a_value_until_it_is_dropped() {
    let guard = A.enter(1);
    assert!(guard.is_here());
    assert_eq!(A.get(), Some(1));
    A.sync_scope(2, || assert_eq!(A.get(), Some(2)));
    assert_eq!(A.get(), Some(1));
    drop(guard);
    assert_eq!(A.get(), None);
}

#[test]
fn guards_may_be_dropped_in_any_order() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut guards = [1, 2, 3].map(|value| Some(A.enter(value)));
        for nth in order {
            drop(guards[nth].take());
            // The innermost one that is left counts.
            let left = guards.iter().rposition(Option::is_some);
            assert_eq!(A.get(), left.map(|nth| nth as u32 + 1), "{order:?}");
        }
    }
}

#[test]
fn the_end_of_a_scope_undoes_what_guards_did() {
    A.sync_scope(1, || {
        A.sync_scope(2, || {
            forget(A.enter(3));
            forget(A.enter(4));
            assert_eq!(A.get(), Some(4));
        });
        assert_eq!(A.get(), Some(1));
        let said = panic_of(|| {
            A.sync_scope(5, || {
                forget(A.enter(6));
                panic_quietly("inside")
            })
        });
        assert_eq!(said.as_deref(), Some("inside"));
        assert_eq!(A.get(), Some(1));
    });
    assert_eq!(A.get(), None);
}

#[test]
fn a_guard_is_of_no_consequence_in_another_scope() {
    let mut escaped = None;
    A.sync_scope(1, || {
        escaped = Some(A.enter(2));
        A.sync_scope(3, || {
            assert!(!escaped.as_ref().unwrap().is_here());
            drop(escaped.take());
            assert_eq!(A.get(), Some(3));
        });
        // Its scope goes on with what it set, to the end.
        assert_eq!(A.get(), Some(2));
        escaped = Some(A.enter(4));
    });
    assert!(!escaped.as_ref().unwrap().is_here());
    drop(escaped);
    assert_eq!(A.get(), None);
}

#[test]
#[allow(clippy::await_holding_invalid_type, reason = "this is what is tested")]
fn a_guard_that_is_held_over_a_poll_sets_nothing_after_it() {
    let task = resource("task");
    let mut future = pin!(async {
        let guard = A.enter(1);
        let before = A.get();
        pause().await;
        (before, A.get(), guard.is_here())
    });
    assert!(task.run_in_async_scope(|| poll(future.as_mut())).is_pending());
    assert_eq!(A.get(), None);
    let other = A.sync_scope(9, || resource("other"));
    other.run_in_async_scope(|| assert_eq!(A.get(), Some(9)));
    let seen = task.run_in_async_scope(|| poll(future.as_mut()));
    assert_eq!(seen, std::task::Poll::Ready((Some(1), None, false)));
}

#[test]
fn what_is_made_under_a_guard_takes_its_value_over() {
    let guard = A.enter(1);
    let inside = resource("inside");
    drop(guard);
    inside.run_in_async_scope(|| assert_eq!(A.get(), Some(1)));
    assert_eq!(A.get(), None);
}

/// Reads, writes and leaves context in its destructor, and notes what it saw.
#[derive(Clone)]
struct Meddler(Arc<Meddling>);

struct Meddling {
    told: Mutex<Vec<Option<u32>>>,
}

struct Value(Arc<Meddling>);

impl Drop for Value {
    fn drop(&mut self) {
        self.0.told.lock().unwrap().push(A.get());
        let guard = A.enter(77);
        assert_eq!(A.get(), Some(77));
        A.sync_scope(78, || assert_eq!(A.get(), Some(78)));
        assert_eq!(finish(A.scope(79, async { A.get() })), Some(79));
        let _ = Snapshot::capture().sync_scope(|| A.sync_exit(|| A.get()));
        drop(guard);
        forget(A.enter(80));
    }
}

impl Meddler {
    fn new() -> Meddler {
        Meddler(Arc::new(Meddling { told: Mutex::new(Vec::new()) }))
    }

    fn value(&self) -> Value {
        Value(self.0.clone())
    }

    fn take(&self) -> Vec<Option<u32>> {
        std::mem::take(&mut *self.0.told.lock().unwrap())
    }
}

#[test]
fn the_destructor_of_a_value_may_use_context() {
    static V: AsyncLocal<Value> = AsyncLocal::named("meddler");
    let meddler = Meddler::new();
    // Everything runs inside a scope, so that what the destructor forgets ends somewhere.
    let in_scope = |f: &mut dyn FnMut()| {
        A.sync_scope(1, || {
            f();
            // What a destructor forgets to leave is there until the scope ends.
            assert_eq!(A.get(), Some(80));
        });
        assert_eq!(A.get(), None);
        meddler.take()
    };
    assert_eq!(in_scope(&mut || V.sync_scope(meddler.value(), || ())), [Some(1)]);
    assert_eq!(in_scope(&mut || drop(V.enter(meddler.value()))), [Some(1)]);
    assert_eq!(in_scope(&mut || finish(V.scope(meddler.value(), async {}))), [Some(1)]);
    assert_eq!(in_scope(&mut || drop(V.scope(meddler.value(), async {}))), [Some(1)]);
    let snapshot = &mut || V.sync_scope(meddler.value(), Snapshot::capture);
    assert_eq!(in_scope(&mut || drop(snapshot())), [Some(1)]);
    // The last holder may be a resource: its context goes when it ends.
    let holder = &mut || V.sync_scope(meddler.value(), || resource("holder"));
    assert_eq!(in_scope(&mut || holder().emit_destroy()), [Some(1)]);
    // Or a scope that finds another frame around it than at the last poll.
    let stale = &mut || {
        static B: AsyncLocal<u32> = AsyncLocal::named("b");
        let mut future = pin!(B.scope(1, async {
            pause().await;
            B.get()
        }));
        assert!(V.sync_scope(meddler.value(), || poll(future.as_mut())).is_pending());
        assert!(poll(future.as_mut()).is_ready());
    };
    assert_eq!(in_scope(stale), [Some(1)]);
}
