//! Looks at how late things happen that are due at a certain time: the worst few count.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::peer::Peer;
use crate::work::pending;

/// What may be late, and what goes on meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// A sleep of a millisecond, with nothing else to do.
    SleepIdle,
    /// The same, while 100k other timers are pending.
    SleepAmong,
    /// Such sleeps of twenty tasks, while another one keeps a worker busy for 100 ms at a time.
    SleepBeside,
    /// A task from outside, once in a millisecond, beside such a task.
    InjectBeside,
}

impl Late {
    /// All of them, in the order of the table.
    pub const ALL: [Late; 4] =
        [Late::SleepIdle, Late::SleepAmong, Late::SleepBeside, Late::InjectBeside];

    /// Returns the name in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Late::SleepIdle => "sleep_idle",
            Late::SleepAmong => "sleep_among_100k",
            Late::SleepBeside => "sleep_beside_polls",
            Late::InjectBeside => "inject_beside_polls",
        }
    }
}

/// How long to look, and with how much around it.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// For how long things are looked at.
    pub length: Duration,
    /// How long the busy task keeps its worker.
    pub poll: Duration,
    /// How many other timers are pending.
    pub timers: u64,
}

const SLEEP: Duration = Duration::from_millis(1);

/// How many tasks sleep beside the busy one: enough for some to be in the queue of its worker.
const SLEEPERS: usize = 20;

/// Returns how late each was, in nanoseconds; what came too early is less than zero.
pub(crate) fn late<P: Peer>(peer: &P, what: Late, extent: Extent) -> Vec<f64> {
    match what {
        Late::SleepIdle => sleep(peer, 1, extent.length),
        Late::SleepAmong => {
            let pending = Pending::start(peer, extent.timers);
            let late = sleep(peer, 1, extent.length);
            pending.end(peer);
            late
        }
        Late::SleepBeside => {
            let busy = Busy::start(peer, extent.poll);
            let late = sleep(peer, SLEEPERS, extent.length);
            busy.end(peer);
            late
        }
        Late::InjectBeside => {
            let busy = Busy::start(peer, extent.poll);
            let late = inject(peer, extent.length);
            busy.end(peer);
            late
        }
    }
}

/// Lets so many tasks sleep again and again.
fn sleep<P: Peer>(peer: &P, sleepers: usize, length: Duration) -> Vec<f64> {
    let until = Instant::now() + length;
    let sleepers: Vec<_> =
        (0..sleepers).map(|_| peer.spawn_from_outside(sleep_until::<P>(until))).collect();
    peer.block_on(async {
        let mut late = Vec::new();
        for sleeper in sleepers {
            late.extend(sleeper.await);
        }
        late
    })
}

async fn sleep_until<P: Peer>(until: Instant) -> Vec<f64> {
    let mut late = Vec::new();
    while late.is_empty() || Instant::now() < until {
        let begun = Instant::now();
        P::sleep(SLEEP).await;
        late.push(begun.elapsed().as_nanos() as f64 - SLEEP.as_nanos() as f64);
    }
    late
}

/// Spawns from this thread, one task at a time.
fn inject<P: Peer>(peer: &P, length: Duration) -> Vec<f64> {
    let until = Instant::now() + length;
    let mut late = Vec::new();
    while late.is_empty() || Instant::now() < until {
        thread::sleep(SLEEP);
        let begun = Instant::now();
        let task = peer.spawn_from_outside(async move { begun.elapsed() });
        late.push(peer.block_on(task).as_nanos() as f64);
    }
    late
}

/// A task with polls that take long.
struct Busy<P: Peer> {
    is_ending: Arc<AtomicBool>,
    task: P::Join<()>,
}

impl<P: Peer> Busy<P> {
    /// Returns when the task is inside its first poll.
    fn start(peer: &P, poll: Duration) -> Busy<P> {
        let is_ending = Arc::new(AtomicBool::new(false));
        let (tell, told) = mpsc::channel();
        let task = peer.spawn_from_outside(be_busy::<P>(is_ending.clone(), poll, tell));
        told.recv().expect("the task begins");
        Busy { is_ending, task }
    }

    fn end(self, peer: &P) {
        // Relaxed: the task is joined, and reads nothing else.
        self.is_ending.store(true, Ordering::Relaxed);
        peer.block_on(self.task);
    }
}

async fn be_busy<P: Peer>(is_ending: Arc<AtomicBool>, poll: Duration, tell: mpsc::Sender<()>) {
    tell.send(()).expect("somebody waits for the beginning");
    while !is_ending.load(Ordering::Relaxed) {
        let until = Instant::now() + poll;
        while Instant::now() < until {
            spin_loop();
        }
        P::yield_now().await;
    }
}

/// Timers that are due in an hour, held by one task until it is told to end.
struct Pending<P: Peer> {
    end: oneshot::Sender<()>,
    task: P::Join<()>,
}

impl<P: Peer> Pending<P> {
    /// Returns when all of them are registered.
    fn start(peer: &P, timers: u64) -> Pending<P> {
        let (end, ended) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let task = peer.spawn_from_outside(async move {
            let sleeps = pending::<P>(timers).await;
            tell.send(()).expect("somebody waits for the timers");
            ended.await.expect("somebody ends what was begun");
            drop(sleeps);
        });
        told.recv().expect("the task registers its timers");
        Pending { end, task }
    }

    fn end(self, peer: &P) {
        self.end.send(()).expect("the task waits for its end");
        peer.block_on(self.task);
    }
}
