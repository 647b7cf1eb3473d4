//! Holds the programs whose operations are timed, each written once for all runtimes.
//!
//! A program counts its operations and takes its own time, so that setting it up does not count.

mod spawn; // tasks are made
mod wake; // tasks wake each other
mod timers; // tasks sleep
mod blocking; // closures block
mod held; // tasks only wait

use std::future::Future;
use std::hint::black_box;
use std::time::Duration;

pub(crate) use held::{burst, hold};
pub(crate) use timers::pending;

use crate::peer::Peer;
use crate::watch::Took;

/// A program, and the question it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A task spawns trivial tasks, then awaits all.
    SpawnJoin,
    /// The same from a thread outside the pool.
    SpawnRemote,
    /// A task spawns one, awaits it, and again.
    SpawnSeq,
    /// Each task spawns the next.
    Chained,
    /// A tree of tasks with ten children each, joined.
    Fanout,
    /// 200 tasks yield to each other; an operation is one yield.
    YieldMany,
    /// Pairs of tasks send each other a message over two oneshots.
    PingPong,
    /// 50 producers send to one consumer over a channel that holds 128.
    Mpsc,
    /// Tasks that each sleep for 10 to 50 ms.
    TimersFire,
    /// Sleeps that are polled once and dropped.
    TimersCancel,
    /// Sleeps of both sorts while a million others are pending.
    TimersMixed,
    /// A thread outside spawns onto a pool that is asleep, and waits for the task.
    SpawnIdle,
    /// A thread outside wakes a task of a pool that is asleep.
    WakeForeign,
    /// A task spawns closures that may block, then awaits all.
    SpawnBlocking,
}

impl Work {
    /// All programs, in the order of the table.
    pub const ALL: [Work; 14] = [
        Work::SpawnJoin,
        Work::SpawnRemote,
        Work::SpawnSeq,
        Work::YieldMany,
        Work::PingPong,
        Work::Chained,
        Work::Fanout,
        Work::Mpsc,
        Work::TimersFire,
        Work::TimersCancel,
        Work::TimersMixed,
        Work::SpawnIdle,
        Work::WakeForeign,
        Work::SpawnBlocking,
    ];

    /// Returns the name in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Work::SpawnJoin => "spawn_join",
            Work::SpawnRemote => "spawn_remote",
            Work::SpawnSeq => "spawn_seq",
            Work::Chained => "chained_spawn",
            Work::Fanout => "fanout",
            Work::YieldMany => "yield_many",
            Work::PingPong => "ping_pong",
            Work::Mpsc => "mpsc",
            Work::TimersFire => "timers_fire",
            Work::TimersCancel => "timers_cancel",
            Work::TimersMixed => "timers_mixed",
            Work::SpawnIdle => "spawn_idle",
            Work::WakeForeign => "wake_foreign",
            Work::SpawnBlocking => "spawn_blocking",
        }
    }

    /// Returns how many operations one measurement does.
    #[must_use]
    pub fn operations(self) -> u64 {
        match self {
            Work::SpawnJoin | Work::SpawnRemote | Work::SpawnSeq | Work::Chained => 100_000,
            Work::Fanout => 1_111_111,
            Work::YieldMany | Work::TimersCancel | Work::TimersMixed => 200_000,
            Work::PingPong | Work::SpawnBlocking => 20_000,
            Work::Mpsc => 250_000,
            Work::TimersFire => 500_000,
            Work::SpawnIdle | Work::WakeForeign => 500,
        }
    }
}

/// Runs a program with about so many operations. Returns how many it did, and what they took.
pub(crate) fn run<P: Peer>(peer: &P, work: Work, n: u64) -> (u64, Took) {
    match work {
        Work::SpawnJoin => (n, inside(peer, spawn::spawn_join::<P>(n))),
        Work::SpawnRemote => (n, spawn::spawn_remote(peer, n)),
        Work::SpawnSeq => (n, inside(peer, spawn::spawn_seq::<P>(n))),
        Work::Chained => (n, spawn::chained(peer, n)),
        Work::Fanout => spawn::fanout(peer, n),
        Work::YieldMany => wake::yield_many(peer, n),
        Work::PingPong => (n, inside(peer, wake::ping_pong::<P>(n))),
        Work::Mpsc => wake::mpsc(peer, n),
        Work::TimersFire => (n, inside(peer, timers::fire::<P>(n))),
        Work::TimersCancel => (n, inside(peer, timers::cancel::<P>(n))),
        Work::TimersMixed => timers::mixed(peer, n),
        Work::SpawnIdle => (n, spawn::spawn_idle(peer, n)),
        Work::WakeForeign => (n, wake::wake_foreign(peer, n)),
        Work::SpawnBlocking => (n, inside(peer, blocking::spawn_blocking::<P>(n))),
    }
}

/// Runs a program as a task of the runtime.
fn inside<P: Peer, T: Send + 'static>(
    peer: &P,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    let join = peer.spawn_from_outside(work);
    peer.block_on(join)
}

async fn trivial(n: u64) -> u64 {
    black_box(n)
}

/// Long enough for every worker to fall asleep.
const PAUSE: Duration = Duration::from_micros(200);

fn capacity(n: u64) -> usize {
    usize::try_from(n).expect("a bench makes fewer tasks than memory holds")
}
