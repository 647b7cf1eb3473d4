//! Programs whose tasks wake each other, or are woken.

use std::future::poll_fn;
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{PAUSE, inside};
use crate::peer::Peer;
use crate::watch::{Took, Watch};

/// How many tasks yield to each other.
const YIELDERS: u64 = 200;

pub(super) fn yield_many<P: Peer>(peer: &P, n: u64) -> (u64, Took) {
    let each = (n / YIELDERS).max(1);
    let took = inside(peer, async move {
        let watch = Watch::start();
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
        watch.stop()
    });
    (each * YIELDERS, took)
}

pub(super) async fn ping_pong<P: Peer>(n: u64) -> Took {
    let watch = Watch::start();
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
    watch.stop()
}

const PRODUCERS: u64 = 50;
const CHANNEL_HOLDS: usize = 128;

pub(super) fn mpsc<P: Peer>(peer: &P, n: u64) -> (u64, Took) {
    let each = (n / PRODUCERS).max(1);
    let took = inside(peer, async move {
        let (sender, receiver) = async_channel::bounded::<u64>(CHANNEL_HOLDS);
        let watch = Watch::start();
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
        watch.stop()
    });
    (each * PRODUCERS, took)
}

/// Takes the time from a wake by this thread, which is not the runtime's, to the poll that follows.
pub(super) fn wake_foreign<P: Peer>(peer: &P, n: u64) -> Took {
    let bell = Arc::new(Mutex::new(Bell::default()));
    let (tell, told) = std_mpsc::channel();
    let sleeper = {
        let bell = bell.clone();
        async move {
            for _ in 0..n {
                let rung_at = poll_fn(|cx| lock(&bell).poll(cx)).await;
                tell.send(rung_at.elapsed()).expect("somebody counts the time");
            }
        }
    };
    let mut time = Duration::ZERO;
    let watch = Watch::start();
    let sleeper = peer.spawn_from_outside(sleeper);
    for _ in 0..n {
        thread::sleep(PAUSE);
        ring(&bell);
        time += told.recv().expect("the task goes on to the last ring");
    }
    peer.block_on(sleeper);
    // Falling asleep takes processor time, too, and belongs to what a wake costs.
    Took { time, ..watch.stop() }
}

/// Where one task waits, and one thread says when it woke it.
#[derive(Default)]
struct Bell {
    waiter: Option<Waker>,
    rung_at: Option<Instant>,
}

impl Bell {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        match self.rung_at.take() {
            Some(rung_at) => Poll::Ready(rung_at),
            None => {
                self.waiter = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Wakes the task as soon as it waits.
fn ring(bell: &Mutex<Bell>) {
    let waiter = loop {
        if let Some(waiter) = lock(bell).waiter.take() {
            break waiter;
        }
        thread::yield_now();
    };
    lock(bell).rung_at = Some(Instant::now());
    waiter.wake();
}

fn lock(bell: &Mutex<Bell>) -> std::sync::MutexGuard<'_, Bell> {
    bell.lock().expect("nobody panics with the bell in hand")
}
