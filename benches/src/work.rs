//! Holds the programs that are measured, each written once for all runtimes.
//!
//! A program counts its operations and takes its own time, so that setting it up does not count.

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::peer::Peer;

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
    /// A thread outside spawns onto a pool that is asleep, and waits for the task.
    SpawnIdle,
}

impl Work {
    /// All programs, in the order of the table.
    pub const ALL: [Work; 11] = [
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
        Work::SpawnIdle,
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
            Work::SpawnIdle => "spawn_idle",
        }
    }

    /// Returns how many operations one measurement does.
    #[must_use]
    pub fn operations(self) -> u64 {
        match self {
            Work::SpawnJoin | Work::SpawnRemote | Work::SpawnSeq | Work::Chained => 100_000,
            Work::Fanout => 1_111_111,
            Work::YieldMany | Work::TimersCancel => 200_000,
            Work::PingPong => 20_000,
            Work::Mpsc => 250_000,
            Work::TimersFire => 500_000,
            Work::SpawnIdle => 500,
        }
    }
}

/// A runtime that has been started and runs programs.
pub trait Stage {
    /// Runs `work` with about so many operations. Returns how many it did, and how long it took.
    fn run(&self, work: Work, operations: u64) -> (u64, Duration);

    /// Makes so many tasks that wait for ever. Returns when all of them do.
    fn hold(&self, tasks: u64);
}

impl<P: Peer> Stage for P {
    fn run(&self, work: Work, operations: u64) -> (u64, Duration) {
        let n = operations.max(1);
        self.with_context(|| match work {
            Work::SpawnJoin => (n, inside(self, spawn_join::<P>(n))),
            Work::SpawnRemote => (n, spawn_remote(self, n)),
            Work::SpawnSeq => (n, inside(self, spawn_seq::<P>(n))),
            Work::Chained => (n, chained(self, n)),
            Work::Fanout => fanout(self, n),
            Work::YieldMany => yield_many(self, n),
            Work::PingPong => (n, inside(self, ping_pong::<P>(n))),
            Work::Mpsc => mpsc(self, n),
            Work::TimersFire => (n, inside(self, timers_fire::<P>(n))),
            Work::TimersCancel => (n, inside(self, timers_cancel::<P>(n))),
            Work::SpawnIdle => (n, spawn_idle(self, n)),
        })
    }

    fn hold(&self, tasks: u64) {
        let begun = Arc::new(AtomicU64::new(0));
        let all = {
            let begun = begun.clone();
            async move {
                for _ in 0..tasks {
                    P::detach(P::spawn(Held { begun: Some(begun.clone()) }));
                }
            }
        };
        self.with_context(|| self.block_on(self.spawn_from_outside(all)));
        // Relaxed: nothing but the number is looked at.
        while begun.load(Ordering::Relaxed) < tasks {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Waits for ever, having said so once.
struct Held {
    begun: Option<Arc<AtomicU64>>,
}

impl Future for Held {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        if let Some(begun) = self.begun.take() {
            begun.fetch_add(1, Ordering::Relaxed);
        }
        Poll::Pending
    }
}

/// Runs a program as a task of the runtime.
fn inside<P: Peer>(peer: &P, work: impl Future<Output = Duration> + Send + 'static) -> Duration {
    let join = peer.spawn_from_outside(work);
    peer.block_on(join)
}

async fn trivial(n: u64) -> u64 {
    black_box(n)
}

async fn spawn_join<P: Peer>(n: u64) -> Duration {
    let mut joins = Vec::with_capacity(capacity(n));
    let start = Instant::now();
    for i in 0..n {
        joins.push(P::spawn(trivial(i)));
    }
    for join in joins {
        join.await;
    }
    start.elapsed()
}

fn spawn_remote<P: Peer>(peer: &P, n: u64) -> Duration {
    let mut joins = Vec::with_capacity(capacity(n));
    let start = Instant::now();
    for i in 0..n {
        joins.push(peer.spawn_from_outside(trivial(i)));
    }
    peer.block_on(async {
        for join in joins {
            join.await;
        }
    });
    start.elapsed()
}

async fn spawn_seq<P: Peer>(n: u64) -> Duration {
    let start = Instant::now();
    for i in 0..n {
        P::spawn(trivial(i)).await;
    }
    start.elapsed()
}

fn chained<P: Peer>(peer: &P, n: u64) -> Duration {
    let (done, end) = oneshot::channel();
    let start = Instant::now();
    P::detach(peer.spawn_from_outside(link::<P>(n, done)));
    peer.block_on(end).expect("the chain does not break");
    start.elapsed()
}

fn link<P: Peer>(left: u64, done: oneshot::Sender<()>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        if left == 0 {
            done.send(()).expect("somebody waits for the end of the chain");
        } else {
            P::detach(P::spawn(link::<P>(left - 1, done)));
        }
    })
}

/// How many children each task of the tree has.
const CHILDREN: u64 = 10;

fn fanout<P: Peer>(peer: &P, n: u64) -> (u64, Duration) {
    // The deepest whole tree that has not more tasks than that.
    let (mut depth, mut tasks, mut leaves) = (0, 1, 1);
    while tasks + leaves * CHILDREN <= n {
        leaves *= CHILDREN;
        tasks += leaves;
        depth += 1;
    }
    let time = inside(peer, async move {
        let start = Instant::now();
        let count = P::spawn(tree::<P>(depth)).await;
        assert_eq!(count, tasks, "the tree is whole");
        start.elapsed()
    });
    (tasks, time)
}

fn tree<P: Peer>(depth: u32) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        let mut count = 1;
        if depth > 0 {
            let children: Vec<_> = (0..CHILDREN).map(|_| P::spawn(tree::<P>(depth - 1))).collect();
            for child in children {
                count += child.await;
            }
        }
        count
    })
}

/// How many tasks yield to each other.
const YIELDERS: u64 = 200;

fn yield_many<P: Peer>(peer: &P, n: u64) -> (u64, Duration) {
    let each = (n / YIELDERS).max(1);
    let time = inside(peer, async move {
        let start = Instant::now();
        let joins: Vec<_> = (0..YIELDERS)
            .map(|_| {
                P::spawn(async move {
                    for _ in 0..each {
                        P::yield_now().await;
                    }
                })
            })
            .collect();
        for join in joins {
            join.await;
        }
        start.elapsed()
    });
    (each * YIELDERS, time)
}

async fn ping_pong<P: Peer>(n: u64) -> Duration {
    let start = Instant::now();
    let pairs: Vec<_> = (0..n)
        .map(|_| {
            P::spawn(async {
                let (ping, pinged) = oneshot::channel::<()>();
                let (pong, ponged) = oneshot::channel::<()>();
                let other = P::spawn(async move {
                    pinged.await.expect("the other plays, too");
                    pong.send(()).expect("the other plays, too");
                });
                ping.send(()).expect("the other plays, too");
                ponged.await.expect("the other plays, too");
                other.await;
            })
        })
        .collect();
    for pair in pairs {
        pair.await;
    }
    start.elapsed()
}

const PRODUCERS: u64 = 50;
const CHANNEL_HOLDS: usize = 128;

fn mpsc<P: Peer>(peer: &P, n: u64) -> (u64, Duration) {
    let each = (n / PRODUCERS).max(1);
    let time = inside(peer, async move {
        let (sender, receiver) = async_channel::bounded::<u64>(CHANNEL_HOLDS);
        let start = Instant::now();
        for _ in 0..PRODUCERS {
            let sender = sender.clone();
            P::detach(P::spawn(async move {
                for i in 0..each {
                    sender.send(i).await.expect("the consumer is there until the end");
                }
            }));
        }
        drop(sender);
        let consumer = P::spawn(async move {
            let mut received = 0;
            while receiver.recv().await.is_ok() {
                received += 1;
            }
            received
        });
        assert_eq!(consumer.await, each * PRODUCERS, "nothing is lost");
        start.elapsed()
    });
    (each * PRODUCERS, time)
}

/// The sleeps are spread over so many milliseconds, from the first number on.
const SLEEP_MS: (u64, u64) = (10, 41);

async fn timers_fire<P: Peer>(n: u64) -> Duration {
    let start = Instant::now();
    let joins: Vec<_> = (0..n)
        .map(|i| {
            let duration = Duration::from_millis(SLEEP_MS.0 + i % SLEEP_MS.1);
            P::spawn(async move { P::sleep(duration).await })
        })
        .collect();
    for join in joins {
        join.await;
    }
    start.elapsed()
}

async fn timers_cancel<P: Peer>(n: u64) -> Duration {
    let start = Instant::now();
    for i in 0..n {
        let mut sleep = pin!(P::sleep(Duration::from_millis(1000 + i % 1000)));
        poll_fn(|cx| {
            assert!(sleep.as_mut().poll(cx).is_pending(), "it has a second to go");
            Poll::Ready(())
        })
        .await;
    }
    start.elapsed()
}

/// Long enough for every worker to fall asleep.
const PAUSE: Duration = Duration::from_micros(200);

fn spawn_idle<P: Peer>(peer: &P, n: u64) -> Duration {
    let mut time = Duration::ZERO;
    for i in 0..n {
        thread::sleep(PAUSE);
        let start = Instant::now();
        let join = peer.spawn_from_outside(trivial(i));
        peer.block_on(join);
        time += start.elapsed();
    }
    time
}

fn capacity(n: u64) -> usize {
    usize::try_from(n).expect("a bench makes fewer tasks than memory holds")
}
