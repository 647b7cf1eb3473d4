//! Tests the service with a real PostgreSQL. `tests/run` sees to it that there is one.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where and why")]

#[path = "../../../../tests/services/shared/servers.rs"]
mod servers;
#[path = "it/support.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod support;

use std::thread;

use rustix::process::Signal;

use crate::servers::Postgres;
use crate::support::Service;

const BOOK: &str = r#"{"item":"book","quantity":2,"accountId":"a-1"}"#;

/// Long enough that nothing is shipped while a test runs.
const NEVER_MS: &str = "3600000";

#[test]
fn orders_are_placed_read_and_shipped() {
    let postgres = Postgres::start();
    let service = Service::start(&[("DATABASE_URL", &postgres.url()), ("SHIP_AFTER_MS", "20")]);
    let headers = [("x-request-id", "web-1")];
    let placed = service.connect().request("POST", "/orders", &headers, BOOK);
    assert_eq!(placed.status, 201, "{placed:?}");
    let want = r#"{"id":1,"item":"book","quantity":2,"accountId":"a-1","status":"placed"}"#;
    assert_eq!(placed.body, want);
    let shipped = service.get_until("/orders/1", |answer| answer.json()["status"] == "shipped");
    assert_eq!(shipped.json()["item"], "book");
    service.line(&["order shipped", "requestId=web-1", "accountId=a-1"]);
    assert_eq!(service.get("/orders/2").status, 404);
    // What could be taken for SQL is a text like any other.
    let body = BOOK.replace("book", "'); DROP TABLE orders; --");
    assert_eq!(service.connect().request("POST", "/orders", &[], &body).status, 201);
    assert_eq!(service.get("/orders/2").json()["item"], "'); DROP TABLE orders; --");
}

#[test]
fn it_can_be_reached_by_a_socket_of_the_system() {
    let postgres = Postgres::start();
    let folder = postgres.socket().to_str().unwrap().replace('/', "%2F");
    let url = format!("postgres://shop@{folder}:{}/postgres", postgres.port);
    let service = Service::start(&[("DATABASE_URL", &url)]);
    assert_eq!(service.connect().request("POST", "/orders", &[], BOOK).status, 201);
}

#[test]
fn what_a_killed_run_has_left_is_shipped_by_the_next_one() {
    let postgres = Postgres::start();
    let settings = [("DATABASE_URL", &*postgres.url()), ("SHIP_AFTER_MS", NEVER_MS)];
    let mut service = Service::start(&settings);
    assert_eq!(service.connect().request("POST", "/orders", &[], BOOK).status, 201);
    service.signal(Signal::KILL);
    assert!(!service.wait().success());
    let service = Service::start(&settings);
    service.line(&["an earlier run has left something", "orders=1"]);
    service.get_until("/orders/1", |answer| answer.json()["status"] == "shipped");
}

#[test]
fn a_database_that_goes_and_comes_back_is_an_error_only_meanwhile() {
    let mut postgres = Postgres::start();
    let service = Service::start(&[("DATABASE_URL", &postgres.url())]);
    assert_eq!(service.connect().request("POST", "/orders", &[], BOOK).status, 201);
    postgres.stop();
    for _ in 0..10 {
        let answer = service.connect().request("POST", "/orders", &[("x-request-id", "no")], BOOK);
        assert_eq!(answer.status, 500, "{answer:?}");
    }
    service.line(&["the store failed", "requestId=no"]);
    assert_eq!(service.get("/healthz").status, 200);
    postgres.begin();
    // The connections that broke are thrown away, one after the other.
    service.get_until("/orders/1", |answer| answer.status == 200);
    assert_eq!(service.connect().request("POST", "/orders", &[], BOOK).status, 201);
}

#[test]
fn a_load_leaves_nothing_behind_but_connections_that_belong_to_nobody() {
    let postgres = Postgres::start();
    let service = Service::start(&[("DATABASE_URL", &postgres.url()), ("SHIP_AFTER_MS", "5")]);
    let load = || {
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let mut client = service.connect();
                    for _ in 0..25 {
                        let headers = [("x-request-id", "load")];
                        let placed = client.request("POST", "/orders", &headers, BOOK);
                        assert_eq!(placed.status, 201, "{placed:?}");
                        let path = format!("/orders/{}", placed.json()["id"]);
                        assert_eq!(client.request("GET", &path, &[], "").status, 200);
                    }
                });
            }
        });
    };
    let live = || service.get("/debug/stats").json()["liveResources"].as_u64().unwrap();
    // The first load opens all connections that there can be: a task and a socket for each.
    load();
    let is_idle = |tree: &str| !tree.contains("requestId=load");
    let tree = service.get_until("/debug/tree", |answer| is_idle(&answer.body)).body;
    let connections = tree.matches("task postgres ").count();
    assert!((1..=8).contains(&connections), "{tree}");
    let before = live();
    load();
    service.get_until("/debug/stats", |answer| answer.json()["liveResources"] == before);
}

#[test]
fn a_database_that_is_not_there_is_said_in_a_sentence() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_orders"))
        .env("PORT", "0")
        .env("DATABASE_URL", "postgres://shop:secret@127.0.0.1:1/postgres")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("cannot open the PostgreSQL database postgres"), "{said}");
    assert!(!said.contains("secret"), "{said}");
}

#[test]
fn a_wrong_password_is_said_in_a_sentence() {
    let postgres = Postgres::start();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_orders"))
        .env("PORT", "0")
        .env("DATABASE_URL", postgres.url().replace("secret", "guess"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("password authentication failed"), "{said}");
}
