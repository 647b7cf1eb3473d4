//! Programs that sleep.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use super::{capacity, inside};
use crate::peer::Peer;
use crate::watch::{Took, Watch};

/// The sleeps are spread over so many milliseconds, from the first number on.
const SLEEP_MS: (u64, u64) = (10, 41);

pub(super) async fn fire<P: Peer>(n: u64) -> Took {
    let watch = Watch::start();
    let joins: Vec<_> = (0..n)
        .map(|i| {
            let duration = Duration::from_millis(SLEEP_MS.0 + i % SLEEP_MS.1);
            P::spawn(async move { P::sleep(duration).await })
        })
        .collect();
    for join in joins {
        join.await;
    }
    watch.stop()
}

pub(super) async fn cancel<P: Peer>(n: u64) -> Took {
    let watch = Watch::start();
    for i in 0..n {
        cancel_one::<P>(i).await;
    }
    watch.stop()
}

async fn cancel_one<P: Peer>(i: u64) {
    register(pin!(P::sleep(Duration::from_millis(1000 + i % 1000)))).await;
}

/// Polls a sleep once, so that it waits for its deadline.
async fn register(mut sleep: Pin<&mut (impl Future<Output = ()> + ?Sized)>) {
    poll_fn(|cx| {
        assert!(sleep.as_mut().poll(cx).is_pending(), "it has time to go");
        Poll::Ready(())
    })
    .await;
}

/// So many timers are pending while others fire and are cancelled.
const PENDING_MAX: u64 = 1_000_000;

/// Where few operations are asked for, only to see that all works, so many are pending for each.
const PENDING_PER_OPERATION: u64 = 50;

/// Those that are pending are due in so many seconds, spread over as many: never, for a bench.
const PENDING_S: u64 = 3600;

/// Makes so many timers that are pending until they are dropped.
pub(crate) async fn pending<P: Peer>(timers: u64) -> Vec<Pin<Box<dyn Future<Output = ()> + Send>>> {
    let mut sleeps: Vec<Pin<Box<dyn Future<Output = ()> + Send>>> =
        Vec::with_capacity(capacity(timers));
    for i in 0..timers {
        sleeps.push(Box::pin(P::sleep(Duration::from_secs(PENDING_S + i % PENDING_S))));
    }
    for sleep in &mut sleeps {
        register(sleep.as_mut()).await;
    }
    sleeps
}

/// Those that fire are spread over so many milliseconds. It is the least that the program takes.
const MIXED_MS: u64 = 10;

/// Half of the sleeps fire, half of them are cancelled meanwhile.
pub(super) fn mixed<P: Peer>(peer: &P, n: u64) -> (u64, Took) {
    let half = n.div_ceil(2);
    let took = inside(peer, async move {
        let sleeps = pending::<P>((half * 2 * PENDING_PER_OPERATION).min(PENDING_MAX)).await;
        let watch = Watch::start();
        let joins: Vec<_> = (0..half)
            .map(|i| {
                let duration = Duration::from_millis(1 + i % MIXED_MS);
                P::spawn(async move { P::sleep(duration).await })
            })
            .collect();
        for i in 0..half {
            cancel_one::<P>(i).await;
        }
        for join in joins {
            join.await;
        }
        let took = watch.stop();
        drop(sleeps);
        took
    });
    (half * 2, took)
}
