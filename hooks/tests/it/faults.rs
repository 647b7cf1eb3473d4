//! Checks hooks that panic, in whatever they do: they are disabled, and nobody else notices.

use std::panic::{catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;

use forebear_hooks::{
    AsyncHook, AsyncResource, Events, Frame, FrameKey, Inherit, Outcome, Reason, Resource,
    create_hook, hook, instrument,
};

use crate::support::{Log, alone, panic_of, panic_quietly, poll, resource};

/// Panics in one event.
struct Faulty {
    event: &'static str,
    log: Log,
}

impl Faulty {
    fn hear(&self, event: &'static str, r: &Resource<'_>) {
        self.log.write(format_args!("f.{event} {}", r.label()));
        if event == self.event {
            panic_quietly("as planned");
        }
    }
}

impl AsyncHook for Faulty {
    fn init(&self, r: &Resource<'_>) {
        self.hear("init", r);
    }

    fn before(&self, r: &Resource<'_>) {
        self.hear("before", r);
    }

    fn after(&self, r: &Resource<'_>) {
        self.hear("after", r);
    }

    fn promise_resolve(&self, r: &Resource<'_>, _: Outcome) {
        self.hear("promise_resolve", r);
    }

    fn destroy(&self, r: &Resource<'_>, _: Reason) {
        self.hear("destroy", r);
    }
}

#[test]
fn a_hook_that_panics_in_any_event_is_disabled_and_the_rest_goes_on() {
    let _alone = alone();
    let heard = [
        ("init", "f.init a"),
        ("before", "f.init a, f.before a"),
        ("promise_resolve", "f.init a, f.before a, f.promise_resolve a"),
        ("after", "f.init a, f.before a, f.promise_resolve a, f.after a"),
        ("destroy", "f.init a, f.before a, f.promise_resolve a, f.after a, f.destroy a"),
    ];
    for (event, want) in heard {
        let (log, others) = (Log::new(), Log::new());
        let _first = others.hook("1").enable().unwrap();
        let faulty = create_hook(Faulty { event, log: log.clone() }).enable().unwrap();
        let _last = others.hook("2").enable().unwrap();
        assert!(faulty.fault().is_none());

        let a = resource("a");
        let id = a.id();
        let result = a.run_in_async_scope(|| {
            a.resolve();
            7
        });
        drop(a);
        drop(resource("b"));

        assert_eq!(result, 7);
        assert_eq!(log.take(), want, "panic in {event}");
        assert_eq!(
            others.take(),
            "1.init a, 2.init a, 1.before a, 2.before a, 1.resolve a Ready, 2.resolve a Ready, \
             2.after a, 1.after a, 2.destroy a Dropped, 1.destroy a Dropped, \
             1.init b, 2.init b, 2.destroy b Dropped, 1.destroy b Dropped",
            "panic in {event}"
        );
        let fault = faulty.fault().unwrap();
        assert_eq!((fault.resource_id(), fault.message()), (id, "as planned"));
        assert_eq!(
            fault.to_string(),
            format!("hook panicked in {event} of OTHER {id}: as planned")
        );
    }
}

#[test]
fn a_fault_in_a_replayed_init_ends_it_there() {
    let _alone = alone();
    let log = Log::new();
    let a = resource("a");
    let faulty = create_hook(Faulty { event: "init", log: log.clone() });
    let faulty = faulty.attach_existing().enable().unwrap();
    a.run_in_async_scope(|| ());
    assert_eq!(log.take(), "f.init a");
    assert!(faulty.fault().is_some());
}

#[test]
fn a_faulty_hook_frees_its_slot_for_the_next() {
    let _alone = alone();
    // More of them than there are slots, each kept for its fault.
    let faulty: Vec<_> = (0..100)
        .map(|_| {
            let faulty = create_hook(Faulty { event: "init", log: Log::new() }).enable().unwrap();
            drop(resource("a"));
            faulty
        })
        .collect();
    assert!(faulty.iter().all(|faulty| faulty.fault().is_some()));
}

#[test]
fn a_hook_may_panic_while_the_program_unwinds() {
    let _alone = alone();
    let log = Log::new();
    let faulty = create_hook(Faulty { event: "after", log: log.clone() }).enable().unwrap();
    let ending = create_hook(Faulty { event: "destroy", log: log.clone() }).enable().unwrap();
    let a = resource("a");
    let carried = panic_of(|| {
        a.run_in_async_scope(|| {
            let _inner = resource("b");
            panic_quietly("of the program")
        })
    });
    assert_eq!(carried, Some("of the program"));
    assert!(faulty.fault().is_some() && ending.fault().is_some());
}

/// Carried by a panic, it panics in turn, as often as it says.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 > 0 {
            resume_unwind(Box::new(Bomb(self.0 - 1)));
        }
    }
}

#[test]
fn what_a_panic_carries_may_panic_when_it_is_dropped() {
    let _alone = alone();
    let faulty = hook().init(|_| resume_unwind(Box::new(Bomb(3)))).enable().unwrap();
    let caught = catch_unwind(|| drop(resource("a")));
    assert!(caught.map_err(std::mem::forget).is_ok());
    assert_eq!(faulty.fault().unwrap().message(), "no message");
}

/// Panics when it is dropped.
struct Fragile;

impl Drop for Fragile {
    fn drop(&mut self) {
        panic_quietly("of a destructor");
    }
}

#[test]
fn what_a_hook_keeps_may_panic_when_it_is_dropped() {
    let _alone = alone();
    // In the callback it is the hook's fault; later nobody is left to blame.
    let keeping = hook().init(|r| r.set_slot(Fragile)).destroy(|_, _| ()).enable().unwrap();
    drop(resource("a"));
    assert_eq!(keeping.fault().unwrap().message(), "of a destructor");
    let forgetting = hook().init(|r| r.set_slot(Fragile)).enable().unwrap();
    drop(resource("b"));
    assert!(forgetting.fault().is_none());
}

/// A hook whose own destructor panics.
struct LastWord(Log);

impl AsyncHook for LastWord {
    fn events(&self) -> Events {
        Events::INIT
    }
}

impl Drop for LastWord {
    fn drop(&mut self) {
        self.0.write("freed");
        drop(resource("made while a hook is freed"));
        panic_quietly("of a hook's destructor");
    }
}

#[test]
fn a_hook_that_panics_when_it_is_freed_harms_neither_an_emission_nor_the_end_of_a_thread() {
    let _alone = alone();
    let log = Log::new();
    let _other = log.hook("x").enable().unwrap();

    // Freed by the next emission of the thread that looked last.
    let hook = create_hook(LastWord(log.clone())).enable().unwrap();
    drop(resource("a"));
    thread::scope(|scope| scope.spawn(|| drop(hook.disable())).join().unwrap());
    assert_eq!(log.take(), "x.init a, x.destroy a Dropped");
    drop(resource("b"));
    assert_eq!(
        log.take(),
        "freed, x.init made while a hook is freed, x.destroy made while a hook is freed Dropped, \
         x.init b, x.destroy b Dropped"
    );

    // Freed by the end of that thread.
    let hook = create_hook(LastWord(log.clone())).enable().unwrap();
    thread::spawn(move || {
        drop(resource("c"));
        thread::scope(|scope| scope.spawn(|| drop(hook.disable())).join().unwrap());
    })
    .join()
    .unwrap();
    assert_eq!(
        log.take(),
        "x.init c, x.destroy c Dropped, freed, x.init made while a hook is freed, \
         x.destroy made while a hook is freed Dropped"
    );
}

#[test]
fn a_context_value_that_panics_when_it_is_dropped_does_not_reach_who_ends_the_resource() {
    let _alone = alone();
    let log = Log::new();
    let _hook = log.hook("x").enable().unwrap();
    let key = FrameKey::new(Inherit::Always);
    let frame = Frame::empty().with(&key, Arc::new(Fragile));
    let a = frame.sync_scope(|| resource("a"));
    drop(frame);
    drop(a);
    assert_eq!(log.take(), "x.init a, x.destroy a Dropped");
}

#[test]
fn a_destructor_that_panics_after_the_result_changes_nothing() {
    let _alone = alone();
    let log = Log::new();
    let _hook = log.hook("x").enable().unwrap();
    let fragile = Fragile;
    let mut future = Box::pin(instrument(std::future::poll_fn(move |_| {
        let _ = &fragile;
        std::task::Poll::Ready(7)
    })));
    log.take();
    assert_eq!(poll(&mut future), std::task::Poll::Ready(7));
    let heard = log.take();
    assert!(heard.contains(" Ready, ") && heard.ends_with(" Completed"), "{heard}");
}

#[test]
fn a_destructor_that_panics_in_an_abandoned_future_is_the_owners_and_the_life_ends() {
    let _alone = alone();
    let log = Log::new();
    let _hook = log.hook("x").enable().unwrap();
    let fragile = Fragile;
    let future = AsyncResource::builder(forebear_hooks::Kind::FUTURE).name("f").build().instrument(
        async move {
            let _held = &fragile;
            std::future::pending::<()>().await;
        },
    );
    let carried = panic_of(move || drop(Box::pin(future)));
    assert_eq!(carried, Some("of a destructor"));
    assert_eq!(log.take(), "x.init f, x.before f, x.after f, x.destroy f Cancelled");
}
