//! Tests that context follows the work on the runtime: through tasks, threads, timers and sockets,
//! to their destructors, and not further.

#![cfg(feature = "context")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashMap;
use std::future::{pending, poll_fn};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use forebear::hooks::{AsyncId, HookHandle, Inherit, Kind, RuntimeId, hook, instrument};
use forebear::net::{TcpListener, TcpStream, UdpSocket};
use forebear::runtime::{Builder, Runtime};
use forebear::task::{JoinHandle, spawn_blocking, yield_now};
use forebear::time::{Duration, interval, sleep, timeout};
use forebear::{
    AsyncLocal, Lineage, Snapshot, deadline, fields, flow, flow_id, inspect, spawn, spawn_root,
    testing, tracker,
};

static USER: AsyncLocal<u32> = AsyncLocal::named("user");
static POOL: AsyncLocal<u32> = AsyncLocal::named("pool").recurring();
static TRANSACTION: AsyncLocal<u32> = AsyncLocal::named("transaction").inherit(Inherit::SameTask);

type Seen = (Option<u32>, Option<u32>, Option<u32>);

fn seen() -> Seen {
    (USER.get(), POOL.get(), TRANSACTION.get())
}

/// Runs a future with all three set: 1, 2, 3.
async fn all_set<F: Future>(future: F) -> F::Output {
    USER.scope(1, POOL.scope(2, TRANSACTION.scope(3, future))).await
}

const SAME_TASK: Seen = (Some(1), Some(2), Some(3));
const OTHER_TASK: Seen = (Some(1), Some(2), None);
const RECURRING: Seen = (None, Some(2), None);
const NOTHING: Seen = (None, None, None);

/// One of each sort, and what is left in the map of each when it has ended.
#[track_caller]
fn on_each(test: impl Fn(&Runtime)) {
    let multi = |n| Builder::new_multi_thread().worker_threads(n).build().unwrap();
    let current_thread = Builder::new_current_thread().build().unwrap();
    for runtime in [current_thread, multi(1), multi(2), multi(8)] {
        let id = runtime.id();
        test(&runtime);
        drop(runtime);
        testing::assert_quiescent(id);
    }
}

/// The context in which each resource of a runtime began, by kind.
#[allow(clippy::type_complexity, reason = "said once")]
fn watch(runtime: RuntimeId) -> (HookHandle<impl Sized>, Arc<Mutex<HashMap<Kind, Seen>>>) {
    let begun = Arc::new(Mutex::new(HashMap::new()));
    let notes = begun.clone();
    let watching = hook().runtime(runtime).init(move |r| {
        let of_resource = Snapshot::of(r).sync_scope(seen);
        notes.lock().unwrap().insert(r.kind(), of_resource);
    });
    (watching.enable().unwrap(), begun)
}

#[test]
fn tasks_and_blocking_jobs_take_over_what_other_tasks_may_have() {
    on_each(|runtime| {
        runtime.block_on(all_set(async {
            assert_eq!(seen(), SAME_TASK);
            assert_eq!(spawn(async { seen() }).await.unwrap(), OTHER_TASK);
            assert_eq!(spawn_blocking(seen).await.unwrap(), OTHER_TASK);
            let grandchild = spawn(async { spawn(async { seen() }).await.unwrap() });
            assert_eq!(grandchild.await.unwrap(), OTHER_TASK);
            assert_eq!(instrument(async { seen() }).await, SAME_TASK);
            assert_eq!(flow("flow", async { seen() }).await, SAME_TASK);
            assert_eq!(timeout(Duration::from_secs(9), async { seen() }).await, Ok(SAME_TASK));
            assert_eq!(seen(), SAME_TASK);
        }));
        assert_eq!(seen(), NOTHING);
    });
}

#[test]
fn a_root_starts_clean_and_is_linked_to_where_it_came_from() {
    on_each(|runtime| {
        let notes = Arc::new(Mutex::new(Vec::new()));
        let linked = notes.clone();
        let _hook = hook()
            .runtime(runtime.id())
            .kinds([Kind::TASK])
            .init(move |r| linked.lock().unwrap().push((r.id(), r.trigger_id(), r.link())))
            .enable()
            .unwrap();
        runtime.block_on(all_set(async {
            let maker = forebear::hooks::execution_async_id();
            let root = spawn_root(async { (seen(), flow_id()) });
            let id = root.id();
            assert_eq!(root.await.unwrap(), (NOTHING, None));
            assert_eq!(*notes.lock().unwrap(), [(id, None, maker)]);
        }));
    });
}

#[test]
fn timers_and_sockets_have_the_context_of_their_maker_and_what_recurs_has_not() {
    on_each(|runtime| {
        let (_watching, begun) = watch(runtime.id());
        runtime.block_on(all_set(async {
            sleep(Duration::from_micros(1)).await;
            let mut ticks = interval(Duration::from_millis(1));
            ticks.tick().await;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let client = spawn(async move { TcpStream::connect(address).await.unwrap() });
            let (accepted, _) = listener.accept().await.unwrap();
            drop((client.await.unwrap(), accepted));
            drop(UdpSocket::bind("127.0.0.1:0").await.unwrap());
            #[cfg(unix)]
            unix_sockets();
        }));
        let begun = begun.lock().unwrap();
        assert_eq!(begun[&Kind::BLOCK_ON], NOTHING);
        assert_eq!(begun[&Kind::TASK], OTHER_TASK);
        assert_eq!(begun[&Kind::TIMER], SAME_TASK);
        assert_eq!(begun[&Kind::INTERVAL], RECURRING);
        assert_eq!(begun[&Kind::TCP_LISTENER], RECURRING);
        assert_eq!(begun[&Kind::UDP_SOCKET], SAME_TASK);
        #[cfg(unix)]
        {
            assert_eq!(begun[&Kind::UNIX_LISTENER], RECURRING);
            assert_eq!(begun[&Kind::UNIX_STREAM], SAME_TASK);
            assert_eq!(begun[&Kind::UNIX_DATAGRAM], SAME_TASK);
            assert_eq!(begun[&Kind::PIPE], SAME_TASK);
            assert_eq!(begun[&Kind::ASYNC_FD], SAME_TASK);
        }
        // The client's, made in another task, or the accepted one, made by who accepts.
        assert!([SAME_TASK, OTHER_TASK].contains(&begun[&Kind::TCP_STREAM]));
    });
}

/// Makes one of each, and drops it.
#[cfg(unix)]
fn unix_sockets() {
    use forebear::io::unix::AsyncFd;
    use forebear::net::unix::pipe;
    use forebear::net::{UnixDatagram, UnixListener, UnixStream};

    let path = std::env::temp_dir().join(format!("forebear-context-{}", std::process::id()));
    drop(UnixListener::bind(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    drop((UnixStream::pair().unwrap(), UnixDatagram::pair().unwrap(), pipe::pipe().unwrap()));
    drop(AsyncFd::new(std::os::unix::net::UnixStream::pair().unwrap().0).unwrap());
}

#[test]
fn an_accepted_socket_has_the_context_of_who_accepts_and_not_of_its_trigger() {
    on_each(|runtime| {
        let accepted = Arc::new(Mutex::new(Vec::new()));
        runtime.block_on(async {
            let listener = USER.scope(5, async { TcpListener::bind("127.0.0.1:0").await });
            let listener = listener.await.unwrap();
            let notes = accepted.clone();
            let _hook = hook()
                .kinds([Kind::TCP_STREAM])
                .runtime(forebear::runtime::Handle::current().id())
                .init(move |r| {
                    let user = Snapshot::of(r).sync_scope(|| USER.get());
                    notes.lock().unwrap().push((r.trigger_id(), user));
                })
                .enable()
                .unwrap();
            let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            USER.scope(6, async { listener.accept().await.map(drop) }).await.unwrap();
            drop(client);
            assert_eq!(*accepted.lock().unwrap(), [(Some(listener.id()), Some(6))]);
        });
    });
}

#[test]
fn who_waits_for_a_task_sees_nothing_of_what_it_set() {
    on_each(|runtime| {
        runtime.block_on(USER.scope(1, async {
            let task = spawn(async {
                std::mem::forget(USER.enter(2));
                yield_now().await;
                // What was entered ended with the poll.
                assert_eq!(USER.get(), Some(1));
                USER.scope(3, yield_now()).await;
                std::mem::forget(USER.enter(4));
            });
            task.await.unwrap();
            assert_eq!(USER.get(), Some(1));
        }));
    });
}

#[test]
fn a_task_runs_in_its_own_context_whoever_wakes_it() {
    on_each(|runtime| {
        runtime.block_on(async {
            let (parked, wakers) = channel();
            let mut parked = Some(parked);
            let sleeper = USER.sync_scope(1, || {
                spawn(poll_fn(move |cx| match parked.take() {
                    Some(parked) => {
                        parked.send(cx.waker().clone()).unwrap();
                        std::task::Poll::Pending
                    }
                    None => std::task::Poll::Ready(USER.get()),
                }))
            });
            let waker = spawn_blocking(move || {
                USER.sync_scope(2, || wakers.recv().unwrap().wake());
            });
            waker.await.unwrap();
            assert_eq!(USER.sync_scope(3, || sleeper).await.unwrap(), Some(1));
        });
    });
}

#[test]
fn a_task_may_be_given_the_context_of_another_place() {
    on_each(|runtime| {
        let elsewhere = USER.sync_scope(8, Snapshot::capture);
        runtime.block_on(USER.scope(1, async {
            let builder = forebear::task::Builder::new().context(elsewhere.frame().clone());
            assert_eq!(builder.spawn(async { USER.get() }).await.unwrap(), Some(8));
            let scoped = spawn(elsewhere.scope(async {
                yield_now().await;
                USER.get()
            }));
            assert_eq!(scoped.await.unwrap(), Some(8));
            let bound = elsewhere.clone().bind_once(|()| USER.get());
            assert_eq!(spawn_blocking(move || bound(())).await.unwrap(), Some(8));
        }));
    });
}

/// Tells what it saw when it was dropped.
struct Tells(std::sync::mpsc::Sender<(Option<u32>, Option<AsyncId>, Option<fields::Value>)>);

impl Drop for Tells {
    fn drop(&mut self) {
        let current = forebear::hooks::execution_async_id();
        let _ = self.0.send((USER.get(), current, fields::get("requestId")));
    }
}

#[test]
fn the_destructor_of_an_aborted_task_sees_the_context_of_the_task() {
    on_each(|runtime| {
        let (tell, told) = channel();
        let tells = || Tells(tell.clone());
        let begin = || {
            let (before_await, captured) = (tells(), tells());
            spawn(async move {
                let _captured = captured;
                let _before_await = before_await;
                pending::<()>().await;
            })
        };
        let request = async {
            fields::set("requestId", "r-1");
            // Aborted between polls, perhaps before the first one, and by the end of the runtime.
            let (early, late, left) = (begin(), begin(), begin());
            let ids = [early.id(), late.id(), left.id()];
            early.abort();
            assert!(early.await.unwrap_err().is_cancelled());
            yield_now().await;
            late.abort();
            assert!(late.await.unwrap_err().is_cancelled());
            drop(left);
            ids
        };
        let ids = runtime.block_on(flow("request", USER.scope(1, request)));
        let field = Some(fields::Value::from("r-1"));
        for id in &ids[..2] {
            for _ in 0..2 {
                assert_eq!(told.recv().unwrap(), (Some(1), Some(*id), field.clone()));
            }
        }
        assert!(told.try_recv().is_err());
    });
}

#[test]
fn the_destructor_of_a_task_that_its_runtime_leaves_sees_the_context_of_the_task() {
    for workers in [1, 2, 8] {
        let runtime = Builder::new_multi_thread().worker_threads(workers).build().unwrap();
        let (tell, told) = channel();
        let (id, runtime_id) = (
            runtime.block_on(USER.scope(1, async {
                let tells = Tells(tell);
                let task = spawn(async move {
                    let _tells = tells;
                    pending::<()>().await;
                });
                yield_now().await;
                task.id()
            })),
            runtime.id(),
        );
        drop(runtime);
        assert_eq!(told.recv().unwrap(), (Some(1), Some(id), None));
        testing::assert_quiescent(runtime_id);
    }
}

async fn request(number: u32) {
    let mine = flow_id();
    assert!(mine.is_some());
    fields::set("requestId", number);
    for round in 0..5 {
        let child = spawn(async move {
            assert_eq!((USER.get(), flow_id()), (Some(number), mine));
            fields::set("round", round);
            yield_now().await;
            assert_eq!(fields::get("requestId"), Some(number.into()));
        });
        match round % 3 {
            0 => yield_now().await,
            1 => sleep(Duration::from_micros(50)).await,
            _ => spawn_blocking(move || assert_eq!(USER.get(), Some(number))).await.unwrap(),
        }
        assert_eq!((USER.get(), flow_id()), (Some(number), mine));
        child.await.unwrap();
        assert_eq!(fields::get("round"), Some(round.into()));
    }
}

#[test]
fn a_thousand_flows_at_once_see_each_its_own() {
    on_each(|runtime| {
        runtime.block_on(async {
            let flows: Vec<JoinHandle<()>> = (1..=1000)
                .map(|number| spawn(flow("request", USER.scope(number, request(number)))))
                .collect();
            for flow in flows {
                flow.await.unwrap();
            }
            assert_eq!((USER.get(), flow_id()), (None, None));
        });
    });
}

#[test]
fn a_value_is_let_go_when_the_last_work_that_has_it_ends() {
    static HELD: AsyncLocal<Arc<()>> = AsyncLocal::named("held");
    on_each(|runtime| {
        let value = Arc::new(());
        let count = || Arc::strong_count(&value);
        runtime.block_on(async {
            let with_value = || HELD.sync_scope(value.clone(), || spawn(yield_now()));
            // Whoever has the output finds the context gone, although the handle is still there.
            let mut done = with_value();
            (&mut done).await.unwrap();
            assert_eq!(count(), 1);
            drop(done);

            let aborted = HELD.sync_scope(value.clone(), || spawn(pending::<()>()));
            yield_now().await;
            aborted.abort();
            assert!(aborted.await.is_err());
            assert_eq!(count(), 1);

            let job = HELD.sync_scope(value.clone(), || spawn_blocking(|| HELD.get().is_some()));
            assert!(job.await.unwrap());
            assert_eq!(count(), 1);

            let panics = HELD.sync_scope(value.clone(), || {
                spawn(async { std::panic::resume_unwind(Box::new("quietly")) })
            });
            let panics: JoinHandle<()> = panics;
            assert!(panics.await.unwrap_err().is_panic());
            assert_eq!(count(), 1);

            // An interval that is made inside a request does not keep the request alive.
            let ticks = HELD.sync_scope(value.clone(), || interval(Duration::from_secs(9)));
            assert_eq!(count(), 1);
            drop(ticks);
            let timer = HELD.sync_scope(value.clone(), || sleep(Duration::from_secs(9)));
            assert!(count() > 1);
            drop(timer);
            assert_eq!(count(), 1);

            // Left to the end of the runtime.
            drop(HELD.sync_scope(value.clone(), || spawn(pending::<()>())));
        });
    });
}

#[test]
fn a_value_that_uses_the_runtime_when_it_is_dropped_may_do_so() {
    struct Spawns(std::sync::mpsc::Sender<Option<u32>>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let tell = self.0.clone();
            // It may be dropped where there is no runtime any more.
            if forebear::runtime::Handle::try_current().is_ok() {
                drop(spawn(async move { tell.send(USER.get()) }));
            }
        }
    }
    static SPAWNS: AsyncLocal<Spawns> = AsyncLocal::named("spawns");
    on_each(|runtime| {
        let (tell, told) = channel();
        runtime.block_on(async {
            let task = SPAWNS
                .sync_scope(Spawns(tell), || spawn(USER.scope(1, async { yield_now().await })));
            task.await.unwrap();
            // It was dropped with the context of the task, where nothing of it is current.
            let seen = spawn_blocking(move || told.recv().unwrap());
            assert_eq!(seen.await.unwrap(), None);
        });
    });
}

#[test]
fn the_tree_shows_what_the_runtime_is_doing_and_why() {
    on_each(|runtime| {
        inspect::declare_field("contextTestRequest");
        let place_order = async {
            fields::set("contextTestRequest", "r-7");
            let named = |name: &'static str| forebear::task::Builder::new().name(name);
            let ship = named("ship").spawn(sleep(Duration::from_secs(9)));
            let parent = spawn(async move { drop(named("orphan").spawn(pending::<()>())) });
            let parent_id = parent.id();
            parent.await.unwrap();
            let text = inspect::tree().to_string();
            let line = |what: &str| {
                let found = text.lines().position(|line| line.contains(what));
                found.unwrap_or_else(|| panic!("no {what:?} in\n{text}"))
            };
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 6, "{text}");
            assert!(lines[0].contains(" block on context::the_tree_shows"), "{text}");
            assert!(lines[1].starts_with("└─ · #"), "{text}");
            assert_eq!(line("flow place order"), 1, "{text}");
            for what in ["flow place order", " timer sleep ", " task ship ", " task orphan "] {
                let line = lines[line(what)];
                assert!(line.contains("runtime/tests/context.rs:"), "{text}");
                assert!(line.ends_with("contextTestRequest=r-7"), "{text}");
            }
            // The timer was made by the flow, which gave it to the task.
            assert!(lines[line(" timer sleep ")].starts_with("   ├─ · #"), "{text}");
            let ship_state = lines[line(" task ship ")].trim_start_matches([' ', '├', '─']);
            assert!(["○", "◆", "▶"].iter().any(|state| ship_state.starts_with(state)), "{text}");
            let gone = format!("   └─ † {parent_id} task ");
            assert_eq!(line(&gone) + 1, line(" task orphan "), "{text}");
            let lineage = inspect::lineage(ship.id()).to_string();
            assert_eq!(lineage.lines().count(), 3, "{lineage}");
            assert!(lineage.lines().nth(2).unwrap().contains(" block on "), "{lineage}");
            ship.abort();
        };
        runtime.block_on(async { flow("place order", place_order).await });
    });
}

#[test]
fn each_runtime_keeps_as_much_lineage_as_it_was_told() {
    let build = |lineage| Builder::new_current_thread().lineage(lineage).build().unwrap();
    for (lineage, alive, remembered) in
        [(Lineage::Off, 0, 0), (Lineage::Live, 1, 1), (Lineage::Full, 1, 3)]
    {
        let runtime = build(lineage);
        let id = runtime.id();
        let child = runtime.block_on(async {
            let parent = spawn(async { spawn(pending::<()>()).id() });
            parent.await.unwrap()
        });
        // `block_on` and the parent are gone.
        assert_eq!(tracker::len_of(id), alive, "{lineage:?}");
        assert_eq!(inspect::lineage(child).resources().len(), remembered, "{lineage:?}");
        drop(runtime);
        testing::assert_quiescent(id);
    }
}

#[test]
fn what_is_missing_is_said_with_the_lineage_of_the_task() {
    on_each(|runtime| {
        let error = runtime.block_on(async {
            let task = forebear::task::Builder::new().name("needs a user");
            task.spawn(async { USER.try_get() }).await.unwrap().unwrap_err()
        });
        let text = error.to_string();
        assert!(text.starts_with("`user` is not set in #"), "{text}");
        assert!(text.contains(" task needs a user runtime/tests/context.rs:"), "{text}");
        assert!(text.contains("\n  triggered by ") && text.contains(" block on "), "{text}");
    });
}

#[test]
fn a_deadline_ends_the_work_and_is_known_to_all_of_it() {
    on_each(|runtime| {
        runtime.block_on(async {
            assert_eq!(deadline::remaining(), None);
            let done = deadline::within(Duration::from_secs(60), async {
                let left = spawn(async { deadline::remaining() }).await.unwrap().unwrap();
                assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(1));
                // A longer one inside changes nothing.
                let inner = deadline::within(Duration::from_secs(600), async {
                    deadline::remaining().unwrap()
                });
                assert!(inner.await.unwrap() <= Duration::from_secs(60));
                assert_eq!(interval(Duration::from_secs(1)).tick().await.elapsed().as_secs(), 0);
                spawn_root(async { assert_eq!(deadline::remaining(), None) }).await.unwrap();
                7
            });
            assert_eq!(done.await, Ok(7));
            let late = deadline::within(Duration::from_millis(2), pending::<()>());
            assert!(late.await.is_err());
        });
    });
}

#[test]
fn a_timeout_is_no_longer_than_the_deadline_around_it() {
    on_each(|runtime| {
        runtime.block_on(async {
            let began = std::time::Instant::now();
            let bounded = deadline::within(Duration::from_millis(5), async {
                timeout(Duration::from_secs(600), pending::<()>()).await.is_err()
            });
            // Both are due at once; the inner one is asked first.
            assert_eq!(bounded.await, Ok(true));
            assert!(began.elapsed() < Duration::from_secs(60));
        });
    });
}
