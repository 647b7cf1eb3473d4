//! Is the service that is asked, as `tonic-prost-build` would write it.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use forebear::sync::Notify;
use futures_util::{Stream, StreamExt};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::{NamedService, StreamingService, UnaryService};
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HelloRequest {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HelloReply {
    #[prost(string, tag = "1")]
    pub(crate) message: String,
}

pub(crate) const HELLO: &str = "/greeter.Greeter/SayHello";
pub(crate) const CHAT: &str = "/greeter.Greeter/Chat";

pub(crate) fn path(text: &'static str) -> PathAndQuery {
    PathAndQuery::from_static(text)
}

/// What the client speaks.
pub(crate) fn codec() -> ProstCodec<HelloRequest, HelloReply> {
    ProstCodec::default()
}

/// The calls that there were and are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls(Arc<State>);

#[derive(Debug, Default)]
struct State {
    begun: AtomicUsize,
    open: AtomicUsize,
    gate: Notify,
}

impl Calls {
    pub(crate) fn begun(&self) -> usize {
        self.0.begun.load(Ordering::SeqCst)
    }

    pub(crate) fn open(&self) -> usize {
        self.0.open.load(Ordering::SeqCst)
    }

    pub(crate) fn let_through(&self) {
        self.0.gate.notify_one();
    }

    fn begin(&self) -> Call {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        self.0.open.fetch_add(1, Ordering::SeqCst);
        Call(self.0.clone())
    }
}

/// A call that is being answered. It may end by being dropped.
struct Call(Arc<State>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Replies = Pin<Box<dyn Stream<Item = Result<HelloReply, Status>> + Send>>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Greeter {
    pub(crate) calls: Calls,
}

fn greet(request: HelloRequest) -> Result<HelloReply, Status> {
    match request.name {
        name if name.is_empty() => Err(Status::invalid_argument("who are you?")),
        name => Ok(HelloReply { message: format!("hello {name}") }),
    }
}

impl UnaryService<HelloRequest> for Greeter {
    type Response = HelloReply;
    type Future = Answer<Result<tonic::Response<HelloReply>, Status>>;

    fn call(&mut self, request: tonic::Request<HelloRequest>) -> Self::Future {
        let call = self.calls.begin();
        Box::pin(async move {
            let request = request.into_inner();
            match request.name.as_str() {
                "never" => pending().await,
                "wait" => call.0.gate.notified().await,
                _ => {}
            }
            greet(request).map(tonic::Response::new)
        })
    }
}

impl StreamingService<HelloRequest> for Greeter {
    type Response = HelloReply;
    type ResponseStream = Replies;
    type Future = Answer<Result<tonic::Response<Replies>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<HelloRequest>>) -> Self::Future {
        Box::pin(async move {
            let replies = request.into_inner().map(|request| greet(request?));
            Ok(tonic::Response::new(Box::pin(replies) as Replies))
        })
    }
}

impl NamedService for Greeter {
    const NAME: &'static str = "greeter.Greeter";
}

impl Service<Request<Body>> for Greeter {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let codec = ProstCodec::<HelloReply, HelloRequest>::default();
            let mut grpc = tonic::server::Grpc::new(codec);
            Ok(match request.uri().path() {
                HELLO => grpc.unary(this, request).await,
                CHAT => grpc.streaming(this, request).await,
                _ => Status::unimplemented("there is no such method").into_http(),
            })
        })
    }
}
