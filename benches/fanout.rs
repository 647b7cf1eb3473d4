//! Asks what a tree of tasks costs whose every task joins its ten children.

use forebear_benches::{Work, bench};

fn main() {
    bench(&[Work::Fanout]);
}
