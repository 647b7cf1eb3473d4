//! Tests peers that break off, and worse: it is an error for whoever serves them, and nobody else's.

use std::net::Shutdown;

use forebear::serve;
use forebear::time::Duration;
use socket2::SockRef;

use crate::app::App;
use crate::support::{Client, Server, get, until};

/// Lets a connection end in a reset.
fn reset(client: Client) {
    SockRef::from(client.socket()).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
}

#[test]
fn who_goes_while_being_answered_is_answered_no_more() {
    let app = App::default();
    let server = {
        let app = app.clone();
        Server::start(|listener| serve(listener, app))
    };
    for path in ["/never", "/endless"] {
        for leave in [drop, reset] {
            let mut client = server.connect();
            client.send(get(path));
            until("it is being answered", || app.busy() == 1);
            leave(client);
            until("nothing is being answered", || app.busy() == 0);
        }
    }
    server.finish();
}

#[test]
fn a_body_that_breaks_off_is_an_error_for_who_reads_it() {
    let app = App::default();
    let server = {
        let app = app.clone();
        Server::start(|listener| serve(listener, app))
    };
    let head = "POST /count HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\n{";
    let mut client = server.connect();
    client.send(head);
    client.socket().shutdown(Shutdown::Write).unwrap();
    let answer = client.answer();
    assert_eq!(answer.status, 400);
    assert!(answer.body.starts_with("the body of a request broke off: "), "{answer:?}");
    assert!(client.is_at_end());
    for leave in [drop, reset] {
        let before = app.requests();
        let mut client = server.connect();
        client.send(head);
        until("it is being answered", || app.requests() > before);
        leave(client);
        until("nothing is being answered", || app.busy() == 0);
    }
    drop(client);
    server.finish();
}

#[test]
fn a_peer_that_has_said_all_is_answered_if_it_is_asked_for() {
    for half_close in [false, true] {
        let app = App::default();
        let state = app.state.clone();
        let server = {
            let app = app.clone();
            Server::start(move |listener| {
                serve(listener, app).configure_http1(|http1| {
                    http1.half_close(half_close);
                })
            })
        };
        let mut client = server.connect();
        client.send(get("/gate"));
        until("it is being answered", || app.busy() == 1);
        client.socket().shutdown(Shutdown::Write).unwrap();
        if half_close {
            state.gate.notify_one();
            assert_eq!(client.answer().body, "through");
        } else {
            until("it is taken to be gone", || app.busy() == 0);
        }
        assert!(client.is_at_end());
        drop(client);
        server.finish();
    }
}

#[test]
fn garbage_is_answered_with_400_and_a_head_beyond_all_bounds_with_431() {
    let server = Server::start(|listener| {
        serve(listener, App::default()).configure_http1(|http1| {
            http1.max_buf_size(16 * 1024);
        })
    });
    let mut other = server.connect();
    assert_eq!(other.get("/hello").status, 200);
    let long = format!("GET /hello HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(100 * 1024));
    let many = "POST /count HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab";
    for (sent, status) in [("\x01\x02 garbage\r\n\r\n", 400), (&*long, 431), (many, 400)] {
        let mut client = server.connect();
        client.send(get("/hello"));
        client.send(sent);
        assert_eq!(client.answer().status, 200);
        assert_eq!(client.answer().status, status, "{sent:.40}");
        assert!(client.is_at_end());
    }
    until("all three are told", || server.troubles().len() == 3);
    assert_eq!(other.get("/hello").status, 200);
    drop(other);
    server.finish();
}

#[test]
fn who_sends_too_much_still_reads_why() {
    // The handler of this path does not read the body, of which more comes than the socket holds.
    let server = Server::start(|listener| serve(listener, App::default()));
    let mut client = server.connect();
    let body = vec![b'x'; 200_000];
    client.send(format!(
        "POST /hello HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n",
        body.len()
    ));
    client.send(&body);
    assert_eq!(client.answer().body, "hello");
    drop(client);
    server.finish();
}

#[test]
fn who_connects_and_goes_is_nobody() {
    let server = Server::start(|listener| serve(listener, App::default()));
    for leave in [drop, reset] {
        for _ in 0..50 {
            leave(server.connect());
        }
    }
    server.comes_to_rest();
    assert_eq!(server.connect().get("/hello").status, 200);
    server.finish();
}
