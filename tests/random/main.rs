//! Runs random programs of tasks, timers, flows, locals, guards and hooks, and checks that lives
//! are told as they should be (L1 to L8) and that every value seen is that of the innermost live
//! scope.
//!
//! A [`program`] is plain data. [`interpreter`] carries it out on a runtime, and knows at each step
//! which resource must be current and, by the [`model`], which values must be seen. [`world`] holds
//! what is shared, and the checks at the end.
//!
//! A program that fails is printed, smaller if it still fails then, and its seed is kept beside
//! this file, to be tried first the next time. More programs by `PROPTEST_CASES` or
//! `FOREBEAR_LONG=1`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod program; // what is done
mod model; // which values must be seen
mod world; // what all of a program share, and the checks
mod interpreter; // does it

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use proptest::test_runner::{
    Config, FileFailurePersistence, TestCaseError, TestCaseResult, TestRunner,
};

use program::Program;

/// Which threads run the tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Threads {
    /// The current-thread flavour, whose clock stands and skips.
    Current,
    Workers(usize),
}

/// A program that takes longer has come to a stand.
const PATIENCE: Duration = Duration::from_secs(30);

/// So many programs for each sort of runtime.
const PROGRAMS: u32 = 1_000;

fn config() -> Config {
    let is_long = std::env::var_os("FOREBEAR_LONG").is_some();
    let programs = if is_long { 20 * PROGRAMS } else { PROGRAMS };
    let default = Config::default();
    Config {
        cases: default.cases.max(programs),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        source_file: Some(file!()),
        max_shrink_time: 60_000,
        ..default
    }
}

/// Runs a program on a thread of its own, so that one that hangs is told.
fn check(program: Program, threads: Threads) -> TestCaseResult {
    let (done, is_done) = mpsc::channel();
    let runner = thread::spawn(move || {
        let wrong = interpreter::run(&program, threads);
        let _ = done.send(wrong);
    });
    match is_done.recv_timeout(PATIENCE) {
        Ok(wrong) if wrong.is_empty() => {}
        Ok(wrong) => return Err(TestCaseError::fail(wrong.join("\n"))),
        Err(mpsc::RecvTimeoutError::Timeout) => return Err(TestCaseError::fail("it hangs")),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            return Err(TestCaseError::fail("the program got out of hand"));
        }
    }
    runner.join().map_err(|_| TestCaseError::fail("the program got out of hand"))
}

fn check_programs(threads: Threads) {
    let told = TestRunner::new(config()).run(&program::any(), |program| check(program, threads));
    if let Err(failure) = told {
        panic!("{failure}");
    }
}

#[test]
fn programs_on_the_current_thread_live_as_they_should() {
    check_programs(Threads::Current);
}

#[test]
fn programs_on_one_worker_live_as_they_should() {
    check_programs(Threads::Workers(1));
}

#[test]
fn programs_on_two_workers_live_as_they_should() {
    check_programs(Threads::Workers(2));
}

#[test]
fn programs_on_four_workers_live_as_they_should() {
    check_programs(Threads::Workers(4));
}
