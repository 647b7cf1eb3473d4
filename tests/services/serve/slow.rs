//! Tests peers that take their time: each waits for nothing but its own.

use std::io::{ErrorKind, Write};
use std::time::Instant;

use forebear::serve;

use crate::app::App;
use crate::support::{Server, get, ms};

#[test]
fn a_head_that_does_not_end_is_answered_with_408() {
    let server = Server::start(|listener| serve(listener, App::default()).head_timeout(ms(100)));
    let begun = Instant::now();
    // The beginning, and one that comes after an answer.
    let mut first = server.connect();
    first.send("GET /hello HTTP/1.1\r\nhost:");
    let mut second = server.connect();
    assert_eq!(second.get("/hello").status, 200);
    second.send("GET /hello");
    for mut client in [first, second] {
        let answer = client.answer();
        assert_eq!(answer.status, 408);
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(client.is_at_end());
        assert!(begun.elapsed() >= ms(100));
    }
    server.trouble("the head of a request took longer than 100ms");
    server.finish();
}

#[test]
fn one_byte_now_and_then_is_not_enough() {
    let server = Server::start(|listener| serve(listener, App::default()).head_timeout(ms(100)));
    let mut client = server.connect();
    client.socket().set_read_timeout(Some(ms(10))).unwrap();
    let begun = Instant::now();
    client.send("GET / HTTP/1.1\r\n");
    loop {
        // The server may have closed it between two bytes.
        if client.socket().write_all(b"x").is_err() {
            break;
        }
        match client.socket().peek(&mut [0]) {
            Ok(_) => break,
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
            }
        }
    }
    assert!(begun.elapsed() >= ms(100));
    server.trouble("the head of a request took longer than 100ms");
    drop(client);
    server.finish();
}

#[test]
fn a_peer_that_asks_for_nothing_is_let_go_without_a_word() {
    let server = Server::start(|listener| {
        serve(listener, App::default()).head_timeout(ms(20)).idle_timeout(ms(200))
    });
    let begun = Instant::now();
    let mut silent = server.connect();
    let mut satisfied = server.connect();
    assert_eq!(satisfied.get("/hello").status, 200);
    for client in [&mut silent, &mut satisfied] {
        assert!(client.is_at_end());
        assert!(begun.elapsed() >= ms(200));
    }
    assert_eq!(server.troubles(), [""; 0]);
    drop((silent, satisfied));
    server.finish();
}

#[test]
fn an_answer_may_take_longer_than_any_peer() {
    let app = App::default();
    let state = app.state.clone();
    let server = Server::start(|listener| {
        serve(listener, app).head_timeout(ms(10)).idle_timeout(ms(20)).write_timeout(ms(10))
    });
    let mut head = server.connect();
    head.send(get("/gate"));
    let mut body = server.connect();
    body.send(get("/gated-body"));
    assert_eq!(body.head().unwrap().status, 200);
    // Other connections come and go meanwhile.
    for _ in 0..3 {
        assert!(server.connect().is_at_end());
    }
    state.gate.notify_waiters();
    assert_eq!(head.answer().body, "through");
    assert!(String::from_utf8(body.rest()).unwrap().contains("through"));
    drop((head, body));
    server.finish();
}

#[test]
fn a_body_that_does_not_end_is_an_error_for_who_reads_it() {
    let server = Server::start(|listener| serve(listener, App::default()).body_timeout(ms(100)));
    let begun = Instant::now();
    let mut client = server.connect();
    client.send("POST /count HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\n{");
    let mut chunked = server.connect();
    chunked
        .send("POST /count HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n");
    for client in [&mut client, &mut chunked] {
        let answer = client.answer();
        assert_eq!(answer.status, 408);
        assert_eq!(answer.body, "the body of a request took longer than 100ms");
        assert!(begun.elapsed() >= ms(100));
        assert!(client.is_at_end());
    }
    // One that is there in time is no trouble, and neither is none.
    let mut quick = server.connect();
    quick.send("POST /count HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\n\r\nabc");
    assert_eq!(quick.answer().body, "3");
    drop((client, chunked, quick));
    server.finish();
}

#[test]
fn a_peer_that_takes_nothing_is_given_up() {
    let app = App::default();
    let server = {
        let app = app.clone();
        Server::start(|listener| serve(listener, app).write_timeout(ms(100)))
    };
    let mut greedy = server.connect();
    greedy.send(get("/endless"));
    server.trouble("the peer took nothing of an answer for 100ms");
    server.comes_to_rest();
    assert_eq!(app.busy(), 0);
    // One that asks and asks, and reads nothing.
    let asking = server.connect();
    asking.socket().set_write_timeout(Some(ms(50))).unwrap();
    let requests = get("/hello").repeat(1000);
    while asking.socket().write_all(requests.as_bytes()).is_ok() {}
    server.comes_to_rest();
    assert_eq!(server.troubles().len(), 2, "{:?}", server.troubles());
    assert_eq!(server.connect().get("/hello").status, 200);
    server.finish();
}

#[test]
fn a_peer_that_reads_slowly_gets_everything() {
    let server = Server::start(|listener| serve(listener, App::default()).write_timeout(ms(500)));
    let mut client = server.connect();
    client.send(get("/endless"));
    assert_eq!(client.head().unwrap().status, 200);
    let mut taken = 0;
    let begun = Instant::now();
    // Ten times as long as it may take nothing, a little each time.
    while begun.elapsed() < ms(1000) {
        taken += client.take_some();
        std::thread::park_timeout(ms(20));
    }
    assert!(taken > 0);
    assert_eq!(server.troubles(), [""; 0]);
    drop(client);
    server.comes_to_rest();
    server.finish();
}
