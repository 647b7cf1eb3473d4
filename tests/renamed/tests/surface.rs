//! Names what a program may name that was written for tokio 1.54 with its stable features, as far
//! as tasks, runtimes, synchronisation and macros go: what is missing does not compile.
//!
//! The same file is a test of the package `forebear-tests`, where `tokio` is tokio.

#![allow(clippy::unwrap_used, reason = "a test says by panicking that it failed")]

use std::cell::RefCell;
use std::future::{Future, pending, ready};
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::{
    self, Builder, EnterGuard, Handle, LocalOptions, LocalRuntime, Runtime, RuntimeFlavor,
    RuntimeMetrics, TryCurrentError, is_rt_shutdown_err, worker_index,
};
use tokio::task::coop::{
    Coop, RestoreOnPending, Unconstrained, consume_budget, cooperative, has_budget_remaining,
    poll_proceed, unconstrained,
};
use tokio::task::futures::TaskLocalFuture;
use tokio::task::{
    self, AbortHandle, Id, JoinError, JoinHandle, JoinSet, LocalEnterGuard, LocalKey, LocalSet,
    block_in_place, spawn_blocking, spawn_local, yield_now,
};

tokio::task_local! {
    static KEY: RefCell<u32>;
    static WITHOUT_SEMICOLON: String
}

fn is_send<T: Send>() {}
fn is_sync<T: Sync>() {}
fn is_unpin<T: Unpin>() {}
fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}

#[test]
fn types_may_go_where_tokios_may() {
    is_send::<(Runtime, Handle, RuntimeMetrics, AbortHandle, JoinError, JoinSet<u8>)>();
    is_sync::<(Runtime, Handle, RuntimeMetrics, AbortHandle, JoinError, JoinSet<u8>)>();
    is_send::<JoinHandle<u8>>();
    is_sync::<JoinHandle<u8>>();
    is_unpin::<(JoinHandle<u8>, JoinSet<u8>, AbortHandle, Id)>();
    is_unwind_safe::<(Runtime, Handle, JoinHandle<u8>, AbortHandle)>();
    is_sync::<LocalKey<RefCell<u8>>>();
    is_send::<TaskLocalFuture<RefCell<u8>, std::future::Ready<()>>>();
    is_send::<Unconstrained<std::future::Ready<()>>>();
    is_send::<Coop<std::future::Ready<()>>>();
    let _: fn(TryCurrentError) -> bool = |error| error.is_missing_context();
    let _: fn(&io::Error) -> bool = is_rt_shutdown_err;
}

#[test]
fn a_builder_takes_what_tokios_takes() {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(2)
        .name("surface")
        .max_blocking_threads(4)
        .thread_name("worker")
        .thread_name_fn(|| "worker".to_owned())
        .thread_stack_size(1 << 21)
        .thread_keep_alive(Duration::from_secs(1))
        .global_queue_interval(61)
        .event_interval(61)
        .max_io_events_per_tick(512)
        .max_io_events_per_busy_tick(64)
        .on_thread_start(|| ())
        .on_thread_stop(|| ())
        .on_thread_park(|| ())
        .on_thread_unpark(|| ())
        .enable_io()
        .enable_time()
        .enable_all();
    let runtime: Runtime = builder.build().unwrap();
    let handle: &Handle = runtime.handle();
    let _entered: EnterGuard<'_> = handle.enter();
    let _: (runtime::Id, RuntimeFlavor, Option<&str>) =
        (handle.id(), handle.runtime_flavor(), handle.name());
    let metrics: RuntimeMetrics = handle.metrics();
    let _: (usize, usize, usize) =
        (metrics.num_workers(), metrics.num_alive_tasks(), metrics.global_queue_depth());
    let _: (Duration, u64, u64) = (
        metrics.worker_total_busy_duration(0),
        metrics.worker_park_count(0),
        metrics.worker_park_unpark_count(0),
    );
    let task: JoinHandle<u8> = handle.spawn(ready(1));
    let job: JoinHandle<u8> = handle.spawn_blocking(|| 2);
    assert_eq!(runtime.block_on(task).unwrap() + handle.block_on(job).unwrap(), 3);
    runtime.shutdown_timeout(Duration::from_secs(1));
    let local: LocalRuntime =
        Builder::new_current_thread().build_local(LocalOptions::default()).unwrap();
    let task = local.spawn_local(async { Rc::new(3) });
    assert_eq!(*local.block_on(task).unwrap(), 3);
    let _: (&Handle, RuntimeMetrics) = (local.handle(), local.metrics());
    drop(local.enter());
    local.shutdown_background();
    Builder::new_current_thread().build().unwrap().shutdown_background();
}

#[tokio::test]
async fn tasks_and_handles_have_what_tokios_have() {
    let task: JoinHandle<u8> = tokio::spawn(pending());
    let (id, abort): (Id, AbortHandle) = (task.id(), task.abort_handle());
    assert!(abort.id() == id && !abort.is_finished() && !task.is_finished());
    abort.abort();
    task.abort();
    let error: JoinError = task.await.unwrap_err();
    assert!(error.is_cancelled() && !error.is_panic() && error.id() == id);
    assert!(error.try_into_panic().is_err());
    let _: (Option<Id>, String, String) = (task::try_id(), id.to_string(), format!("{id:?}"));
    let _: fn() -> Id = task::id;
    let panics = || -> u8 { std::panic::resume_unwind(Box::new(3_u8)) };
    let error: JoinError = tokio::spawn(async move { panics() }).await.unwrap_err();
    assert_eq!(*error.into_panic().downcast::<u8>().unwrap(), 3);
    assert_eq!(spawn_blocking(|| block_in_place(|| 3)).await.unwrap(), 3);
    yield_now().await;
    consume_budget().await;
    unconstrained(task::consume_budget()).await;
    cooperative(task::unconstrained(ready(()))).await;
    assert!(has_budget_remaining());
    let poll: fn(&mut Context<'_>) -> Poll<RestoreOnPending> = poll_proceed;
    let Poll::Ready(proceed) = poll(&mut Context::from_waker(Waker::noop())) else {
        unreachable!()
    };
    proceed.made_progress();
}

#[tokio::test]
async fn a_join_set_has_what_tokios_has() {
    let handle = Handle::current();
    let mut set: JoinSet<u8> = JoinSet::default();
    let _: AbortHandle = set.spawn(ready(1));
    let _: AbortHandle = set.spawn_on(ready(2), &handle);
    let _: AbortHandle = set.spawn_blocking(|| 3);
    let _: AbortHandle = set.spawn_blocking_on(|| 4, &handle);
    let local = LocalSet::new();
    let _: AbortHandle = set.spawn_local_on(async { 5 }, &local);
    local
        .run_until(async {
            let _: AbortHandle = set.spawn_local(async { 6 });
            let _: Option<Result<u8, JoinError>> = set.join_next().await;
            let _: Option<Result<(Id, u8), JoinError>> = set.join_next_with_id().await;
            let _: Option<Result<u8, JoinError>> = set.try_join_next();
            let _: Option<Result<(Id, u8), JoinError>> = set.try_join_next_with_id();
            let cx = &mut Context::from_waker(Waker::noop());
            let _: Poll<Option<Result<u8, JoinError>>> = set.poll_join_next(cx);
            let _: Poll<Option<Result<(Id, u8), JoinError>>> = set.poll_join_next_with_id(cx);
            set.abort_all();
            set.shutdown().await;
        })
        .await;
    let (is_empty, len): (bool, usize) = (set.is_empty(), set.len());
    assert_eq!((is_empty, len), (true, 0));
    set.detach_all();
    set.extend([ready(7)]);
    let outputs: Vec<u8> = set.join_all().await;
    assert_eq!(outputs, [7]);
    let collected: JoinSet<u8> = [ready(8)].into_iter().collect();
    assert_eq!(collected.join_all().await, [8]);
}

#[test]
fn a_local_set_has_what_tokios_has() {
    let runtime = Runtime::new().unwrap();
    let set = LocalSet::new();
    let _: runtime::Id = set.id();
    let entered: LocalEnterGuard = set.enter();
    let task: JoinHandle<Rc<u8>> = spawn_local(async { Rc::new(1) });
    drop(entered);
    let other = set.spawn_local(async { Rc::new(2) });
    assert_eq!(*set.block_on(&runtime, task).unwrap(), 1);
    runtime.block_on(set);
    drop(other);
}

#[test]
fn task_locals_have_what_tokios_have() {
    let future: TaskLocalFuture<RefCell<u32>, _> = KEY.scope(RefCell::new(1), async {
        KEY.with(|number| *number.borrow_mut() += 1);
        KEY.try_with(|number| *number.borrow()).unwrap()
    });
    let mut future = pin!(future);
    let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Ready(2));
    assert_eq!(future.take_value().map(RefCell::into_inner), Some(2));
    let text = WITHOUT_SEMICOLON
        .sync_scope("a".into(), || (WITHOUT_SEMICOLON.get(), WITHOUT_SEMICOLON.try_get().unwrap()));
    assert_eq!(text, ("a".to_owned(), "a".to_owned()));
    assert!(WITHOUT_SEMICOLON.try_with(String::len).is_err());
}

#[tokio::test]
async fn what_is_not_the_runtime_is_tokios_own() {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    use tokio::sync::{
        Barrier, Mutex, Notify, OnceCell, RwLock, Semaphore, broadcast, mpsc, oneshot, watch,
    };

    let (mut near, far) = tokio::io::duplex(16);
    near.write_all(b"a line\nmore").await.unwrap();
    drop(near);
    let mut far = BufReader::new(far);
    let (mut line, mut rest) = (String::new(), String::new());
    far.read_line(&mut line).await.unwrap();
    far.read_to_string(&mut rest).await.unwrap();
    assert_eq!((line.as_str(), rest.as_str()), ("a line\n", "more"));
    let _: Pin<Box<dyn tokio::io::AsyncRead>> = Box::pin(tokio::io::empty());
    let _: Pin<Box<dyn tokio::io::AsyncWrite>> = Box::pin(tokio::io::sink());

    let lock = Arc::new(Mutex::new(0));
    let notify = Arc::new(Notify::new());
    let (count, is_done) = (lock.clone(), notify.clone());
    tokio::spawn(async move {
        *count.lock().await += 1;
        is_done.notify_one();
    });
    notify.notified().await;
    assert_eq!(*lock.lock().await, 1);
    assert!(Barrier::new(1).wait().await.is_leader());
    assert_eq!(*OnceCell::new().get_or_init(async || 3).await, 3);
    assert_eq!(*RwLock::new(4).read().await, 4);
    drop(Semaphore::new(1).acquire().await.unwrap());
    let (sender, mut receiver) = broadcast::channel(1);
    sender.send(5).unwrap();
    assert_eq!(receiver.recv().await.unwrap(), 5);
    let (sender, mut receiver) = watch::channel(6);
    sender.send(7).unwrap();
    receiver.changed().await.unwrap();
    assert_eq!(*receiver.borrow(), 7);
    let (sender, mut receiver) = mpsc::unbounded_channel();
    sender.send(8).unwrap();
    assert_eq!(receiver.recv().await, Some(8));
    let (sender, receiver) = oneshot::channel();
    sender.send(9).unwrap();
    assert_eq!(receiver.await.unwrap(), 9);
}

#[test]
fn workers_have_numbers() {
    let many = Builder::new_multi_thread().worker_threads(2).build().unwrap();
    assert_eq!(worker_index(), None);
    assert_eq!(many.block_on(async { worker_index() }), None);
    let index = many.block_on(async { tokio::spawn(async { worker_index() }).await.unwrap() });
    assert!(index.is_some_and(|index| index < 2), "{index:?}");
    let blocking = many.block_on(many.spawn_blocking(worker_index)).unwrap();
    assert_eq!(blocking, None);
    let one = Builder::new_current_thread().build().unwrap();
    assert_eq!(one.block_on(async { worker_index() }), Some(0));
}
