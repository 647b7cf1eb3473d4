//! Greets over gRPC, and is its own client: tonic without its transport, on `forebear::serve`.
//!
//! The types and the service are written by hand, as `tonic-prost-build` would write them, so that the
//! page needs no `protoc`.

#![allow(clippy::print_stdout, reason = "there is nothing else to say it with")]

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use forebear::interop::hyper::ForebearExecutor;
use forebear::net::{TcpListener, TcpStream};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response, Uri};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::{NamedService, UnaryService};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, prost::Message)]
struct HelloRequest {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HelloReply {
    #[prost(string, tag = "1")]
    message: String,
}

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What it does.
struct SayHello;

impl UnaryService<HelloRequest> for SayHello {
    type Response = HelloReply;
    type Future = Answer<Result<tonic::Response<HelloReply>, Status>>;

    fn call(&mut self, request: tonic::Request<HelloRequest>) -> Self::Future {
        Box::pin(async move {
            match request.into_inner().name {
                name if name.is_empty() => Err(Status::invalid_argument("who are you?")),
                name => Ok(tonic::Response::new(HelloReply { message: format!("hello {name}") })),
            }
        })
    }
}

/// By which path it is asked.
#[derive(Clone)]
struct Greeter;

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
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/greeter.Greeter/SayHello" => {
                    let codec = ProstCodec::<HelloReply, HelloRequest>::default();
                    tonic::server::Grpc::new(codec).unary(SayHello, request).await
                }
                _ => Status::unimplemented("there is no such method").into_http(),
            })
        })
    }
}

/// Makes a service of a connection, as tonic's client wants it.
fn channel(
    send: http2::SendRequest<Body>,
) -> impl Service<Request<Body>, Response = Response<Incoming>, Error = hyper::Error> {
    tower::service_fn(move |request| send.clone().send_request(request))
}

#[forebear::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0")).await?;
    let here = listener.local_addr()?;
    println!("greeter listens on {here}");
    let router = tonic::service::Routes::new(Greeter).prepare().into_axum_router();
    let serving = forebear::spawn(forebear::serve(listener, router).into_future());

    let stream = TcpStream::connect(here).await?;
    let (send, connection) = http2::handshake(ForebearExecutor::new(), stream).await?;
    forebear::spawn(connection);
    let uri: Uri = format!("http://{here}").parse()?;
    let mut client = tonic::client::Grpc::with_origin(channel(send), uri);
    for name in ["world", ""] {
        client.ready().await?;
        let request = tonic::Request::new(HelloRequest { name: name.to_owned() });
        let path = PathAndQuery::from_static("/greeter.Greeter/SayHello");
        let codec = ProstCodec::<HelloRequest, HelloReply>::default();
        match client.unary(request, path, codec).await {
            Ok(reply) => println!("it says {}", reply.into_inner().message),
            Err(status) if status.code() == Code::InvalidArgument => {
                println!("it asks {}", status.message());
            }
            Err(status) => return Err(status.into()),
        }
    }
    if address.is_some() {
        serving.await??;
    }
    Ok(())
}
