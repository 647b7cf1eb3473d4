//! Tests the call to another service: one that fails, refuses, hangs or is not there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::Signal;

use crate::support::Service;

const BOOK: &str = r#"{"item":"book","quantity":2,"accountId":"a-1"}"#;

/// What the carrier does with a request.
#[derive(Clone, Copy, Debug)]
enum Act {
    Say(u16),
    Close,
    Hang,
}

/// A carrier that acts as it is told, one act per request, and is content with all that follow.
struct Carrier {
    url: String,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    acts: Vec<Act>,
    connections: usize,
    /// Head and body of each request.
    requests: Vec<String>,
}

impl Carrier {
    fn start(acts: &[Act]) -> Carrier {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/parcels", listener.local_addr().unwrap());
        let acts = acts.iter().rev().copied().collect();
        let heard = Arc::new(Mutex::new(Heard { acts, ..Heard::default() }));
        let carrier = Carrier { url, heard: heard.clone() };
        // It ends with the process of the tests.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let heard = heard.clone();
                heard.lock().unwrap().connections += 1;
                thread::spawn(move || serve(stream.unwrap(), &heard));
            }
        });
        carrier
    }

    fn requests(&self) -> Vec<String> {
        self.heard.lock().unwrap().requests.clone()
    }
}

fn serve(stream: TcpStream, heard: &Mutex<Heard>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream) {
        let act = {
            let mut heard = heard.lock().unwrap();
            heard.requests.push(request);
            heard.acts.pop().unwrap_or(Act::Say(200))
        };
        match act {
            Act::Say(status) => {
                let answer = format!("HTTP/1.1 {status} As told\r\ncontent-length: 2\r\n\r\nok");
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
            Act::Close => return,
            // Until the peer goes.
            Act::Hang => {}
        }
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let from = head.len();
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
        let line = head[from..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}

fn place(service: &Service, request_id: &str) -> u64 {
    let headers = [("x-request-id", request_id)];
    let placed = service.connect().request("POST", "/orders", &headers, BOOK);
    assert_eq!(placed.status, 201, "{placed:?}");
    placed.json()["id"].as_u64().unwrap()
}

fn is_shipped(service: &Service, order: u64) -> bool {
    service.get(&format!("/orders/{order}")).json()["status"] == "shipped"
}

#[test]
fn the_carrier_is_told_until_it_has_heard() {
    let carrier = Carrier::start(&[Act::Say(503), Act::Close, Act::Say(429)]);
    let service = Service::start(&[("SHIP_AFTER_MS", "1"), ("CARRIER_URL", &carrier.url)]);
    let order = place(&service, "web-1");
    service.line(&["order shipped", "requestId=web-1", "accountId=a-1"]);
    assert!(is_shipped(&service, order));
    service.line(&["asked again", "503", "requestId=web-1"]);
    service.line(&["asked again", "cannot be reached", "requestId=web-1"]);
    service.line(&["asked again", "429", "requestId=web-1"]);
    let requests = carrier.requests();
    assert_eq!(requests.len(), 4, "{requests:?}");
    for request in requests {
        let request = request.to_ascii_lowercase();
        assert!(request.starts_with("post /parcels http/1.1\r\n"), "{request}");
        assert!(request.contains("idempotency-key: order-1\r\n"), "{request}");
        assert!(request.contains("x-request-id: web-1\r\n"), "{request}");
        assert!(request.ends_with(r#"{"accountid":"a-1","order":1}"#), "{request}");
    }
}

#[test]
fn what_the_carrier_refuses_is_tried_again_with_the_rounds() {
    let carrier = Carrier::start(&[Act::Say(400)]);
    let settings =
        [("SHIP_AFTER_MS", "1"), ("CARRIER_URL", &*carrier.url), ("ROUNDS_EVERY_MS", "200")];
    let service = Service::start(&settings);
    let order = place(&service, "web-1");
    service.line(&["not shipped", "the carrier says 400", "order=1", "requestId=web-1"]);
    service.line(&["made the rounds", "placed=1", "shipped=1", "triedAgain=1"]);
    service.line(&["order shipped", "requestId=web-1"]);
    assert!(is_shipped(&service, order));
    assert_eq!(carrier.requests().len(), 2);
}

#[test]
fn a_carrier_that_hangs_or_is_not_there_is_given_up_in_time() {
    let hangs = Carrier::start(&[Act::Hang; 8]);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("http://{}/", nobody.local_addr().unwrap());
    drop(nobody);
    for (url, why) in [(&hangs.url, "too slow"), (&nowhere, "cannot be reached")] {
        let settings =
            [("SHIP_AFTER_MS", "1"), ("CARRIER_URL", &**url), ("CARRIER_TIMEOUT_MS", "300")];
        let mut service = Service::start(&settings);
        let order = place(&service, "web-1");
        service.line(&["not shipped", why, "order=1", "requestId=web-1"]);
        assert!(!is_shipped(&service, order));
        service.signal(Signal::TERM);
        assert!(service.wait().success());
        service.line(&["level=warn", "connectionsLeft=0", "ordersLeft=1"]);
    }
}

#[test]
fn a_connection_to_the_carrier_serves_many_and_belongs_to_nobody() {
    let carrier = Carrier::start(&[]);
    let service = Service::start(&[("SHIP_AFTER_MS", "1"), ("CARRIER_URL", &carrier.url)]);
    for order in 1..=20 {
        assert_eq!(place(&service, "web-1"), order);
        service.line(&["order shipped", &format!("order={order} ")]);
    }
    // Who asks just before the only connection is back in the pool opens another.
    assert!(carrier.heard.lock().unwrap().connections <= 5);
    // They live on, and keep nothing of the requests that needed them first.
    let tree = service.get_until("/debug/tree", |answer| {
        answer.body.lines().filter(|line| line.contains("requestId=web-1")).count() == 0
    });
    let connection = tree.body.lines().find(|line| line.contains("task http connection"));
    let connection = connection.unwrap_or_else(|| panic!("no connection is kept:\n{}", tree.body));
    assert!(!connection.contains('├') && !connection.contains('└'), "it is no root: {connection}");
}
