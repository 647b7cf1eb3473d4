//! Asks what it costs two new tasks to send each other a message.

use forebear_benches::{Work, bench};

fn main() {
    bench(&[Work::PingPong]);
}
