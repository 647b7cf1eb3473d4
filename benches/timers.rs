//! Asks what a sleep costs: one that ends, and one that is dropped before.

use forebear_benches::{Work, bench};

fn main() {
    bench(&[Work::TimersFire, Work::TimersCancel]);
}
