//! Puts the service under load and checks that it is idle again afterwards: nothing lives on in the
//! id map, and no memory stays.
//!
//! It says the figures. `FOREBEAR_LONG=1` makes it a million requests; with the feature
//! `count-allocations` the bytes that are allocated are checked too:
//!
//! ```text
//! FOREBEAR_LONG=1 cargo test --release -p orders --features count-allocations --test it memory
//! ```

use std::env;
use std::io::Write;
use std::thread;
use std::time::Instant;

use crate::support::{Answer, Service};

const BOOK: &str = r#"{"item":"book","quantity":2,"accountId":"a-1"}"#;

const CONNECTIONS: usize = 32;

/// Fills what is filled once: the pools, the caches of SQLite, what is remembered of ancestors.
const REQUESTS_TO_WARM_UP: usize = 20_000;

/// What an idle service may have more than a fresh one: what is remembered of ancestors, the caches
/// of SQLite, pools that have grown. A leak of a byte per request shows in a long run.
const ALLOCATED_SLACK_BYTES: u64 = 256 * 1024;

/// What the allocator may keep for itself beyond that.
const RESIDENT_SLACK_BYTES: u64 = 32 * 1024 * 1024;

/// What `/debug/stats` says.
struct Stats {
    live_resources: u64,
    resident_bytes: Option<u64>,
    allocated_bytes: Option<u64>,
}

#[test]
fn a_load_leaves_nothing_behind() {
    let is_long = env::var("FOREBEAR_LONG").is_ok_and(|value| value == "1");
    let requests = if is_long { 1_000_000 } else { 20_000 };
    let service = Service::start(&[("SHIP_AFTER_MS", "20")]);
    service.forget_log();
    let fresh = stats(&service, |_| true);
    load(&service, REQUESTS_TO_WARM_UP);
    let is_idle = |now: &Stats| {
        now.live_resources == fresh.live_resources
            && now.allocated_bytes <= fresh.allocated_bytes.map(|b| b + ALLOCATED_SLACK_BYTES)
    };
    let warm = stats(&service, is_idle);
    let begun = Instant::now();
    load(&service, requests);
    let seconds = begun.elapsed().as_secs_f64();
    let after = stats(&service, is_idle);

    let per_second = requests as f64 / seconds;
    say(&format!("{requests} requests over {CONNECTIONS} connections: {per_second:.0} per second"));
    for (when, stats) in [("fresh", &fresh), ("warm", &warm), ("after", &after)] {
        let Stats { live_resources, resident_bytes, allocated_bytes } = stats;
        say(&format!(
            "{when:>6}: {live_resources} live, {resident_bytes:?} resident, {allocated_bytes:?} allocated"
        ));
    }
    assert_within(after.resident_bytes, warm.resident_bytes, RESIDENT_SLACK_BYTES);
}

#[track_caller]
fn assert_within(after: Option<u64>, before: Option<u64>, slack: u64) {
    if let (Some(after), Some(before)) = (after, before) {
        assert!(after <= before + slack, "{after} bytes are more than {before} and {slack}");
    }
}

/// Says it even if the test passes.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Returns the figures, as soon as they are good.
fn stats(service: &Service, are_good: impl Fn(&Stats) -> bool) -> Stats {
    Stats::of(&service.get_until("/debug/stats", |answer| are_good(&Stats::of(answer))))
}

impl Stats {
    fn of(answer: &Answer) -> Stats {
        let stats = answer.json();
        Stats {
            live_resources: stats["liveResources"].as_u64().unwrap(),
            resident_bytes: stats["residentBytes"].as_u64(),
            allocated_bytes: stats["allocatedBytes"].as_u64(),
        }
    }
}

/// Places orders, reads them, and asks for the health in between.
fn load(service: &Service, requests: usize) {
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut client = service.connect();
                let mut path = String::new();
                for number in 0..requests / CONNECTIONS {
                    let answer = match number % 3 {
                        0 => client.request("POST", "/orders", &[], BOOK),
                        1 => client.request("GET", &path, &[], ""),
                        _ => client.request("GET", "/healthz", &[], ""),
                    };
                    let want = if number % 3 == 0 { 201 } else { 200 };
                    assert_eq!(answer.status, want, "{answer:?}");
                    if number % 3 == 0 {
                        path = format!("/orders/{}", answer.json()["id"]);
                    }
                }
            });
        }
    });
}
