//! Checks who hears what and in which order, while hooks are enabled and disabled around it.

use std::sync::{Arc, Mutex};

use forebear_hooks::{AsyncResource, Closures, HookBuilder, HookHandle, Kind, hook};

use crate::support::{Log, alone, resource};

/// Where a callback keeps a handle that it makes or drops.
type Place = Arc<Mutex<Option<HookHandle<Closures>>>>;

fn place(hook: HookBuilder<Closures>) -> Place {
    Arc::new(Mutex::new(Some(hook.enable().unwrap())))
}

fn empty(place: &Place) {
    drop(place.lock().unwrap().take());
}

#[test]
fn a_life_is_init_pairs_promise_resolve_and_destroy() {
    let _alone = alone();
    let log = Log::new();
    let _hook = log.hook("x").enable().unwrap();
    let a = resource("a");
    a.run_in_async_scope(|| log.write("run"));
    a.run_in_async_scope(|| assert!(a.resolve()));
    a.emit_destroy();
    assert_eq!(
        log.take(),
        "x.init a, x.before a, run, x.after a, x.before a, x.resolve a Ready, x.after a, \
         x.destroy a Completed"
    );
}

#[test]
fn after_and_destroy_reach_hooks_in_reverse() {
    let _alone = alone();
    let log = Log::new();
    let _hooks = ["1", "2", "3"].map(|name| log.hook(name).enable().unwrap());
    let a = resource("a");
    assert_eq!(log.take(), "1.init a, 2.init a, 3.init a");
    a.run_in_async_scope(|| assert_eq!(log.take(), "1.before a, 2.before a, 3.before a"));
    assert_eq!(log.take(), "3.after a, 2.after a, 1.after a");
    a.resolve();
    assert_eq!(
        log.take(),
        "1.before a, 2.before a, 3.before a, 1.resolve a Ready, 2.resolve a Ready, \
         3.resolve a Ready, 3.after a, 2.after a, 1.after a"
    );
    drop(a);
    assert_eq!(log.take(), "3.destroy a Dropped, 2.destroy a Dropped, 1.destroy a Dropped");
}

#[test]
fn a_hook_hears_only_the_events_it_was_given() {
    let _alone = alone();
    let log = Log::new();
    let logs = || log.clone();
    let (init, before, after, resolve, destroy) = (logs(), logs(), logs(), logs(), logs());
    let _hooks = [
        hook().init(move |_| init.write("init")).enable().unwrap(),
        hook().before(move |_| before.write("before")).enable().unwrap(),
        hook().after(move |_| after.write("after")).enable().unwrap(),
        hook().promise_resolve(move |_, _| resolve.write("resolve")).enable().unwrap(),
        hook().destroy(move |_, _| destroy.write("destroy")).enable().unwrap(),
        hook().enable().unwrap(),
    ];
    let a = resource("a");
    a.run_in_async_scope(|| a.resolve());
    drop(a);
    assert_eq!(log.take(), "init, before, resolve, after, destroy");
}

#[test]
fn a_hook_that_is_enabled_again_follows_only_what_is_born_from_then_on() {
    let _alone = alone();
    let log = Log::new();
    let first = log.hook("x").enable().unwrap();
    let a = resource("a");
    // The hook is a value, and can be enabled again by whoever kept it.
    let listener = first.disable();
    let b = resource("b");
    assert_eq!(log.take(), "x.init a");
    let again = forebear_hooks::create_hook(listener).enable().unwrap();
    a.run_in_async_scope(|| ());
    b.run_in_async_scope(|| ());
    drop((a, b));
    assert_eq!(log.take(), "");
    drop(resource("c"));
    assert_eq!(log.take(), "x.init c, x.destroy c Dropped");
    drop(again);
}

#[test]
fn a_hook_that_is_enabled_again_goes_to_the_end() {
    let _alone = alone();
    let log = Log::new();
    let first = log.hook("1").enable().unwrap();
    let _second = log.hook("2").enable().unwrap();
    drop(first);
    let _again = log.hook("1").enable().unwrap();
    let _a = resource("a");
    assert_eq!(log.take(), "2.init a, 1.init a");
}

#[test]
fn a_hook_enabled_in_init_of_another_does_not_hear_that_init() {
    let _alone = alone();
    let log = Log::new();
    let made: Place = Place::default();
    let enabling = {
        let (log, made) = (log.clone(), made.clone());
        hook().init(move |r| {
            if r.label() == "a" {
                *made.lock().unwrap() = Some(log.hook("late").enable().unwrap());
                drop(resource("nested"));
            }
        })
    };
    let _enabling = enabling.enable().unwrap();
    let a = resource("a");
    // The emission in progress keeps its list; a birth nested in it begins with a new one.
    assert_eq!(log.take(), "late.init nested, late.destroy nested Dropped");
    a.run_in_async_scope(|| ());
    drop(a);
    assert_eq!(log.take(), "");
    drop(resource("b"));
    assert_eq!(log.take(), "late.init b, late.destroy b Dropped");
    empty(&made);
}

#[test]
fn a_hook_enabled_in_before_of_another_hears_neither_that_before_nor_its_after() {
    let _alone = alone();
    let log = Log::new();
    let made: Place = Place::default();
    let enabling = {
        let (log, made) = (log.clone(), made.clone());
        hook().before(move |_| {
            made.lock()
                .unwrap()
                .get_or_insert_with(|| log.hook("late").attach_existing().enable().unwrap());
        })
    };
    let _enabling = enabling.enable().unwrap();
    let a = resource("a");
    a.run_in_async_scope(|| ());
    assert_eq!(log.take(), "");
    a.run_in_async_scope(|| ());
    assert_eq!(log.take(), "late.replay a, late.before a, late.after a");
    empty(&made);
}

#[test]
fn a_hook_disabled_in_before_gets_the_after_it_is_owed() {
    let _alone = alone();
    let log = Log::new();
    // One that stands before, one behind the hook that disables them; and that one itself.
    let first = place(log.hook("first"));
    let own: Place = Place::default();
    let last: Place = Place::default();
    let disabling = {
        let (log, places) = (log.clone(), [first.clone(), own.clone(), last.clone()]);
        let log2 = log.clone();
        hook()
            .before(move |_| {
                log.write("disable");
                places.iter().for_each(empty);
            })
            .after(move |_| log2.write("own.after"))
    };
    *own.lock().unwrap() = Some(disabling.enable().unwrap());
    *last.lock().unwrap() = Some(log.hook("last").enable().unwrap());
    let a = resource("a");
    log.take();
    a.run_in_async_scope(|| ());
    assert_eq!(
        log.take(),
        "first.before a, disable, last.before a, last.after a, own.after, first.after a"
    );
    a.run_in_async_scope(|| ());
    drop(a);
    assert_eq!(log.take(), "");
}

#[test]
fn a_hook_disabled_inside_a_pair_gets_only_its_after() {
    let _alone = alone();
    let log = Log::new();
    let handle = log.hook("x").enable().unwrap();
    let (a, b) = (resource("a"), resource("b"));
    log.take();
    a.run_in_async_scope(|| {
        b.run_in_async_scope(|| drop(handle));
        b.run_in_async_scope(|| a.resolve());
    });
    drop((a, b));
    assert_eq!(log.take(), "x.before a, x.before b, x.after b, x.after a");
}

#[test]
fn a_hook_disabled_in_init_of_another_still_hears_the_emission_in_progress() {
    let _alone = alone();
    let log = Log::new();
    let target: Place = Place::default();
    let disabling = {
        let target = target.clone();
        hook().init(move |_| empty(&target))
    };
    let _disabling = disabling.enable().unwrap();
    *target.lock().unwrap() = Some(log.hook("x").enable().unwrap());
    drop(resource("a"));
    assert_eq!(log.take(), "x.init a");
}

#[test]
fn a_detached_hook_stays_enabled() {
    let _alone = alone();
    let log = Log::new();
    // Of a kind of its own, since it will listen for as long as this process lives.
    let kind = Kind::new("DETACHED");
    log.hook("x").kinds([kind]).enable().unwrap().detach();
    drop(AsyncResource::builder(kind).name("a").build());
    assert_eq!(log.take(), "x.init a, x.destroy a Dropped");
}

#[test]
fn hooks_are_reached_through_their_handles_and_shared_pointers() {
    use forebear_hooks::{AsyncHook, Events, Resource, create_hook};
    use std::sync::atomic::{AtomicU32, Ordering};

    #[derive(Default)]
    struct Count(AtomicU32);
    impl AsyncHook for Count {
        fn events(&self) -> Events {
            Events::INIT
        }
        fn init(&self, _: &Resource<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    let _alone = alone();
    let shared = Arc::new(Count::default());
    let by_pointer = create_hook(shared.clone()).enable().unwrap();
    let by_value = create_hook(Count::default()).enable().unwrap();
    drop(resource("a"));
    assert_eq!(by_pointer.0.load(Ordering::Relaxed), 1);
    assert_eq!(by_value.0.load(Ordering::Relaxed), 1);
    drop((by_pointer, by_value));
    drop(resource("b"));
    assert_eq!(shared.0.load(Ordering::Relaxed), 1);
}
