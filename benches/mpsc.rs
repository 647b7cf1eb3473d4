//! Asks what a message costs that many tasks send to one, with wakes both ways.

use forebear_benches::{Work, bench};

fn main() {
    bench(&[Work::Mpsc]);
}
