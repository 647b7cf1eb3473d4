//! Puts the context under load for long, and checks that memory and map are afterwards what they were.
//!
//! A process of its own, because it counts what is allocated. `FOREBEAR_LONG=1` multiplies the load by
//! a hundred.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::alloc::System;
use std::collections::HashMap;
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use forebear::net::{TcpListener, TcpStream};
use forebear::runtime::{Builder, Runtime};
use forebear::task::yield_now;
use forebear::time::{interval, sleep};
use forebear::{AsyncLocal, Snapshot, fields, flow, spawn, spawn_root, strict, tracker};
use forebear_hooks::{AsyncHook, AsyncId, Events, Resource, create_hook};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a request knows: larger than what may be left of all of them together.
static REQUEST: AsyncLocal<[u8; 1024]> = AsyncLocal::named("request");

/// So much may differ between two moments of rest: caches of the map and of threads, of a size that
/// does not depend on the load.
const SLACK_BYTES: isize = 256 * 1024;

fn times(n: u32) -> u32 {
    if std::env::var_os("FOREBEAR_LONG").is_some() { n * 100 } else { n }
}

fn allocated() -> isize {
    let stats = ALLOCATED.stats();
    stats.bytes_allocated as isize - stats.bytes_deallocated as isize + stats.bytes_reallocated
}

/// Runs a load three times: the first fills what is filled once. Then memory must not grow.
#[track_caller]
fn check(name: &str, load: impl AsyncFn(u32), n: u32) {
    // The count is of the process: one test at a time.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(load(times(n) / 4 + 1));
    tracker::give_room_back();
    let (before, alive) = (allocated(), tracker::len_of(runtime.id()));
    let mut grown = [0; 2];
    for grown in &mut grown {
        runtime.block_on(load(times(n)));
        tracker::give_room_back();
        *grown = allocated() - before;
        assert_eq!(tracker::len_of(runtime.id()), alive, "{name}: the map is not at its idle size");
    }
    #[allow(clippy::print_stdout, reason = "figures that a reader may want")]
    {
        println!("{name}: {} rounds of {}: grown by {grown:?} bytes", grown.len(), times(n));
    }
    assert!(grown[1] < SLACK_BYTES, "{name}: grown by {grown:?} bytes");
}

#[test]
fn short_flows_leave_nothing() {
    let load = async |n: u32| {
        for number in 0..n {
            let request = flow(
                "request",
                REQUEST.scope([1; 1024], async move {
                    fields::set("number", number);
                    spawn(async { assert!(fields::get("number").is_some()) }).await.unwrap();
                }),
            );
            request.await;
        }
    };
    check("short flows", load, 100_000);
}

#[test]
fn a_timer_that_is_armed_again_and_again_leaves_nothing() {
    let load = async |n: u32| {
        let rearm = async {
            for _ in 0..n {
                sleep(Duration::ZERO).await;
            }
        };
        flow("rearm", REQUEST.scope([1; 1024], rearm)).await;
    };
    check("re-armed timers", load, 10_000);
}

/// Spawns its successor, which does the same.
fn respawn(
    left: u32,
    done: forebear::sync::oneshot::Sender<()>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        yield_now().await;
        match left {
            0 => done.send(()).unwrap(),
            left => drop(spawn(respawn(left - 1, done))),
        }
    })
}

#[test]
fn a_task_that_respawns_itself_leaves_nothing() {
    let load = async |n: u32| {
        let (done, is_done) = forebear::sync::oneshot::channel();
        drop(REQUEST.sync_scope([1; 1024], || spawn(respawn(n, done))));
        is_done.await.unwrap();
    };
    check("respawning task", load, 10_000);
}

#[test]
fn what_a_request_makes_for_others_does_not_keep_its_context() {
    let load = async |n: u32| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // Made once, in a request; they live on when that has ended.
        let (mut ticks, pooled) = flow(
            "first",
            REQUEST.scope([1; 1024], async {
                let ticks = interval(Duration::from_micros(1));
                let connecting = Snapshot::default().scope(TcpStream::connect(address));
                (ticks, connecting.await.unwrap())
            }),
        )
        .await;
        let held = strict::held(Duration::ZERO);
        assert!(held.iter().all(|holder| !holder.outlives_flow), "{held:?}");
        for number in 0..n {
            flow(
                "request",
                REQUEST.scope([1; 1024], async {
                    fields::set("number", number);
                    ticks.tick().await;
                }),
            )
            .await;
        }
        drop((listener, pooled));
    };
    check("interval and connection of a request", load, 1_000);
}

type Listener = Box<dyn Fn() + Send>;

#[test]
fn a_listener_in_a_global_keeps_one_context_and_not_all() {
    static LISTENER: Mutex<Option<Listener>> = Mutex::new(None);
    let load = async |n: u32| {
        for number in 0..n {
            flow(
                "request",
                REQUEST.scope([1; 1024], async {
                    fields::set("number", number);
                    let bound =
                        Snapshot::capture().bind(|()| assert!(REQUEST.with(|r| r.is_some())));
                    let old = LISTENER.lock().unwrap().replace(Box::new(move || bound(())));
                    drop(old);
                }),
            )
            .await;
            LISTENER.lock().unwrap().as_ref().unwrap()();
        }
    };
    check("listener in a global", load, 10_000);
}

#[test]
fn tasks_that_are_given_up_leave_nothing() {
    let load = async |n: u32| {
        for _ in 0..n {
            let waiting = flow("given up", REQUEST.scope([1; 1024], pending::<()>()));
            let task = spawn(waiting);
            yield_now().await;
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            drop(spawn_root(flow("unpolled", REQUEST.scope([1; 1024], async {}))));
        }
        yield_now().await;
    };
    check("given up", load, 10_000);
}

/// The store that async context begins with everywhere: copied when something is created, found by its
/// id, and never thought of again.
#[derive(Default)]
struct NaiveStore(Mutex<HashMap<AsyncId, Arc<[u8; 1024]>>>);

impl NaiveStore {
    fn enter(&self, id: AsyncId, value: [u8; 1024]) {
        self.0.lock().unwrap().insert(id, Arc::new(value));
    }
}

impl AsyncHook for NaiveStore {
    fn events(&self) -> Events {
        Events::INIT
    }

    fn init(&self, resource: &Resource<'_>) {
        let mut store = self.0.lock().unwrap();
        let inherited = resource.trigger_id().and_then(|trigger| store.get(&trigger).cloned());
        store.extend(inherited.map(|value| (resource.id(), value)));
    }
}

/// The same program, with a context in each of both: what is left when it is over.
#[test]
fn the_naive_store_leaks_and_ours_does_not() {
    let runtime = Runtime::new().unwrap();
    let store = Arc::new(NaiveStore::default());
    let _copying = create_hook(store.clone()).runtime(runtime.id()).enable().unwrap();
    let ours = Arc::new(());
    static OURS: AsyncLocal<Arc<()>> = AsyncLocal::named("ours");
    let n = 1_000;
    runtime.block_on(async {
        let work = async {
            for _ in 0..n {
                let store = store.clone();
                let request = spawn(async move {
                    store.enter(forebear::hooks::execution_async_id().unwrap(), [1; 1024]);
                    // A child: copied on its init, as it should be.
                    spawn(async {}).await.unwrap();
                });
                request.await.unwrap();
            }
        };
        OURS.scope(ours.clone(), work).await;
    });
    drop(runtime);
    assert_eq!(store.0.lock().unwrap().len(), 2 * n, "of each request two values are left");
    assert_eq!(Arc::strong_count(&ours), 1, "none of ours is left");
}
