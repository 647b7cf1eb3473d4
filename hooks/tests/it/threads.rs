//! Checks hooks that come and go while other threads emit, and threads that emit while they end.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use forebear_hooks::{
    AsyncHook, AsyncId, AsyncResource, Outcome, Reason, Resource, create_hook, execution_async_id,
};

use crate::support::{Log, alone, resource};

/// Checks, for one hook, that each life it hears of keeps the rules.
#[derive(Default)]
struct Ledger(Mutex<Accounts>);

#[derive(Default)]
struct Accounts {
    /// What each resource has been told of, one letter per event.
    lives: HashMap<AsyncId, String>,
    /// The pairs that are open on each thread, innermost last.
    open: HashMap<ThreadId, Vec<AsyncId>>,
    wrong: Vec<String>,
}

impl Ledger {
    fn book(&self, event: char, r: &Resource<'_>) {
        let mut accounts = self.0.lock().unwrap();
        let Accounts { lives, open, wrong } = &mut *accounts;
        let life = lives.entry(r.id()).or_default();
        if life.is_empty() != (event == 'i') || life.contains('d') {
            wrong.push(format!("{event} of {} after {life:?}", r.id()));
        }
        life.push(event);
        let open = open.entry(thread::current().id()).or_default();
        match event {
            'b' => open.push(r.id()),
            'a' if open.pop() != Some(r.id()) => wrong.push(format!("after of {} open", r.id())),
            _ => {}
        }
    }

    /// Each life as a text, such as `ibrabad`; panics if a rule was broken.
    fn lives(&self) -> Vec<String> {
        let accounts = self.0.lock().unwrap();
        assert!(accounts.wrong.is_empty(), "{:?}", accounts.wrong);
        assert!(accounts.open.values().all(Vec::is_empty), "{:?}", accounts.open);
        accounts.lives.values().cloned().collect()
    }
}

impl AsyncHook for Ledger {
    fn init(&self, r: &Resource<'_>) {
        self.book('i', r);
    }

    fn before(&self, r: &Resource<'_>) {
        self.book('b', r);
    }

    fn after(&self, r: &Resource<'_>) {
        self.book('a', r);
    }

    fn promise_resolve(&self, r: &Resource<'_>, _: Outcome) {
        self.book('r', r);
    }

    fn destroy(&self, r: &Resource<'_>, _: Reason) {
        self.book('d', r);
    }
}

/// A life of six events around another one of four, which a third thread ends.
fn live() -> AsyncResource {
    let outer = resource("outer");
    let inner = outer.run_in_async_scope(|| {
        outer.resolve();
        let inner = resource("inner");
        inner.run_in_async_scope(|| assert_eq!(execution_async_id(), Some(inner.id())));
        inner
    });
    outer.run_in_async_scope(|| ());
    inner
}

#[test]
fn lives_stay_whole_while_hooks_come_and_go() {
    let _alone = alone();
    let is_over = AtomicBool::new(false);
    let always = create_hook(Ledger::default()).enable().unwrap();
    let (send, receive) = std::sync::mpsc::channel::<AsyncResource>();
    let ledgers = thread::scope(|scope| {
        for _ in 0..2 {
            let (send, is_over) = (send.clone(), &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    send.send(live()).unwrap();
                }
            });
        }
        drop(send);
        scope.spawn(move || receive.into_iter().for_each(AsyncResource::emit_destroy));
        let ledgers: Vec<_> = (0..100)
            .map(|_| {
                let hook = create_hook(Ledger::default()).enable().unwrap();
                while hook.0.lock().unwrap().lives.len() < 3 {
                    thread::yield_now();
                }
                hook.disable()
            })
            .collect();
        is_over.store(true, Ordering::Relaxed);
        ledgers
    });
    for life in always.lives() {
        assert!(["ibrabad", "ibad"].contains(&life.as_str()), "{life}");
    }
    for life in ledgers.iter().flat_map(|ledger| ledger.lives()) {
        // Whole up to where the hook was disabled; a pair was finished even then.
        let cut = ["ibrabad", "ibad"].iter().any(|whole| whole.starts_with(&life));
        assert!(cut || life == "iba", "{life}");
    }
}

/// Lives a life when its thread ends.
struct AtExit(Log);

impl Drop for AtExit {
    fn drop(&mut self) {
        let a = resource("at exit");
        a.run_in_async_scope(|| {
            self.0.write(format_args!("run {}", execution_async_id() == Some(a.id())));
        });
        let _entered = forebear_hooks::Frame::empty().enter();
    }
}

thread_local! {
    static AT_EXIT: RefCell<Option<AtExit>> = const { RefCell::new(None) };
}

#[test]
fn the_destructor_of_a_thread_local_may_emit() {
    let _alone = alone();
    let log = Log::new();
    let _hook = log.hook("x").enable().unwrap();
    let told = "x.init at exit, x.before at exit, run true, x.after at exit, \
                x.destroy at exit Dropped";
    // Whether our own thread-locals are gone by then depends on whose were touched first.
    for is_theirs_first in [true, false] {
        let log2 = log.clone();
        thread::spawn(move || {
            let set = || AT_EXIT.with(|place| *place.borrow_mut() = Some(AtExit(log2.clone())));
            if is_theirs_first {
                set();
            }
            let _entered = forebear_hooks::Frame::empty().enter();
            drop(resource("a"));
            set();
        })
        .join()
        .unwrap();
        let heard = log.take();
        let first = if is_theirs_first { format!("{told}, ") } else { String::new() };
        // The second `set` replaced what the first one had put there.
        assert_eq!(heard, format!("x.init a, x.destroy a Dropped, {first}{told}"));
    }
}

#[test]
fn a_hook_is_freed_when_the_last_thread_that_knows_it_rests() {
    struct Freed(Log);
    impl AsyncHook for Freed {}
    impl Drop for Freed {
        fn drop(&mut self) {
            self.0.write("freed");
        }
    }

    let _alone = alone();
    let log = Log::new();
    let hook = create_hook(Freed(log.clone())).enable().unwrap();
    drop(resource("a"));
    thread::scope(|scope| scope.spawn(|| drop(hook.disable())).join().unwrap());
    assert_eq!(log.take(), "");
    forebear_hooks::life::rest();
    assert_eq!(log.take(), "freed");

    // Disabled on the thread that knows it, it is freed at once.
    let hook = create_hook(Freed(log.clone())).enable().unwrap();
    drop(resource("a"));
    drop(hook);
    assert_eq!(log.take(), "freed");
    let shared = Arc::new(Freed(log.clone()));
    drop(create_hook(shared.clone()).enable().unwrap());
    assert_eq!(Arc::strong_count(&shared), 1);
}
