//! Tests a websocket: hyper's upgrade, with tungstenite on both sides, and every task of it ours.

use axum::Router;
use axum::extract::Request;
use axum::http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use axum::http::{Response, StatusCode};
use axum::routing::get;
use forebear::interop::hyper::TokioIo;
use forebear::net::TcpStream;
use forebear::runtime::Runtime;
use forebear::serve;
use forebear::task;
use forebear::testing::assert_quiescent;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::support::{Server, until};

/// Answers with an upgrade, and echoes what comes then.
async fn echo(mut request: Request) -> Response<String> {
    let answer = Response::builder();
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
        return answer.status(StatusCode::UPGRADE_REQUIRED).body(String::new()).unwrap();
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgraded = hyper::upgrade::on(&mut request);
    drop(task::Builder::new().name("websocket").spawn(async move {
        let stream = TokioIo::new(upgraded.await.unwrap());
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                socket.send(message).await.unwrap();
            }
        }
    }));
    answer
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accept)
        .body(String::new())
        .unwrap()
}

#[test]
fn a_websocket_is_opened_used_and_closed() {
    let router = Router::new().route("/", get(echo));
    let mut server = Server::start(|listener| serve(listener, router));
    assert_eq!(server.connect().get("/").status, 426);
    let runtime = Runtime::new().unwrap();
    let id = runtime.id();
    let connect = async || {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let url = format!("ws://{}/", server.address);
        tokio_tungstenite::client_async(url, stream).await.unwrap().0
    };
    let (mut polite, mut rude) = runtime.block_on(async { (connect().await, connect().await) });
    runtime.block_on(async {
        for socket in [&mut polite, &mut rude] {
            for text in ["hello", &*"x".repeat(100_000)] {
                socket.send(Message::text(text)).await.unwrap();
                assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
            }
        }
    });
    let tree = server.tree();
    let websockets = tree.lines().filter(|line| line.contains("task websocket")).count();
    assert_eq!(websockets, 2, "{tree}");
    // One says goodbye, the other is gone, and the end waits for both.
    server.begin_to_end();
    until("nobody listens", || server.refuses());
    runtime.block_on(async {
        polite.close(None).await.unwrap();
        while polite.next().await.is_some_and(|message| message.is_ok()) {}
    });
    drop((polite, rude));
    assert_eq!(server.ended().connections_left, 0);
    server.vanish();
    drop(runtime);
    assert_quiescent(id);
}
