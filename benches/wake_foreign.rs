//! Asks how long a task of a pool that sleeps takes to run when a thread from outside wakes it.

use forebear_benches::{Work, bench};

fn main() {
    bench(&[Work::WakeForeign]);
}
