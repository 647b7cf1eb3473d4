//! Checks whose code is running, in which frame, and what caused what is created there.

use std::sync::Arc;

use forebear_hooks::life::{Birth, Life};
use forebear_hooks::{
    AsyncId, AsyncResource, Frame, FrameKey, Inherit, Kind, Outcome, Reason, execution_async_id,
    execution_async_resource, hook, trigger_async_id, with_trigger,
};

use crate::support::{Log, alone, panic_of, panic_quietly, resource};

fn creator_of(resource: &AsyncResource) -> Option<AsyncId> {
    resource.run_in_async_scope(|| execution_async_resource(|r| r.unwrap().creator_id()))
}

#[test]
fn ids_are_exact_without_hooks() {
    let _alone = alone();
    assert_eq!((execution_async_id(), trigger_async_id()), (None, None));
    execution_async_resource(|r| assert!(r.is_none()));
    let a = resource("a");
    assert_eq!((a.trigger_id(), creator_of(&a)), (None, None));
    let b = a.run_in_async_scope(|| {
        assert_eq!((execution_async_id(), trigger_async_id()), (Some(a.id()), None));
        execution_async_resource(|r| {
            let r = r.unwrap();
            assert_eq!((r.id(), r.kind(), r.label()), (a.id(), Kind::OTHER, "a"));
        });
        resource("b")
    });
    assert_eq!((b.trigger_id(), creator_of(&b)), (Some(a.id()), Some(a.id())));
    b.run_in_async_scope(|| {
        assert_eq!((execution_async_id(), trigger_async_id()), (Some(b.id()), Some(a.id())));
        a.run_in_async_scope(|| assert_eq!(execution_async_id(), Some(a.id())));
        assert_eq!(execution_async_id(), Some(b.id()));
    });
    assert_eq!((execution_async_id(), trigger_async_id()), (None, None));
}

#[test]
fn a_thousand_scopes_nest_and_unwind_in_order() {
    fn descend(left: &[AsyncResource]) {
        let Some((first, rest)) = left.split_first() else { panic_quietly("at the bottom") };
        first.run_in_async_scope(|| {
            assert_eq!(execution_async_id(), Some(first.id()));
            descend(rest);
        });
    }
    let _alone = alone();
    let log = Log::new();
    let resources: Vec<_> = (0..1000).map(|_| resource("r")).collect();
    let number = {
        let first = resources[0].id();
        move |id: AsyncId| id.get().wrapping_sub(first.get())
    };
    let (before, after) = (log.clone(), log.clone());
    let _hook = hook()
        .attach_existing()
        .before(move |r| before.write(format_args!("+{}", number(r.id()))))
        .after(move |r| after.write(format_args!("-{}", number(r.id()))))
        .enable()
        .unwrap();
    assert_eq!(panic_of(|| descend(&resources)), Some("at the bottom"));
    assert_eq!(execution_async_id(), None);
    let numbers = resources.iter().map(|r| number(r.id())).collect::<Vec<_>>();
    let down = numbers.iter().map(|n| format!("+{n}"));
    let up = numbers.iter().rev().map(|n| format!("-{n}"));
    assert_eq!(log.take(), down.chain(up).collect::<Vec<_>>().join(", "));
}

#[test]
fn current_is_the_creator_in_init_itself_in_pairs_and_the_surroundings_in_destroy() {
    let _alone = alone();
    let log = Log::new();
    let note = |event: &'static str| {
        let log = log.clone();
        move |id: AsyncId| {
            let current = execution_async_resource(|r| {
                r.map_or("nobody".to_owned(), |r| r.label().to_owned())
            });
            let is_own = execution_async_id() == Some(id);
            log.write(format_args!("{event} in {current}{}", if is_own { " itself" } else { "" }));
        }
    };
    let (init, before, after) = (note("init"), note("before"), note("after"));
    let (resolve, destroy) = (note("resolve"), note("destroy"));
    let _hook = hook()
        .kinds([Kind::TASK])
        .init(move |r| init(r.id()))
        .before(move |r| before(r.id()))
        .after(move |r| after(r.id()))
        .promise_resolve(move |r, _| resolve(r.id()))
        .destroy(move |r, _| destroy(r.id()))
        .enable()
        .unwrap();
    let (creator, ender) = (resource("creator"), resource("ender"));
    let new = || Life::begin(Birth::new(Kind::TASK, || "task"));
    let task = creator.run_in_async_scope(new);
    // Resolved while other code is innermost, it opens a pair of its own.
    ender.run_in_async_scope(|| task.promise_resolve(Outcome::Ready));
    ender.run_in_async_scope(|| task.end(Reason::Completed));
    assert_eq!(
        log.take(),
        "init in creator, before in task itself, resolve in task itself, after in task itself, \
         destroy in ender"
    );
    let task = new();
    task.run(|running| ender.run_in_async_scope(|| running.promise_resolve(Outcome::Ready)));
    drop(task);
    assert_eq!(
        log.take(),
        "init in nobody, before in task itself, before in task itself, resolve in task itself, \
         after in task itself, after in task itself, destroy in nobody"
    );
}

#[test]
fn with_trigger_names_the_cause_and_not_the_creator() {
    let _alone = alone();
    let (a, b, c) = (resource("a"), resource("b"), resource("c"));
    let told = |r: &AsyncResource| (creator_of(r), r.trigger_id());
    a.run_in_async_scope(|| {
        with_trigger(b.id(), || {
            assert_eq!(execution_async_id(), Some(a.id()));
            assert_eq!(told(&resource("x")), (Some(a.id()), Some(b.id())));
            // The innermost counts, and what was outside counts again afterwards.
            with_trigger(c.id(), || {
                assert_eq!(told(&resource("x")), (Some(a.id()), Some(c.id())));
            });
            assert_eq!(told(&resource("x")), (Some(a.id()), Some(b.id())));
            // A frame does not change it, another resource's code is not affected by it.
            Frame::empty().sync_scope(|| {
                assert_eq!(told(&resource("x")), (Some(a.id()), Some(b.id())));
            });
            c.run_in_async_scope(|| {
                assert_eq!(told(&resource("x")), (Some(c.id()), Some(c.id())));
            });
            // What is said about one resource is more.
            let x = AsyncResource::builder(Kind::OTHER).trigger(c.id()).build();
            assert_eq!(told(&x), (Some(a.id()), Some(c.id())));
            let x = AsyncResource::builder(Kind::OTHER).root().build();
            assert_eq!(told(&x), (None, None));
            x.run_in_async_scope(|| {
                execution_async_resource(|r| assert_eq!(r.unwrap().link(), Some(a.id())));
            });
        });
        assert_eq!(told(&resource("x")), (Some(a.id()), Some(a.id())));
    });
    with_trigger(b.id(), || {
        assert_eq!(execution_async_id(), None);
        assert_eq!(told(&resource("x")), (None, Some(b.id())));
    });
    assert_eq!(panic_of(|| with_trigger(b.id(), || panic_quietly("inside"))), Some("inside"));
    assert_eq!(told(&resource("x")), (None, None));
}

fn frame(key: &FrameKey<u32>, value: u32) -> Frame {
    Frame::current().with(key, Arc::new(value))
}

fn value(key: &FrameKey<u32>) -> Option<u32> {
    Frame::with_current(|frame| frame.get(key).copied())
}

#[test]
fn a_resource_runs_in_the_frame_it_was_made_in() {
    let _alone = alone();
    let key = FrameKey::new(Inherit::Always);
    let a = frame(&key, 1).sync_scope(|| resource("a"));
    assert_eq!(value(&key), None);
    frame(&key, 2).sync_scope(|| {
        a.run_in_async_scope(|| assert_eq!(value(&key), Some(1)));
        assert_eq!(value(&key), Some(2));
    });
    let clean = frame(&key, 3).sync_scope(|| AsyncResource::builder(Kind::OTHER).root().build());
    assert!(clean.frame().is_empty());
}

#[test]
fn guards_dropped_out_of_order_leave_what_the_last_one_entered() {
    let _alone = alone();
    let key = FrameKey::new(Inherit::Always);
    let first = frame(&key, 1).enter();
    let second = frame(&key, 2).enter();
    assert!(first.is_here() && second.is_here());
    drop(first);
    assert_eq!(value(&key), Some(2));
    drop(second);
    assert_eq!(value(&key), None);
}

#[test]
fn the_end_of_a_scope_restores_whatever_guards_did() {
    let _alone = alone();
    let key = FrameKey::new(Inherit::Always);
    let a = resource("a");
    let outer = frame(&key, 1).enter();
    let inner = a.run_in_async_scope(|| {
        assert_eq!(value(&key), None);
        // The outer guard is none of this scope's business.
        let foreign = outer;
        assert!(!foreign.is_here());
        drop(foreign);
        std::mem::forget(frame(&key, 2).enter());
        let inner = frame(&key, 3).enter();
        assert_eq!(value(&key), Some(3));
        inner
    });
    assert_eq!(value(&key), Some(1));
    assert!(!inner.is_here());
    drop(inner);
    assert_eq!(value(&key), Some(1));
    frame(&key, 4).sync_scope(|| {
        std::mem::forget(frame(&key, 5).enter());
        assert_eq!(value(&key), Some(5));
    });
    assert_eq!(value(&key), Some(1));
    // The outer one was dropped where it did nothing, so its frame stays to the end of its scope,
    // which here is the thread.
}

#[test]
fn a_hundred_thousand_forgotten_guards_end_with_their_scope() {
    let _alone = alone();
    let key = FrameKey::new(Inherit::Always);
    let a = resource("a");
    a.run_in_async_scope(|| {
        for number in 0..100_000 {
            std::mem::forget(frame(&key, number).enter());
        }
        assert_eq!(value(&key), Some(99_999));
    });
}

/// Reads and enters frames in its destructor.
struct Busy(Arc<FrameKey<u32>>, Log);

impl Drop for Busy {
    fn drop(&mut self) {
        let _entered = frame(&self.0, 9).enter();
        self.1.write(format_args!("{:?} in {:?}", value(&self.0), execution_async_id()));
    }
}

#[test]
fn a_value_may_use_frames_while_it_is_dropped() {
    let _alone = alone();
    let log = Log::new();
    let key = Arc::new(FrameKey::new(Inherit::Always));
    let busy = FrameKey::new(Inherit::Never);
    let enter = || Frame::current().with(&busy, Arc::new(Busy(key.clone(), log.clone()))).enter();
    drop(enter());
    assert_eq!(log.take(), "Some(9) in None");
    let a = resource("a");
    a.run_in_async_scope(|| {
        drop(enter());
        assert_eq!(log.take(), format!("Some(9) in Some({})", a.id()));
        std::mem::forget(enter());
    });
    // The end of the scope dropped it, outside of the scope.
    assert_eq!(log.take(), "Some(9) in None");
    assert_eq!(value(&key), None);
}
