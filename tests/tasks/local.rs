//! Tests tasks that stay on their thread.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use forebear::hooks::{Kind, create_hook, execution_async_id};
use forebear::io::{AsyncReadExt, AsyncWriteExt};
use forebear::net::{TcpListener, TcpStream};
use forebear::runtime::{Builder, Handle, LocalOptions, LocalRuntime, RuntimeFlavor};
use forebear::sync::oneshot;
use forebear::task::{self, JoinSet, LocalSet, spawn_local};
use forebear::testing::{Recorder, assert_quiescent};
use forebear::time::{Duration, sleep};

use crate::support::{Places, check, current_thread, multi_thread, on_each};

#[test]
fn a_set_runs_what_may_not_leave_its_thread() {
    on_each(async || {
        let (log, here) = (Rc::new(RefCell::new(Vec::new())), thread::current().id());
        let set = LocalSet::new();
        for number in 0..3 {
            let log = log.clone();
            set.spawn_local(async move {
                task::yield_now().await;
                sleep(Duration::from_millis(1)).await;
                assert_eq!(thread::current().id(), here);
                log.borrow_mut().push(number);
            });
        }
        set.await;
        log.borrow_mut().sort_unstable();
        assert_eq!(*log.borrow(), [0, 1, 2]);
    });
}

#[test]
fn run_until_runs_the_set_as_long_as_its_future() {
    for runtime in [current_thread(), multi_thread(2)] {
        let id = runtime.id();
        let set = LocalSet::new();
        let count = Rc::new(Cell::new(0));
        let mine = count.clone();
        let left = set.spawn_local(async move {
            loop {
                mine.set(mine.get() + 1);
                task::yield_now().await;
            }
        });
        let joined = set.block_on(&runtime, async {
            let shared = Rc::new(3);
            let inner = shared.clone();
            let task = spawn_local(async move {
                let innermost = spawn_local(async move { *inner + 1 });
                innermost.await.unwrap()
            });
            task.await.unwrap() + *shared
        });
        assert_eq!(joined, 7);
        let so_far = count.get();
        assert!(so_far > 0);
        runtime.block_on(task::yield_now());
        assert_eq!(count.get(), so_far, "it runs only while the set is driven");
        runtime.block_on(set.run_until(task::yield_now()));
        assert!(count.get() > so_far && !left.is_finished());
        drop(set);
        assert!(left.is_finished());
        drop(runtime);
        assert_quiescent(id);
    }
}

#[test]
fn other_threads_wake_abort_and_join_local_tasks() {
    on_each(async || {
        let set = LocalSet::new();
        set.run_until(async {
            let shared = Rc::new(1);
            let (tell, told) = oneshot::channel::<u32>();
            let waits = spawn_local(async move { told.await.unwrap() + *shared });
            let never = spawn_local(async move { pending::<u32>().await });
            let abort = never.abort_handle();
            task::yield_now().await;
            let elsewhere = task::spawn_blocking(move || {
                abort.abort();
                tell.send(6).unwrap();
                Handle::current().block_on(waits).unwrap()
            });
            assert!(never.await.unwrap_err().is_cancelled());
            assert_eq!(elsewhere.await.unwrap(), 7);
        })
        .await;
    });
}

#[test]
fn sockets_and_spawned_tasks_work_beside_local_ones() {
    on_each(async || {
        let set = LocalSet::new();
        set.run_until(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let echo = spawn_local(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let byte = stream.read_u8().await.unwrap();
                stream.write_u8(byte).await.unwrap();
            });
            let asks = task::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_u8(5).await.unwrap();
                stream.read_u8().await.unwrap()
            });
            assert_eq!(asks.await.unwrap(), 5);
            echo.await.unwrap();
        })
        .await;
    });
}

#[test]
fn a_local_task_that_never_waits_does_not_keep_the_future_out() {
    on_each(async || {
        let set = LocalSet::new();
        for _ in 0..100 {
            set.spawn_local(async {
                loop {
                    task::yield_now().await;
                }
            });
        }
        set.run_until(sleep(Duration::from_millis(3))).await;
        let other = task::spawn(async { 3 });
        assert_eq!(set.run_until(other).await.unwrap(), 3);
    });
}

#[test]
fn every_ending_of_a_local_task_is_told() {
    let runtime = current_thread();
    let id = runtime.id();
    let recorder = create_hook(Recorder::new()).runtime(id).kinds([Kind::TASK]).enable().unwrap();
    let set = LocalSet::new();
    let told = |id| recorder.sequence(id).replace(" before after before resolve", " … resolve");
    set.block_on(&runtime, async {
        let ready = spawn_local(async { execution_async_id() });
        let ready_id = ready.id();
        assert_eq!(ready.await.unwrap(), Some(ready_id));
        assert_eq!(told(ready_id), "init before resolve:Ready after destroy:Completed");

        let waits = spawn_local(task::yield_now());
        let waits_id = waits.id();
        waits.await.unwrap();
        assert_eq!(told(waits_id), "init … resolve:Ready after destroy:Completed");

        let planned = || -> () { std::panic::resume_unwind(Box::new("planned")) };
        let panics = spawn_local(async move { planned() });
        let panics_id = panics.id();
        assert!(panics.await.unwrap_err().is_panic());
        assert_eq!(told(panics_id), "init before resolve:Panicked after destroy:Panicked");

        let aborted = spawn_local(pending::<()>());
        let aborted_id = aborted.id();
        aborted.abort();
        assert!(aborted.await.unwrap_err().is_cancelled());
        assert_eq!(told(aborted_id), "init before resolve:Cancelled after destroy:Cancelled");

        let idle = spawn_local(pending::<()>());
        let idle_id = idle.id();
        task::yield_now().await;
        idle.abort();
        assert!(idle.await.unwrap_err().is_cancelled());
        assert_eq!(told(idle_id), "init … resolve:Cancelled after destroy:Cancelled");
    });
    let (stopped,) = runtime.block_on(set.run_until(async {
        let stopped = spawn_local(pending::<()>());
        task::yield_now().await;
        (stopped,)
    }));
    let (stopped_id, unpolled) = (stopped.id(), set.spawn_local(pending::<()>()));
    let unpolled_id = unpolled.id();
    drop(set);
    assert!(stopped.is_finished() && unpolled.is_finished());
    assert_eq!(told(stopped_id), "init … resolve:Cancelled after destroy:Shutdown");
    drop(runtime);
    assert_eq!(
        recorder.sequence(unpolled_id),
        "",
        "spawned outside a runtime, it belongs to none, and this hook does not follow it"
    );
    recorder.assert_ended();
    assert_quiescent(id);
}

#[test]
fn context_follows_local_tasks() {
    static KEY: forebear::AsyncLocal<u32> = forebear::AsyncLocal::named("key");

    on_each(async || {
        let set = LocalSet::new();
        let task = KEY.sync_scope(7, || set.spawn_local(async { KEY.get() }));
        assert_eq!(set.run_until(task).await.unwrap(), Some(7));
        assert_eq!(KEY.get(), None);
    });
}

/// When it is dropped, spawns a local task, and tells whether that was cancelled at once.
struct SpawnsAtTheEnd(mpsc::Sender<bool>);

impl Drop for SpawnsAtTheEnd {
    fn drop(&mut self) {
        let late = spawn_local(async {});
        self.0.send(late.is_finished()).unwrap();
    }
}

#[test]
fn what_a_destructor_spawns_while_the_set_ends_is_cancelled() {
    let runtime = current_thread();
    let (tell, told) = mpsc::channel();
    let set = LocalSet::new();
    let (task,) = runtime.block_on(set.run_until(async {
        let spawns = SpawnsAtTheEnd(tell);
        let task = spawn_local(async move {
            let _spawns = spawns;
            pending::<()>().await;
        });
        task::yield_now().await;
        (task,)
    }));
    drop(set);
    assert!(told.recv().unwrap());
    assert!(runtime.block_on(task).unwrap_err().is_cancelled());
}

#[test]
fn a_set_ends_while_other_threads_wake_its_tasks() {
    let runtime = multi_thread(2);
    let id = runtime.id();
    for _ in 0..200 {
        let set = LocalSet::new();
        runtime.block_on(set.run_until(async {
            for _ in 0..10 {
                let (tell, told) = oneshot::channel::<()>();
                drop(spawn_local(async { drop(told.await) }));
                task::yield_now().await;
                drop(task::spawn(async { drop(tell) }));
            }
        }));
        drop(set);
    }
    drop(runtime);
    assert_quiescent(id);
}

#[test]
fn a_set_inside_a_local_task_is_driven_by_it() {
    on_each(async || {
        let outer = LocalSet::new();
        outer
            .run_until(async {
                let inner = spawn_local(async {
                    let inner = LocalSet::new();
                    let answer = inner.run_until(async {
                        let task = spawn_local(async {
                            sleep(Duration::from_millis(1)).await;
                            4
                        });
                        task.await.unwrap()
                    });
                    answer.await
                });
                assert_eq!(inner.await.unwrap(), 4);
            })
            .await;
    });
}

#[test]
fn an_entered_set_takes_what_is_spawned_there() {
    let runtime = current_thread();
    let set = LocalSet::default();
    let task = {
        let _entered = set.enter();
        let _runtime = runtime.enter();
        spawn_local(async { 3 })
    };
    assert!(catch_unwind(|| spawn_local(async {})).is_err(), "the set is left");
    assert_eq!(set.block_on(&runtime, task).unwrap(), 3);
}

#[test]
fn outside_a_set_the_panic_says_what_to_do() {
    let told = catch_unwind(|| drop(spawn_local(async {}))).unwrap_err();
    let told = told.downcast_ref::<&str>().unwrap();
    assert!(told.contains("LocalSet::run_until") && told.contains("LocalRuntime"), "{told}");
    let runtime = multi_thread(1);
    let set = LocalSet::new();
    let blocks = catch_unwind(AssertUnwindSafe(|| {
        set.block_on(&runtime, async { task::block_in_place(|| ()) });
    }));
    assert!(blocks.unwrap_err().downcast_ref::<&str>().unwrap().contains("LocalSet"));
}

#[test]
fn local_tasks_say_where_they_were_spawned() {
    let runtime = current_thread();
    let tasks = Places::watch(&runtime, Kind::TASK);
    let set = LocalSet::new();
    let _entered = runtime.enter();
    tasks.check_last_of("LocalSet::spawn_local", || set.spawn_local(async {}));
    let _set = set.enter();
    tasks.check_last_of("spawn_local", || spawn_local(async {}));
    let named = || task::Builder::new().name("a");
    tasks.check_last_of("Builder", || named().spawn_local(async {}));
    tasks.check_last_of("Builder, on a set", || named().spawn_local_on(async {}, &set));
    let mut many = JoinSet::new();
    tasks.check_last_of("JoinSet", || many.spawn_local(async {}));
    tasks.check_last_of("JoinSet, on a set", || many.spawn_local_on(async {}, &set));
    tasks.check_last_of("JoinSet, build", || many.build_task().name("a").spawn_local(async {}));
    tasks.check_last_of("JoinSet, build on", || many.build_task().spawn_local_on(async {}, &set));
    assert_eq!(set.block_on(&runtime, many.join_all()).len(), 4);
    let local = LocalRuntime::new().unwrap();
    let seen = create_hook(Recorder::new()).runtime(local.handle().id()).enable().unwrap();
    let task = local.spawn_local(async {});
    assert_eq!(seen.ids_of_kind(Kind::TASK), [task.id()]);
}

#[test]
fn a_local_runtime_runs_local_and_other_tasks() {
    let runtime = LocalRuntime::new().unwrap();
    let id = runtime.handle().id();
    let shared = Rc::new(Cell::new(1));
    let mine = shared.clone();
    let early = runtime.spawn_local(async move { mine.set(mine.get() + 1) });
    let job = runtime.spawn_blocking(|| 3);
    let sent = thread::spawn({
        let handle = runtime.handle().clone();
        move || handle.spawn(async { spawn_local(async { 4 }).await.unwrap() })
    });
    let sent = sent.join().unwrap();
    let sum = runtime.block_on(async {
        assert_eq!(Handle::current().runtime_flavor(), RuntimeFlavor::CurrentThread);
        early.await.unwrap();
        let mine = shared.clone();
        let more = spawn_local(async move { mine.get() });
        more.await.unwrap() + job.await.unwrap() + sent.await.unwrap()
    });
    assert_eq!(sum, 9);
    let left = runtime.spawn_local(pending::<()>());
    runtime.block_on(task::yield_now());
    assert_eq!(runtime.metrics().num_workers(), 1);
    drop(runtime);
    assert!(left.is_finished());
    assert_quiescent(id);
}

#[test]
fn the_tasks_of_a_local_runtime_find_it_when_they_are_cancelled() {
    struct Looks(mpsc::Sender<bool>);

    impl Drop for Looks {
        fn drop(&mut self) {
            self.0.send(Handle::try_current().is_ok()).unwrap();
        }
    }

    let end: [fn(LocalRuntime); 3] = [drop, LocalRuntime::shutdown_background, |runtime| {
        runtime.shutdown_timeout(Duration::from_secs(1))
    }];
    for end in end {
        let runtime = LocalRuntime::new().unwrap();
        let (tell, told) = mpsc::channel();
        let looks = Looks(tell);
        drop(runtime.spawn_local(async move {
            let _looks = looks;
            pending::<()>().await;
        }));
        runtime.block_on(task::yield_now());
        end(runtime);
        assert!(told.recv().unwrap());
    }
}

#[test]
fn a_local_runtime_has_one_thread() {
    let build = Builder::new_multi_thread().build_local(LocalOptions::default());
    assert!(build.unwrap_err().to_string().contains("new_current_thread"));
    let mut builder = Builder::new_current_thread();
    let runtime = builder.start_paused(true).build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async { sleep(Duration::from_secs(3600)).await });
}

#[test]
fn a_set_of_local_tasks_is_a_join_set_like_any_other() {
    check(current_thread(), async |_| {
        let set = LocalSet::new();
        let outputs = set.run_until(async {
            let mut many = JoinSet::new();
            for number in 0..4 {
                let number = Rc::new(number);
                many.spawn_local(async move { number });
            }
            many.join_all().await.into_iter().map(|number| *number).sum::<i32>()
        });
        assert_eq!(outputs.await, 6);
    });
}
