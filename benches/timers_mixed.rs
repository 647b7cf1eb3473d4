//! Asks what a sleep costs while a million others are pending: half of them end, half are dropped.

use forebear_benches::{Work, bench};

fn main() {
    bench(&[Work::TimersMixed]);
}
