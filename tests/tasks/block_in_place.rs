//! Tests tasks that block the thread they are on.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use forebear::hooks::execution_async_id;
use forebear::io::{AsyncReadExt, AsyncWriteExt};
use forebear::net::{TcpListener, TcpStream};
use forebear::runtime::Handle;
use forebear::task::{self, block_in_place};
use forebear::time::{Duration, sleep};

use crate::support::{check, current_thread, multi_thread};

#[test]
fn the_only_worker_blocks_until_another_task_has_run() {
    check(multi_thread(1), async |recorder| {
        let task = task::spawn(async {
            let (sender, receiver) = mpsc::channel();
            // The second goes into the slot, the first behind it into the queue.
            let senders = [sender.clone(), sender].map(|sender| {
                task::spawn(async move {
                    task::yield_now().await;
                    sender.send(execution_async_id()).unwrap();
                })
            });
            let told = block_in_place(|| [receiver.recv().unwrap(), receiver.recv().unwrap()]);
            assert!(senders.iter().all(|sender| told.contains(&Some(sender.id()))));
            for sender in senders {
                sender.await.unwrap();
            }
        });
        let id = task.id();
        task.await.unwrap();
        let told = recorder.sequence(id).replace(" before after", "");
        assert_eq!(told, "init before resolve:Ready after destroy:Completed");
    });
}

#[test]
fn all_workers_block_at_once_and_each_waits_for_the_tasks_of_another() {
    check(multi_thread(3), async |_| {
        let tasks = (0..12).map(|number| {
            task::spawn(async move {
                let other = task::spawn(async move {
                    sleep(Duration::from_millis(1)).await;
                    number
                });
                block_in_place(|| Handle::current().block_on(other)).unwrap()
            })
        });
        let mut sum = 0;
        for task in tasks.collect::<Vec<_>>() {
            sum += task.await.unwrap();
        }
        assert_eq!(sum, 66);
    });
}

#[test]
fn sockets_and_timers_work_while_the_only_worker_blocks() {
    check(multi_thread(1), async |_| {
        let echo = task::spawn(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let echo = task::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let byte = stream.read_u8().await.unwrap();
                sleep(Duration::from_millis(1)).await;
                stream.write_u8(byte + 1).await.unwrap();
            });
            let byte = block_in_place(|| {
                Handle::current().block_on(async {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    stream.write_u8(6).await.unwrap();
                    stream.read_u8().await.unwrap()
                })
            });
            echo.await.unwrap();
            byte
        });
        assert_eq!(echo.await.unwrap(), 7);
    });
}

#[test]
fn the_closure_is_code_of_its_task_in_its_context() {
    static KEY: forebear::AsyncLocal<u32> = forebear::AsyncLocal::named("key");

    check(multi_thread(2), async |_| {
        let task = task::spawn(KEY.scope(7, async {
            let inside = block_in_place(|| {
                // Inside another there is nothing more to do.
                block_in_place(|| (execution_async_id(), task::try_id(), KEY.get()))
            });
            assert_eq!(inside, (execution_async_id(), task::try_id(), Some(7)));
            let child = block_in_place(|| task::spawn(async { KEY.get() }));
            assert_eq!(child.await.unwrap(), Some(7));
        }));
        task.await.unwrap();
    });
}

#[test]
fn a_panic_of_the_closure_is_one_of_its_task() {
    check(multi_thread(1), async |_| {
        for _ in 0..3 {
            let task = task::spawn(async {
                block_in_place(|| std::panic::resume_unwind(Box::new("planned")));
            });
            assert!(task.await.unwrap_err().is_panic());
            assert_eq!(task::spawn(async { 3 }).await.unwrap(), 3, "the worker goes on");
        }
    });
}

#[test]
fn where_blocking_is_allowed_the_closure_is_just_called() {
    assert_eq!(block_in_place(|| 3), 3);
    check(multi_thread(1), async |_| {
        let here = thread::current().id();
        assert_eq!(block_in_place(|| thread::current().id()), here, "in block_on");
        let in_block_on = block_in_place(|| Handle::current().block_on(async { 4 }));
        assert_eq!(in_block_on, 4);
        assert_eq!(task::spawn_blocking(|| block_in_place(|| 5)).await.unwrap(), 5);
    });
}

#[test]
fn on_a_current_thread_runtime_the_panic_says_what_to_do() {
    let runtime = current_thread();
    let told = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async { block_in_place(|| ()) });
    }));
    let told = *told.unwrap_err().downcast::<&str>().unwrap();
    assert!(told.contains("spawn_blocking") && told.contains("new_multi_thread"), "{told}");
    let error = runtime.block_on(runtime.spawn(async { block_in_place(|| ()) })).unwrap_err();
    assert!(error.is_panic());
    assert_eq!(runtime.block_on(async { 3 }), 3);
}

#[test]
fn a_runtime_ends_while_a_task_blocks_on_another() {
    for workers in [1, 2] {
        let runtime = multi_thread(workers);
        let id = runtime.id();
        let (tell, told) = mpsc::channel();
        let blocks = runtime.spawn(async move {
            let never = task::spawn(pending::<()>());
            block_in_place(|| {
                tell.send(()).unwrap();
                Handle::current().block_on(never).unwrap_err().is_cancelled()
            })
        });
        told.recv().unwrap();
        drop(runtime);
        assert!(blocks.is_finished());
        forebear::testing::assert_quiescent(id);
    }
}

#[test]
fn many_tasks_block_for_a_short_time_and_none_is_lost() {
    check(multi_thread(2), async |_| {
        let done = Arc::new(AtomicU32::new(0));
        let tasks: Vec<_> = (0..40)
            .map(|_| {
                let done = done.clone();
                task::spawn(async move {
                    for _ in 0..5 {
                        block_in_place(thread::yield_now);
                        let child = done.clone();
                        let child =
                            task::spawn(async move { child.fetch_add(1, Ordering::Relaxed) });
                        task::yield_now().await;
                        child.await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(done.load(Ordering::Relaxed), 200);
    });
}

#[test]
fn a_task_that_ends_its_own_runtime_does_not_wait_for_itself() {
    for workers in [1, 2] {
        let runtime = multi_thread(workers);
        let (id, handle) = (runtime.id(), runtime.handle().clone());
        let (tell, told) = mpsc::channel();
        // The second blocks on a deputy, if there is only one worker.
        let (go, may_go) = mpsc::channel::<()>();
        let first = handle.spawn(async move {
            block_in_place(|| may_go.recv().unwrap());
        });
        let second = handle.spawn(async move {
            block_in_place(|| {
                go.send(()).unwrap();
                drop(runtime);
            });
            tell.send(()).unwrap();
        });
        told.recv().unwrap();
        while !first.is_finished() || !second.is_finished() {
            thread::yield_now();
        }
        drop((first, second));
        forebear::testing::assert_quiescent(id);
    }
}
