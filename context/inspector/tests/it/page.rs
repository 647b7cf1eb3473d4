//! Checks what the page is served: with curl's eyes, so to speak, since there is no browser here.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::Service;

/// A server of the page.
struct Page {
    child: Child,
    host: String,
    token: String,
}

impl Page {
    fn of(service: &Service) -> Page {
        let mut child = Command::new(env!("CARGO_BIN_EXE_forebear"))
            .args(["page", service.socket().to_str().unwrap()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let (host, token) =
            line.trim().strip_prefix("http://").unwrap().split_once("/?token=").unwrap();
        Page { child, host: host.to_owned(), token: token.to_owned() }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.host).unwrap()
    }

    /// Sends a request as it stands, and reads the whole answer.
    fn send(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    fn get(&self, path: &str) -> String {
        let join = if path.contains('?') { '&' } else { '?' };
        let (host, token) = (&self.host, &self.token);
        self.send(&format!("GET {path}{join}token={token} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    }

    #[track_caller]
    fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn only_who_has_the_token_and_names_this_machine_is_answered() {
    let service = Service::start(&["healthy"]);
    let page = Page::of(&service);
    let (host, token) = (&page.host, &page.token);
    let check = |request: &str, status: &str| {
        let answer = page.send(request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
    };
    check(&format!("GET /rows HTTP/1.1\r\nHost: {host}\r\n\r\n"), "403");
    check(&format!("GET /?token=0 HTTP/1.1\r\nHost: {host}\r\n\r\n"), "403");
    // A page from elsewhere whose name was made to mean this machine.
    check(&format!("GET /rows?token={token} HTTP/1.1\r\nHost: evil.example\r\n\r\n"), "421");
    check(&format!("POST /rows?token={token} HTTP/1.1\r\nHost: {host}\r\n\r\n"), "405");
    check("\u{16}\u{3}\u{1}\r\n\r\n", "400");
    check(&format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(20_000)), "400");
    check(&format!("GET /none?token={token} HTTP/1.1\r\nHost: {host}\r\n\r\n"), "404");
    let answer = page.get("/");
    for part in
        ["Content-Security-Policy: default-src 'none'", "X-Frame-Options: DENY", "<title>forebear"]
    {
        assert!(answer.contains(part), "{part}");
    }
    // It needs nothing from elsewhere.
    assert!(!answer.contains("src=\"http") && !answer.contains("@import"));
}

#[test]
fn rows_are_sent_in_parts_and_folds_open() {
    let service = Service::start(&["wedged"]);
    let page = Page::of(&service);
    let all = page.json("/rows?count=100");
    let rows = all["rows"].as_array().unwrap();
    let ship = rows.iter().find(|row| row["r"]["label"] == "ship").unwrap();
    assert_eq!(
        (&ship["r"]["doing"], &ship["r"]["context"]["accountId"]),
        (&Value::from("running"), &Value::from("42"))
    );
    assert_eq!(all["total"], rows.len());
    let second = page.json("/rows?from=1&count=1");
    assert_eq!(second["rows"].as_array().unwrap().len(), 1);
    assert_eq!(second["rows"][0]["r"]["id"], rows[1]["r"]["id"]);
    // Closing the first leaves what is not below it.
    let first = rows[0]["r"]["id"].as_u64().unwrap();
    assert_eq!(rows[0]["fold"], "open");
    let closed = page.json(&format!("/rows?count=100&toggled={first}"));
    assert_eq!(closed["rows"][0]["fold"], "closed");
    assert!(closed["total"].as_u64() < all["total"].as_u64());
    let picked = page.json("/rows?count=9&filter=field:accountId%3D42+state:running");
    let is_ship = |row: &&Value| row["r"]["label"] == "ship" && row["dim"].is_null();
    assert_eq!(picked["rows"].as_array().unwrap().iter().filter(is_ship).count(), 1);
    let wrong = page.get("/rows?filter=kidn:x");
    assert!(wrong.contains("400 Bad Request") && wrong.contains("did you mean"), "{wrong}");
    let waits = page.json("/rows?edge=waiting-on&count=9");
    assert!(waits["rows"][0]["r"]["waiting"].as_str().unwrap().contains("to end"), "{waits}");
    let id = ship["r"]["id"].as_u64().unwrap();
    let detail = page.json(&format!("/resource?id={id}"));
    assert_eq!(detail["lineage"][0]["label"], "ship");
    assert!(detail["text"].as_str().unwrap().contains("triggered by"));
}

#[test]
fn the_page_is_told_of_each_snapshot_as_it_comes() {
    let service = Service::start(&["busy"]);
    let page = Page::of(&service);
    let mut stream = page.connect();
    let (host, token) = (&page.host, &page.token);
    write!(stream, "GET /events?token={token} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(|line| line.unwrap());
    assert!(lines.any(|line| line == "Content-Type: text/event-stream"));
    let mut numbers = Vec::new();
    while numbers.len() < 3 {
        let line = lines.next().unwrap();
        if let Some(data) = line.strip_prefix("data: ") {
            let summary: Value = serde_json::from_str(data).unwrap();
            numbers.push(summary["number"].as_u64().unwrap());
            assert!(summary["kinds"]["TASK"].as_u64() > Some(0), "{summary}");
        }
    }
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

#[test]
fn other_tabs_and_copies_are_served() {
    let service = Service::start(&["leaky"]);
    let page = Page::of(&service);
    // What is a leak must be one twice.
    page.json("/rows?count=1&new=1");
    let mut leaks = page.json("/leaks");
    while leaks["leaks"].as_array().unwrap().is_empty() {
        page.json("/rows?count=1&new=1");
        leaks = page.json("/leaks");
    }
    assert_eq!(leaks["leaks"][0]["leak"], "never-wakes");
    assert!(leaks["leaks"][0]["lineage"].as_str().unwrap().contains("GET /leak"));
    let contexts = page.json("/contexts");
    assert!(contexts["contexts"][0]["state"].as_str().unwrap().starts_with("ended"));
    assert_eq!(contexts["contexts"][0]["count"], 3);
    assert!(!page.json("/alive")["alive"].as_array().unwrap().is_empty());
    assert!(page.get("/export?format=text").contains("task nobody wakes me"));
    assert!(page.get("/export?format=dot").contains("digraph forebear"));
    assert!(page.get("/export?format=pdf").contains("400 Bad Request"));
    let trace = page.json("/trace?ms=50");
    assert!(trace["traceEvents"].is_array());
}

#[test]
fn a_hundred_thousand_resources_are_shown_by_the_page() {
    let service = Service::start(&["many", "50000"]);
    let page = Page::of(&service);
    let folded = page.json("/rows?count=100");
    assert!(folded["total"].as_u64().unwrap() < 10, "{folded}");
    let unfolded = page.json("/rows?unfold=1&from=99000&count=50");
    assert!(unfolded["total"].as_u64().unwrap() > 100_000);
    assert_eq!(unfolded["rows"].as_array().unwrap().len(), 50);
}

#[test]
fn a_service_that_ends_is_said_to_be_gone() {
    let mut service = Service::start(&["healthy"]);
    let page = Page::of(&service);
    page.json("/rows?count=1");
    service.end();
    let mut answer = page.get("/rows?count=1&new=1");
    while answer.starts_with("HTTP/1.1 200") {
        answer = page.get("/rows?count=1&new=1");
    }
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
}
