//! Tests whom the connections of a pool belong to: to whoever uses them, and else to nobody.

use std::sync::Arc;

use bytes::Bytes;
use forebear::interop::client::{Client, ResponseBody};
use forebear::runtime::{Builder, Runtime};
use forebear::serve;
use forebear::testing::assert_quiescent;
use forebear::{AsyncLocal, fields, flow, inspect};
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response};

use crate::app::App;
use crate::support::{Server, ms, until};

pub(crate) type Asker = Client<Empty<Bytes>>;

pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

pub(crate) fn request(server: &Server, path: &str) -> Request<Empty<Bytes>> {
    let uri = format!("http://{}{path}", server.address);
    Request::get(uri).body(Empty::new()).unwrap()
}

pub(crate) async fn read(response: Response<ResponseBody>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// So many connections may serve twenty requests. Who asks just before the only one is back in the
/// pool opens another.
const FEW: u64 = 5;

/// Returns the lines of the tree of a runtime that hold this.
fn lines(runtime: &Runtime, what: &str) -> Vec<String> {
    let tree = inspect::tree_of(runtime.id()).to_string();
    tree.lines().filter(|line| line.contains(what)).map(str::to_owned).collect()
}

#[test]
fn a_connection_is_used_again_and_closed_when_nobody_has_for_a_while() {
    let server = Server::start(|listener| serve(listener, App::default()));
    let runtime = runtime();
    let id = runtime.id();
    let client = Asker::with(Default::default(), |pool| {
        pool.pool_idle_timeout(ms(200));
    });
    for _ in 0..20 {
        let asked = client.request(request(&server, "/hello"));
        assert_eq!(runtime.block_on(async { read(asked.await.unwrap()).await }), "hello");
    }
    server.comes_to_rest();
    until("nothing of the pool is left", || lines(&runtime, "tcp stream").is_empty());
    assert!(server.finish().accepted <= FEW);
    drop(client);
    drop(runtime);
    assert_quiescent(id);
}

static KEY: AsyncLocal<Arc<()>> = AsyncLocal::named("key");

#[test]
fn a_connection_keeps_nothing_of_the_request_that_needed_it_first() {
    let server = Server::start(|listener| serve(listener, App::default()));
    let runtime = runtime();
    let id = runtime.id();
    let client = Asker::new();
    let value = Arc::new(());
    let asking = {
        let (client, request) = (client.clone(), request(&server, "/hello"));
        flow("first", async move {
            fields::set("requestId", "first");
            read(client.request(request).await.unwrap()).await
        })
    };
    let asked = runtime.spawn(KEY.scope(value.clone(), asking));
    assert_eq!(runtime.block_on(asked).unwrap(), "hello");
    until("nobody has the value any more", || Arc::strong_count(&value) == 1);
    // The connection is there all the same, and stands under nobody.
    let connections = lines(&runtime, "task http connection");
    let is_root = |line: &String| !line.contains('─');
    assert!(!connections.is_empty() && connections.iter().all(is_root), "{connections:?}");
    assert!(lines(&runtime, "requestId").is_empty(), "{}", inspect::tree_of(id));
    let asked = client.request(request(&server, "/hello"));
    assert_eq!(runtime.block_on(async { read(asked.await.unwrap()).await }), "hello");
    drop(client);
    server.comes_to_rest();
    assert!(server.finish().accepted <= 2);
    drop(runtime);
    assert_quiescent(id);
}

#[test]
fn a_connection_stands_under_who_uses_it_for_as_long_as_that_is() {
    let app = App::default();
    let state = app.state.clone();
    let server = Server::start(|listener| serve(listener, app));
    let runtime = runtime();
    let id = runtime.id();
    let client = Asker::new();
    for name in ["one", "two"] {
        let (client, request) = (client.clone(), request(&server, "/gated-body"));
        let asked = runtime.spawn(async move {
            flow(name, async { read(client.request(request).await.unwrap()).await }).await
        });
        until("it is borrowed", || lines(&runtime, "borrow http request").len() == 1);
        let tree = inspect::tree_of(id).to_string();
        // It stands right under the flow, and names the socket.
        let flow = tree.lines().position(|line| line.contains(&format!("flow {name} "))).unwrap();
        let borrow = tree.lines().nth(flow + 1).unwrap();
        assert!(borrow.contains("borrow http request tests/services/client/pool.rs"), "{tree}");
        let socket = borrow.split_once("link ").unwrap().1;
        let socket = format!("{} tcp stream", socket.split_whitespace().next().unwrap());
        assert!(tree.contains(&socket), "{socket:?} is not in\n{tree}");
        state.gate.notify_one();
        assert_eq!(runtime.block_on(asked).unwrap(), "through");
        assert!(lines(&runtime, "borrow").is_empty());
    }
    drop(client);
    server.comes_to_rest();
    assert!(server.finish().accepted <= 2);
    drop(runtime);
    assert_quiescent(id);
}

#[test]
fn requests_at_once_have_a_connection_each() {
    let app = App::default();
    let state = app.state.clone();
    let server = Server::start(|listener| serve(listener, app));
    let runtime = runtime();
    let id = runtime.id();
    let client = Asker::new();
    let asked: Vec<_> = (0..10)
        .map(|_| {
            let (client, request) = (client.clone(), request(&server, "/gate"));
            runtime.spawn(async move { read(client.request(request).await.unwrap()).await })
        })
        .collect();
    until("all are being answered", || state.busy.load(std::sync::atomic::Ordering::SeqCst) == 10);
    let resources = forebear::inspect::snapshot_of(id);
    let resources = resources.resources().iter();
    assert_eq!(resources.filter(|resource| resource.kind.name() == "BORROW").count(), 10);
    state.gate.notify_waiters();
    for asked in asked {
        assert_eq!(runtime.block_on(asked).unwrap(), "through");
    }
    drop(client);
    server.comes_to_rest();
    assert_eq!(server.finish().accepted, 10);
    drop(runtime);
    assert_quiescent(id);
}
