//! Drives the program over sockets.

use std::thread;

use crate::support::{Relay, ask, serve_pages};

#[test]
fn pages_are_fetched_and_what_is_logged_has_its_request() {
    let (relay, pages) = (Relay::begin(), serve_pages());
    let mut client = relay.connect();
    for page in ["one", "two"] {
        let answer = ask(&mut client, &format!("http://{pages}/{page}"));
        assert_eq!(answer, format!("200 OK: this is /{page}"));
    }
    let clients = (0..8).map(|number| {
        let mut client = relay.connect();
        thread::spawn(move || {
            for round in 0..8 {
                let answer = ask(&mut client, &format!("http://{pages}/{number}/{round}"));
                assert_eq!(answer, format!("200 OK: this is /{number}/{round}"));
            }
        })
    });
    clients.collect::<Vec<_>>().into_iter().for_each(|client| client.join().unwrap());
    let log = relay.end();
    // What was said after the client had been awaited is the request's still.
    for request in 1..=66 {
        let own = log.lines().filter_map(|line| line.strip_prefix(&format!("request={request} ")));
        let own: Vec<_> = own.collect();
        let [url, status, bytes, answer] = own[..] else { panic!("{request}: {own:?}\n{log}") };
        let path = url.strip_prefix(&format!("url=http://{pages}")).unwrap();
        assert_eq!(status, "status=200");
        assert_eq!(bytes, format!("bytes={}", path.len() + 8));
        assert_eq!(answer, format!("answer=\"200 OK: this is {path}\""));
    }
}

#[test]
fn what_cannot_be_fetched_is_an_error() {
    let relay = Relay::begin();
    let mut client = relay.connect();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for url in [format!("http://{nobody}/"), "no url".to_owned(), String::new()] {
        let answer = ask(&mut client, &url);
        assert!(answer.starts_with("error: "), "{url}: {answer}");
    }
    relay.end();
}
