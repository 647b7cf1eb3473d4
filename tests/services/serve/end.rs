//! Tests how it ends: what was accepted is answered, nothing new begins, and nobody is waited for
//! longer than was said.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Instant;

use forebear::net::TcpListener;
use forebear::runtime::Runtime;
use forebear::serve;
use forebear::sync::oneshot;
use forebear::testing::assert_quiescent;

use crate::app::App;
use crate::support::{Client, PATIENCE, Server, get, ms, until};

#[test]
fn what_is_in_flight_is_answered_and_what_is_idle_is_closed() {
    let app = App::default();
    let mut server = {
        let app = app.clone();
        Server::start(|listener| serve(listener, app))
    };
    let mut silent = server.connect();
    let mut satisfied = server.connect();
    assert_eq!(satisfied.get("/hello").status, 200);
    let mut head = server.connect();
    head.send(get("/gate"));
    let mut body = server.connect();
    body.send(get("/gated-body"));
    let first = body.head().unwrap();
    assert_eq!((first.status, first.header("connection")), (200, None));
    let mut half = server.connect();
    half.send("GET /hello HTTP/1.1\r\nho");
    until("all are being answered", || app.busy() == 2);

    server.begin_to_end();
    assert!(silent.is_at_end());
    assert!(satisfied.is_at_end());
    until("nobody listens", || server.refuses());
    half.send("st: test\r\n\r\n");
    let answer = half.answer();
    assert_eq!((&*answer.body, answer.header("connection")), ("hello", Some("close")));
    app.state.gate.notify_one();
    app.state.gate.notify_one();
    let answer = head.answer();
    assert_eq!((&*answer.body, answer.header("connection")), ("through", Some("close")));
    assert!(head.is_at_end());
    assert!(String::from_utf8(body.rest()).unwrap().contains("through"));
    drop((silent, satisfied, head, body, half));
    let ended = server.ended();
    assert_eq!((ended.accepted, ended.connections_left), (5, 0));
    server.vanish();
}

#[test]
fn a_request_that_comes_within_the_grace_is_answered() {
    let mut server = Server::start(|listener| serve(listener, App::default()).idle_grace(PATIENCE));
    let mut fresh = server.connect();
    let mut satisfied = server.connect();
    assert_eq!(satisfied.get("/hello").status, 200);
    server.begin_to_end();
    until("nobody listens", || server.refuses());
    for client in [&mut fresh, &mut satisfied] {
        let answer = client.get("/hello");
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
        assert!(client.is_at_end());
    }
    drop((fresh, satisfied));
    assert_eq!(server.ended().connections_left, 0);
    server.vanish();
}

#[test]
fn the_end_waits_no_longer_than_was_said() {
    let app = App::default();
    let mut server = {
        let app = app.clone();
        Server::start(|listener| serve(listener, app).shutdown_timeout(ms(100)))
    };
    let mut client = server.connect();
    client.send(get("/never"));
    until("it is being answered", || app.busy() == 1);
    let begun = Instant::now();
    server.begin_to_end();
    let ended = server.ended();
    assert!(begun.elapsed() >= ms(100));
    assert_eq!((ended.accepted, ended.connections_left), (1, 1));
    // What was left is given up at once, and said.
    until("nothing is being answered", || app.busy() == 0);
    server.trouble("it had not ended when the server did");
    assert!(client.rest().is_empty());
    server.vanish();
}

#[test]
fn a_server_that_is_dropped_lets_go_of_who_is_answered() {
    let app = App::default();
    let runtime = Runtime::new().unwrap();
    let id = runtime.id();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let serving = runtime.spawn(serve(listener, app.clone()).into_future());
    let connect = || Client::new(TcpStream::connect(address).unwrap());
    let mut idle = connect();
    assert_eq!(idle.get("/hello").status, 200);
    let mut busy = connect();
    busy.send(get("/gate"));
    until("it is being answered", || app.busy() == 1);
    serving.abort();
    assert!(runtime.block_on(serving).unwrap_err().is_cancelled());
    assert!(TcpStream::connect(address).is_err());
    assert!(idle.is_at_end());
    app.state.gate.notify_one();
    let answer = busy.answer();
    assert_eq!((&*answer.body, answer.header("connection")), ("through", Some("close")));
    assert!(busy.is_at_end());
    drop(runtime);
    assert_quiescent(id);
}

#[test]
fn a_signal_that_is_there_already_ends_it_at_once() {
    let runtime = Runtime::new().unwrap();
    let id = runtime.id();
    let ended = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        serve(listener, App::default()).with_graceful_shutdown(async {}).await.unwrap()
    });
    assert_eq!((ended.accepted, ended.connections_left), (0, 0));
    drop(runtime);
    assert_quiescent(id);
}

/// What one client has seen.
#[derive(Debug, Default)]
struct Seen {
    answers: usize,
    /// Connections that ended without a word after a request, although nothing had said that they
    /// would.
    lost: usize,
}

/// Asks over one connection after the other, until nobody listens.
fn ask_until_refused(address: SocketAddr) -> Seen {
    let mut seen = Seen::default();
    while let Ok(stream) = TcpStream::connect(address) {
        let mut client = Client::new(stream);
        let mut is_first = true;
        loop {
            if client.socket().write_all(get("/hello").as_bytes()).is_err() {
                // A connection that nobody has accepted is not lost when the listener closes.
                seen.lost += usize::from(!is_first);
                break;
            }
            let Some(answer) = client.try_answer() else {
                seen.lost += usize::from(!is_first);
                break;
            };
            assert_eq!(answer.body, "hello");
            seen.answers += 1;
            is_first = false;
            if answer.header("connection") == Some("close") {
                assert_eq!(client.socket().read(&mut [0]).unwrap(), 0);
                break;
            }
        }
    }
    seen
}

#[test]
fn a_server_that_ends_under_load_loses_no_request() {
    const CLIENTS: usize = 16;
    for _round in 0..5 {
        let app = App::default();
        let mut server = {
            let app = app.clone();
            // These clients may be kept waiting by the machine for longer than a person would.
            Server::start(|listener| serve(listener, app).idle_grace(PATIENCE / 2))
        };
        let address = server.address;
        let seen: Vec<Seen> = thread::scope(|scope| {
            let clients: Vec<_> =
                (0..CLIENTS).map(|_| scope.spawn(|| ask_until_refused(address))).collect();
            until("they are at it", || app.requests() > 50 * CLIENTS);
            server.begin_to_end();
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        let answers: usize = seen.iter().map(|seen| seen.answers).sum();
        let lost: usize = seen.iter().map(|seen| seen.lost).sum();
        assert_eq!((answers, lost), (app.requests(), 0), "{seen:?}");
        assert_eq!(server.ended().connections_left, 0);
        server.vanish();
    }
}

#[test]
fn connections_that_only_wait_in_the_queue_are_answered_at_the_end() {
    // The signal and the connections come before the server looks at either.
    let app = App::default();
    let runtime = Runtime::new().unwrap();
    let id = runtime.id();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let mut clients: Vec<Client> =
        (0..10).map(|_| Client::new(TcpStream::connect(address).unwrap())).collect();
    for client in &mut clients {
        client.send(get("/hello"));
    }
    let (end, signal) = oneshot::channel::<()>();
    end.send(()).unwrap();
    let ended = runtime.block_on(async {
        serve(listener, app.clone()).with_graceful_shutdown(async { signal.await.unwrap() }).await
    });
    assert_eq!(ended.unwrap().accepted, 10);
    for client in &mut clients {
        assert_eq!(client.answer().body, "hello");
    }
    drop(runtime);
    assert_quiescent(id);
}
