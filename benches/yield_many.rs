//! Asks what it costs to let the next task run.

use forebear_benches::{Work, bench};

fn main() {
    bench(&[Work::YieldMany]);
}
