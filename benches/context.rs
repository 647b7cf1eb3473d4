//! Asks what context costs: reading it, setting it, carrying it along, and keeping the map of it.
//!
//! ```text
//! cargo bench -p forebear-benches --bench context [-- FILTER]
//! cargo bench -p forebear-benches --bench context -- --document
//! ```
//!
//! Each line is measured beside the same without context, in turns: reading a value beside reading a
//! plain one, a birth with eight values around beside a birth with none. How much of the lineage is
//! kept is a choice for the life of a process, so those runtimes have a process each, and take their
//! turns in it. Two processes that do the same are not equally fast: the line `lineage off` says by
//! how much not.

use std::cell::Cell;
use std::future::{Future, pending};
use std::hint::black_box;
use std::pin::pin;
use std::process::ExitCode;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use forebear::hooks::life::{Birth, Life};
use forebear::hooks::{Kind, Reason};
use forebear::runtime::{Builder, Runtime};
use forebear::{AsyncLocal, Inherit, Lineage, LocalGuard, Snapshot, fields, flow, spawn};
use forebear_benches::elsewhere::{self, Elsewhere};
use forebear_benches::{Beside, Budget, Contrast, time};

fn main() -> ExitCode {
    if let Some(lineage) = elsewhere::asked_to_be() {
        return be_runtime(&lineage);
    }
    let mut beside = Beside::named("context");
    ask_about_reading(&mut beside);
    ask_about_scopes(&mut beside);
    ask_about_births(&mut beside);
    ask_about_fields(&mut beside);
    ask_about_lineage(&mut beside);
    beside.finish();
    ExitCode::SUCCESS
}

/// What `with` may take, and what may be taken around a poll.
const READ: Budget = Budget::Ns(2.0);

/// What a newborn may take for its context, however much that is.
const INHERIT: Budget = Budget::Ns(15.0);

/// As many values as a service with tenants, users, traces and deadlines has.
static KEYS: [AsyncLocal<u64>; 8] = [const { AsyncLocal::named("key") }; 8];

/// A value that a task does not give to the tasks it spawns.
static OWN: AsyncLocal<u64> = AsyncLocal::named("own").inherit(Inherit::SameTask);

/// A context with so many values.
fn context_of(keys: usize) -> Snapshot {
    let _guards: Vec<LocalGuard> = KEYS[..keys].iter().map(|key| key.enter(7)).collect();
    Snapshot::capture()
}

/// A context that a spawned task does not take over whole.
fn context_with_own() -> Snapshot {
    context_of(KEYS.len()).sync_scope(|| OWN.sync_scope(7, Snapshot::capture))
}

fn contrast<'a>(name: &'a str, unit: &'static str, budget: Option<Budget>) -> Contrast<'a> {
    Contrast { name, units: (1.0, unit), budget }
}

/// Asks about something that is done in a context, beside reading a value that is at hand.
fn ask_about_read<R>(
    beside: &mut Beside,
    name: &str,
    around: &Snapshot,
    budget: Option<Budget>,
    read: impl Fn() -> R,
) {
    let plain = Cell::new(Some(7_u64));
    beside.ask(
        contrast(name, "call", budget),
        &mut |n| time(n, || black_box(&plain).get()),
        &mut |n| around.sync_scope(|| time(n, &read)),
    );
}

fn ask_about_reading(beside: &mut Beside) {
    let [none, one, eight] = [0, 1, 8].map(context_of);
    let [first, .., last] = &KEYS;
    let with = |key: &'static AsyncLocal<u64>| move || key.with(|value| value.copied());
    ask_about_read(beside, "with/nothing set", &none, Some(READ), with(first));
    ask_about_read(beside, "with/1 key", &one, Some(READ), with(first));
    ask_about_read(beside, "with/8 keys, the first", &eight, Some(READ), with(first));
    ask_about_read(beside, "with/8 keys, the last", &eight, Some(READ), with(last));
    ask_about_read(beside, "get/1 key", &one, None, || first.get());
    ask_about_read(beside, "get_arc/1 key", &one, None, || first.get_arc());
    ask_about_read(beside, "capture/1 key", &one, None, Snapshot::capture);
}

/// Polls a future so many times, which is never ready.
fn polls(n: u64, future: impl Future<Output = ()>) -> Duration {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    time(n, || assert!(future.as_mut().poll(&mut cx).is_pending()))
}

fn ask_about_scopes(beside: &mut Beside) {
    let mut call = |n| time(n, || ());
    beside.ask(contrast("sync_scope", "scope", None), &mut call, &mut |n| {
        time(n, || KEYS[0].sync_scope(7, || ()))
    });
    // Each poll goes into the frame and out of it again.
    let life = Life::begin(Birth::new(Kind::TASK, || "life"));
    beside.ask(
        contrast("scope/poll", "poll", Some(READ)),
        &mut |n| life.run(|_| polls(n, pending())),
        &mut |n| life.run(|_| polls(n, KEYS[0].scope(7, pending()))),
    );
    beside.ask(
        contrast("running as a resource", "poll", Some(READ)),
        &mut |n| polls(n, pending()),
        &mut |n| {
            let mut inner = pin!(pending::<()>());
            let mut cx = Context::from_waker(Waker::noop());
            time(n, || assert!(life.run(|_| inner.as_mut().poll(&mut cx)).is_pending()))
        },
    );
    life.end(Reason::Completed);
}

fn births(n: u64) -> Duration {
    time(n, || Life::begin(Birth::new(Kind::TASK, || "life")).end(Reason::Completed))
}

fn ask_about_births(beside: &mut Beside) {
    let runtime = runtime(Lineage::Off);
    let spawns = |n| spawns(&runtime, n);
    let contexts = [
        ("1 key", context_of(1)),
        ("8 keys", context_of(8)),
        ("a key not taken", context_with_own()),
    ];
    for (how, around) in &contexts {
        let ask = &mut |what: &str, work: &dyn Fn(u64) -> Duration| {
            beside.ask(
                contrast(&format!("{what}/{how}"), "birth", Some(INHERIT)),
                &mut |n| work(n),
                &mut |n| around.sync_scope(|| work(n)),
            );
        };
        ask("life", &births);
        ask("spawn", &spawns);
    }
}

/// A flow has so many fields.
const FIELDS: [&str; 4] = ["requestId", "accountId", "tenant", "order"];

fn ask_about_fields(beside: &mut Beside) {
    // A context keeps the fields of its flow, also when that has ended.
    let around = futures_lite::future::block_on(flow("order", async {
        FIELDS.iter().for_each(|key| fields::set(key, 7_u64));
        Snapshot::capture()
    }));
    let [first, .., last] = FIELDS;
    ask_about_read(beside, "fields::set/the first", &around, None, || fields::set(first, 8_u64));
    ask_about_read(beside, "fields::set/the last", &around, None, || fields::set(last, 8_u64));
    ask_about_read(beside, "fields::get/the first", &around, None, || fields::get(first));
    ask_about_read(beside, "fields::get/the last", &around, None, || fields::get(last));
}

fn runtime(lineage: Lineage) -> Runtime {
    let built = Builder::new_current_thread().lineage(lineage).build();
    built.expect("the system has descriptors for a bench")
}

async fn trivial(n: u64) -> u64 {
    black_box(n)
}

/// A task spawns one, awaits it, and again.
fn spawns(runtime: &Runtime, n: u64) -> Duration {
    let work = async move {
        let start = Instant::now();
        for i in 0..n {
            spawn(trivial(i)).await.expect("no task of a bench fails");
        }
        start.elapsed()
    };
    runtime.block_on(runtime.spawn(work)).expect("no task of a bench fails")
}

const LINEAGES: [(&str, Lineage); 3] =
    [("off", Lineage::Off), ("live", Lineage::Live), ("full", Lineage::Full)];

fn ask_about_lineage(beside: &mut Beside) {
    let start = |lineage: &str| {
        let mut elsewhere = Elsewhere::start(lineage);
        move |n| elsewhere.run(n)
    };
    let mut off = start("off");
    for (name, _) in LINEAGES {
        let name_of_line = format!("spawn/lineage {name}");
        beside.ask(contrast(&name_of_line, "spawn", None), &mut off, &mut start(name));
    }
}

/// So many tasks are spawned before those that are timed, to have the caches back from others.
const WARM_UP: u64 = 100;

/// The whole of a process that has one runtime and is told when to use it.
fn be_runtime(name: &str) -> ExitCode {
    let found = LINEAGES.into_iter().find(|(known, _)| *known == name);
    let (_, lineage) = found.expect("this process was started by the bench");
    let runtime = runtime(lineage);
    let served = elsewhere::serve(&mut |n| {
        spawns(&runtime, WARM_UP);
        spawns(&runtime, n)
    });
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
