//! Asks what it costs to run a short closure where it may block, with many at once.

use forebear_benches::{Work, bench};

fn main() {
    bench(&[Work::SpawnBlocking]);
}
