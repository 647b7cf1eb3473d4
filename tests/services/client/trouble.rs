//! Tests what goes wrong with a client: it is an error, in time, and the next request is none the worse.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use bytes::Bytes;
use forebear::interop::client::{Client, Connector};
use forebear::interop::hyper::TokioIo;
use forebear::serve;
use forebear::testing::assert_quiescent;
use forebear::time::timeout;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::app::App;
use crate::pool::{Asker, read, request, runtime};
use crate::support::{Server, ms, until};
use crate::tls::Tls;

/// Returns what an error says, to its innermost cause.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said.push_str(&format!(": {error}"));
        cause = error.source();
    }
    said
}

#[test]
fn who_cannot_be_reached_is_an_error() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("http://{}/", nobody.local_addr().unwrap());
    drop(nobody);
    let runtime = runtime();
    let id = runtime.id();
    let client = Asker::new();
    for (uri, why) in [
        (&*nowhere, "refused"),
        ("https://127.0.0.1:1/", "no handshake for https"),
        ("ftp://127.0.0.1:1/", "neither http nor https"),
        ("http://no-such-host.invalid/", "lookup"),
    ] {
        let request = Request::get(uri).body(Empty::new()).unwrap();
        let error = runtime.block_on(client.request(request)).unwrap_err();
        assert!(causes(&error).contains(why), "{uri}: {}", causes(&error));
    }
    drop(client);
    drop(runtime);
    assert_quiescent(id);
}

#[test]
fn a_server_that_breaks_off_is_an_error_and_is_asked_anew() {
    // One that answers with half of what it promises, and one that says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        for answer in ["HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", "", "no HTTP\r\n\r\n"] {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let runtime = runtime();
    let id = runtime.id();
    let client = Asker::new();
    let ask = || client.request(Request::get(&uri).body(Empty::new()).unwrap());
    runtime.block_on(async {
        let half = ask().await.unwrap();
        let error = half.into_body().collect().await.unwrap_err();
        assert!(causes(&error).contains("before message length reached"), "{}", causes(&error));
        assert!(causes(&ask().await.unwrap_err()).contains("before message completed"));
        assert!(causes(&ask().await.unwrap_err()).contains("invalid HTTP version"));
    });
    server.join().unwrap();
    drop(client);
    drop(runtime);
    assert_quiescent(id);
}

#[test]
fn a_request_that_is_given_up_is_taken_back() {
    let app = App::default();
    let server = {
        let app = app.clone();
        Server::start(|listener| serve(listener, app))
    };
    let runtime = runtime();
    let id = runtime.id();
    let client = Asker::new();
    runtime.block_on(async {
        for _ in 0..3 {
            let asked = timeout(ms(50), client.request(request(&server, "/never")));
            asked.await.unwrap_err();
        }
        // One whose head is there, and whose body is not wanted any more.
        let endless = client.request(request(&server, "/endless")).await.unwrap();
        drop(endless);
    });
    until("nothing is being answered", || app.busy() == 0);
    let asked = client.request(request(&server, "/hello"));
    assert_eq!(runtime.block_on(async { read(asked.await.unwrap()).await }), "hello");
    drop(client);
    server.comes_to_rest();
    server.finish();
    drop(runtime);
    assert_quiescent(id);
}

#[test]
fn a_connection_that_the_server_has_closed_meanwhile_is_not_used() {
    let server = Server::start(|listener| serve(listener, App::default()).idle_timeout(ms(50)));
    let runtime = runtime();
    let id = runtime.id();
    let client = Asker::new();
    for _ in 0..3 {
        let asked = client.request(request(&server, "/hello"));
        assert_eq!(runtime.block_on(async { read(asked.await.unwrap()).await }), "hello");
        server.comes_to_rest();
    }
    assert_eq!(server.finish().accepted, 3);
    drop(client);
    drop(runtime);
    assert_quiescent(id);
}

#[test]
fn https_is_asked_through_a_handshake() {
    let tls = Tls::new();
    let server = tls.serve();
    let runtime = runtime();
    let id = runtime.id();
    let tls_connector = tls.connector(b"http/1.1");
    let connector = Connector::new().handshake(move |host, stream| {
        let tls = tls_connector.clone();
        async move {
            let name = ServerName::try_from(host).map_err(std::io::Error::other)?;
            tls.connect(name, stream).await.map(TokioIo::new)
        }
    });
    let client: Client<Empty<Bytes>> = Client::with(connector, |_| {});
    let port = server.address.port();
    for _ in 0..3 {
        let request = Request::get(format!("https://localhost:{port}/version"));
        let asked = client.request(request.body(Empty::new()).unwrap());
        assert_eq!(runtime.block_on(async { read(asked.await.unwrap()).await }), "HTTP/1.1");
    }
    // Who is not who it should be is refused.
    let request = Request::get(format!("https://127.0.0.1:{port}/version"));
    let asked = client.request(request.body(Empty::new()).unwrap());
    let error = runtime.block_on(asked).unwrap_err();
    assert!(causes(&error).contains("certificate"), "{}", causes(&error));
    drop(client);
    drop(runtime);
    assert_quiescent(id);
    assert_eq!(server.finish().accepted, 2);
}
