//! Scratch.
use forebear::{inspect, runtime::Runtime, spawn, time::{sleep, Duration}};
use std::time::Instant;
fn main() -> std::io::Result<()> {
    let n: usize = std::env::args().nth(1).map_or(1_000_000, |n| n.parse().unwrap());
    Runtime::new()?.block_on(async {
        for _ in 0..n { drop(spawn(async { sleep(Duration::from_secs(1000)).await; })); }
        sleep(Duration::from_millis(2000)).await;
        for _ in 0..3 {
            let t = Instant::now();
            let s = inspect::snapshot();
            println!("snapshot {} in {:?}", s.resources().len(), t.elapsed());
            let t = Instant::now();
            let tree = inspect::Tree::new(s);
            println!("tree {:?}", t.elapsed());
            let t = Instant::now();
            let text = tree.to_string();
            println!("text {} in {:?}", text.len(), t.elapsed());
        }
        Ok(())
    })
}
