//! Tests that each HTTP request is a flow, from its head to the end of the answer's body, and that what
//! it asks of others carries its context.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use forebear::interop::hyper::ForebearTimer;
use forebear::net::{TcpListener, TcpStream};
use forebear::runtime::Runtime;
use forebear::{deadline, fields, flow_id, spawn, testing};
use forebear_context::flow::{Listening, on_end};
use forebear_context::interop::http::{ContextLayer, InjectLayer};
use forebear_context::wire::{Allow, TRACE};
use forebear_hooks::{Kind, hook};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, Service, ServiceExt, service_fn};

type Text = Full<Bytes>;

fn text(text: impl Into<String>) -> Text {
    Full::new(Bytes::from(text.into()))
}

fn request(path: &str) -> Request<Empty<Bytes>> {
    Request::builder().uri(path).body(Empty::new()).unwrap()
}

fn with_headers(path: &str, headers: &[(&str, &str)]) -> Request<Empty<Bytes>> {
    let builder = Request::builder().uri(path);
    let add = |builder: http::request::Builder, (name, value): &(&str, &str)| {
        builder.header(*name, *value)
    };
    headers.iter().fold(builder, add).body(Empty::new()).unwrap()
}

/// Runs a future on a runtime, of which nothing is left afterwards.
#[track_caller]
fn run<F: Future>(future: F) -> F::Output {
    let runtime = Runtime::new().unwrap();
    let id = runtime.id();
    let output = runtime.block_on(future);
    drop(runtime);
    testing::assert_quiescent(id);
    output
}

type Ends = Arc<Mutex<Vec<String>>>;

/// Listens to flows on paths that begin so, and writes down `path outcome`.
fn ends(prefix: &'static str) -> (Listening, Ends) {
    let ends = Ends::default();
    let notes = ends.clone();
    let listening = on_end(move |end| {
        let path = fields::get("http.path").map(|path| path.to_string()).unwrap_or_default();
        if let Some(path) = path.strip_prefix(prefix) {
            notes.lock().unwrap().push(format!("{path} {}", end.outcome()));
        }
    });
    (listening, ends)
}

fn take(ends: &Ends) -> Vec<String> {
    std::mem::take(&mut ends.lock().unwrap())
}

/// What a handler sees of its context.
async fn seen(_: Request<Empty<Bytes>>) -> Result<Response<Text>, Infallible> {
    let mut lines: Vec<String> =
        fields::collect().into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    lines.push(format!("sampled={}", TRACE.get().unwrap().is_sampled()));
    lines.push(format!("trace={:032x}", TRACE.get().unwrap().trace_id()));
    lines.push(format!("bounded={}", deadline::remaining().is_some()));
    Ok(Response::new(text(lines.join("\n"))))
}

async fn ask(layer: &ContextLayer, request: Request<Empty<Bytes>>) -> (HeaderMap, String) {
    let response = layer.layer(service_fn(seen)).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.headers, String::from_utf8(body.to_vec()).unwrap())
}

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn a_request_brings_what_the_list_allows_and_gets_the_rest_anew() {
    run(async {
        let allow = Allow::nothing().request_id().trace().deadline().field("tenant");
        let layer = ContextLayer::new().allow(allow);
        let parent = format!("00-{TRACE_ID}-00f067aa0ba902b7-01");
        let sent = [
            ("x-request-id", "r-1"),
            ("traceparent", parent.as_str()),
            ("baggage", "tenant=a%20b,role=admin"),
            ("x-deadline-ms", "5000"),
        ];
        let (headers, body) = ask(&layer, with_headers("/a?token=secret", &sent)).await;
        assert_eq!(headers["x-request-id"], "r-1");
        let want = format!(
            "requestId=r-1\ntenant=a b\nhttp.method=GET\nhttp.path=/a\nsampled=true\n\
            trace={TRACE_ID}\nbounded=true"
        );
        assert_eq!(body, want);
        let invalid = [("x-request-id", "no id"), ("traceparent", "00-0-0-00"), ("baggage", "%")];
        let (headers, body) = ask(&layer, with_headers("/a", &invalid)).await;
        let id = headers["x-request-id"].to_str().unwrap();
        assert_eq!(id.len(), 32);
        assert!(body.starts_with(&format!("requestId={id}\nhttp.method=GET\n")), "{body}");
        assert!(body.contains("sampled=false") && body.contains("bounded=false"), "{body}");
        let (other, _) = ask(&layer, with_headers("/a", &[])).await;
        assert_ne!(other["x-request-id"], headers["x-request-id"]);
        let believes_nothing = ContextLayer::new()
            .allow(Allow::nothing())
            .sample(|_| true)
            .deadline(Duration::from_secs(5));
        let (headers, body) = ask(&believes_nothing, with_headers("/a", &sent)).await;
        assert_ne!(headers["x-request-id"], "r-1");
        assert!(!body.contains(TRACE_ID) && body.contains("sampled=true"), "{body}");
        assert!(body.contains("bounded=true"), "{body}");
    });
}

/// A body of so many frames, each of which says in which flow it was made.
struct Frames {
    left: usize,
    waits: bool,
    fails: bool,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = String;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        if std::mem::take(&mut self.waits) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.left == 0 {
            let end = self.fails.then(|| Err("broken".to_owned()));
            return Poll::Ready(end);
        }
        self.left -= 1;
        self.waits = true;
        let here = format!("{:?}", flow_id());
        fields::add("frames", 1_u64);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(here)))))
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        assert!(flow_id().is_some(), "a body is dropped as code of its flow");
    }
}

async fn frames(
    request: Request<Empty<Bytes>>,
) -> Result<Response<Frames>, Box<dyn std::error::Error + Send + Sync>> {
    let path = request.uri().path().to_owned();
    if path.ends_with("refused") {
        return Err("refused".into());
    }
    if path.ends_with("panics") {
        std::panic::resume_unwind(Box::new("handler"));
    }
    if path.ends_with("hangs") {
        pending::<()>().await;
    }
    let status = if path.ends_with("503") { 503 } else { 200 };
    let left = if path.ends_with("empty") { 0 } else { 3 };
    let body = Frames { left, waits: false, fails: path.ends_with("broken") };
    Ok(Response::builder().status(status).header("flow", format!("{:?}", flow_id())).body(body)?)
}

#[test]
fn the_flow_goes_on_with_the_body_and_ends_with_it() {
    let (_listening, ends) = ends("/body/");
    run(async {
        let mut service = ContextLayer::new().layer(service_fn(frames));
        let response = service.call(request("/body/read")).await.unwrap();
        let flow = response.headers()["flow"].to_str().unwrap().to_owned();
        let mut body = response.into_body();
        for _ in 0..3 {
            // Polled outside the flow, the frame is made in it.
            assert_eq!(flow_id(), None);
            let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(frame, flow.as_bytes());
            assert_eq!(take(&ends), [""; 0]);
        }
        assert!(body.frame().await.is_none());
        assert_eq!(take(&ends), ["read ok"]);
        assert!(body.frame().await.is_none() && body.is_end_stream());
        drop(body);
        assert_eq!(take(&ends), [""; 0]);
        // Who goes away is no error.
        drop(service.call(request("/body/left")).await.unwrap());
        assert_eq!(take(&ends), ["left cancelled"]);
        let failed = service.call(request("/body/503")).await.unwrap();
        assert_eq!(failed.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(failed.into_body().collect().await.unwrap().to_bytes().len(), flow.len() * 3);
        assert_eq!(take(&ends), ["503 error: status 503"]);
        let broken = service.call(request("/body/broken")).await.unwrap();
        assert!(broken.into_body().collect().await.is_err());
        assert_eq!(take(&ends), ["broken error: the body failed"]);
    });
}

#[test]
fn a_flow_without_an_answer_ends_too() {
    let (_listening, ends) = ends("/none/");
    run(async {
        let mut service = ContextLayer::new().layer(service_fn(frames));
        assert!(service.call(request("/none/refused")).await.is_err());
        assert_eq!(take(&ends), ["refused error: the service failed"]);
        let panicking = spawn(service.call(request("/none/panics")));
        assert!(panicking.await.unwrap_err().is_panic());
        assert_eq!(take(&ends), ["panics panicked"]);
        let mut hanging = Box::pin(service.call(request("/none/hangs")));
        poll_fn(|cx| {
            assert!(hanging.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        assert_eq!(take(&ends), [""; 0]);
        drop(hanging);
        assert_eq!(take(&ends), ["hangs cancelled"]);
    });
}

#[test]
fn a_body_that_nobody_has_to_poll_ends_the_flow_at_once() {
    let (_listening, ends) = ends("/head/");
    run(async {
        let full = |request: Request<Empty<Bytes>>| async move {
            let status = if request.uri().path().ends_with("304") { 304 } else { 200 };
            let body = if request.uri().path().ends_with("empty") { "" } else { "text" };
            Ok::<_, Infallible>(Response::builder().status(status).body(text(body)).unwrap())
        };
        let mut service = ContextLayer::new().layer(service_fn(full));
        let empty = service.call(request("/head/empty")).await.unwrap();
        assert_eq!(take(&ends), ["empty ok"]);
        drop(empty);
        // A body with its length is at its end with the last frame: no server polls it again.
        let mut whole = service.call(request("/head/whole")).await.unwrap().into_body();
        assert_eq!(whole.size_hint().exact(), Some(4));
        whole.frame().await.unwrap().unwrap();
        assert_eq!(take(&ends), ["whole ok"]);
        let head = Request::head("/head/head").body(Empty::new()).unwrap();
        let answer = service.call(head).await.unwrap();
        assert_eq!(answer.body().size_hint().exact(), Some(4));
        drop(answer);
        assert_eq!(take(&ends), ["head ok"]);
        drop(service.call(request("/head/304")).await.unwrap());
        assert_eq!(take(&ends), ["304 ok"]);
        assert_eq!(SizeHint::with_exact(0).exact(), Some(0));
    });
}

#[test]
fn a_skipped_route_has_no_flow_and_no_values() {
    let (_listening, ends) = ends("/skip/");
    let flows = Arc::new(Mutex::new(0));
    let counted = flows.clone();
    run(async move {
        let watching = hook().kinds([Kind::FLOW]).init(move |r| {
            // Tests beside this one have flows, too, but not of this name.
            *counted.lock().unwrap() += u32::from(r.label() == "skip.request");
        });
        let _watching = watching.enable().unwrap();
        let handler = |_: Request<Empty<Bytes>>| async {
            assert_eq!((fields::collect(), flow_id()), (Vec::new(), None));
            Ok::<_, Infallible>(Response::new(text("fine")))
        };
        let layer = ContextLayer::new()
            .name(|_| "skip.request".into())
            .skip(|parts| parts.uri.path().ends_with("health"));
        let mut service = layer.layer(service_fn(handler));
        let outer = fields::scope([("outer", 1)], service.call(request("/skip/health")));
        let response = outer.await.unwrap();
        assert!(response.headers().get("x-request-id").is_none());
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "fine");
        let other = service_fn(|_: Request<Empty<Bytes>>| async {
            Ok::<_, Infallible>(Response::new(text("fine")))
        });
        drop(layer.layer(other).oneshot(request("/skip/other")).await.unwrap());
    });
    assert_eq!((take(&ends), *flows.lock().unwrap()), (vec!["other cancelled".to_owned()], 1));
}

/// Serves one connection with a service, as one task in which many flows follow each other.
async fn serve<S, B>(socket: TcpStream, service: S)
where
    S: Service<Request<hyper::body::Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let service = hyper::service::service_fn(move |request| service.clone().oneshot(request));
    let served = hyper::server::conn::http1::Builder::new()
        .timer(ForebearTimer)
        .serve_connection(socket, service);
    let _closed = served.await;
}

#[test]
fn a_request_over_a_reused_socket_carries_the_context_of_each_sender() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let allow = || Allow::nothing().request_id().trace().deadline().field("number");
        let server = spawn(async move {
            let (socket, _) = listener.accept().await.unwrap();
            let handler = |_: Request<hyper::body::Incoming>| async {
                let number = fields::get("number").unwrap().to_string();
                let trace = TRACE.get().unwrap().trace_id();
                Ok::<_, Infallible>(Response::new(text(format!("{number} {trace:032x}"))))
            };
            serve(socket, ContextLayer::new().allow(allow()).layer(service_fn(handler))).await;
        });
        let socket = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(socket).await.unwrap();
        // The connection belongs to nobody's request.
        let driver = forebear::spawn_root(connection);
        let sender = Arc::new(forebear::sync::Mutex::new(sender));
        let clients: Vec<_> = (0..50_u32)
            .map(|number| {
                let sender = sender.clone();
                let send = async move {
                    let trace = format!("{:032x}", TRACE.get().unwrap().trace_id());
                    let mut sender = sender.lock().await;
                    let client = service_fn(|request| sender.send_request(request));
                    let request = Request::builder().uri("/").header("host", "test");
                    let request = request.body(Empty::<Bytes>::new()).unwrap();
                    let mut client = InjectLayer::new(allow()).layer(client);
                    let response = client.call(request).await.unwrap();
                    let body = response.into_body().collect().await.unwrap().to_bytes();
                    assert_eq!(body, format!("{number} {trace}"));
                };
                let flow = forebear::FlowBuilder::new("client")
                    .field("number", number)
                    .local(&TRACE, forebear::wire::TraceParent::root(false))
                    .run(send);
                spawn(flow)
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        drop(sender);
        let _closed = driver.await.unwrap();
        server.await.unwrap();
    });
}

#[test]
fn ten_thousand_requests_at_once_see_nobody_elses_context() {
    run(async {
        let handler = |request: Request<Empty<Bytes>>| async move {
            let path = request.uri().path().to_owned();
            forebear::task::yield_now().await;
            assert_eq!(fields::get("http.path"), Some(path.clone().into()));
            let inner = spawn(async { fields::get("http.path") });
            assert_eq!(inner.await.unwrap(), Some(path.clone().into()));
            Ok::<_, Infallible>(Response::new(text(path)))
        };
        let service = ContextLayer::new().layer(service_fn(handler));
        let requests: Vec<_> = (0..10_000)
            .map(|number| {
                let service = service.clone();
                spawn(async move {
                    let path = format!("/{number}");
                    let response = service.oneshot(request(&path)).await.unwrap();
                    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), path);
                })
            })
            .collect();
        for request in requests {
            request.await.unwrap();
        }
    });
}
