//! Tests layers that need a timer: ours run as they are, tower's inside of tokio.

use std::convert::Infallible;
use std::future::pending;
use std::time::Instant;

use axum::Router;
use axum::error_handling::HandleErrorLayer;
use axum::http::StatusCode;
use axum::routing::get;
use forebear::interop::tower::{RateLimitLayer, TimeoutLayer};
use forebear::runtime::Runtime;
use forebear::serve;
use forebear::testing::assert_quiescent;
use forebear::time::{Duration, error::Elapsed};
use tower::{BoxError, Layer, ServiceBuilder, ServiceExt};

use crate::entered::EnterTokio;
use crate::support::{Server, ms};

fn router() -> Router {
    Router::new()
        .route("/quick", get(|| async { "quick" }))
        .route("/never", get(|| async { pending::<&str>().await }))
}

async fn too_slow(error: BoxError) -> (StatusCode, String) {
    (StatusCode::GATEWAY_TIMEOUT, error.to_string())
}

#[test]
fn our_timeout_runs_as_it_is() {
    let limited = router().layer(
        ServiceBuilder::new()
            .layer(HandleErrorLayer::new(|error: BoxError| async move {
                assert!(error.is::<Elapsed>());
                too_slow(error).await
            }))
            .layer(TimeoutLayer::new(ms(100))),
    );
    let server = Server::start(|listener| serve(listener, limited));
    let mut client = server.connect();
    assert_eq!(client.get("/quick").body, "quick");
    let begun = Instant::now();
    let answer = client.get("/never");
    assert_eq!((answer.status, &*answer.body), (504, "deadline has elapsed"));
    assert!(begun.elapsed() >= ms(100));
    assert_eq!(client.get("/quick").body, "quick");
    drop(client);
    server.finish();
}

#[test]
fn our_rate_limit_holds_over_all_connections() {
    let limited = router().layer(RateLimitLayer::new(2, ms(200)));
    let server = Server::start(|listener| serve(listener, limited));
    let begun = Instant::now();
    for _ in 0..3 {
        let mut client = server.connect();
        for _ in 0..2 {
            assert_eq!(client.get("/quick").body, "quick");
        }
    }
    // Six calls are three periods: the third begins at the earliest when two are over.
    assert!(begun.elapsed() >= ms(400));
    server.finish();
}

#[test]
fn our_rate_limit_counts_by_a_clock_that_tests_can_stop() {
    use forebear::runtime::Builder;
    use forebear::time;

    let runtime = Builder::new_current_thread().start_paused(true).build().unwrap();
    let id = runtime.id();
    runtime.block_on(async {
        let service = tower::service_fn(async |_: ()| Ok::<_, Infallible>(time::Instant::now()));
        let layer = RateLimitLayer::new(3, Duration::from_secs(10));
        let service = ServiceBuilder::new().layer(layer).service(service);
        let begun = time::Instant::now();
        let mut at = Vec::new();
        for _ in 0..7 {
            let called = service.clone().oneshot(()).await.unwrap();
            at.push((called - begun).as_secs());
        }
        assert_eq!(at, [0, 0, 0, 10, 10, 10, 20]);
    });
    drop(runtime);
    assert_quiescent(id);
}

#[test]
fn the_timeout_of_tower_needs_tokio() {
    let limited = || {
        router().layer(
            ServiceBuilder::new()
                .layer(HandleErrorLayer::new(too_slow))
                .layer(tower::timeout::TimeoutLayer::new(ms(100))),
        )
    };
    // Without it, the request ends in a panic that names what is missing.
    let server = Server::start(move |listener| serve(listener, limited()));
    let mut client = server.connect();
    client.send(crate::support::get("/quick"));
    assert!(client.rest().is_empty());
    drop(client);
    server.finish();
    // With it, it does what it should.
    let inside = ServiceBuilder::new().layer(EnterTokio::new()).service(limited());
    let server = Server::start(|listener| serve(listener, inside));
    let mut client = server.connect();
    assert_eq!(client.get("/quick").body, "quick");
    assert_eq!(client.get("/never").status, 504);
    drop(client);
    server.finish();
}

#[test]
fn the_rate_limit_of_tower_needs_tokio() {
    let runtime = Runtime::new().unwrap();
    let id = runtime.id();
    let call = |is_inside: bool| async move {
        let tokio = EnterTokio::new();
        let make = || {
            let service = tower::service_fn(async |_: ()| Ok::<_, Infallible>(()));
            ServiceBuilder::new().rate_limit(1, ms(50)).service(service)
        };
        if !is_inside {
            // It asks for a timer when it is made.
            return drop(make());
        }
        let mut service = tokio.layer(tokio.inside(make));
        for _ in 0..3 {
            service.ready().await.unwrap();
            tower::Service::call(&mut service, ()).await.unwrap();
        }
    };
    let begun = Instant::now();
    runtime.block_on(runtime.spawn(call(true))).unwrap();
    assert!(begun.elapsed() >= ms(100));
    let outside = runtime.spawn(call(false));
    let panicked = runtime.block_on(outside).unwrap_err();
    assert!(panicked.is_panic());
    drop(runtime);
    assert_quiescent(id);
}
