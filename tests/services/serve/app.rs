//! Is what the servers of these tests serve: a path for each thing that a service may do.

#![allow(dead_code, reason = "each of the tests uses a part of it")]

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use forebear::serve::{Body, BodyError};
use forebear::sync::Notify;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame};
use hyper::{Request, Response, StatusCode};
use tower_service::Service;

/// The app, and what a test knows of it.
#[derive(Clone, Default)]
pub(crate) struct App {
    pub(crate) state: Arc<State>,
}

#[derive(Default)]
pub(crate) struct State {
    /// So many requests are being answered.
    pub(crate) busy: AtomicUsize,
    /// So many requests came.
    pub(crate) requests: AtomicUsize,
    /// Lets `/gate` answer, one each time.
    pub(crate) gate: Notify,
}

/// An answer is being made. It may end by being dropped.
pub(crate) struct Busy(Arc<State>);

impl Busy {
    fn begin(state: Arc<State>) -> Busy {
        state.busy.fetch_add(1, Ordering::SeqCst);
        state.requests.fetch_add(1, Ordering::SeqCst);
        Busy(state)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

impl App {
    pub(crate) fn busy(&self) -> usize {
        self.state.busy.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Chunks>, Oops>> + Send>>;

impl Service<Request<Body>> for App {
    type Response = Response<Chunks>;
    type Error = Oops;
    type Future = Answer;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Oops>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let busy = Busy::begin(self.state.clone());
        Box::pin(answer(busy, request))
    }
}

async fn answer(busy: Busy, request: Request<Body>) -> Result<Response<Chunks>, Oops> {
    let state = busy.0.clone();
    let version = request.version();
    let say = |text: String| Response::new(Chunks::once(text));
    let path = request.uri().path().to_owned();
    Ok(match path.as_str() {
        "/hello" => say("hello".to_owned()),
        "/version" => say(format!("{version:?}")),
        // How long the body was, or what was wrong with it.
        "/count" => match request.into_body().collect().await {
            Ok(body) => say(body.to_bytes().len().to_string()),
            Err(error) => refuse(&error),
        },
        // An answer that comes when the test says so.
        "/gate" => {
            state.gate.notified().await;
            say("through".to_owned())
        }
        "/never" => pending().await,
        // A head at once, a body that comes when the test says so.
        "/gated-body" => {
            let (gate, body) = Chunks::channel();
            forebear::spawn(async move {
                state.gate.notified().await;
                gate.send(Bytes::from_static(b"through")).await.ok();
                drop(busy);
            });
            return Ok(Response::new(body));
        }
        // More than any buffer on the way holds.
        "/endless" => Response::new(Chunks::Endless(busy)),
        "/panic" => panic!("as asked for"),
        "/error" => return Err(Oops),
        _ => {
            let mut response = say("there is nothing".to_owned());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    })
}

fn refuse(error: &BodyError) -> Response<Chunks> {
    let mut response = Response::new(Chunks::once(error.to_string()));
    *response.status_mut() =
        if error.is_timeout() { StatusCode::REQUEST_TIMEOUT } else { StatusCode::BAD_REQUEST };
    response
}

/// The service has failed.
#[derive(Debug)]
pub(crate) struct Oops;

impl std::fmt::Display for Oops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("oops")
    }
}

impl std::error::Error for Oops {}

/// The body of an answer.
pub(crate) enum Chunks {
    Once(Option<Bytes>),
    Channel(forebear::sync::mpsc::Receiver<Bytes>),
    Endless(Busy),
}

impl Chunks {
    fn once(text: String) -> Chunks {
        Chunks::Once(Some(Bytes::from(text)))
    }

    fn channel() -> (forebear::sync::mpsc::Sender<Bytes>, Chunks) {
        let (sender, receiver) = forebear::sync::mpsc::channel(1);
        (sender, Chunks::Channel(receiver))
    }
}

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static CHUNK: [u8; 64 * 1024] = [b'x'; 64 * 1024];
        let chunk = match &mut *self {
            Chunks::Once(chunk) => Poll::Ready(chunk.take()),
            Chunks::Channel(receiver) => receiver.poll_recv(cx),
            Chunks::Endless(_) => Poll::Ready(Some(Bytes::from_static(&CHUNK))),
        };
        chunk.map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Chunks::Once(None))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Chunks::Once(chunk) => {
                let length = chunk.as_ref().map_or(0, Bytes::len);
                hyper::body::SizeHint::with_exact(length as u64)
            }
            _ => hyper::body::SizeHint::default(),
        }
    }
}
