//! Asks how long a pool that sleeps takes to run one task that comes from outside.

use forebear_benches::{Work, bench};

fn main() {
    bench(&[Work::SpawnIdle]);
}
