//! Tests what strict mode finds, and that it finds nothing where nothing is wrong.

use std::mem::forget;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use forebear_context::strict::{self, What};
use forebear_context::{AsyncLocal, Snapshot, flow, tracker};
use forebear_hooks::{AsyncResource, Kind};

use crate::support::{finish, pause, poll, resource};

/// Runs `f` in strict mode, which is of the whole process, and returns what was found about one key.
#[track_caller]
fn found(key: &'static str, f: impl FnOnce()) -> Vec<What> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    strict::enable();
    f();
    strict::disable();
    let mine = strict::take().into_iter().filter(|misuse| misuse.key == key);
    mine.inspect(|misuse| assert!(misuse.location.file().ends_with("strict.rs"), "{misuse}"))
        .map(|misuse| misuse.what)
        .collect()
}

#[test]
#[expect(clippy::await_holding_invalid_type, reason = "the mistake that is to be found")]
fn a_guard_that_outlives_its_scope_is_reported_once() {
    static FORGOTTEN: AsyncLocal<u32> = AsyncLocal::named("strict.forgotten");
    let what = found("strict.forgotten", || {
        let task = resource("task");
        task.run_in_async_scope(|| forget(FORGOTTEN.enter(1)));
    });
    assert_eq!(what, [What::NeverLeft]);
    static HELD: AsyncLocal<u32> = AsyncLocal::named("strict.held");
    let what = found("strict.held", || {
        finish(flow("f", async {
            let _guard = HELD.enter(1);
            pause().await;
            pause().await;
        }));
    });
    assert_eq!(what, [What::NeverLeft]);
}

#[test]
fn a_guard_that_is_dropped_in_another_scope_is_reported() {
    static ELSEWHERE: AsyncLocal<u32> = AsyncLocal::named("strict.elsewhere");
    let what = found("strict.elsewhere", || {
        finish(flow("f", async {
            let guard = ELSEWHERE.enter(1);
            resource("inner").run_in_async_scope(|| drop(guard));
        }));
    });
    assert_eq!(what, [What::LeftElsewhere]);
}

#[test]
fn what_is_read_outside_any_flow_is_reported_with_its_place() {
    static READ: AsyncLocal<u32> = AsyncLocal::named("strict.read");
    let what = found("strict.read", || {
        assert_eq!(READ.get(), None);
        READ.with(|value| assert!(value.is_none()));
        assert!(READ.get_arc().is_none());
        assert!(READ.try_get().is_err());
        // Here somebody may have left it out on purpose.
        finish(flow("f", async { assert_eq!(READ.get(), None) }));
        READ.sync_scope(1, || assert_eq!(READ.get(), Some(1)));
    });
    assert_eq!(what, [What::ReadOutside; 4]);
}

#[test]
fn nothing_is_reported_of_what_is_right() {
    static RIGHT: AsyncLocal<u32> = AsyncLocal::named("strict.right");
    let what = found("strict.right", || {
        finish(flow("f", async {
            let outer = RIGHT.enter(1);
            let kept = Snapshot::capture();
            drop(outer);
            RIGHT.scope(2, pause()).await;
            drop(kept);
        }));
        let (a, b) = (RIGHT.enter(1), RIGHT.enter(2));
        drop(a);
        drop(b);
    });
    assert_eq!(what, []);
}

#[test]
fn a_context_that_is_held_for_long_is_found_with_its_holder() {
    static REQUEST: AsyncLocal<u32> =
        AsyncLocal::named("strict.request").inspectable(u32::to_string);
    tracker::ensure_enabled();
    let pooled = Arc::new(Mutex::new(None));
    let mut request = pin!(flow(
        "request",
        REQUEST.scope(7, async {
            let connection = AsyncResource::builder(Kind::TCP_STREAM).name("strict.pooled").build();
            *pooled.lock().unwrap() = Some(connection);
            pause().await;
        })
    ));
    let holder = || {
        let held = strict::held(Duration::ZERO);
        held.into_iter().find(|holder| holder.label == "strict.pooled")
    };
    assert!(poll(request.as_mut()).is_pending());
    let during = holder().unwrap();
    assert_eq!((during.flow, during.outlives_flow), (request.id(), false));
    assert_eq!(*during.context, [("strict.request".into(), "7".to_owned())]);
    assert!(poll(request.as_mut()).is_ready());
    let after = holder().unwrap();
    assert!(after.outlives_flow && after.location.file().ends_with("strict.rs"));
    assert!(after.to_string().contains("which has ended"), "{after}");
    assert!(strict::held(Duration::from_secs(3600)).iter().all(|h| h.label != "strict.pooled"));
    pooled.lock().unwrap().take();
    assert!(holder().is_none());
}
