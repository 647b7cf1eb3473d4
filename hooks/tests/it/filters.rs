//! Checks what each filter lets through: kinds, runtime, under, sample.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use forebear_hooks::life::{Birth, Life};
use forebear_hooks::{AsyncResource, Kind, Outcome, Reason, RuntimeId, hook};

use crate::support::{Log, alone, resource};

fn of_kind(kind: Kind, name: &'static str) -> AsyncResource {
    AsyncResource::builder(kind).name(name).build()
}

#[test]
fn kinds_are_followed_from_init_to_destroy_and_others_are_not() {
    let _alone = alone();
    let log = Log::new();
    let mine = Kind::new("MINE");
    let _hook = log.hook("x").kinds([mine, Kind::TIMER]).enable().unwrap();
    for (kind, name) in [(mine, "a"), (Kind::TIMER, "b"), (Kind::TASK, "c"), (Kind::OTHER, "d")] {
        let it = of_kind(kind, name);
        it.run_in_async_scope(|| ());
    }
    assert_eq!(
        log.take(),
        "x.init a, x.before a, x.after a, x.destroy a Dropped, \
         x.init b, x.before b, x.after b, x.destroy b Dropped"
    );
}

#[test]
fn no_kinds_means_no_resources() {
    let _alone = alone();
    let log = Log::new();
    let _hook = log.hook("x").kinds([]).enable().unwrap();
    drop(resource("a"));
    assert_eq!(log.take(), "");
}

#[test]
fn a_runtime_is_followed_and_another_is_not() {
    let _alone = alone();
    let log = Log::new();
    let [mine, other] = [1, 2].map(|raw| RuntimeId::from_u32(raw).unwrap());
    let _hook = log.hook("x").runtime(mine).enable().unwrap();
    let birth = |name| Birth::new(Kind::TASK, || "task").name(name);
    for birth in [birth("mine").runtime(mine), birth("other").runtime(other), birth("none")] {
        let life = Life::begin(birth);
        life.run(|running| running.promise_resolve(Outcome::Ready));
        life.end(Reason::Shutdown);
    }
    assert_eq!(
        log.take(),
        "x.init mine, x.before mine, x.resolve mine Ready, x.after mine, x.destroy mine Shutdown"
    );
}

#[test]
fn under_follows_what_the_root_creates_from_now_on_and_its_descendants() {
    let _alone = alone();
    let log = Log::new();
    let root = resource("root");
    let old_child = root.run_in_async_scope(|| resource("old child"));
    let hook = log.hook("x").under(root.id()).enable().unwrap();

    let child = root.run_in_async_scope(|| resource("child"));
    let grandchild = child.run_in_async_scope(|| resource("grandchild"));
    // It was there before the hook, and so is no part of what the root creates from now on.
    drop(old_child.run_in_async_scope(|| resource("of old child")));
    drop(
        root.run_in_async_scope(|| AsyncResource::builder(Kind::OTHER).name("root").root().build()),
    );
    drop(resource("elsewhere"));
    assert_eq!(log.take(), "x.init child, x.before child, x.init grandchild, x.after child");
    drop((root, old_child, grandchild));
    assert_eq!(log.take(), "x.destroy grandchild Dropped");
    // The root is gone, its subtree is not.
    drop(child.run_in_async_scope(|| resource("later")));
    assert_eq!(log.take(), "x.before child, x.init later, x.after child, x.destroy later Dropped");
    drop(hook);
}

#[test]
fn a_filter_of_kinds_does_not_cut_a_subtree() {
    let _alone = alone();
    let log = Log::new();
    let root = resource("root");
    let _hook = log.hook("x").under(root.id()).kinds([Kind::TIMER]).enable().unwrap();
    let task = root.run_in_async_scope(|| of_kind(Kind::TASK, "task"));
    drop(task.run_in_async_scope(|| of_kind(Kind::TIMER, "timer")));
    assert_eq!(log.take(), "x.init timer, x.destroy timer Dropped");
}

/// Counts inits by the kind that says what they are.
fn counter(
    kind: Kind,
    share: f64,
) -> (forebear_hooks::HookHandle<forebear_hooks::Closures>, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let counting = count.clone();
    let hook = hook()
        .kinds([kind])
        .sample(share)
        .init(move |_| {
            counting.fetch_add(1, Ordering::Relaxed);
        })
        .enable()
        .unwrap();
    (hook, count)
}

#[test]
fn a_sample_of_flows_is_about_the_asked_share() {
    let _alone = alone();
    let shares = [0.0, 0.01, 0.3, 1.0];
    let hooks = shares.map(|share| counter(Kind::FLOW, share));
    for _ in 0..100_000 {
        drop(AsyncResource::new(Kind::FLOW));
    }
    let drawn = hooks.map(|(_, count)| count.load(Ordering::Relaxed));
    assert_eq!((drawn[0], drawn[3]), (0, 100_000));
    // Six standard deviations: 6 × sqrt(100000 × p × (1 - p)).
    assert!(drawn[1].abs_diff(1_000) < 190, "{drawn:?}");
    assert!(drawn[2].abs_diff(30_000) < 870, "{drawn:?}");
}

#[test]
fn hooks_draw_independently_of_each_other() {
    let _alone = alone();
    let (_first, first) = counter(Kind::FLOW, 0.5);
    let both = Arc::new(AtomicU32::new(0));
    let seen_by_first = first.clone();
    let (in_both, last) = (both.clone(), AtomicU32::new(0));
    let _second = hook()
        .sample(0.5)
        .init(move |_| {
            let now = seen_by_first.load(Ordering::Relaxed);
            if last.swap(now, Ordering::Relaxed) != now {
                in_both.fetch_add(1, Ordering::Relaxed);
            }
        })
        .enable()
        .unwrap();
    for _ in 0..1_000 {
        // Both hooks see the flow, or one does, or none.
        drop(AsyncResource::new(Kind::FLOW));
    }
    let both = both.load(Ordering::Relaxed);
    assert!((100..900).contains(&both), "{both}");
}

#[test]
fn what_descends_from_a_sampled_flow_follows_and_nothing_outside_flows_does() {
    let _alone = alone();
    let log = Log::new();
    let _hook = log.hook("x").sample(1.0).enable().unwrap();
    let server = of_kind(Kind::TASK, "server");
    drop(server.run_in_async_scope(|| of_kind(Kind::TIMER, "timer of server")));
    assert_eq!(log.take(), "");
    let flow = server.run_in_async_scope(|| of_kind(Kind::FLOW, "flow"));
    let task = flow.run_in_async_scope(|| of_kind(Kind::TASK, "task"));
    drop(task.run_in_async_scope(|| of_kind(Kind::TIMER, "timer")));
    drop((flow, task));
    assert_eq!(
        log.take(),
        "x.init flow, x.before flow, x.init task, x.after flow, x.before task, x.init timer, \
         x.after task, x.destroy timer Dropped, x.destroy flow Dropped, x.destroy task Dropped"
    );
}

#[test]
fn a_flow_that_is_not_drawn_stays_silent_with_all_that_is_in_it() {
    let _alone = alone();
    let log = Log::new();
    let _hook = log.hook("x").sample(0.0).enable().unwrap();
    let flow = of_kind(Kind::FLOW, "flow");
    let task = flow.run_in_async_scope(|| of_kind(Kind::TASK, "task"));
    task.run_in_async_scope(|| resource("a")).resolve();
    drop((flow, task));
    assert_eq!(log.take(), "");
}

#[test]
fn roots_and_declared_flow_roots_are_drawn_for() {
    let _alone = alone();
    let log = Log::new();
    let _hook = log.hook("x").sample(1.0).enable().unwrap();
    let birth = |name| Birth::new(Kind::TASK, || "task").name(name);
    let lives =
        [birth("task"), birth("flow root").flow_root(), birth("root").root()].map(Life::begin);
    assert_eq!(log.take(), "x.init flow root, x.init root");
    assert_eq!(lives.map(|life| life.resource().is_flow_root()), [false, true, true]);
}

#[test]
fn a_flow_that_is_older_than_a_sampling_hook_is_not_followed_into() {
    let _alone = alone();
    let log = Log::new();
    let flow = of_kind(Kind::FLOW, "flow");
    let _hook = log.hook("x").sample(1.0).enable().unwrap();
    drop(flow.run_in_async_scope(|| resource("a")));
    drop(flow);
    assert_eq!(log.take(), "");
}
