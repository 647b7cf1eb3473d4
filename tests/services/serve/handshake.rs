//! Tests what comes before HTTP, a TLS handshake, and after it: a connection that is made something
//! else of.

use std::convert::Infallible;
use std::io::{Read, Write};

use bytes::Bytes;
use forebear::interop::hyper::{ForebearExecutor, TokioIo};
use forebear::net::TcpStream;
use forebear::runtime::{Builder, Runtime};
use forebear::serve::{self, Body, HyperService};
use forebear::task;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, UPGRADE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tower::service_fn as tower_service_fn;

use crate::support::{Server, get, ms, until};
use crate::tls::Tls;

fn client_runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).build().unwrap()
}

async fn shake(server: &Server, connector: TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(server.address).await.unwrap();
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await
}

#[test]
fn tls_is_spoken_in_either_version() {
    let tls = Tls::new();
    let server = tls.serve();
    let runtime = client_runtime();
    let id = runtime.id();
    runtime.block_on(async {
        let request = || {
            let request = Request::get("https://localhost/version").header("host", "localhost");
            request.body(Empty::<Bytes>::new()).unwrap()
        };
        let read = async |response: Response<Incoming>| {
            let body = response.into_body().collect().await.unwrap().to_bytes();
            String::from_utf8(body.to_vec()).unwrap()
        };

        let stream = shake(&server, tls.connector(b"http/1.1")).await.unwrap();
        let io = TokioIo::new(stream);
        let (mut send, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        let connection = forebear::spawn(connection);
        for _ in 0..3 {
            send.ready().await.unwrap();
            assert_eq!(read(send.send_request(request()).await.unwrap()).await, "HTTP/1.1");
        }
        drop(send);
        connection.await.unwrap().unwrap();

        let stream = shake(&server, tls.connector(b"h2")).await.unwrap();
        let (executor, io) = (ForebearExecutor::new(), TokioIo::new(stream));
        let begun = hyper::client::conn::http2::handshake(executor, io).await;
        let (mut send, connection) = begun.unwrap();
        let connection = forebear::spawn(connection);
        let answers = (0..20).map(|_| forebear::spawn(send.send_request(request())));
        for answer in answers.collect::<Vec<_>>() {
            let answer = answer.await.unwrap().unwrap();
            assert_eq!(answer.version(), Version::HTTP_2);
            assert_eq!(read(answer).await, "HTTP/2.0");
        }
        drop(send);
        connection.await.unwrap().unwrap();
    });
    drop(runtime);
    forebear::testing::assert_quiescent(id);
    assert_eq!(server.finish().accepted, 2);
}

#[test]
fn a_handshake_that_fails_is_nobody_elses_trouble() {
    let tls = Tls::new();
    let server = tls.serve();
    // No TLS at all.
    let mut plain = server.connect();
    plain.send(get("/hello"));
    plain.rest();
    server.trouble("the handshake failed");
    // One that ends in the middle, and one that does not go on.
    let mut gone = server.connect();
    gone.send([0x16, 3, 1]);
    drop(gone);
    let mut silent = server.connect();
    silent.send([0x16, 3, 1]);
    silent.rest();
    server.trouble("the head of a request took longer than 500ms");
    // A client that trusts somebody else.
    let runtime = client_runtime();
    let stranger = Tls::new().connector(b"h2");
    let refused = runtime.block_on(async { shake(&server, stranger).await.err() });
    assert!(refused.unwrap().to_string().contains("certificate"));
    until("four are told", || server.troubles().len() == 4);
    // And it goes on.
    runtime.block_on(async {
        let mut stream = shake(&server, tls.connector(b"http/1.1")).await.unwrap();
        stream.write_all(get("/hello").as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        // It goes without the goodbye that TLS has.
    });
    drop((plain, silent, runtime));
    server.finish();
}

/// Makes an echo of the connection.
async fn become_echo(mut request: Request<Body>) -> Result<Response<String>, Infallible> {
    let upgraded = hyper::upgrade::on(&mut request);
    drop(task::Builder::new().name("echo").spawn(async move {
        let mut echo = TokioIo::new(upgraded.await.unwrap());
        let mut buffer = [0; 64];
        loop {
            match echo.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(read) => echo.write_all(&buffer[..read]).await.unwrap(),
            }
        }
    }));
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "echo");
    Ok(response.body(String::new()).unwrap())
}

const UPGRADE_REQUEST: &str =
    "GET / HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";

#[test]
fn a_connection_that_was_made_something_else_of_counts_until_it_is_closed() {
    let mut server = Server::start(|listener| {
        serve::serve(listener, tower_service_fn(become_echo))
            .max_connections(1)
            .idle_timeout(ms(50))
    });
    let mut echo = server.connect();
    echo.send(UPGRADE_REQUEST);
    assert_eq!(echo.head().unwrap().status, 101);
    let mut next = server.connect();
    next.send(UPGRADE_REQUEST);
    // Timeouts of HTTP are none of its business: longer than the one for idle connections.
    for _ in 0..20 {
        echo.send("hello");
        let mut said = [0; 5];
        echo.socket().read_exact(&mut said).unwrap();
        assert_eq!(&said, b"hello");
        std::thread::park_timeout(ms(10));
    }
    next.socket().set_nonblocking(true).unwrap();
    let nothing = next.socket().peek(&mut [0]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    next.socket().set_nonblocking(false).unwrap();
    drop(echo);
    assert_eq!(next.head().unwrap().status, 101);
    // The end waits for it.
    server.begin_to_end();
    until("nobody listens", || server.refuses());
    next.socket().write_all(b"still here").unwrap();
    let mut said = [0; 10];
    next.socket().read_exact(&mut said).unwrap();
    drop(next);
    assert_eq!(server.ended().connections_left, 0);
    server.vanish();
}

#[test]
fn what_is_no_hyper_service_can_be_served_as_one() {
    // The adapters for services that take hyper's own bodies.
    let count = |request: Request<Incoming>| async {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Ok::<_, Infallible>(Response::new(body.len().to_string()))
    };
    let hyper =
        Server::start(move |listener| serve::serve(listener, HyperService::new(service_fn(count))));
    let tower = Server::start(move |listener| {
        serve::serve(listener, serve::IncomingService::new(tower_service_fn(count)))
    });
    for server in [hyper, tower] {
        let mut client = server.connect();
        client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\n\r\nabc");
        assert_eq!(client.answer().body, "3");
        drop(client);
        server.finish();
    }
}
