//! Says what a server is given: a service, or what makes one for each connection; and what is done
//! with a connection before HTTP is spoken on it.

use std::future::{self, Future};
use std::io;
use std::task::{Context, Poll};

use hyper::body::{Body as HttpBody, Incoming};
use hyper::rt::{Read, Write};
use hyper::{Request, Response};
use tower_service::Service;

use crate::serve::body::Body;
use crate::serve::trouble::BoxError;

/// A service that can be served: every tower service of requests and responses of HTTP whose parts
/// may go from thread to thread.
pub trait Serves:
    Service<
        Request<Body>,
        Response = Response<Self::ResponseBody>,
        Error: Into<BoxError>,
        Future: Send,
    > + Clone
    + Send
    + 'static
{
    /// The body of its answers.
    type ResponseBody: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static;
}

impl<S, B> Serves for S
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    B: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type ResponseBody = B;
}

/// What has a service for each connection.
pub trait Maker<P>: Clone + Send + 'static {
    type Service: Serves;

    fn make(self, peer: &P) -> impl Future<Output = Result<Self::Service, BoxError>> + Send;
}

/// The same service for all connections: what [`serve`](crate::serve()) makes of it.
#[derive(Clone, Debug)]
pub struct Same<S>(pub(super) S);

impl<P, S: Serves> Maker<P> for Same<S> {
    type Service = S;

    fn make(self, _peer: &P) -> impl Future<Output = Result<S, BoxError>> + Send {
        future::ready(Ok(self.0))
    }
}

/// One service for each connection: what [`with_peer`](crate::serve::with_peer) makes of it.
#[derive(Clone, Debug)]
pub struct Each<M>(pub(super) M);

impl<P, M, S> Maker<P> for Each<M>
where
    P: Clone + Send + Sync,
    M: Service<P, Response = S, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
    S: Serves,
{
    type Service = S;

    fn make(mut self, peer: &P) -> impl Future<Output = Result<S, BoxError>> + Send {
        let peer = peer.clone();
        async move {
            future::poll_fn(|cx| self.0.poll_ready(cx)).await.map_err(Into::into)?;
            self.0.call(peer).await.map_err(Into::into)
        }
    }
}

/// What is done with a connection before its first request.
pub trait Welcome<T>: Send + Sync + 'static {
    type Io: Read + Write + Unpin + Send + 'static;

    fn welcome(&self, stream: T) -> impl Future<Output = io::Result<Self::Io>> + Send;
}

/// Nothing is done.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl<T: Read + Write + Unpin + Send + 'static> Welcome<T> for Plain {
    type Io = T;

    fn welcome(&self, stream: T) -> impl Future<Output = io::Result<T>> + Send {
        future::ready(Ok(stream))
    }
}

/// What [`Serve::handshake`](crate::serve::Serve::handshake) was given.
#[derive(Clone, Copy, Debug)]
pub struct Handshake<F>(pub(super) F);

impl<T, F, R, I> Welcome<T> for Handshake<F>
where
    F: Fn(T) -> R + Send + Sync + 'static,
    R: Future<Output = io::Result<I>> + Send,
    I: Read + Write + Unpin + Send + 'static,
{
    type Io = I;

    fn welcome(&self, stream: T) -> impl Future<Output = io::Result<I>> + Send {
        (self.0)(stream)
    }
}

/// Makes a tower service of a service of hyper's, such as `hyper::service::service_fn` returns.
///
/// It takes hyper's own bodies, for which [`body_timeout`](crate::serve::Serve::body_timeout) does
/// not hold.
///
/// ```
/// use std::convert::Infallible;
///
/// use forebear::net::TcpListener;
/// use forebear::serve::HyperService;
/// use hyper::body::Incoming;
/// use hyper::{Request, Response, service::service_fn};
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let hello = service_fn(async |_: Request<Incoming>| {
///     Ok::<_, Infallible>(Response::new("hello".to_owned()))
/// });
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let serving = forebear::serve(listener, HyperService::new(hello));
/// # serving.with_graceful_shutdown(async {}).await?;
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HyperService<S>(S);

impl<S> HyperService<S> {
    /// Makes it.
    pub fn new(service: S) -> HyperService<S> {
        HyperService(service)
    }
}

impl<S> Service<Request<Body>> for HyperService<S>
where
    S: hyper::service::Service<Request<Incoming>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        self.0.call(request.map(Body::into_incoming))
    }
}

/// Lets a tower service that insists on hyper's own bodies be served.
///
/// For those, [`body_timeout`](crate::serve::Serve::body_timeout) does not hold.
#[derive(Clone, Copy, Debug)]
pub struct IncomingService<S>(S);

impl<S> IncomingService<S> {
    /// Makes it.
    pub fn new(service: S) -> IncomingService<S> {
        IncomingService(service)
    }
}

impl<S: Service<Request<Incoming>>> Service<Request<Body>> for IncomingService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        self.0.call(request.map(Body::into_incoming))
    }
}
