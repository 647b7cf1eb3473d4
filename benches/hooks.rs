//! Asks what an emission costs: of hooks that hear it, and of hooks that do not.
//!
//! ```text
//! cargo bench -p forebear-benches --bench hooks [-- FILTER]
//! cargo bench -p forebear-benches --bench hooks -- --document
//! ```
//!
//! There are two things to listen to. `life` is a resource that begins, runs, resolves and ends, and
//! nothing else: little but the five points where events are emitted. `spawn` is a task that another
//! task spawns and awaits on a current-thread runtime, where the emissions have an executor around
//! them; `spawn in block_on` is the same done by the future of `block_on`. Each sort of listening is measured beside the same without hooks, in turns; what it takes
//! more is divided by the emissions it hears, or, where it hears none, by those that it could have
//! heard. How many there are is counted, not assumed. The line `no hook` is measured beside itself:
//! what it takes more is the error of the method.
//!
//! A sampled hook is a question of its own: a flow with all that is in it, beside the same without
//! hooks. What it does to the many flows that it does not follow is what counts.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use forebear::hooks::life::{Birth, Life};
use forebear::hooks::{
    AsyncHook, AsyncId, Events, HookBuilder, HookHandle, Kind, Outcome, Reason, Resource,
    RuntimeId, create_hook,
};
use forebear::runtime::{Builder, Runtime};
use forebear::{Lineage, flow, spawn};
use forebear_benches::{Beside, Budget, Contrast, time};

fn main() {
    let mut beside = Beside::named("hooks");
    let (runtime, other) = (runtime(), runtime());
    let bystander = Life::begin(birth());
    let strangers = Strangers { runtime: other.id(), root: bystander.id() };

    ask_about(&mut beside, "life", &lives, &strangers);
    ask_about(&mut beside, "spawn", &|n| spawns(&runtime, n), &strangers);
    ask_about_root(&mut beside, "spawn in block_on", &|n| root_spawns(&runtime, n));
    ask_about_sampling(&mut beside, "flow of 8 lives", &flows_of_lives);
    ask_about_sampling(&mut beside, "flow with a spawn", &|n| flows_with_spawn(&runtime, n));
    beside.finish();
}

/// What of an emission a hook may cost.
const PER_EMISSION: Budget = Budget::Ns(2.0);

/// What of an emission a hook may cost that does not follow the resource.
const PER_POINT: Budget = Budget::Ns(0.3);

/// What a hook may cost that follows one flow of a hundred.
const SAMPLED: Budget = Budget::Ratio(1.02);

/// What is listened to: done so many times.
type Work<'a> = &'a dyn Fn(u64) -> Duration;

fn birth() -> Birth {
    Birth::new(Kind::TASK, || "life")
}

fn live(birth: Birth, inside: impl FnOnce()) {
    let life = Life::begin(birth);
    life.run(|running| {
        inside();
        running.promise_resolve(Outcome::Ready);
    });
    life.end(Reason::Completed);
}

fn lives(n: u64) -> Duration {
    time(n, || live(birth(), || ()))
}

/// A flow has so many resources in it.
const IN_FLOW: usize = 8;

fn flows_of_lives(n: u64) -> Duration {
    time(n, || {
        live(birth().flow_root(), || (0..IN_FLOW).for_each(|_| live(birth(), || ())));
    })
}

fn runtime() -> Runtime {
    let built = Builder::new_current_thread().lineage(Lineage::Off).build();
    built.expect("the system has descriptors for a bench")
}

async fn trivial(n: u64) -> u64 {
    black_box(n)
}

async fn spawn_and_await(n: u64) -> Duration {
    let start = Instant::now();
    for i in 0..n {
        spawn(trivial(i)).await.expect("no task of a bench fails");
    }
    start.elapsed()
}

fn spawns(runtime: &Runtime, n: u64) -> Duration {
    runtime.block_on(runtime.spawn(spawn_and_await(n))).expect("no task of a bench fails")
}

fn root_spawns(runtime: &Runtime, n: u64) -> Duration {
    runtime.block_on(spawn_and_await(n))
}

fn flows_with_spawn(runtime: &Runtime, n: u64) -> Duration {
    let flows = async move {
        let start = Instant::now();
        for i in 0..n {
            let order = flow("order", async move { spawn(trivial(i)).await });
            order.await.expect("no task of a bench fails");
        }
        start.elapsed()
    };
    runtime.block_on(runtime.spawn(flows)).expect("no task of a bench fails")
}

/// Listens to these events, and does nothing.
struct Empty(Events);

impl AsyncHook for Empty {
    fn events(&self) -> Events {
        self.0
    }
}

/// What a hook can be told to follow that has nothing to do with what is measured.
struct Strangers {
    runtime: RuntimeId,
    root: AsyncId,
}

/// Who listens.
#[derive(Clone, Copy)]
enum Listening {
    Nobody,
    /// So many hooks, to these events of everything.
    Hooks(usize, Events),
    /// One, to all events of the right kind.
    ByKind,
    /// One, to all events of another kind.
    OtherKind,
    /// One, to all events of another runtime.
    OtherRuntime,
    /// One, to all events of what another resource creates.
    OtherSubtree,
    /// One, to no event.
    NoEvent,
    /// One, to all events of one flow in a hundred.
    Sampled,
}

const SHARE: f64 = 0.01;

impl Listening {
    fn start(self, strangers: Option<&Strangers>) -> Vec<HookHandle<Empty>> {
        let everything = || create_hook(Empty(Events::ALL));
        let stranger = || strangers.expect("only who filters by strangers asks");
        let hooks = match self {
            Listening::Nobody => Vec::new(),
            Listening::Hooks(count, events) => {
                (0..count).map(|_| create_hook(Empty(events))).collect()
            }
            Listening::ByKind => vec![everything().kinds([Kind::BLOCK_ON, Kind::TASK])],
            Listening::OtherKind => vec![everything().kinds([Kind::TIMER])],
            Listening::OtherRuntime => vec![everything().runtime(stranger().runtime)],
            Listening::OtherSubtree => vec![everything().under(stranger().root)],
            Listening::NoEvent => vec![create_hook(Empty(Events::NONE))],
            Listening::Sampled => vec![everything().sample(SHARE)],
        };
        let enable = |hook: HookBuilder<Empty>| hook.enable().expect("slots are free");
        hooks.into_iter().map(enable).collect()
    }
}

/// So often the work is done before it is timed, so that this thread knows the hooks.
const WARM_UP: u64 = 20;

/// Does the work while somebody listens.
fn listened(
    work: Work<'_>,
    listening: Listening,
    strangers: Option<&Strangers>,
    n: u64,
) -> Duration {
    let hooks = listening.start(strangers);
    work(WARM_UP);
    let took = work(n);
    drop(hooks);
    took
}

const EVENTS: [(&str, Events); 5] = [
    ("init", Events::INIT),
    ("before", Events::BEFORE),
    ("after", Events::AFTER),
    ("promise_resolve", Events::PROMISE_RESOLVE),
    ("destroy", Events::DESTROY),
];

/// How often each event was heard, in the order of [`EVENTS`].
#[derive(Default)]
struct Heard([AtomicU64; EVENTS.len()]);

impl Heard {
    fn count(&self, event: usize) {
        // Relaxed: nothing but the numbers is looked at, when all is done.
        self.0[event].fetch_add(1, Ordering::Relaxed);
    }
}

impl AsyncHook for Heard {
    fn init(&self, _: &Resource<'_>) {
        self.count(0);
    }

    fn before(&self, _: &Resource<'_>) {
        self.count(1);
    }

    fn after(&self, _: &Resource<'_>) {
        self.count(2);
    }

    fn promise_resolve(&self, _: &Resource<'_>, _: Outcome) {
        self.count(3);
    }

    fn destroy(&self, _: &Resource<'_>, _: Reason) {
        self.count(4);
    }
}

/// Returns how often each event is emitted each time the work is done.
fn emissions(work: Work<'_>) -> [f64; EVENTS.len()] {
    const TIMES: u64 = 1000;
    let hook = create_hook(Heard::default()).enable().expect("slots are free");
    work(TIMES);
    let heard: Arc<Heard> = hook.disable();
    // What surrounds the work is emitted once, and vanishes here.
    let each = |count: &AtomicU64| (count.load(Ordering::Relaxed) as f64 / TIMES as f64).round();
    std::array::from_fn(|event| each(&heard.0[event]))
}

/// Asks about one sort of listening. `units` is how much it hears, or could have heard.
fn ask(
    beside: &mut Beside,
    name: &str,
    work: Work<'_>,
    (listening, strangers): (Listening, Option<&Strangers>),
    (units, unit, budget): (f64, &'static str, Option<Budget>),
) {
    let contrast = Contrast { name, units: (units, unit), budget };
    let mut reference = |n| listened(work, Listening::Nobody, strangers, n);
    beside.ask(contrast, &mut reference, &mut |n| listened(work, listening, strangers, n));
}

fn ask_about(beside: &mut Beside, what: &str, work: Work<'_>, strangers: &Strangers) {
    let emissions = emissions(work);
    let all: f64 = emissions.iter().sum();
    let mut ask = |how: &str, listening, units| {
        ask(beside, &format!("{what}/{how}"), work, (listening, Some(strangers)), units);
    };
    ask("no hook", Listening::Nobody, (all, "point", None));
    for ((name, events), count) in EVENTS.into_iter().zip(emissions) {
        let heard = (count, "emission", Some(PER_EMISSION));
        ask(&format!("{name} alone"), Listening::Hooks(1, events), heard);
    }
    let heard = |hooks: f64| (hooks * all, "emission", Some(PER_EMISSION));
    ask("all five", Listening::Hooks(1, Events::ALL), heard(1.0));
    ask("all five, by kind", Listening::ByKind, heard(1.0));
    ask("all five, three hooks", Listening::Hooks(3, Events::ALL), heard(3.0));
    let unheard = [
        ("another kind", Listening::OtherKind),
        ("another runtime", Listening::OtherRuntime),
        ("another subtree", Listening::OtherSubtree),
        ("no event", Listening::NoEvent),
        ("sampled, no flow", Listening::Sampled),
    ];
    for (how, listening) in unheard {
        ask(how, listening, (all, "point", Some(PER_POINT)));
    }
}

/// Asks whether it matters that the worker is idle after each task.
fn ask_about_root(beside: &mut Beside, what: &str, work: Work<'_>) {
    let all: f64 = emissions(work).iter().sum();
    let mut ask = |how: &str, listening, units| {
        ask(beside, &format!("{what}/{how}"), work, (listening, None), units);
    };
    let heard = (all, "emission", Some(PER_EMISSION));
    ask("all five", Listening::Hooks(1, Events::ALL), heard);
    ask("no event", Listening::NoEvent, (all, "point", Some(PER_POINT)));
}

fn ask_about_sampling(beside: &mut Beside, what: &str, work: Work<'_>) {
    let flow = (1.0, "flow", Some(SAMPLED));
    ask(beside, &format!("{what}/sampled"), work, (Listening::Sampled, None), flow);
}
