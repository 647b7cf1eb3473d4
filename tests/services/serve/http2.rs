//! Tests peers that speak HTTP/2: many requests at once over one connection, and what may go wrong
//! with one of them without hurting the others.

use std::future::Future;
use std::time::Instant;

use bytes::Bytes;
use forebear::net::TcpStream;
use forebear::runtime::{Builder, Runtime};
use forebear::serve;
use forebear::task::JoinHandle;
use forebear::time::timeout;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use hyper::{Request, StatusCode};

use crate::app::App;
use crate::support::{Client, PATIENCE, Server, ms, until};

/// A client, on a runtime of its own.
struct Peer {
    runtime: Runtime,
    send: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Peer {
    fn connect(server: &Server) -> Peer {
        let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (send, connection) = runtime.block_on(async {
            let stream = TcpStream::connect(server.address).await.unwrap();
            // One stream may not use up what there is for all of them.
            let mut builder = h2::client::Builder::new();
            builder.initial_connection_window_size(1 << 24);
            builder.handshake(stream).await.unwrap()
        });
        let connection = runtime.spawn(connection);
        Peer { runtime, send, connection }
    }

    /// Waits for something, but not for ever.
    #[track_caller]
    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(async { timeout(PATIENCE, future).await }).expect("it does not come")
    }

    fn begin(&mut self, path: &str, is_whole: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let method = if is_whole { "GET" } else { "POST" };
        let request = Request::builder().method(method).uri(format!("http://test{path}"));
        let request = request.body(()).unwrap();
        self.send.send_request(request, is_whole).unwrap()
    }

    #[track_caller]
    fn get(&mut self, path: &str) -> (StatusCode, String) {
        let (response, _) = self.begin(path, true);
        self.answer(response)
    }

    #[track_caller]
    fn answer(&self, response: ResponseFuture) -> (StatusCode, String) {
        self.wait(async {
            let response = response.await.unwrap();
            let status = response.status();
            (status, read(response.into_body()).await.unwrap())
        })
    }

    /// Waits for the end of the connection.
    #[track_caller]
    fn ended(self) -> Result<(), h2::Error> {
        let Peer { runtime, send, connection } = self;
        drop(send);
        let ended = runtime.block_on(async { timeout(PATIENCE, connection).await });
        ended.expect("the connection does not end").unwrap()
    }
}

async fn read(mut body: RecvStream) -> Result<String, h2::Error> {
    let mut text = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        text.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8(text).unwrap())
}

#[test]
fn many_requests_go_over_one_connection_at_once() {
    let app = App::default();
    let server = {
        let app = app.clone();
        Server::start(|listener| serve(listener, app))
    };
    let mut peer = Peer::connect(&server);
    let gated: Vec<ResponseFuture> = (0..50).map(|_| peer.begin("/gate", true).0).collect();
    until("all are being answered", || app.busy() == 50);
    // Others overtake them.
    assert_eq!(peer.get("/version"), (StatusCode::OK, "HTTP/2.0".to_owned()));
    assert_eq!(peer.get("/nothing").0, StatusCode::NOT_FOUND);
    let (response, mut body) = peer.begin("/count", false);
    peer.wait(async {
        // More than the window, so that the server has to ask for it.
        let mut left = Bytes::from(vec![b'x'; 1_000_000]);
        while !left.is_empty() {
            body.reserve_capacity(left.len());
            let room = std::future::poll_fn(|cx| body.poll_capacity(cx)).await.unwrap().unwrap();
            let chunk = left.split_to(room.min(left.len()));
            body.send_data(chunk, left.is_empty()).unwrap();
        }
    });
    // Who holds on to it holds on to the connection.
    drop(body);
    assert_eq!(peer.answer(response).1, "1000000");
    app.state.gate.notify_waiters();
    for response in gated {
        assert_eq!(peer.answer(response).1, "through");
    }
    peer.ended().unwrap();
    assert_eq!(server.finish().accepted, 1);
}

#[test]
fn a_service_that_fails_or_panics_ends_its_own_stream() {
    let server = Server::start(|listener| serve(listener, App::default()));
    let mut peer = Peer::connect(&server);
    for path in ["/error", "/panic"] {
        let (response, _) = peer.begin(path, true);
        let error = peer.wait(response).unwrap_err();
        assert!(error.is_reset(), "{path}: {error:?}");
        assert_eq!(peer.get("/hello").1, "hello");
    }
    peer.ended().unwrap();
    server.finish();
}

#[test]
fn a_request_that_is_taken_back_is_answered_no_more() {
    let app = App::default();
    let server = {
        let app = app.clone();
        Server::start(|listener| serve(listener, app))
    };
    let mut peer = Peer::connect(&server);
    for path in ["/never", "/endless"] {
        let (response, mut stream) = peer.begin(path, true);
        until("it is being answered", || app.busy() == 1);
        stream.send_reset(Reason::CANCEL);
        drop((response, stream));
        until("nothing is being answered", || app.busy() == 0);
        assert_eq!(peer.get("/hello").1, "hello");
    }
    // And so are all of them, when the peer is gone.
    let _gone: Vec<ResponseFuture> = (0..10).map(|_| peer.begin("/never", true).0).collect();
    until("all are being answered", || app.busy() == 10);
    let Peer { runtime, .. } = peer;
    drop(runtime);
    until("nothing is being answered", || app.busy() == 0);
    server.finish();
}

#[test]
fn a_stream_whose_answer_is_not_taken_is_given_up_and_no_other() {
    let app = App::default();
    let server = {
        let app = app.clone();
        Server::start(|listener| serve(listener, app).write_timeout(ms(200)))
    };
    let mut peer = Peer::connect(&server);
    let (response, stream) = peer.begin("/endless", true);
    let mut body = peer.wait(response).unwrap().into_body();
    until("it is given up", || {
        // The others are served all the while.
        assert_eq!(peer.get("/hello").1, "hello");
        app.busy() == 0
    });
    server.trouble("the peer took nothing of an answer for 200ms");
    // What the window let through can still be read, and then that it was given up.
    let error = peer.wait(async {
        loop {
            match body.data().await {
                Some(Ok(chunk)) => body.flow_control().release_capacity(chunk.len()).unwrap(),
                Some(Err(error)) => break error,
                None => panic!("an endless body has ended"),
            }
        }
    });
    assert!(error.is_reset(), "{error:?}");
    assert_eq!(peer.get("/hello").1, "hello");
    drop((body, stream));
    peer.ended().unwrap();
    server.finish();
}

#[test]
fn a_body_that_does_not_end_is_an_error_for_who_reads_it() {
    let server = Server::start(|listener| serve(listener, App::default()).body_timeout(ms(100)));
    let mut peer = Peer::connect(&server);
    let (response, body) = peer.begin("/count", false);
    let (status, said) = peer.answer(response);
    drop(body);
    assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(said, "the body of a request took longer than 100ms");
    peer.ended().unwrap();
    server.finish();
}

#[test]
fn what_begins_like_it_and_is_something_else_is_refused() {
    let server = Server::start(|listener| serve(listener, App::default()).head_timeout(ms(200)));
    // The whole preface, then garbage.
    let mut garbage = server.connect();
    garbage.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    garbage.send([b'x'; 100]);
    garbage.rest();
    server.trouble("http2 error");
    // Half of it, then nothing more; or the end.
    let begun = Instant::now();
    let mut half = server.connect();
    half.send("PRI * HT");
    assert_eq!(half.answer().status, 408);
    assert!(begun.elapsed() >= ms(200));
    let mut gone = server.connect();
    gone.send("PRI * HT");
    gone.socket().shutdown(std::net::Shutdown::Write).unwrap();
    gone.rest();
    // And one that only looks like it.
    let mut other: Client = server.connect();
    other.send("PRI /hello HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(other.answer().body, "hello");
    drop((garbage, half, gone, other));
    server.finish();
}

#[test]
fn a_peer_that_asks_for_nothing_is_told_to_go() {
    let server = Server::start(|listener| serve(listener, App::default()).idle_timeout(ms(200)));
    let mut peer = Peer::connect(&server);
    let begun = Instant::now();
    assert_eq!(peer.get("/hello").1, "hello");
    // It keeps what could send a request.
    let _send = peer.send.clone();
    peer.ended().unwrap();
    assert!(begun.elapsed() >= ms(200));
    server.finish();
}

#[test]
fn the_end_waits_for_what_is_in_flight_and_begins_nothing_new() {
    let app = App::default();
    let mut server = {
        let app = app.clone();
        Server::start(|listener| serve(listener, app))
    };
    let mut peer = Peer::connect(&server);
    let (gated, _) = peer.begin("/gate", true);
    let mut idle = Peer::connect(&server);
    assert_eq!(idle.get("/hello").1, "hello");
    until("it is being answered", || app.busy() == 1);
    server.begin_to_end();
    // The one with nothing in flight ends, whether it lets go of the connection or not.
    let _send = idle.send.clone();
    idle.ended().unwrap();
    until("nobody listens", || server.refuses());
    until("nothing new is begun", || {
        let request = Request::get("http://test/hello").body(()).unwrap();
        match peer.send.send_request(request, true) {
            Ok((response, _)) => peer.wait(response).is_err(),
            Err(_) => true,
        }
    });
    app.state.gate.notify_one();
    assert_eq!(peer.answer(gated).1, "through");
    peer.ended().unwrap();
    assert_eq!(server.ended().connections_left, 0);
    server.vanish();
}
