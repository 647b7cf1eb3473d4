//! Tests tonic without its transport: its server on `forebear::serve`, its client on a connection of
//! hyper's. The types and the service are written by hand, so no `protoc` is needed.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where and why")]

#[path = "../shared/support.rs"]
mod support; // a server on a runtime of its own
mod greeter; // what is asked

use forebear::interop::hyper::ForebearExecutor;
use forebear::net::TcpStream;
use forebear::runtime::{Builder, Runtime};
use forebear::serve;
use forebear::testing::assert_quiescent;
use forebear::time::{Duration, timeout};
use futures_util::{StreamExt, stream};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::{Request, Response};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::{Code, Status};

use crate::greeter::{Calls, Greeter, HelloRequest};
use crate::support::{PATIENCE, Server, until};

fn start() -> (Server, Calls) {
    let greeter = Greeter::default();
    let calls = greeter.calls.clone();
    let router = tonic::service::Routes::new(greeter).prepare().into_axum_router();
    (Server::start(|listener| serve(listener, router)), calls)
}

fn client_runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).build().unwrap()
}

fn channel(
    send: http2::SendRequest<Body>,
) -> impl Service<Request<Body>, Response = Response<Incoming>, Error = hyper::Error, Future: Send>
{
    tower::service_fn(move |request| send.clone().send_request(request))
}

macro_rules! client {
    ($address:expr) => {{
        let address = $address;
        let stream = TcpStream::connect(address).await.unwrap();
        let (send, connection) = http2::handshake(ForebearExecutor::new(), stream).await.unwrap();
        forebear::spawn(connection);
        let uri = format!("http://{}", address).parse().unwrap();
        let mut client = tonic::client::Grpc::with_origin(channel(send), uri);
        client.ready().await.unwrap();
        client
    }};
}

fn hello(name: &str) -> HelloRequest {
    HelloRequest { name: name.to_owned() }
}

#[test]
fn one_is_asked_and_answers_or_refuses() {
    let (server, _) = start();
    let runtime = client_runtime();
    let id = runtime.id();
    runtime.block_on(async {
        let mut client = client!(server.address);
        for name in ["world", "tonic"] {
            client.ready().await.unwrap();
            let asked = client.unary(
                tonic::Request::new(hello(name)),
                greeter::path(greeter::HELLO),
                greeter::codec(),
            );
            let reply = asked.await.unwrap();
            assert_eq!(reply.into_inner().message, format!("hello {name}"));
        }
        let asked = client.unary(
            tonic::Request::new(hello("")),
            greeter::path(greeter::HELLO),
            greeter::codec(),
        );
        let status = asked.await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "who are you?"));
        let asked = client.unary(
            tonic::Request::new(hello("x")),
            greeter::path("/greeter.Greeter/Nothing"),
            greeter::codec(),
        );
        assert_eq!(asked.await.unwrap_err().code(), Code::Unimplemented);
    });
    drop(runtime);
    assert_quiescent(id);
    server.finish();
}

#[test]
fn streams_go_both_ways() {
    let (server, _) = start();
    let runtime = client_runtime();
    let id = runtime.id();
    runtime.block_on(async {
        let mut client = client!(server.address);
        let names = stream::iter((0..1000).map(|number| hello(&number.to_string())));
        let asked = client.streaming(
            tonic::Request::new(names),
            greeter::path(greeter::CHAT),
            greeter::codec(),
        );
        let mut replies = asked.await.unwrap().into_inner();
        for number in 0..1000 {
            let reply = replies.next().await.unwrap().unwrap();
            assert_eq!(reply.message, format!("hello {number}"));
        }
        assert!(replies.next().await.is_none());
        // What is refused in the middle is the end.
        let names = stream::iter([hello("a"), hello(""), hello("b")]);
        let asked = client.streaming(
            tonic::Request::new(names),
            greeter::path(greeter::CHAT),
            greeter::codec(),
        );
        let replies = asked.await.unwrap().into_inner();
        let replies: Vec<Result<_, Status>> = replies.collect().await;
        assert_eq!(replies.len(), 2, "{replies:?}");
        assert_eq!(replies[1].as_ref().unwrap_err().code(), Code::InvalidArgument);
    });
    drop(runtime);
    assert_quiescent(id);
    server.finish();
}

#[test]
fn a_call_that_is_given_up_is_answered_no_more() {
    let (mut server, calls) = start();
    let runtime = client_runtime();
    let id = runtime.id();
    runtime.block_on(async {
        let mut client = client!(server.address);
        let asked = client.unary(
            tonic::Request::new(hello("never")),
            greeter::path(greeter::HELLO),
            greeter::codec(),
        );
        timeout(Duration::from_millis(50), asked).await.unwrap_err();
    });
    until("the call is given up", || calls.open() == 0);
    assert_eq!(calls.begun(), 1);
    // And what is open at the end is waited for.
    let asked = runtime.spawn({
        let address = server.address;
        async move {
            let mut client = client!(address);
            client
                .unary(
                    tonic::Request::new(hello("wait")),
                    greeter::path(greeter::HELLO),
                    greeter::codec(),
                )
                .await
        }
    });
    until("it is called", || calls.open() == 1);
    server.begin_to_end();
    until("nobody listens", || server.refuses());
    calls.let_through();
    let reply = runtime.block_on(async { timeout(PATIENCE, asked).await.unwrap().unwrap() });
    assert_eq!(reply.unwrap().into_inner().message, "hello wait");
    drop(runtime);
    assert_quiescent(id);
    assert_eq!(server.ended().connections_left, 0);
    server.vanish();
}
