//! Tests the service with a real Redis. `tests/run` sees to it that there is one.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where and why")]

#[path = "../../../../tests/services/shared/servers.rs"]
mod servers;
#[path = "it/support.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod support;

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::servers::Redis;
use crate::support::Service;

const BOOK: &str = r#"{"item":"book","quantity":2,"accountId":"a-1"}"#;

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "at the deadline it is still not so that {what}");
        thread::park_timeout(Duration::from_millis(20));
    }
}

#[track_caller]
fn is_used_up(redis: &Redis) {
    until("the stream is empty", || redis.ask("XLEN orders:to-ship") == ":0\r\n");
    let nothing = "*4\r\n:0\r\n";
    until("nothing is pending", || {
        redis.ask("XPENDING orders:to-ship shippers").starts_with(nothing)
    });
}

#[test]
fn orders_go_through_a_stream_and_leave_nothing_in_it() {
    let redis = Redis::start();
    let settings = [("REDIS_URL", &*redis.url()), ("SHIP_AFTER_MS", "5")];
    let mut service = Service::start(&settings);
    let mut client = service.connect();
    for order in 1..=50 {
        let request_id = format!("web-{order}");
        let headers = [("x-request-id", &*request_id)];
        assert_eq!(client.request("POST", "/orders", &headers, BOOK).status, 201);
    }
    for order in 1..=50 {
        let request_id = format!("requestId=web-{order}");
        service.line(&["order shipped", &request_id, "accountId=a-1"]);
    }
    is_used_up(&redis);
    service.signal(Signal::TERM);
    assert!(service.wait().success());
    service.line(&["msg=ended", "connectionsLeft=0", "ordersLeft=0"]);
}

#[test]
fn a_server_that_goes_and_comes_back_is_used_again() {
    let mut redis = Redis::start();
    let url = redis.url();
    let settings = [
        ("REDIS_URL", &*url),
        ("SHIP_AFTER_MS", "5"),
        // What was shipped, but could not be reported, is reported with the rounds.
        ("ROUNDS_EVERY_MS", "200"),
        ("RECLAIM_AFTER_MS", "200"),
    ];
    let service = Service::start(&settings);
    let mut client = service.connect();
    assert_eq!(client.request("POST", "/orders", &[], BOOK).status, 201);
    service.line(&["order shipped", "order=1"]);
    redis.stop();
    service.line(&["the queue gives nothing"]);
    assert_eq!(client.request("POST", "/orders", &[], BOOK).status, 201);
    service.line(&["not sent to be shipped", "order=2"]);
    redis.begin();
    service.get_until("/healthz", |_| {
        let placed = service.connect().request("POST", "/orders", &[], BOOK);
        let path = format!("/orders/{}", placed.json()["id"]);
        thread::park_timeout(Duration::from_millis(200));
        service.get(&path).json()["status"] == "shipped"
    });
    is_used_up(&redis);
}

#[test]
fn what_a_killed_run_has_taken_is_reclaimed() {
    let redis = Redis::start();
    // A carrier that accepts, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let carrier = format!("http://{}/", silent.local_addr().unwrap());
    let url = redis.url();
    let settings = [("REDIS_URL", &*url), ("SHIP_AFTER_MS", "5"), ("CARRIER_URL", &*carrier)];
    let mut service = Service::start(&settings);
    assert_eq!(service.connect().request("POST", "/orders", &[], BOOK).status, 201);
    until("it is taken", || {
        redis.ask("XPENDING orders:to-ship shippers").starts_with("*4\r\n:1\r\n")
    });
    service.signal(Signal::KILL);
    assert!(!service.wait().success());
    let settings = [("REDIS_URL", &*url), ("ROUNDS_EVERY_MS", "100"), ("RECLAIM_AFTER_MS", "200")];
    let service = Service::start_with(service.database.clone(), &settings);
    service.line(&["made the rounds", "triedAgain=1"]);
    is_used_up(&redis);
    assert_eq!(service.get("/orders/1").json()["status"], "shipped");
}

#[test]
fn an_entry_that_is_no_parcel_is_thrown_away() {
    let redis = Redis::start();
    let service = Service::start(&[("REDIS_URL", &redis.url())]);
    assert!(redis.ask("XADD orders:to-ship * order seven").starts_with('$'));
    service.line(&["the queue gives nothing", "is no parcel"]);
    is_used_up(&redis);
}

#[test]
fn a_queue_that_is_not_there_is_said_in_a_sentence() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_orders"))
        .env("PORT", "0")
        .env("DATABASE_URL", ":memory:")
        .env("REDIS_URL", "redis://127.0.0.1:1/")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("cannot open the queue: no connection: "), "{said}");
}
