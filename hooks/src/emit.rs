//! Tells the hooks that follow a resource what happens to it: one function per event.
//!
//! Each function is a test of one mask, and behind that a cold call. The order of the events, and
//! that each is told once, is [`Life`](crate::life::Life)'s business.
//!
//! An emission keeps the list of hooks that it began with, whatever its hooks do to the list.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use crate::current;
use crate::events::Event;
use crate::fault::convict;
use crate::reason::{Outcome, Reason};
use crate::record::{Record, Replay};
use crate::registry::{self, Enabled, HookSet};
use crate::resource::{Emission, Probe, Resource};

/// A resource was created.
#[inline]
pub(crate) fn init(record: &Record, probe: Option<Probe>) {
    if registry::wants(Event::Init, record.scope) {
        told_init(record, probe);
    }
}

#[cold]
fn told_init(record: &Record, probe: Option<Probe>) {
    let emission = Emission::of_init(record, probe);
    let hooks = registry::hooks();
    // What a late hook is told of the old ones begins with their next event.
    let is_told = |hook: &Enabled| hook.events.has(Event::Init) && follows(hook, record);
    tell(&emission, Event::Init, hooks.hooks.iter(), is_told, |hook, resource| {
        hook.hook.init(resource);
    });
}

/// The hooks that were told `before`, and are owed `after`.
#[derive(Default)]
pub(crate) struct Pair {
    hooks: Option<Rc<HookSet>>,
    owed: u32,
}

/// Code of a resource is about to run.
#[inline]
#[must_use]
pub(crate) fn before(record: &Record) -> Pair {
    // Asks for `after`, too: who wants that alone is owed it from here on.
    if registry::wants(Event::Before, record.scope) { told_before(record) } else { Pair::default() }
}

#[cold]
fn told_before(record: &Record) -> Pair {
    // Of one that is not born yet nobody hears.
    if !record.is_born() {
        return Pair::default();
    }
    let hooks = registry::hooks();
    let emission = Emission::of(record);
    let mut owed = 0;
    let is_told = |hook: &Enabled| {
        let is_owed = hook.wants_pair() && is_told(hook, &emission);
        owed |= if is_owed { hook.bit } else { 0 };
        is_owed && hook.events.has(Event::Before)
    };
    tell(&emission, Event::Before, hooks.hooks.iter(), is_told, |hook, resource| {
        hook.hook.before(resource);
    });
    Pair { hooks: Some(hooks), owed }
}

/// Code of a resource has stopped running.
#[inline]
pub(crate) fn after(record: &Record, pair: Pair) {
    if let Some(hooks) = pair.hooks {
        told_after(record, &hooks, pair.owed);
    }
}

#[cold]
fn told_after(record: &Record, hooks: &HookSet, owed: u32) {
    let emission = Emission::of(record);
    let is_told = |hook: &Enabled| owed & hook.bit != 0 && hook.events.has(Event::After);
    tell(&emission, Event::After, hooks.hooks.iter().rev(), is_told, |hook, resource| {
        hook.hook.after(resource);
    });
}

/// The result of a resource is decided.
#[inline]
pub(crate) fn promise_resolve(record: &Record, outcome: Outcome) {
    if registry::wants(Event::PromiseResolve, record.scope) {
        told_promise_resolve(record, outcome);
    }
}

#[cold]
fn told_promise_resolve(record: &Record, outcome: Outcome) {
    if !record.is_born() {
        return;
    }
    let emission = Emission::of(record);
    let hooks = registry::hooks();
    let is_told =
        |hook: &Enabled| hook.events.has(Event::PromiseResolve) && is_told(hook, &emission);
    tell(&emission, Event::PromiseResolve, hooks.hooks.iter(), is_told, |hook, resource| {
        hook.hook.promise_resolve(resource, outcome);
    });
}

/// A resource can never run again.
#[inline]
pub(crate) fn destroy(record: &Record, reason: Reason) {
    if registry::wants(Event::Destroy, record.scope) {
        told_destroy(record, reason);
    }
}

#[cold]
fn told_destroy(record: &Record, reason: Reason) {
    let emission = Emission::of(record);
    let hooks = registry::hooks();
    let is_told = |hook: &Enabled| hook.events.has(Event::Destroy) && is_told(hook, &emission);
    tell(&emission, Event::Destroy, hooks.hooks.iter().rev(), is_told, |hook, resource| {
        hook.hook.destroy(resource, reason);
        record.empty_slot(hook.epoch);
    });
}

/// Calls those of `hooks` that are told, one after the other. One that panics is disabled, and the
/// others are called as if nothing had happened.
#[inline]
fn tell<'h>(
    emission: &Emission<'_>,
    event: Event,
    mut hooks: impl Iterator<Item = &'h Arc<Enabled>>,
    mut is_told: impl FnMut(&Enabled) -> bool,
    call: impl Fn(&Enabled, &Resource<'_>),
) {
    let resource = Resource::told(emission);
    let mut called = None;
    current::tell(&emission.hook, || {
        // One net for all of them: it is cheaper than one for each, and is hung up again behind
        // the hook that fell into it.
        while let Err(payload) = catch_unwind(AssertUnwindSafe(|| {
            for hook in hooks.by_ref() {
                if is_told(hook) && hook.fault.get().is_none() {
                    emission.hook.set(hook.epoch);
                    called = Some(hook);
                    call(hook, &resource);
                }
            }
        })) {
            emission.hook.set(0);
            if let Some(hook) = called {
                convict(hook, event, &resource, payload);
            }
        }
    });
}

/// Says whether `hook` has followed this resource from its birth.
#[inline]
fn follows(hook: &Enabled, record: &Record) -> bool {
    record.scope & hook.bit != 0
        && record.epoch >= hook.epoch
        && (!hook.is_tested_late || hook.filter.admits(record.kind, record.runtime))
}

/// Says whether `hook` hears of this resource, which is born; one that attached late is first told
/// its `init`.
#[inline]
fn is_told(hook: &Enabled, emission: &Emission<'_>) -> bool {
    let record = emission.record;
    if record.epoch >= hook.epoch {
        return follows(hook, record);
    }
    hook.filter.attach_existing
        && hook.filter.admits(record.kind, record.runtime)
        && is_replayed(hook, emission)
}

/// Tells a late hook the `init` of this resource, once.
///
/// A second thread that comes while the first is still telling does not deliver: it would be half
/// a life.
#[cold]
fn is_replayed(hook: &Enabled, emission: &Emission<'_>) -> bool {
    let replays = &emission.record.ext().replays;
    {
        let mut replays = replays.lock();
        if let Some(replay) = replays.iter().find(|replay| replay.hook_epoch == hook.epoch) {
            return replay.is_done;
        }
        replays.push(Replay { hook_epoch: hook.epoch, is_done: false });
    }
    if hook.events.has(Event::Init) && hook.fault.get().is_none() {
        // The hook before this one is not being called any more.
        emission.hook.set(0);
        let replay = emission.replay();
        let resource = Resource::told(&replay);
        replay.hook.set(hook.epoch);
        let init = || catch_unwind(AssertUnwindSafe(|| hook.hook.init(&resource)));
        if let Err(payload) = current::tell(&replay.hook, init) {
            convict(hook, Event::Init, &resource, payload);
        }
    }
    let mut replays = replays.lock();
    if let Some(replay) = replays.iter_mut().find(|replay| replay.hook_epoch == hook.epoch) {
        replay.is_done = true;
    }
    true
}

#[cfg(all(test, loom))]
mod model {
    use crate::hook::hook;
    use crate::kind::Kind;
    use crate::life::{Birth, Life};
    use crate::reason::Reason;
    use loom::thread;
    use std::sync::{Arc, Mutex, PoisonError};

    /// A socket's halves run on two threads when a hook attaches.
    #[test]
    fn a_late_hook_is_told_one_init_before_all_else() {
        loom::model(|| {
            let life = Arc::new(Life::begin(Birth::new(Kind::OTHER, || "model")));
            let heard = Arc::new(Mutex::new(Vec::new()));
            let note = |what: &'static str| {
                let heard = heard.clone();
                move || heard.lock().unwrap_or_else(PoisonError::into_inner).push(what)
            };
            let (init, before, after) = (note("init"), note("before"), note("after"));
            let attached = hook()
                .init(move |_| {
                    // The other half may come in the middle of this.
                    thread::yield_now();
                    init();
                })
                .before(move |_| before())
                .after(move |_| after())
                .attach_existing()
                .enable()
                .expect("a slot is free");
            let half = thread::spawn({
                let life = life.clone();
                move || life.run(|_| ())
            });
            life.run(|_| ());
            half.join().expect("the other half has run");
            drop(attached);
            Arc::into_inner(life).expect("both halves are back").end(Reason::Completed);

            let heard = std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner));
            let count = |what| heard.iter().filter(|heard| **heard == what).count();
            assert_eq!((heard[0], count("init")), ("init", 1), "{heard:?}");
            // The half that came while `init` was being told is not told of.
            assert!(matches!(count("before"), 1 | 2), "{heard:?}");
            assert_eq!(count("before"), count("after"), "{heard:?}");
        });
    }
}
