//! Asks what it costs to spawn a task and to wait for it: many at once, from outside, one by one,
//! in a chain.

use forebear_benches::{Work, bench};

fn main() {
    bench(&[Work::SpawnJoin, Work::SpawnRemote, Work::SpawnSeq, Work::Chained]);
}
