//! Checks what hooks make in their own callbacks: invisible to them, with all that descends from
//! it, and visible to the others.

use std::sync::{Arc, Mutex};

use forebear_hooks::{AsyncResource, Closures, HookHandle, Kind, hook};

use crate::support::{Log, alone, resource};

#[test]
fn a_hook_does_not_see_what_it_makes_in_any_callback_and_others_do() {
    let _alone = alone();
    let log = Log::new();
    let _before = log.hook("1").enable().unwrap();
    let make = |event: &'static str, log: &Log| {
        let log = log.clone();
        move |label: &str| {
            log.write(format_args!("m.{event} {label}"));
            drop(AsyncResource::builder(Kind::OTHER).name(format!("made in {event}")).build());
        }
    };
    let (init, before, after) = (make("init", &log), make("before", &log), make("after", &log));
    let (resolve, destroy) = (make("resolve", &log), make("destroy", &log));
    let _maker = hook()
        .init(move |r| init(r.label()))
        .before(move |r| before(r.label()))
        .after(move |r| after(r.label()))
        .promise_resolve(move |r, _| resolve(r.label()))
        .destroy(move |r, _| destroy(r.label()))
        .enable()
        .unwrap();
    let seen = |event: &str, label: &str| {
        format!("m.{event} {label}, 1.init made in {event}, 1.destroy made in {event} Dropped")
    };
    let a = resource("a");
    assert_eq!(log.take(), format!("1.init a, {}", seen("init", "a")));
    a.run_in_async_scope(|| {
        assert_eq!(log.take(), format!("1.before a, {}", seen("before", "a")));
        a.resolve();
        assert_eq!(log.take(), format!("1.resolve a Ready, {}", seen("resolve", "a")));
    });
    assert_eq!(log.take(), format!("{}, 1.after a", seen("after", "a")));
    drop(a);
    assert_eq!(log.take(), format!("{}, 1.destroy a Dropped", seen("destroy", "a")));
}

/// Keeps the first resource that it is told of company with one of its own.
fn with_companion(
    log: &Log,
    is_root: bool,
) -> (HookHandle<Closures>, Arc<Mutex<Option<AsyncResource>>>) {
    let companion = Arc::new(Mutex::new(None));
    let (log, place) = (log.clone(), companion.clone());
    let hook = hook()
        .init(move |r| {
            log.write(format_args!("m.init {}", r.label()));
            place.lock().unwrap().get_or_insert_with(|| {
                let builder = AsyncResource::builder(Kind::TASK).name("companion");
                if is_root { builder.root().build() } else { builder.build() }
            });
        })
        .enable()
        .unwrap();
    (hook, companion)
}

#[test]
fn all_that_descends_from_what_a_hook_made_is_hidden_from_it_too() {
    let _alone = alone();
    for is_root in [false, true] {
        let log = Log::new();
        let _other = log.hook("1").enable().unwrap();
        let (_hook, companion) = with_companion(&log, is_root);
        let _a = resource("a");
        assert_eq!(log.take(), "1.init a, m.init a, 1.init companion");
        // Long after the callback: its child, and the child's root, are hidden as well.
        let companion = companion.lock().unwrap().take().unwrap();
        let child = companion.run_in_async_scope(|| resource("child"));
        let root = child
            .run_in_async_scope(|| AsyncResource::builder(Kind::TASK).name("root").root().build());
        drop(root.run_in_async_scope(|| resource("of root")));
        let heard = log.take();
        for name in ["child", "root", "of root"] {
            assert!(heard.contains(&format!("1.init {name}")), "{heard}");
            assert!(!heard.contains(&format!("m.init {name}")), "{heard}");
        }
        // What others make is seen as ever.
        drop(resource("b"));
        assert!(log.take().contains("m.init b"));
    }
}

#[test]
fn what_two_hooks_make_for_each_other_ends() {
    let _alone = alone();
    let log = Log::new();
    let maker = |name: &'static str| {
        let log = log.clone();
        hook()
            .init(move |r| {
                log.write(format_args!("{name} {}", r.label()));
                drop(
                    AsyncResource::builder(Kind::OTHER)
                        .name(format!("{}{name}", r.label()))
                        .build(),
                );
            })
            .enable()
            .unwrap()
    };
    let _hooks = [maker("x"), maker("y")];
    drop(resource("a"));
    assert_eq!(log.take(), "x a, y ax, y a, x ay");
}

#[test]
fn a_hook_that_takes_the_slot_of_one_that_is_being_called_sees_what_is_made_there() {
    let _alone = alone();
    let log = Log::new();
    let old: Arc<Mutex<Option<HookHandle<Closures>>>> = Arc::default();
    let new: Arc<Mutex<Option<HookHandle<Closures>>>> = Arc::default();
    let replacing = {
        let (log, old, new) = (log.clone(), old.clone(), new.clone());
        hook().init(move |_| {
            if let Some(own) = old.lock().unwrap().take() {
                drop(own);
                *new.lock().unwrap() = Some(log.hook("new").enable().unwrap());
                drop(resource("made"));
            }
        })
    };
    *old.lock().unwrap() = Some(replacing.enable().unwrap());
    drop(resource("a"));
    assert_eq!(log.take(), "new.init made, new.destroy made Dropped");
    drop(new.lock().unwrap().take());
}

#[test]
fn what_a_hook_does_to_what_it_follows_is_told_to_it() {
    let _alone = alone();
    let log = Log::new();
    let kept: Arc<Mutex<Option<AsyncResource>>> = Arc::default();
    let (place, destroyed) = (kept.clone(), log.clone());
    let _hook = hook()
        .init(move |_| drop(place.lock().unwrap().take()))
        .destroy(move |r, _| destroyed.write(format_args!("destroy {}", r.label())))
        .enable()
        .unwrap();
    *kept.lock().unwrap() = Some(resource("a"));
    let b = resource("b");
    assert_eq!(log.take(), "destroy a");
    drop(b);
    assert_eq!(log.take(), "destroy b");
}
