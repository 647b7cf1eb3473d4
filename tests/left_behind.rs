//! Checks that what outlives its runtime's shutdown is told to the end, also to the hooks that the
//! runtime was built with.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use forebear::hooks::create_hook;
use forebear::runtime::{Builder, Runtime};
use forebear::task::JoinHandle;
use forebear::testing::{Recorder, assert_quiescent};

/// Ends a runtime while something of it runs that nobody can stop, and lets that end later.
fn check(
    mut builder: Builder,
    run: impl FnOnce(&Runtime, Box<dyn FnOnce() + Send>) -> JoinHandle<()>,
    end: impl FnOnce(Runtime),
) {
    let recorder = Arc::new(Recorder::new());
    let runtime = builder.hook(create_hook(recorder.clone())).build().unwrap();
    let id = runtime.id();
    let (here, is_here) = mpsc::channel();
    let (release, is_released) = mpsc::channel();
    let stuck = move || {
        here.send(()).unwrap();
        is_released.recv().unwrap();
    };
    let handle = run(&runtime, Box::new(stuck));
    is_here.recv().unwrap();
    end(runtime);
    assert_eq!(recorder.sequence(handle.id()), "init before");
    release.send(()).unwrap();
    while !handle.is_finished() {
        thread::yield_now();
    }
    let told = recorder.sequence(handle.id());
    assert_eq!(told, "init before resolve:Ready after destroy:Completed");
    recorder.assert_ended();
    assert_quiescent(id);
}

fn builders() -> [Builder; 2] {
    [Builder::new_current_thread(), two_workers()]
}

fn two_workers() -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2);
    builder
}

#[test]
fn a_job_that_outlives_its_runtime_is_told_to_the_end() {
    for builder in builders() {
        check(
            builder,
            |runtime, stuck| runtime.spawn_blocking(stuck),
            Runtime::shutdown_background,
        );
    }
    for builder in builders() {
        let soon = Duration::from_millis(1);
        let end = |runtime: Runtime| runtime.shutdown_timeout(soon);
        check(builder, |runtime, stuck| runtime.spawn_blocking(stuck), end);
    }
}

#[test]
fn a_poll_that_outlives_its_runtime_is_told_to_the_end() {
    let run = |runtime: &Runtime, stuck: Box<dyn FnOnce() + Send>| runtime.spawn(async { stuck() });
    check(two_workers(), run, Runtime::shutdown_background);
}
