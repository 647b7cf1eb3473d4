//! Tests that it answers, whoever is connected, and however many.

use forebear::net::{UnixListener, UnixStream};
use forebear::runtime::Runtime;
use forebear::serve;
use forebear::testing::assert_quiescent;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::app::App;
use crate::support::{Server, get};

#[test]
fn one_connection_carries_one_request_after_the_other() {
    let server = Server::start(|listener| serve(listener, App::default()));
    let mut client = server.connect();
    for _ in 0..20 {
        assert_eq!(client.get("/hello").body, "hello");
    }
    // Sent at once, answered in order.
    client.send(format!("{}{}", get("/hello"), get("/version")).repeat(20));
    for _ in 0..20 {
        assert_eq!(client.answer().body, "hello");
        assert_eq!(client.answer().body, "HTTP/1.1");
    }
    client.send("HEAD /hello HTTP/1.1\r\nhost: test\r\n\r\n");
    let head = client.head().unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, Some("5")));
    drop(client);
    let ended = server.finish();
    assert_eq!(ended.accepted, 1);
}

#[test]
fn a_service_that_fails_or_panics_ends_its_own_connection() {
    let server = Server::start(|listener| serve(listener, App::default()));
    let mut other = server.connect();
    for path in ["/error", "/panic"] {
        let mut client = server.connect();
        client.send(get(path));
        assert!(client.rest().is_empty());
        assert_eq!(other.get("/hello").status, 200);
    }
    server.trouble("error from user's Service");
    drop(other);
    server.finish();
}

#[test]
fn connections_beyond_the_limit_wait_for_their_turn() {
    let server = Server::start(|listener| serve(listener, App::default()).max_connections(2));
    let mut first = server.connect();
    let mut second = server.connect();
    assert_eq!(first.get("/hello").status, 200);
    assert_eq!(second.get("/hello").status, 200);
    let mut third = server.connect();
    third.send(get("/hello"));
    // Others are served meanwhile, so the third was not forgotten, but kept waiting.
    for _ in 0..100 {
        assert_eq!(first.get("/hello").status, 200);
    }
    third.socket().set_nonblocking(true).unwrap();
    let nothing = third.socket().peek(&mut [0]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    third.socket().set_nonblocking(false).unwrap();
    drop(first);
    assert_eq!(third.answer().status, 200);
    drop((second, third));
    assert_eq!(server.finish().accepted, 3);
}

#[test]
fn unix_sockets_are_served_too() {
    let folder = std::env::temp_dir().join(format!("forebear-serve-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("serve.sock");
    let runtime = Runtime::new().unwrap();
    let id = runtime.id();
    runtime.block_on(async {
        let listener = UnixListener::bind(&path).unwrap();
        let (end, signal) = forebear::sync::oneshot::channel::<()>();
        let serving = serve(listener, App::default())
            .with_graceful_shutdown(async { signal.await.unwrap_or_default() });
        let serving = forebear::spawn(serving.into_future());
        let mut client = UnixStream::connect(&path).await.unwrap();
        client.write_all(get("/hello").as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        drop(client);
        end.send(()).unwrap();
        assert_eq!(serving.await.unwrap().unwrap().connections_left, 0);
    });
    std::fs::remove_dir_all(&folder).unwrap();
    drop(runtime);
    assert_quiescent(id);
}

#[test]
fn what_is_no_listener_is_an_error() {
    let runtime = Runtime::new().unwrap();
    let id = runtime.id();
    let error = runtime.block_on(async {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.unwrap();
        socket.set_nonblocking(true).unwrap();
        let listener: std::net::TcpListener = socket.into();
        let listener = forebear::net::TcpListener::from_std(listener).unwrap();
        serve(listener, App::default()).await.unwrap_err()
    });
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{error}");
    drop(runtime);
    assert_quiescent(id);
}
