//! Counts what is allocated before, during and after a burst of tasks, and what stays resident.
//!
//! A program of its own, because its allocator counts, which takes time. `ratios` runs it.
//!
//! # Invariants
//! I1. `malloc_trim` may be called at any time, from any thread, with any number: it gives free
//!     memory back to the system and touches nothing else.

#![allow(unsafe_code, reason = "island: the allocator of the system has a function of its own")]

use std::alloc::System;
use std::env;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use forebear_benches::{Row, resident_bytes};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a first burst makes is not what the large one leaves behind: the queues have grown, each
/// thread has what it keeps.
const TASKS_TO_WARM_UP: u64 = 1000;

/// It is at rest when it has allocated and freed nothing so often, one look after the other.
const LOOKS_AT_REST: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// A runtime that is never at rest is looked at all the same.
const LOOKS_MAX: u32 = 250;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match measure(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed there is nobody to tell.
            let _ = writeln!(io::stderr(), "burst: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints bytes: allocated before, at the peak, after; resident before, at the peak, after.
fn measure(arguments: &[String]) -> Result<(), String> {
    let usage = "it needs a row, a number of workers, and of tasks";
    let [row, workers, tasks] = arguments else { return Err(usage.into()) };
    let row = Row::named(row).ok_or(usage)?;
    let workers = workers.parse().map_err(|_| usage)?;
    let tasks = tasks.parse().map_err(|_| usage)?;
    let stage = row.start(workers);
    stage.burst(TASKS_TO_WARM_UP, &mut || {});
    wait_for_rest();
    let before = (allocated_bytes(), resident_bytes()?);
    let mut peak = (0, Ok(0.0));
    stage.burst(tasks, &mut || peak = (allocated_bytes(), resident_bytes()));
    wait_for_rest();
    let allocated = allocated_bytes();
    trim();
    let after = (allocated, resident_bytes()?);
    let line =
        format!("{} {} {} {} {} {}\n", before.0, peak.0, after.0, before.1, peak.1?, after.1);
    io::stdout().write_all(line.as_bytes()).map_err(|error| error.to_string())
}

fn allocated_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Waits until nothing is allocated or freed any more.
fn wait_for_rest() {
    let (mut last, mut same) = (ALLOCATOR.stats(), 0);
    for _ in 0..LOOKS_MAX {
        thread::sleep(BETWEEN_LOOKS);
        let now = ALLOCATOR.stats();
        same = if now == last { same + 1 } else { 0 };
        if same == LOOKS_AT_REST {
            return;
        }
        last = now;
    }
}

/// Lets the allocator give back what is free, where it can.
fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: I1.
    unsafe {
        libc::malloc_trim(0);
    }
}
