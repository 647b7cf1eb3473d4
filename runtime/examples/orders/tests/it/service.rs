//! Drives the real service over plain sockets: every answer it can give, every client it must bear.

use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Client, Service, request};

const BOOK: &str = r#"{"item":"book","quantity":2,"accountId":"a-1"}"#;

/// Long enough that nothing is shipped while a test runs.
const NEVER_MS: &str = "3600000";

#[test]
fn an_order_is_placed_then_read_then_shipped() {
    let service = Service::start(&[("SHIP_AFTER_MS", "50")]);
    let placed = service.connect().request("POST", "/orders", &[], BOOK);
    assert_eq!(placed.status, 201, "{placed:?}");
    assert_eq!(placed.header("content-type"), Some("application/json"));
    let want = r#"{"id":1,"item":"book","quantity":2,"accountId":"a-1","status":"placed"}"#;
    assert_eq!(placed.body, want);
    let shipped = service.get_until("/orders/1", |answer| answer.json()["status"] == "shipped");
    assert_eq!(shipped.status, 200);
    assert_eq!(shipped.json()["accountId"], "a-1");
    assert_eq!(service.get("/healthz").body, "ok\n");
}

#[test]
fn every_refusal_says_why_in_json() {
    let service = Service::start(&[]);
    let mut client = service.connect();
    let mut check = |(method, path, body): (&str, &str, &str), status: u16, why: &str| {
        let answer = client.request(method, path, &[], body);
        let asked = format!("{method} {path} {body}");
        assert_eq!(answer.status, status, "{asked}: {answer:?}");
        let said = answer.json();
        assert!(said["error"].as_str().unwrap().contains(why), "{asked}: {answer:?}");
        assert_eq!(said["requestId"], answer.header("x-request-id").unwrap(), "{asked}");
        answer
    };
    check(("POST", "/orders", "{"), 400, "not an order in JSON");
    check(("POST", "/orders", ""), 400, "not an order in JSON");
    check(("POST", "/orders", r#"{"item":"book","quantity":2}"#), 400, "accountId");
    check(("POST", "/orders", &BOOK.replace('2', "-2")), 400, "invalid value");
    check(("POST", "/orders", &BOOK.replace('2', "0")), 400, "quantity must be");
    check(("POST", "/orders", &BOOK.replace("book", " ")), 400, "item must not");
    check(("POST", "/orders", &BOOK.replace("a-1", "a 1")), 400, "accountId must");
    check(("POST", "/orders", &BOOK.replace('}', r#","x":1}"#)), 400, "unknown field");
    check(("GET", "/orders/1", ""), 404, "no order with this id");
    check(("GET", "/orders/x", ""), 404, "nothing at this path");
    check(("GET", "/", ""), 404, "nothing at this path");
    let wrong = check(("GET", "/orders", ""), 405, "does not take");
    assert_eq!(wrong.header("allow"), Some("POST"));
    let wrong = check(("DELETE", "/orders/1", ""), 405, "does not take");
    assert_eq!(wrong.header("allow"), Some("GET,HEAD"));
    // One connection has borne all of that.
    assert_eq!(client.request("HEAD", "/healthz", &[], "").status, 200);
}

#[test]
fn a_body_that_is_too_large_is_refused_however_it_comes() {
    let service = Service::start(&[]);
    let body = "x".repeat(64 * 1024 + 1);

    let mut client = service.connect();
    let answer = client.request("POST", "/orders", &[], &body);
    assert_eq!(answer.status, 413, "{answer:?}");
    assert_eq!(answer.header("connection"), Some("close"));
    client.socket().shutdown(Shutdown::Write).unwrap();
    assert!(client.is_at_end());

    let mut client = service.connect();
    let chunked = [("transfer-encoding", "chunked")];
    client.send(request("POST", "/orders", &chunked, ""));
    client.send(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    let answer = client.answer();
    assert_eq!(answer.status, 413, "{answer:?}");
    assert!(answer.json()["error"].as_str().unwrap().contains("65536 bytes"));

    let largest = format!("{BOOK}{}", " ".repeat(64 * 1024 - BOOK.len()));
    assert_eq!(service.connect().request("POST", "/orders", &[], &largest).status, 201);
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let service = Service::start(&[]);
    let long = "x".repeat(20 * 1024);
    let answer = service.connect().request("GET", "/healthz", &[("x-long", &long)], "");
    assert_eq!(answer.status, 431, "{answer:?}");
    assert_eq!(service.get("/healthz").status, 200);
}

#[test]
fn one_connection_serves_one_request_after_the_other() {
    let service = Service::start(&[]);
    let mut client = service.connect();
    for id in 1..=20 {
        assert_eq!(client.request("POST", "/orders", &[], BOOK).json()["id"], id);
        assert_eq!(client.request("GET", &format!("/orders/{id}"), &[], "").json()["id"], id);
    }
    // Sent at once, answered in order.
    let pipelined: String =
        (1..=20).map(|id| request("GET", &format!("/orders/{id}"), &[], "")).collect();
    client.send(pipelined);
    for id in 1..=20 {
        assert_eq!(client.answer().json()["id"], id);
    }
}

#[test]
fn garbage_after_a_request_ends_its_own_connection_only() {
    let service = Service::start(&[]);
    let mut other = service.connect();
    assert_eq!(other.request("GET", "/healthz", &[], "").status, 200);

    let mut client = service.connect();
    client.send(request("GET", "/healthz", &[], "") + "\x01\x02 garbage\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    assert_eq!(client.answer().status, 400);
    assert!(client.is_at_end());
    service.line(&["connection given up", "client=127.0.0.1:"]);

    assert_eq!(other.request("GET", "/healthz", &[], "").status, 200);
}

#[test]
fn a_body_that_breaks_off_hurts_nobody() {
    let service = Service::start(&[]);
    let mut client = service.connect();
    client.send("POST /orders HTTP/1.1\r\nhost: orders\r\ncontent-length: 100\r\n\r\n{");
    client.socket().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.answer().status, 400);
    assert_eq!(service.get("/healthz").status, 200);
}

#[test]
fn a_slow_client_is_told_so_while_others_are_served() {
    let timeouts = [("HEADER_TIMEOUT_MS", "300"), ("BODY_TIMEOUT_MS", "300")];
    let service = Service::start(&timeouts);
    let mut slow_head = service.connect();
    slow_head.send("GET /healthz HTTP/1.1\r\nhost:");
    let mut slow_body = service.connect();
    slow_body.send("POST /orders HTTP/1.1\r\nhost: orders\r\ncontent-length: 100\r\n\r\n{");

    assert_eq!(service.get("/healthz").status, 200);
    assert_eq!(service.connect().request("POST", "/orders", &[], BOOK).status, 201);

    for client in [&mut slow_head, &mut slow_body] {
        let answer = client.answer();
        assert_eq!(answer.status, 408, "{answer:?}");
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(client.is_at_end());
    }
    service.line(&["connection given up", "the head of a request took longer than 300ms"]);
    service.line(&["answered", "status=408"]);
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let service = Service::start(&[("IDLE_TIMEOUT_MS", "100")]);
    let mut client = service.connect();
    assert_eq!(client.request("GET", "/healthz", &[], "").status, 200);
    assert!(client.is_at_end());
}

#[test]
fn a_client_that_takes_no_answers_is_given_up() {
    let service = Service::start(&[("WRITE_TIMEOUT_MS", "200")]);
    let client = service.connect();
    // Asks until its requests are stuck behind the answers.
    let requests = request("GET", "/debug/tree", &[], "").repeat(1000);
    client.socket().set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    while client.socket().write_all(requests.as_bytes()).is_ok() {}
    service.line(&["connection given up"]);
    assert_eq!(service.get("/healthz").status, 200);
}

#[test]
fn connections_beyond_the_limit_wait_for_their_turn() {
    let service = Service::start(&[("MAX_CONNECTIONS", "2")]);
    let mut first = service.connect();
    let mut second = service.connect();
    assert_eq!(first.request("GET", "/healthz", &[], "").status, 200);
    assert_eq!(second.request("GET", "/healthz", &[], "").status, 200);

    let mut third = service.connect();
    third.send(request("GET", "/healthz", &[], ""));
    // Nothing can come, so there is nothing better to wait for than a while.
    third.socket().set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let nothing = third.socket().peek(&mut [0]).unwrap_err().kind();
    assert!(matches!(nothing, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{nothing}");
    assert_eq!(second.request("GET", "/healthz", &[], "").status, 200);

    drop(first);
    third.socket().set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert_eq!(third.answer().status, 200);
}

#[test]
fn a_sound_request_id_comes_back_and_any_other_is_replaced() {
    let service = Service::start(&[]);
    let mut client = service.connect();
    let mut sent_and_got = |sent: &str| {
        let answer = client.request("GET", "/healthz", &[("x-request-id", sent)], "");
        answer.header("x-request-id").unwrap().to_owned()
    };
    assert_eq!(sent_and_got("web-7.A_b"), "web-7.A_b");
    let long = "x".repeat(128);
    assert_eq!(sent_and_got(&long), long);
    let made = sent_and_got("two words");
    assert_ne!(made, "two words");
    assert_ne!(sent_and_got("two words"), made);
    assert_ne!(sent_and_got(&(long + "x")).len(), 129);
}

#[test]
fn every_line_about_a_request_carries_its_fields() {
    let service = Service::start(&[("SHIP_AFTER_MS", "1")]);
    for (request_id, account_id) in [("one", "a-1"), ("two", "b-2")] {
        let mut client = service.connect();
        let body = BOOK.replace("a-1", account_id);
        let placed = client.request("POST", "/orders", &[("x-request-id", request_id)], &body);
        assert_eq!(placed.status, 201);
    }
    for (request_id, account_id) in [("one", "a-1"), ("two", "b-2")] {
        let fields = [format!("requestId={request_id}"), format!("accountId={account_id}")];
        for message in ["\"order placed\"", "answered", "\"order shipped\""] {
            service.line(&[message, &fields[0], &fields[1]]);
        }
    }
    let read = service.connect().request("GET", "/orders/2", &[("x-request-id", "three")], "");
    assert_eq!(read.status, 200);
    service.line(&["answered", "requestId=three", "accountId=b-2", "status=200"]);
}

#[test]
fn what_sqlite_cannot_do_is_our_fault_and_in_the_log() {
    let service = Service::start(&[]);
    let other = rusqlite::Connection::open(&service.database).unwrap();
    other.execute_batch("DROP TABLE orders").unwrap();
    for (method, path, body) in [("POST", "/orders", BOOK), ("GET", "/orders/1", "")] {
        let answer = service.connect().request(method, path, &[("x-request-id", method)], body);
        assert_eq!(answer.status, 500, "{answer:?}");
        assert_eq!(answer.json()["requestId"], method);
        assert!(!answer.body.contains("table"), "{answer:?}");
        let request_id = format!("requestId={method}");
        service.line(&["level=error", "no such table: orders", &request_id]);
    }
    assert_eq!(service.get("/healthz").status, 200);
}

#[test]
fn the_tree_shows_everything_under_what_triggered_it() {
    let service = Service::start(&[("SHIP_AFTER_MS", NEVER_MS)]);
    let mut answered = service.connect();
    let placed = answered.request("POST", "/orders", &[("x-request-id", "web-1")], BOOK);
    assert_eq!(placed.status, 201);
    let _busy = client_in_the_middle_of_an_order(&service);

    // The timer is there from the first poll of its task, which may come after the answer.
    let timer = "timer sleep runtime/examples/orders/src/shipping.rs";
    let tree = service.get_until("/debug/tree", |answer| answer.body.contains(timer)).body;
    let connection =
        ["task connection", "tcp stream connection", "tcp listener", "block on orders::serve"];
    // The request that was answered is gone; what it has begun is still under it.
    let gone = "flow POST /orders";
    let ship = line_under(&tree, "task ship", &[&[gone], &connection[..]].concat());
    assert!(ship.ends_with("requestId=web-1  accountId=a-1"), "{ship}");
    let timer = line_under(&tree, timer, &[&["task ship", gone], &connection[..]].concat());
    assert!(timer.contains("accountId=a-1"), "{timer}");
    // The request that is being read is alive, with the timer that limits it.
    let flow = line_under(&tree, "requestId=busy", &connection);
    assert!(flow.contains("flow POST /orders"), "{flow}");
    let limit = "timer request body runtime/examples/orders/src/main.rs";
    line_under(&tree, limit, &[&["requestId=busy"], &connection[..]].concat());
    // And so is the request that asks.
    line_under(&tree, "flow GET /debug/tree", &connection);
    line_under(&tree, "task accept", &["block on orders::serve"]);
}

#[test]
fn an_order_hangs_under_its_request_when_even_the_connection_is_gone() {
    let service = Service::start(&[("SHIP_AFTER_MS", NEVER_MS)]);
    assert_eq!(service.connect().request("POST", "/orders", &[], BOOK).status, 201);
    let is_gone = |line: &str| line.contains("task connection") && line.ends_with("gone");
    let tree = service.get_until("/debug/tree", |answer| answer.body.lines().any(is_gone)).body;
    let ancestors = [
        "flow POST /orders",
        "task connection",
        "tcp stream connection",
        "tcp listener",
        "block on orders::serve",
    ];
    let ship = line_under(&tree, "task ship", &ancestors);
    assert!(ship.ends_with("accountId=a-1"), "{ship}");
}

/// Returns the first line of a tree that holds `what`, whose ancestors hold these, nearest first.
#[track_caller]
fn line_under<'a>(tree: &'a str, what: &str, ancestors: &[&str]) -> &'a str {
    let depth = |line: &str| line.chars().take_while(|c| " │├└─".contains(*c)).count();
    let lines: Vec<&str> = tree.lines().collect();
    let Some(found) = lines.iter().position(|line| line.contains(what)) else {
        panic!("no {what:?} in\n{tree}");
    };
    let mut at = found;
    for ancestor in ancestors {
        let parent = lines[..at].iter().rposition(|line| depth(line) < depth(lines[at]));
        at = parent.unwrap_or_else(|| panic!("{what:?} is not under {ancestor:?} in\n{tree}"));
        assert!(lines[at].contains(ancestor), "{what:?} is not under {ancestor:?} in\n{tree}");
    }
    assert_eq!(depth(lines[at]), 0, "{what:?} has more ancestors in\n{tree}");
    lines[found]
}

/// Returns a client whose order the service has begun to read, but not all of it.
fn client_in_the_middle_of_an_order(service: &Service) -> Client {
    let mut client = service.connect();
    let length = BOOK.len();
    // hyper asks for the rest when the handler asks for the body: from then on it is in flight.
    let head = format!(
        "POST /orders HTTP/1.1\r\nhost: orders\r\nx-request-id: busy\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    );
    client.send(head);
    assert_eq!(client.answer().status, 100);
    client
}

#[test]
fn either_signal_ends_it_when_all_in_flight_is_done() {
    for (signal, name) in [(Signal::TERM, "signal=SIGTERM"), (Signal::INT, "signal=SIGINT")] {
        let mut service = Service::start(&[("SHIP_AFTER_MS", NEVER_MS)]);
        let mut idle = service.connect();
        let waits = idle.request("POST", "/orders", &[("x-request-id", "waits")], BOOK);
        assert_eq!(waits.status, 201);
        let mut fresh = service.connect();
        let mut busy = client_in_the_middle_of_an_order(&service);

        service.signal(signal);
        service.line(&["msg=ending", name]);
        assert!(idle.is_at_end());
        assert!(fresh.is_at_end());
        assert!(service.refuses());
        busy.send(BOOK);
        let answer = busy.answer();
        assert_eq!(answer.status, 201, "{answer:?}");
        assert!(busy.is_at_end());

        assert!(service.wait().success());
        service.line(&["order shipped", "order=1", "requestId=waits", "accountId=a-1"]);
        service.line(&["order shipped", "order=2"]);
        service.line(&["msg=ended", "connectionsLeft=0", "ordersLeft=0"]);
    }
}

#[test]
fn the_end_does_not_wait_longer_than_it_was_told() {
    let mut service = Service::start(&[("SHUTDOWN_MS", "100")]);
    let _busy = client_in_the_middle_of_an_order(&service);
    service.signal(Signal::TERM);
    assert!(service.wait().success());
    service.line(&["level=warn", "connectionsLeft=1", "ordersLeft=0"]);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut service = Service::start(&[("SHUTDOWN_MS", NEVER_MS)]);
    let _busy = client_in_the_middle_of_an_order(&service);
    service.signal(Signal::INT);
    service.line(&["msg=ending"]);
    service.signal(Signal::INT);
    assert!(service.wait().success());
    service.line(&["ended at once"]);
}

#[test]
fn orders_that_a_killed_run_has_left_are_shipped_by_the_next_one() {
    let mut service = Service::start(&[("SHIP_AFTER_MS", NEVER_MS)]);
    assert_eq!(service.connect().request("POST", "/orders", &[], BOOK).status, 201);
    service.signal(Signal::KILL);
    assert!(!service.wait().success());

    let service = Service::start_with(service.database.clone(), &[]);
    service.line(&["an earlier run has left something", "orders=1"]);
    service.get_until("/orders/1", |answer| answer.json()["status"] == "shipped");
    service.line(&["order shipped", "order=1", "accountId=a-1"]);
}

#[test]
fn a_port_that_is_taken_is_said_in_a_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_orders"))
        .env("PORT", &port)
        .env("DATABASE_URL", ":memory:")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(&format!("cannot listen on 127.0.0.1:{port}: ")), "{said}");
}
