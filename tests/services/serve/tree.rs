//! Tests who descends from whom, whose context is seen, and where in the program it was made.

use std::convert::Infallible;

use forebear::AsyncLocal;
use forebear::hooks::execution_async_id;
use forebear::inspect;
use forebear::net::TcpListener;
use forebear::serve::{self, HyperService};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};

use crate::support::{Server, get};

/// Says what it descends from, a line each, and then the context it sees.
async fn lineage(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let inner = forebear::spawn(async {
        let id = execution_async_id().unwrap();
        inspect::lineage(id).to_string()
    });
    let seen = KEY.get().map_or("nothing", |()| "something");
    Ok(Response::new(format!("{}context: {seen}\n", inner.await.unwrap())))
}

static KEY: AsyncLocal<()> = AsyncLocal::named("key");

#[test]
fn a_request_descends_from_its_connection_and_that_from_the_listener() {
    let line = line!() + 2;
    let server = Server::start(|listener: TcpListener| {
        serve::serve(listener, HyperService::new(service_fn(lineage)))
    });
    let mut client = server.connect();
    let said = client.get("/").body;
    let place = format!("tests/services/serve/tree.rs:{line}");
    let expected = ["task connection", "tcp stream", "tcp listener"];
    let lines: Vec<&str> = said.lines().collect();
    for (above, what) in lines[1..].iter().zip(expected) {
        assert!(above.contains(what), "{what:?} is not where it should be in\n{said}");
    }
    for made_there in &lines[1..3] {
        assert!(made_there.contains(&place), "{place:?} is not in\n{said}");
    }
    drop(client);
    server.finish();
}

#[test]
fn a_stream_of_http2_descends_from_its_connection() {
    use forebear::net::TcpStream;
    use forebear::runtime::Builder;

    let server =
        Server::start(|listener| serve::serve(listener, HyperService::new(service_fn(lineage))));
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let said = runtime.block_on(async {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
        forebear::spawn(connection);
        let request = Request::get("http://test/").body(()).unwrap();
        let (response, _) = send.send_request(request, true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let mut said = Vec::new();
        while let Some(chunk) = body.data().await {
            let chunk: bytes::Bytes = chunk.unwrap();
            said.extend_from_slice(&chunk);
        }
        String::from_utf8(said).unwrap()
    });
    drop(runtime);
    let expected = ["task http2 stream", "task connection", "tcp stream", "tcp listener"];
    for (above, what) in said.lines().skip(1).zip(expected) {
        assert!(above.contains(what), "{what:?} is not where it should be in\n{said}");
    }
    server.finish();
}

#[test]
fn a_connection_has_nothing_of_the_context_in_which_the_server_was_called() {
    use std::future::IntoFuture;

    let runtime = forebear::runtime::Runtime::new().unwrap();
    let id = runtime.id();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let serving = serve::serve(listener, HyperService::new(service_fn(lineage)));
    let serving = runtime.spawn(KEY.scope((), serving.into_future()));
    let mut client = crate::support::Client::new(std::net::TcpStream::connect(address).unwrap());
    client.send(get("/"));
    let said = client.answer().body;
    assert!(said.ends_with("context: nothing\n"), "{said}");
    serving.abort();
    drop(client);
    assert!(runtime.block_on(serving).unwrap_err().is_cancelled());
    drop(runtime);
    forebear::testing::assert_quiescent(id);
}
