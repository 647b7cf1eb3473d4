//! Checks what hooks keep in resources: each its own value, freed in time.

use std::sync::Arc;

use forebear_hooks::{AsyncHook, Events, Reason, Resource, create_hook, execution_async_resource};

use crate::support::{Drops, Log, alone, resource};

/// Keeps a value from `init` on and says what is in the slot at each later event.
struct Keeper {
    name: &'static str,
    events: Events,
    log: Log,
}

impl AsyncHook for Keeper {
    fn events(&self) -> Events {
        self.events
    }

    fn init(&self, r: &Resource<'_>) {
        assert!(r.slot::<Drops>().is_none());
        r.set_slot(Drops(self.log.clone(), self.name));
    }

    fn before(&self, r: &Resource<'_>) {
        let kept = r.slot::<Drops>().map(|kept| kept.1);
        self.log.write(format_args!("{} finds {kept:?}", self.name));
        assert!(r.slot::<u32>().is_none());
    }

    fn destroy(&self, r: &Resource<'_>, _: Reason) {
        let kept = r.slot::<Drops>().map(|kept| kept.1);
        self.log.write(format_args!("{} ends with {kept:?}", self.name));
    }
}

fn keeper(name: &'static str, events: Events, log: &Log) -> forebear_hooks::HookHandle<Keeper> {
    create_hook(Keeper { name, events, log: log.clone() }).enable().unwrap()
}

#[test]
fn each_hook_has_its_own_slot_which_is_freed_before_its_destroy_returns() {
    let _alone = alone();
    let log = Log::new();
    let _hooks = ["1", "2"].map(|name| keeper(name, Events::ALL, &log));
    let a = resource("a");
    a.run_in_async_scope(|| ());
    assert_eq!(log.take(), r#"1 finds Some("1"), 2 finds Some("2")"#);
    drop(a);
    assert_eq!(log.take(), r#"2 ends with Some("2"), drop 2, 1 ends with Some("1"), drop 1"#);
}

#[test]
fn a_hook_that_did_not_ask_for_destroy_is_freed_of_its_value_all_the_same() {
    let _alone = alone();
    let log = Log::new();
    let _quiet = keeper("quiet", Events::INIT, &log);
    let _loud = keeper("loud", Events::INIT | Events::DESTROY, &log);
    drop(resource("a"));
    assert_eq!(log.take(), r#"loud ends with Some("loud"), drop loud, drop quiet"#);
}

#[test]
fn what_a_disabled_hook_kept_goes_with_the_resource() {
    let _alone = alone();
    let log = Log::new();
    let hook = keeper("x", Events::ALL, &log);
    let a = resource("a");
    drop(hook);
    // The next hook in that place of the list does not find it.
    let _next = keeper("y", Events::ALL, &log);
    a.run_in_async_scope(|| ());
    assert_eq!(log.take(), "");
    drop(a);
    assert_eq!(log.take(), "drop x");
}

#[test]
fn a_new_value_replaces_the_old_one_and_a_kept_one_outlives_its_slot() {
    let _alone = alone();
    let log = Log::new();
    let taken = Arc::new(std::sync::Mutex::new(None));
    let hook = {
        let (log, taken) = (log.clone(), taken.clone());
        forebear_hooks::hook()
            .before(move |r| r.set_slot(Drops(log.clone(), "value")))
            .destroy(move |r, _| *taken.lock().unwrap() = r.slot::<Drops>())
    };
    let _hook = hook.enable().unwrap();
    let a = resource("a");
    a.run_in_async_scope(|| assert_eq!(log.take(), ""));
    a.run_in_async_scope(|| assert_eq!(log.take(), "drop value"));
    drop(a);
    assert_eq!(log.take(), "");
    drop(taken.lock().unwrap().take());
    assert_eq!(log.take(), "drop value");
}

#[test]
fn outside_a_callback_there_is_no_slot() {
    let _alone = alone();
    let a = resource("a");
    a.run_in_async_scope(|| {
        execution_async_resource(|r| {
            let r = r.unwrap();
            r.set_slot(7_u32);
            assert!(r.slot::<u32>().is_none());
        });
    });
}
