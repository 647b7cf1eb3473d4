//! A program whose closures run where they may block.

use std::hint::black_box;

use super::capacity;
use crate::peer::Peer;
use crate::watch::{Took, Watch};

/// A task hands over many short closures at once, then awaits all.
pub(super) async fn spawn_blocking<P: Peer>(n: u64) -> Took {
    let mut joins = Vec::with_capacity(capacity(n));
    let watch = Watch::start();
    for i in 0..n {
        joins.push(P::spawn_blocking(move || black_box(i)));
    }
    for join in joins {
        join.await;
    }
    watch.stop()
}
