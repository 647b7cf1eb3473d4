//! Ships an order in two parcels: the account is on every line, and in the tree.

#![allow(clippy::print_stdout, reason = "there is nothing else to say it with")]

use forebear::time::{Duration, sleep};
use forebear::{fields, flow, inspect, runtime::Runtime, spawn};

async fn ship(item: &str, millis: u64) {
    sleep(Duration::from_millis(millis)).await;
    fields::for_each(|key, value| println!("shipped a {item} {key}={value}"));
}

async fn place_order() -> std::io::Result<()> {
    fields::set("accountId", "a-1");
    let (book, lamp) = (spawn(ship("book", 200)), spawn(ship("lamp", 300)));
    sleep(Duration::from_millis(100)).await;
    println!("{}", inspect::tree());
    book.await?;
    Ok(lamp.await?)
}

fn main() -> std::io::Result<()> {
    inspect::declare_field("accountId");
    Runtime::new()?.block_on(async { flow("place order", place_order()).await })
}
