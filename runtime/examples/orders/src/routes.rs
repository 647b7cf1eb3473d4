//! Decides what a request wants, and answers it. Each request is a flow.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use forebear::time::Instant;
use forebear::{fields, flow};
use hyper::StatusCode;
use hyper::header::HeaderValue;

use crate::order::NewOrder;
use crate::reply::{self, Problem};
use crate::shipping::{Parcel, Shipping};
use crate::store::{Store, StoreError};
use crate::{body, debug, log, request_id};

/// What answering needs.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) store: Store,
    pub(crate) shipping: Shipping,
}

/// Returns what is served.
pub(crate) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/orders", post(place_order))
        .route("/orders/{id}", get(read_order))
        .route("/healthz", get(async || reply::text("ok\n".to_owned())))
        .route("/debug/tree", get(async || reply::text(debug::tree())))
        .route("/debug/stats", get(async || reply::json(StatusCode::OK, &debug::stats())))
        .fallback(async || Problem::not_found("there is nothing at this path"))
        .method_not_allowed_fallback(async || Problem::wrong_method())
        .layer(middleware::from_fn(in_flow))
        .with_state(service)
}

/// Answers a request as a flow. There is one name per route, not one per path.
async fn in_flow(request: Request, next: Next) -> Response {
    let name = match request.extensions().get::<MatchedPath>() {
        Some(path) => format!("{} {}", request.method(), path.as_str()),
        None => "unknown path".to_owned(),
    };
    flow(name, answer(request, next)).await
}

async fn answer(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let request_id = request_id::of(request.headers());
    fields::set("requestId", request_id.clone());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut reply = next.run(request).await;
    if let Some(problem) = reply.extensions_mut().remove::<Problem>() {
        reply = problem.into_reply(reply, &request_id);
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        reply.headers_mut().insert(&request_id::HEADER, value);
    }
    let millis = format!("{:.1}", begun.elapsed().as_secs_f64() * 1000.0);
    let status = reply.status().as_u16();
    log::info(
        "answered",
        &[("method", &method), ("path", &path), ("status", &status), ("ms", &millis)],
    );
    reply
}

async fn place_order(State(service): State<Arc<Service>>, body: Body) -> Result<Response, Problem> {
    let body = body::read(body).await?;
    let new: NewOrder = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request(format!("not an order in JSON: {error}")))?;
    if let Some(problem) = new.problem() {
        return Err(Problem::bad_request(problem));
    }
    fields::set("accountId", new.account_id.clone());
    let reserved = service.shipping.reserve();
    let reserved = reserved.ok_or_else(|| Problem::busy("too many orders wait to be shipped"))?;
    let order = service.store.place(new).await.map_err(failed)?;
    log::info("order placed", &[("order", &order.id)]);
    service.shipping.begin(Parcel::of(&order), reserved);
    Ok(reply::json(StatusCode::CREATED, &order))
}

async fn read_order(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("there is nothing at this path"))?;
    let order = service.store.find(id).await.map_err(failed)?;
    let order = order.ok_or_else(|| Problem::not_found("there is no order with this id"))?;
    fields::set("accountId", order.account_id.clone());
    Ok(reply::json(StatusCode::OK, &order))
}

/// Keeps the details for the log; a client has no use for them.
fn failed(error: StoreError) -> Problem {
    log::error("the store failed", &[("error", &error)]);
    Problem::ours()
}
