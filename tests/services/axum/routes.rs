//! Tests what needs nothing: routes, extractors, and `ConnectInfo`.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use forebear::serve;

use crate::support::{Server, ms};

#[derive(Debug, serde::Deserialize, serde::Serialize)]
struct Order {
    item: String,
}

fn router() -> Router {
    Router::new()
        .route("/orders/{id}", get(|Path(id): Path<u32>| async move { format!("order {id}") }))
        .route(
            "/orders",
            post(|Json(order): Json<Order>| async { (StatusCode::CREATED, order.item) }),
        )
        .route("/search", get(|Query(order): Query<Order>| async { order.item }))
        .route("/state", get(|State(state): State<&'static str>| async move { state }))
        .with_state("state")
}

#[test]
fn a_router_is_served_as_it_is() {
    let server = Server::start(|listener| serve(listener, router()).body_timeout(ms(200)));
    let mut client = server.connect();
    assert_eq!(client.get("/orders/7").body, "order 7");
    assert_eq!(client.get("/orders/x").status, 400);
    assert_eq!(client.get("/search?item=book").body, "book");
    assert_eq!(client.get("/state").body, "state");
    assert_eq!(client.get("/nothing").status, 404);
    let post = |length: usize, body: &str| {
        let head = "POST /orders HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n";
        format!("{head}content-length: {length}\r\n\r\n{body}")
    };
    let body = r#"{"item":"book"}"#;
    client.send(post(body.len(), body));
    let answer = client.answer();
    assert_eq!((answer.status, &*answer.body), (201, "book"));
    client.send(post(1, "{"));
    assert_eq!(client.answer().status, 400);
    // A body that does not come to its end is an error of the extractor's.
    client.send(post(100, "{"));
    let answer = client.answer();
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("took longer than 200ms"), "{answer:?}");
    drop(client);
    server.finish();
}

#[test]
fn a_handler_knows_who_is_at_the_other_end() {
    let router = Router::new().route(
        "/",
        get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }),
    );
    let server = Server::start(move |listener| {
        serve::with_peer(listener, router.into_make_service_with_connect_info::<SocketAddr>())
    });
    for _ in 0..2 {
        let mut client = server.connect();
        let me = client.socket().local_addr().unwrap().to_string();
        assert_eq!(client.get("/").body, me);
        assert_eq!(client.get("/").body, me);
    }
    server.finish();
}
