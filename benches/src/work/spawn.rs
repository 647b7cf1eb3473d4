//! Programs that spawn tasks, and do little else.

use std::future::Future;
use std::pin::Pin;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{PAUSE, capacity, inside, trivial};
use crate::peer::Peer;
use crate::watch::{Took, Watch};

pub(super) async fn spawn_join<P: Peer>(n: u64) -> Took {
    let mut joins = Vec::with_capacity(capacity(n));
    let watch = Watch::start();
    for i in 0..n {
        joins.push(P::spawn(trivial(i)));
    }
    for join in joins {
        join.await;
    }
    watch.stop()
}

pub(super) fn spawn_remote<P: Peer>(peer: &P, n: u64) -> Took {
    let mut joins = Vec::with_capacity(capacity(n));
    let watch = Watch::start();
    for i in 0..n {
        joins.push(peer.spawn_from_outside(trivial(i)));
    }
    peer.block_on(async {
        for join in joins {
            join.await;
        }
    });
    watch.stop()
}

pub(super) async fn spawn_seq<P: Peer>(n: u64) -> Took {
    let watch = Watch::start();
    for i in 0..n {
        P::spawn(trivial(i)).await;
    }
    watch.stop()
}

pub(super) fn chained<P: Peer>(peer: &P, n: u64) -> Took {
    let (done, end) = oneshot::channel();
    let watch = Watch::start();
    P::detach(peer.spawn_from_outside(link::<P>(n, done)));
    peer.block_on(end).expect("the chain does not break");
    watch.stop()
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

pub(super) fn fanout<P: Peer>(peer: &P, n: u64) -> (u64, Took) {
    // The deepest whole tree that has not more tasks than that.
    let (mut depth, mut tasks, mut leaves) = (0, 1, 1);
    while tasks + leaves * CHILDREN <= n {
        leaves *= CHILDREN;
        tasks += leaves;
        depth += 1;
    }
    let took = inside(peer, async move {
        let watch = Watch::start();
        let count = P::spawn(tree::<P>(depth)).await;
        assert_eq!(count, tasks, "the tree is whole");
        watch.stop()
    });
    (tasks, took)
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

pub(super) fn spawn_idle<P: Peer>(peer: &P, n: u64) -> Took {
    let mut time = Duration::ZERO;
    let watch = Watch::start();
    for i in 0..n {
        thread::sleep(PAUSE);
        let start = Instant::now();
        let join = peer.spawn_from_outside(trivial(i));
        peer.block_on(join);
        time += start.elapsed();
    }
    // Falling asleep takes processor time, too, and belongs to what a wake-up costs.
    Took { time, ..watch.stop() }
}
