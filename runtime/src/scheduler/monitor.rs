//! Looks after workers that are stuck in a long poll: a thread that wakes up now and then.
//!
//! While all workers are stuck nobody looks at the driver, so the monitor does when nobody has for
//! a whole interval; a task in the slot of a stuck worker cannot be stolen, so the monitor takes
//! it out and gives it to the others, and it reminds them of what they could steal. It sleeps for
//! good while all workers do, and is woken by the first of them to wake up. Before that it gives back
//! what is kept for the next burst.
//!
//! # Invariants
//! M1. While all workers sleep, one of them sleeps in the driver: the last to look for the driver
//!     finds it free. So the monitor, which keeps a worker from it by looking at it, sends one of
//!     them there again.
//!
//! # Memory ordering
//!
//! Two pairs of fences, all SeqCst. The monitor that goes to sleep: `SayAsleep` (`is_asleep`);
//! fence; reads who sleeps. A worker that wakes: is no longer among the sleepers; fence; reads
//! `is_asleep`. One of the fences is first, and the other side sees what was before it. So it is
//! for M1: the monitor frees the driver; fence; reads who sleeps. A worker says that it sleeps;
//! fence, in [`Idle::sleep`](super::idle::Idle::sleep); tries to get the driver.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::driver::Turn;
use crate::facade;
use crate::park::Parker;
use crate::primitive::{AtomicBool, AtomicU64, Ordering, fence};
use crate::resident::memory;
use crate::scheduler::Shared;

/// How often the monitor looks: the longest time that I/O and timers wait for stuck workers.
const INTERVAL: Duration = Duration::from_millis(1);

/// A worker that has been in one poll for so many intervals is stuck: its slot is emptied.
const STUCK_INTERVALS: u32 = 5;

/// After so many intervals in which nobody was awake, the monitor sleeps for good.
const QUIET_INTERVALS: u32 = 10;

pub(crate) struct Monitor {
    parker: Parker,
    is_asleep: AtomicBool,
    has_ended: AtomicBool,
    /// How often a worker woke up.
    wakes: AtomicU64,
}

/// What the monitor remembers of a worker.
#[derive(Clone, Default)]
struct Seen {
    phase: u64,
    intervals: u32,
}

impl Monitor {
    pub(crate) fn new() -> Monitor {
        Monitor {
            parker: Parker::new(),
            is_asleep: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            wakes: AtomicU64::new(0),
        }
    }

    /// Says that a worker has woken up.
    pub(crate) fn worker_woke(&self) {
        // Relaxed: the monitor only asks whether it changed.
        self.wakes.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.is_asleep.load(Ordering::Relaxed) && self.is_asleep.swap(false, Ordering::AcqRel) {
            let _ = self.parker.unpark();
        }
    }

    pub(crate) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
        let _ = self.parker.unpark();
    }

    /// The body of the monitor's thread.
    pub(crate) fn run(shared: &Arc<Shared>) {
        let monitor = &shared.monitor;
        let mut seen = vec![Seen::default(); shared.remotes.len()];
        let mut wakers = Vec::new();
        let mut last_wakes = 0;
        let mut quiet = 0;
        // Acquire pairs with the Release in `end`.
        while !monitor.has_ended.load(Ordering::Acquire) {
            let wakes = monitor.wakes.load(Ordering::Relaxed);
            let is_quiet = wakes == last_wakes && shared.idle.is_everybody_asleep();
            quiet = if is_quiet { quiet + 1 } else { 0 };
            last_wakes = wakes;
            if quiet > QUIET_INTERVALS {
                facade::rest();
                memory::give_back();
                monitor.sleep_for_good(shared);
                quiet = 0;
                continue;
            }
            monitor.parker.park_timeout(INTERVAL);
            if !is_quiet {
                look_at_driver(shared, &mut wakers);
                look_at_workers(shared, &mut seen);
            }
        }
    }

    fn sleep_for_good(&self, shared: &Shared) {
        self.is_asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let is_needed =
            !shared.idle.is_everybody_asleep() || self.has_ended.load(Ordering::Acquire);
        if !is_needed {
            self.parker.park();
        }
        self.is_asleep.store(false, Ordering::Relaxed);
    }
}

/// Takes what the driver has if nobody holds it.
fn look_at_driver(shared: &Shared, wakers: &mut Vec<Waker>) {
    let Some(mut driver) = shared.driver_core.try_lock() else { return };
    driver.turn(&shared.driver, Turn::Glance, wakers);
    drop(driver);
    fence(Ordering::SeqCst);
    if shared.idle.is_everybody_asleep() {
        // M1: any of them will do.
        shared.unpark(0);
    }
    shared.driver.wake_all(wakers);
}

/// Gives what stuck workers cannot run to the others.
fn look_at_workers(shared: &Shared, seen: &mut [Seen]) {
    for (worker, seen) in seen.iter_mut().enumerate() {
        let phase = shared.remotes[worker].queue.slot.phases();
        if phase != seen.phase {
            *seen = Seen { phase, intervals: 0 };
            continue;
        }
        seen.intervals += 1;
        if seen.intervals >= STUCK_INTERVALS {
            let queue = &shared.remotes[worker].queue;
            // Under the injector's lock: a task that is on its way is not forgotten by the end.
            let is_rescued = shared.inject.push_from(|| queue.slot.rescue(phase));
            if is_rescued || !queue.is_empty() {
                shared.notify();
            }
        }
    }
}
