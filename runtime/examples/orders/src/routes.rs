//! Decides what a request wants, and answers it. Each request is a flow.

use std::convert::Infallible;
use std::sync::Arc;

use forebear::time::Instant;
use forebear::{fields, flow};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Method, Request, StatusCode};

use crate::config::Limits;
use crate::order::NewOrder;
use crate::reply::{self, Problem, Reply};
use crate::shipping::Shipping;
use crate::store::{Store, StoreError};
use crate::{body, debug, log, request_id};

/// What answering needs.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) store: Store,
    pub(crate) shipping: Shipping,
    pub(crate) limits: Limits,
}

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    PlaceOrder,
    ReadOrder(i64),
    Health,
    Tree,
    Stats,
    WrongMethod { allowed: &'static str },
    Unknown,
}

const GET: &str = "GET, HEAD";

impl Route {
    fn of(method: &Method, path: &str) -> Route {
        let get = |route| match *method {
            Method::GET | Method::HEAD => route,
            _ => Route::WrongMethod { allowed: GET },
        };
        match path {
            "/orders" if method == Method::POST => Route::PlaceOrder,
            "/orders" => Route::WrongMethod { allowed: "POST" },
            "/healthz" => get(Route::Health),
            "/debug/tree" => get(Route::Tree),
            "/debug/stats" => get(Route::Stats),
            _ => match path.strip_prefix("/orders/").map(str::parse) {
                Some(Ok(id)) => get(Route::ReadOrder(id)),
                _ => Route::Unknown,
            },
        }
    }

    /// The name of its flows: one per route, not one per path.
    fn name(self) -> &'static str {
        match self {
            Route::PlaceOrder => "POST /orders",
            Route::ReadOrder(_) => "GET /orders/{id}",
            Route::Health => "GET /healthz",
            Route::Tree => "GET /debug/tree",
            Route::Stats => "GET /debug/stats",
            Route::WrongMethod { .. } => "wrong method",
            Route::Unknown => "unknown path",
        }
    }
}

/// Answers a request. What goes wrong is an answer too.
pub(crate) async fn answer(
    service: Arc<Service>,
    request: Request<Incoming>,
) -> Result<Reply, Infallible> {
    let route = Route::of(request.method(), request.uri().path());
    Ok(flow(route.name(), answer_in_flow(service, route, request)).await)
}

async fn answer_in_flow(service: Arc<Service>, route: Route, request: Request<Incoming>) -> Reply {
    let begun = Instant::now();
    let request_id = request_id::of(request.headers());
    fields::set("requestId", request_id.clone());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let answered = dispatch(&service, route, request.into_body()).await;
    let mut reply = answered.unwrap_or_else(|problem| problem.into_reply(&request_id));
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

async fn dispatch(service: &Service, route: Route, body: Incoming) -> Result<Reply, Problem> {
    match route {
        Route::PlaceOrder => place_order(service, body).await,
        Route::ReadOrder(id) => read_order(service, id).await,
        Route::Health => Ok(reply::text("ok\n".to_owned())),
        Route::Tree => Ok(reply::text(debug::tree())),
        Route::Stats => Ok(reply::json(StatusCode::OK, &debug::stats())),
        Route::WrongMethod { allowed } => Err(Problem::wrong_method(allowed)),
        Route::Unknown => Err(Problem::not_found("there is nothing at this path")),
    }
}

async fn place_order(service: &Service, body: Incoming) -> Result<Reply, Problem> {
    let body = body::read(body, service.limits.body_timeout).await?;
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
    service.shipping.begin(order.id, reserved);
    Ok(reply::json(StatusCode::CREATED, &order))
}

async fn read_order(service: &Service, id: i64) -> Result<Reply, Problem> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_and_method_has_its_route() {
        let check = |method: Method, path: &str, want: Route| {
            assert_eq!(Route::of(&method, path), want, "{method} {path}");
        };
        check(Method::POST, "/orders", Route::PlaceOrder);
        check(Method::GET, "/orders", Route::WrongMethod { allowed: "POST" });
        check(Method::GET, "/orders/7", Route::ReadOrder(7));
        check(Method::HEAD, "/orders/7", Route::ReadOrder(7));
        check(Method::DELETE, "/orders/7", Route::WrongMethod { allowed: GET });
        check(Method::GET, "/orders/x", Route::Unknown);
        check(Method::GET, "/orders/", Route::Unknown);
        check(Method::GET, "/orders/99999999999999999999", Route::Unknown);
        check(Method::GET, "/healthz", Route::Health);
        check(Method::POST, "/healthz", Route::WrongMethod { allowed: GET });
        check(Method::GET, "/debug/tree", Route::Tree);
        check(Method::GET, "/debug/stats", Route::Stats);
        check(Method::GET, "/", Route::Unknown);
    }
}
