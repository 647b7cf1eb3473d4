//! Tells the hooks that follow a resource what happens to it: one function per event.
//!
//! Each function is a test of one mask, and behind that a cold call. The order of the events, and
//! that each is told once, is [`Life`](crate::life::Life)'s business.

use std::rc::Rc;

use crate::current;
use crate::events::Event;
use crate::fault;
use crate::reason::{Outcome, Reason};
use crate::record::{Record, Replay};
use crate::registry::{self, Enabled, HookSet};
use crate::resource::{Emission, Probe, Resource};

/// A resource was created.
#[inline]
pub(crate) fn init(record: &Record, probe: Option<&dyn Fn() -> Probe>) {
    if registry::wants(Event::Init, record.scope) {
        told_init(record, probe);
    }
}

#[cold]
fn told_init(record: &Record, probe: Option<&dyn Fn() -> Probe>) {
    let emission = Emission { probe, ..Emission::of(record) };
    for hook in &registry::hooks().hooks {
        // What a late hook is told of the old ones begins with their next event.
        if hook.events.has(Event::Init) && follows(hook, record) {
            let resource = Resource::told(&emission, hook.epoch);
            call(hook, Event::Init, &resource, || hook.hook.init(&resource));
        }
    }
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
    // Who wants `after` alone gets it with a pair whose `before` nobody heard.
    if registry::wants(Event::Before, record.scope) || registry::wants(Event::After, record.scope) {
        told_before(record)
    } else {
        Pair::default()
    }
}

#[cold]
fn told_before(record: &Record) -> Pair {
    let hooks = registry::hooks();
    let emission = Emission::of(record);
    let mut owed = 0;
    for hook in &hooks.hooks {
        let is_for = hook.events.has(Event::Before) || hook.events.has(Event::After);
        if !is_for || !is_told(hook, &emission) {
            continue;
        }
        owed |= hook.bit();
        if hook.events.has(Event::Before) {
            let resource = Resource::told(&emission, hook.epoch);
            call(hook, Event::Before, &resource, || hook.hook.before(&resource));
        }
    }
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
    for hook in hooks.hooks.iter().rev() {
        if owed & hook.bit() != 0 && hook.events.has(Event::After) {
            let resource = Resource::told(&emission, hook.epoch);
            call(hook, Event::After, &resource, || hook.hook.after(&resource));
        }
    }
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
    let emission = Emission::of(record);
    for hook in &registry::hooks().hooks {
        if hook.events.has(Event::PromiseResolve) && is_told(hook, &emission) {
            let resource = Resource::told(&emission, hook.epoch);
            call(hook, Event::PromiseResolve, &resource, || {
                hook.hook.promise_resolve(&resource, outcome);
            });
        }
    }
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
    for hook in registry::hooks().hooks.iter().rev() {
        if hook.events.has(Event::Destroy) && is_told(hook, &emission) {
            let resource = Resource::told(&emission, hook.epoch);
            call(hook, Event::Destroy, &resource, || {
                hook.hook.destroy(&resource, reason);
                empty_slot(record, hook.epoch);
            });
        }
    }
}

fn empty_slot(record: &Record, hook_epoch: u32) {
    let Some(ext) = record.ext.get() else { return };
    let mut slots = ext.slots.lock();
    let kept = slots.iter().position(|slot| slot.hook_epoch == hook_epoch);
    let kept = kept.map(|place| slots.swap_remove(place));
    drop(slots);
    // Foreign code: it must not run under the lock.
    drop(kept);
}

/// Calls a hook that has not panicked before, hiding from it what it makes.
fn call(hook: &Enabled, event: Event, resource: &Resource<'_>, f: impl FnOnce()) {
    if hook.fault.get().is_none() {
        let _hiding = current::hide_from(hook.slot);
        fault::guarded(hook, event, resource, f);
    }
}

/// Says whether `hook` has followed this resource from its birth.
fn follows(hook: &Enabled, record: &Record) -> bool {
    record.scope & hook.bit() != 0
        && record.epoch >= hook.epoch
        && hook.filter.admits(record.kind, record.runtime)
}

/// Says whether `hook` hears of this resource; one that attached late is first told its `init`.
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
fn is_replayed(hook: &Enabled, emission: &Emission<'_>) -> bool {
    let replays = &emission.record.ext().replays;
    {
        let mut replays = replays.lock();
        if let Some(replay) = replays.iter().find(|replay| replay.hook_epoch == hook.epoch) {
            return replay.is_done;
        }
        replays.push(Replay { hook_epoch: hook.epoch, is_done: false });
    }
    if hook.events.has(Event::Init) {
        let resource = Resource::replayed(emission, hook.epoch);
        call(hook, Event::Init, &resource, || hook.hook.init(&resource));
    }
    let mut replays = replays.lock();
    if let Some(replay) = replays.iter_mut().find(|replay| replay.hook_epoch == hook.epoch) {
        replay.is_done = true;
    }
    true
}
