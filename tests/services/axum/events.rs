//! Tests server-sent events that are kept alive: by our body as they are, by axum's own inside of
//! tokio.

use std::convert::Infallible;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use forebear::serve;
use forebear::serve::KeepAlive;
use forebear::sync::mpsc;
use futures_util::stream;
use tower::ServiceBuilder;

use crate::entered::EnterTokio;
use crate::support::{self, Client, Server, ms, until};

type Events = mpsc::Receiver<&'static str>;

fn sse(events: Events) -> Sse<impl stream::Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold(events, async |mut events| {
        let data = events.recv().await?;
        Some((Ok(Event::default().data(data)), events))
    }))
}

/// Reads until what has come ends with this.
#[track_caller]
fn read_to(client: &mut Client, end: &str) -> String {
    let mut said = String::new();
    while !said.ends_with(end) {
        let chunk = client.chunk();
        assert!(!chunk.is_empty(), "it ends after {said:?}");
        said.push_str(&chunk);
    }
    said
}

#[test]
fn our_body_says_something_while_nothing_happens() {
    let (send, events) = mpsc::channel(4);
    let events = std::sync::Arc::new(std::sync::Mutex::new(Some(events)));
    let router = Router::new().route(
        "/",
        get(move || {
            let events = events.lock().unwrap().take().unwrap();
            let alive = |body| Body::new(KeepAlive::new(body, ms(50)));
            async move { sse(events).into_response().map(alive) }
        }),
    );
    let server = Server::start(|listener| serve(listener, router).write_timeout(ms(300)));
    let mut client = server.connect();
    client.send(support::get("/"));
    let head = client.head().unwrap();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    let begun = Instant::now();
    for word in ["one", "two"] {
        let event = format!("data: {word}\n\n");
        // Two without meaning, and then one that has some: whole, however they fall.
        assert_eq!(read_to(&mut client, ":\n\n"), ":\n\n");
        assert_eq!(read_to(&mut client, ":\n\n"), ":\n\n");
        send.blocking_send(word).unwrap();
        let said = read_to(&mut client, &event);
        let comments = said.strip_suffix(&event).unwrap();
        assert!(comments.split(":\n\n").all(str::is_empty), "{said:?}");
    }
    assert!(begun.elapsed() >= ms(200));
    // A peer that is gone is noticed without an event.
    drop(client);
    until("nobody listens to events", || send.is_closed());
    server.finish();
}

#[test]
fn the_keep_alive_of_axum_needs_tokio() {
    use axum::response::sse;
    use std::future::pending;

    let router = || {
        Router::new().route(
            "/",
            get(|| async {
                let nothing = stream::once(pending::<Result<Event, Infallible>>());
                Sse::new(nothing).keep_alive(sse::KeepAlive::new().interval(ms(50)))
            }),
        )
    };
    let server = Server::start(move |listener| serve(listener, router()));
    let mut client = server.connect();
    client.send(support::get("/"));
    assert!(client.rest().is_empty());
    drop(client);
    server.finish();

    // Its timer is made with the answer, and then polled by whoever reads the body.
    let inside = ServiceBuilder::new().layer(EnterTokio::new()).service(router());
    let server = Server::start(|listener| serve(listener, inside));
    let mut client = server.connect();
    client.send(support::get("/"));
    assert_eq!(client.head().unwrap().status, 200);
    assert_eq!(client.chunk(), ":\n\n");
    drop(client);
    server.finish();
}
