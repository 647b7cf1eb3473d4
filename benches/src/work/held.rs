//! Tasks that only wait, to see what they take in memory.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::capacity;
use crate::peer::Peer;

/// Makes so many tasks that wait for ever. Returns when all of them do.
pub(crate) fn hold<P: Peer>(peer: &P, tasks: u64) {
    let begun = Arc::new(AtomicU64::new(0));
    let all = {
        let begun = begun.clone();
        async move {
            for _ in 0..tasks {
                P::detach(P::spawn(Held { begun: Some(begun.clone()) }));
            }
        }
    };
    peer.block_on(peer.spawn_from_outside(all));
    wait_until(&begun, tasks);
}

/// Makes so many tasks that wait for each other, calls `at_peak` when all do, and joins them.
pub(crate) fn burst<P: Peer>(peer: &P, tasks: u64, at_peak: &mut dyn FnMut()) {
    let begun = Arc::new(AtomicU64::new(0));
    let gate = Arc::new(Semaphore::new(0));
    let all = {
        let (begun, gate) = (begun.clone(), gate.clone());
        async move {
            let mut joins = Vec::with_capacity(capacity(tasks));
            for _ in 0..tasks {
                let (begun, gate) = (begun.clone(), gate.clone());
                joins.push(P::spawn(async move {
                    begun.fetch_add(1, Ordering::Relaxed);
                    // It ends with an error, which says that the gate is open for good.
                    let _ = gate.acquire().await;
                }));
            }
            for join in joins {
                join.await;
            }
        }
    };
    let all = peer.spawn_from_outside(all);
    wait_until(&begun, tasks);
    at_peak();
    gate.close();
    peer.block_on(all);
}

/// Waits until so many tasks have begun.
fn wait_until(begun: &AtomicU64, tasks: u64) {
    // Relaxed: nothing but the number is looked at.
    while begun.load(Ordering::Relaxed) < tasks {
        thread::sleep(Duration::from_millis(1));
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
