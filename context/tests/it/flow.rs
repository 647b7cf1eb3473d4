//! Tests the life of a flow in all its endings.

use std::future::pending;
use std::pin::{Pin, pin};
use std::task::Poll;

use forebear_context::{Flow, FlowBuilder, fields, flow, flow_id};
use forebear_hooks::{AsyncId, AsyncResource, HookHandle, Kind, execution_async_id, hook};

use forebear_context::testing::Recorder;

use crate::support::{
    OnDrop, finish, panic_of, panic_quietly, pause, poll, record_under, resource,
};

/// Runs `f` as code of a resource, and returns the events of each flow that was begun there, in
/// the order in which they began.
#[track_caller]
fn events(f: impl FnOnce()) -> Vec<String> {
    let root = resource("root");
    let recorder = record_under(&root);
    root.run_in_async_scope(f);
    sequences(&recorder)
}

#[track_caller]
fn sequences(recorder: &HookHandle<Recorder>) -> Vec<String> {
    recorder.assert_ended();
    recorder.ids_of_kind(Kind::FLOW).into_iter().map(|id| recorder.sequence(id)).collect()
}

const POLL: &str = "before after";

#[test]
fn a_flow_that_is_ready_has_told_everything_once() {
    let at_once = events(|| finish(flow("f", async {})));
    assert_eq!(at_once, ["init before resolve:Ready after destroy:Completed"]);
    let later = events(|| {
        finish(flow("f", async {
            pause().await;
            pause().await;
        }));
    });
    assert_eq!(later, [format!("init {POLL} {POLL} before resolve:Ready after destroy:Completed")]);
}

#[test]
fn a_flow_that_is_dropped_was_cancelled() {
    let cancelled = "before resolve:Cancelled after destroy:Cancelled";
    assert_eq!(events(|| drop(flow("f", async {}))), [format!("init {cancelled}")]);
    let between = events(|| {
        let mut future = Box::pin(flow("f", pending::<()>()));
        assert!(poll(future.as_mut()).is_pending());
        assert!(poll(future.as_mut()).is_pending());
    });
    assert_eq!(between, [format!("init {POLL} {POLL} {cancelled}")]);
}

#[test]
fn a_flow_that_panics_ends_with_its_panic() {
    let first = events(|| {
        let future = flow("f", async { panic_quietly("first") });
        assert_eq!(panic_of(|| finish::<Flow<_>>(future)).as_deref(), Some("first"));
    });
    assert_eq!(first, ["init before resolve:Panicked after destroy:Panicked"]);
    let second = events(|| {
        let future = flow("f", async {
            pause().await;
            panic_quietly("second")
        });
        assert_eq!(panic_of(|| finish::<Flow<_>>(future)).as_deref(), Some("second"));
    });
    assert_eq!(second, [format!("init {POLL} before resolve:Panicked after destroy:Panicked")]);
}

/// A future that keeps something to be dropped with it, even when it is ready.
struct Keeps<D>(u32, Option<Poll<u32>>, #[allow(dead_code, reason = "dropped with it")] D);

impl<D: Unpin> Future for Keeps<D> {
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, _cx: &mut std::task::Context<'_>) -> Poll<u32> {
        let value = self.0;
        self.1.take().unwrap_or_else(|| panic_quietly(if value > 0 { "poll" } else { "none" }))
    }
}

fn dropping_panics(polled: Option<Poll<u32>>) -> Keeps<OnDrop<impl FnMut() + Unpin>> {
    Keeps(1, polled, OnDrop(|| panic_quietly("drop")))
}

#[test]
fn a_destructor_that_panics_changes_nothing_that_was_said() {
    let ready = events(|| {
        let future = flow("f", dropping_panics(Some(Poll::Ready(7))));
        assert_eq!(finish(future), 7);
    });
    assert_eq!(ready, ["init before resolve:Ready after destroy:Completed"]);
    let panicked = events(|| {
        let future = flow("f", dropping_panics(None));
        assert_eq!(panic_of(|| finish(future)).as_deref(), Some("poll"));
    });
    assert_eq!(panicked, ["init before resolve:Panicked after destroy:Panicked"]);
    let cancelled = events(|| {
        let future = flow("f", dropping_panics(Some(Poll::Pending)));
        assert_eq!(panic_of(|| drop(future)).as_deref(), Some("drop"));
    });
    assert_eq!(cancelled, ["init before resolve:Cancelled after destroy:Cancelled"]);
    let while_unwinding = events(|| {
        let said = panic_of(|| {
            let _future = flow("f", dropping_panics(Some(Poll::Pending)));
            panic_quietly("outer");
        });
        assert_eq!(said.as_deref(), Some("outer"));
    });
    assert_eq!(while_unwinding, ["init before resolve:Cancelled after destroy:Cancelled"]);
}

#[test]
fn flows_nest_and_each_creates_what_runs_in_it() {
    let root = resource("root");
    let recorder = record_under(&root);
    let (outer, inner, timer) = root.run_in_async_scope(|| {
        finish(flow("outer", async {
            let outer = (flow_id(), execution_async_id());
            let inner = flow("inner", async {
                pause().await;
                let timer = AsyncResource::new(Kind::TIMER);
                (flow_id(), execution_async_id(), timer.trigger_id())
            });
            let inner_id = inner.id();
            let (flow, current, trigger) = inner.await;
            assert_eq!((flow, current, trigger), (inner_id, inner_id, inner_id));
            assert_eq!((flow_id(), execution_async_id()), outer);
            (outer.0, inner_id, trigger)
        }))
    });
    assert!(outer.is_some() && inner.is_some() && outer != inner && inner == timer);
    assert_eq!(
        sequences(&recorder),
        [
            "init before after before resolve:Ready after destroy:Completed",
            "init before after before resolve:Ready after destroy:Completed",
        ]
    );
    assert_eq!(flow_id(), None);
}

#[test]
fn two_flows_at_once_in_one_task_do_not_meet() {
    let root = resource("task");
    let recorder = record_under(&root);
    let run = |number: u64| async move {
        for round in 0..5_u64 {
            fields::set("n", number + round);
            pause().await;
            assert_eq!(fields::get("n"), Some((number + round).into()));
        }
    };
    let mut left = Box::pin(root.run_in_async_scope(|| flow("left", run(10))));
    let mut right = Box::pin(root.run_in_async_scope(|| flow("right", run(20))));
    let mut rounds = 0;
    root.run_in_async_scope(|| {
        while poll(left.as_mut()).is_pending() {
            assert!(poll(right.as_mut()).is_pending());
            rounds += 1;
        }
        assert!(poll(right.as_mut()).is_ready());
    });
    assert_eq!(rounds, 5);
    let whole =
        format!("init {} before resolve:Ready after destroy:Completed", [POLL; 5].join(" "));
    assert_eq!(sequences(&recorder), [whole.clone(), whole]);
}

#[test]
fn the_destructor_of_a_flow_is_code_of_the_flow() {
    let mut seen: Vec<(Option<AsyncId>, Option<fields::Value>)> = Vec::new();
    let note = OnDrop(|| seen.push((execution_async_id(), fields::get("k"))));
    let mut future = Box::pin(flow("f", async move {
        let _note = note;
        fields::set("k", 1);
        pending::<()>().await;
    }));
    let id = future.id();
    assert!(poll(future.as_mut()).is_pending());
    drop(future);
    assert_eq!(seen, [(id, Some(1.into()))]);
}

#[test]
fn what_a_flow_has_begun_shares_its_fields_also_when_it_lives_longer() {
    let child = finish(flow("f", async {
        fields::set("k", 1);
        resource("child")
    }));
    child.run_in_async_scope(|| {
        assert_eq!(fields::get("k"), Some(1.into()));
        assert!(flow_id().is_some());
    });
    assert_eq!((fields::get("k"), flow_id()), (None, None));
}

#[test]
fn a_flow_that_is_done_says_so_when_it_is_polled_again() {
    let mut future = pin!(flow("f", async {}));
    assert!(future.id().is_some());
    assert!(poll(future.as_mut()).is_ready());
    assert_eq!(future.id(), None);
    let said = panic_of(|| poll(future.as_mut())).unwrap();
    assert_eq!(said, "a flow was polled after it had completed");
}

#[test]
fn what_is_said_about_a_flow_is_told_to_hooks() {
    let (cause, origin) = (resource("cause"), resource("origin"));
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let root = resource("root");
    let note = told.clone();
    let _hook = hook()
        .under(root.id())
        .init(move |r| {
            let place = (r.location().file().to_owned(), r.location().line());
            let said = (r.label().to_owned(), r.kind(), r.is_flow_root(), place);
            note.lock().unwrap().push((said, r.trigger_id(), r.link(), r.creator_id()));
        })
        .enable()
        .unwrap();
    let here = (file!().to_owned(), line!() + 2);
    root.run_in_async_scope(|| {
        drop(flow(String::from("plain"), async {}));
        let builder = FlowBuilder::new("built").trigger(cause.id()).link(origin.id());
        drop(builder.run(async {}));
    });
    let there = (here.0.clone(), here.1 + 1);
    let root = Some(root.id());
    let said = |label: &str, place| (label.to_owned(), Kind::FLOW, true, place);
    assert_eq!(
        *told.lock().unwrap(),
        [
            (said("plain", here), root, None, root),
            (said("built", there), Some(cause.id()), Some(origin.id()), root),
        ]
    );
}
