//! Tests what a builder can be told, and what a runtime tells of itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use forebear::runtime::{Builder, Handle, Runtime, RuntimeFlavor, TryCurrentError};
use forebear::task;
use forebear::time::{Duration, sleep};

#[test]
fn a_builder_is_told_in_several_statements_and_builds_several_runtimes() {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2);
    builder.thread_name("several");
    builder.enable_io().enable_time().enable_all();
    builder.max_io_events_per_tick(8).max_io_events_per_busy_tick(8);
    let (one, other) = (builder.build().unwrap(), builder.build().unwrap());
    assert_ne!(one.handle().id(), other.handle().id());
    for runtime in [&one, &other] {
        assert_eq!(runtime.metrics().num_workers(), 2);
        let name = runtime.spawn(async { thread::current().name().map(str::to_owned) });
        assert_eq!(runtime.block_on(name).unwrap().as_deref(), Some("several"));
    }
    // Eight events at once are enough for many sleeps.
    one.block_on(async { sleep(Duration::from_millis(1)).await });
}

#[test]
fn a_runtime_knows_its_flavour_its_name_and_its_number() {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.name("orders").build().unwrap();
    let handle = runtime.block_on(async { Handle::current() });
    assert_eq!(handle.runtime_flavor(), RuntimeFlavor::CurrentThread);
    assert_eq!(handle.name(), Some("orders"));
    assert_eq!(handle.id(), runtime.id());
    assert_eq!(handle.id().to_string(), handle.id().get().to_string());
    assert!(format!("{handle:?}").contains("orders"));
    assert_eq!(Runtime::new().unwrap().handle().runtime_flavor(), RuntimeFlavor::MultiThread);
}

#[test]
fn each_thread_can_have_a_name_of_its_own() {
    let count = AtomicUsize::new(0);
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(1)
        .thread_name_fn(move || format!("thread {}", count.fetch_add(1, Ordering::Relaxed)));
    let runtime = builder.build().unwrap();
    let name = || thread::current().name().map(str::to_owned);
    let worker = runtime.block_on(runtime.spawn(async move { name() })).unwrap();
    let job = runtime.block_on(runtime.spawn_blocking(name)).unwrap();
    assert_eq!(worker.as_deref(), Some("thread 0"));
    assert_eq!(job.as_deref(), Some("thread 1-blocking"));
}

#[test]
fn what_a_worker_spawns_before_it_sleeps_is_run() {
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let (tell, told) = mpsc::channel();
        let is_first = AtomicUsize::new(0);
        let unparks = Arc::new(AtomicUsize::new(0));
        let counted = unparks.clone();
        builder.worker_threads(2);
        builder.on_thread_park(move || {
            if is_first.fetch_add(1, Ordering::Relaxed) == 0 {
                let tell = tell.clone();
                drop(task::spawn(async move { tell.send(()).unwrap() }));
            }
        });
        builder.on_thread_unpark(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let runtime = builder.build().unwrap();
        runtime.block_on(async { sleep(Duration::from_millis(2)).await });
        told.recv().unwrap();
        drop(runtime);
        assert!(unparks.load(Ordering::Relaxed) > 0);
    }
}

#[test]
fn metrics_count_how_often_and_for_how_long_a_worker_works() {
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let metrics = runtime.metrics();
    let is_asleep = || metrics.worker_park_unpark_count(0) % 2 == 1;
    while !is_asleep() {
        thread::yield_now();
    }
    let (parks, busy) = (metrics.worker_park_count(0), metrics.worker_total_busy_duration(0));
    let spins = runtime.spawn(async {
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(2) {}
    });
    runtime.block_on(spins).unwrap();
    while !is_asleep() || metrics.worker_park_count(0) == parks {
        thread::yield_now();
    }
    assert!(metrics.worker_park_count(0) > parks);
    assert!(metrics.worker_park_unpark_count(0) > 2 * parks);
    let busy = metrics.worker_total_busy_duration(0) - busy;
    assert!(busy >= Duration::from_millis(2), "{busy:?}");
    assert_eq!(metrics.num_alive_tasks(), 0);
}

#[test]
fn without_a_runtime_the_error_says_why() {
    let error: TryCurrentError = Handle::try_current().unwrap_err();
    assert!(error.is_missing_context() && !error.is_thread_local_destroyed());
}
