//! Asks over HTTP: hyper-util's client with a pool of connections that belong to nobody.
//!
//! # Resources
//!
//! A connection outlives the request that it was opened for. So what opens it, drives it and waits
//! for it to be idle again are roots: tasks with an empty context and a link to the request that
//! happened to be there. While a request has a connection, there is a resource of the kind `BORROW`:
//! its creator and trigger are who asked, its link is the socket. So the tree shows the connection
//! under whoever uses it, and nowhere else.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::rt::{self, ReadBufCursor};
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{
    CaptureConnection, Connect, Connected, Connection as HttpConnection, capture_connection,
};
use tower_service::Service;

use crate::enter;
use crate::hooks::life::{Birth, Life};
use crate::hooks::{AsyncId, Kind, Reason};
use crate::interop::hyper::ForebearTimer;
use crate::net::TcpStream;
use crate::spawn::spawn_on;
use crate::task::JoinHandle;

/// What the use of a pooled connection is.
static BORROW: LazyLock<Kind> = LazyLock::new(|| Kind::new("BORROW"));

type BoxError = Box<dyn Error + Send + Sync>;

/// An HTTP client that keeps its connections, to be cloned by whoever wants to ask.
///
/// It is hyper-util's, with our sockets, timers and tasks. It speaks HTTP/1, without TLS unless its
/// connector is given a [`handshake`](Connector::handshake).
///
/// ```
/// # #[cfg(feature = "serve")] {
/// use forebear::interop::client::Client;
/// use forebear::net::TcpListener;
/// use forebear::serve::HyperService;
/// use hyper::body::Incoming;
/// use hyper::{Request, Response, service::service_fn};
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let hello = service_fn(async |_: Request<Incoming>| {
///     Ok::<_, std::convert::Infallible>(Response::new("hello".to_owned()))
/// });
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let uri = format!("http://{}/", listener.local_addr()?);
/// forebear::spawn(forebear::serve(listener, HyperService::new(hello)).into_future());
///
/// let client = Client::<String>::new();
/// let response = client.request(Request::get(uri).body(String::new())?).await?;
/// assert_eq!(response.status(), 200);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// # })?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
pub struct Client<B, C = Connector> {
    pool: legacy::Client<C, B>,
}

impl<B> Client<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Makes one whose connections go over TCP.
    #[must_use]
    #[track_caller]
    pub fn new() -> Client<B> {
        Client::with(Connector::new(), |_| {})
    }
}

impl<B, C> Client<B, C>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<BoxError>,
    C: Connect + Clone + Send + Sync + 'static,
{
    /// Makes one with another connector, or other settings of hyper-util's.
    #[must_use]
    #[track_caller]
    pub fn with(connector: C, change: impl FnOnce(&mut legacy::Builder)) -> Client<B, C> {
        let mut builder = legacy::Client::builder(PoolExecutor::new());
        builder.pool_timer(ForebearTimer::new()).timer(ForebearTimer::new());
        change(&mut builder);
        Client { pool: builder.build(connector) }
    }

    /// Sends a request, and waits for the head of its answer.
    ///
    /// # Errors
    /// Awaiting it fails as hyper-util's client does: if there is no connection to be had, if it
    /// breaks, or if what comes is no HTTP.
    ///
    /// # Panics
    /// Polling it panics outside a runtime.
    ///
    /// # Cancel safety
    /// Dropping it takes the request back: its connection is closed if it had been sent.
    ///
    /// # Hooks
    /// As soon as it has a connection, a `BORROW` begins, which ends with the body of the answer.
    #[track_caller]
    pub fn request(&self, mut request: Request<B>) -> Asking {
        let captured = capture_connection(&mut request);
        let future = self.pool.request(request);
        Asking { future, captured, borrow: None, location: Location::caller() }
    }
}

impl<B> Default for Client<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    #[track_caller]
    fn default() -> Client<B> {
        Client::new()
    }
}

impl<B, C: Clone> Clone for Client<B, C> {
    fn clone(&self) -> Client<B, C> {
        Client { pool: self.pool.clone() }
    }
}

impl<B, C> fmt::Debug for Client<B, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// The future of [`Client::request`].
#[must_use = "futures do nothing unless polled"]
pub struct Asking {
    future: legacy::ResponseFuture,
    captured: CaptureConnection,
    borrow: Option<Borrow>,
    location: &'static Location<'static>,
}

impl Asking {
    /// Looks which connection it has: another one, if the first was closed under it.
    fn look(&mut self) {
        let metadata = self.captured.connection_metadata();
        let Some(socket) = metadata.as_ref().and_then(socket_of) else { return };
        if self.borrow.as_ref().is_none_or(|borrow| borrow.socket != socket) {
            let after = self.borrow.replace(Borrow::begin(socket, self.location));
            drop(metadata);
            drop(after);
        }
    }
}

/// Returns the id of the socket that a connection goes over.
fn socket_of(connected: &Connected) -> Option<AsyncId> {
    let mut extensions = hyper::http::Extensions::new();
    connected.get_extras(&mut extensions);
    extensions.get::<Socket>().map(|socket| socket.0)
}

impl Future for Asking {
    type Output = Result<Response<ResponseBody>, legacy::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let response = match &this.borrow {
            Some(borrow) => borrow.life.run(|_| Pin::new(&mut this.future).poll(cx)),
            None => Pin::new(&mut this.future).poll(cx),
        };
        if !matches!(response, Poll::Ready(Err(_))) {
            this.look();
        }
        let response = ready!(response)?;
        let borrow = this.borrow.take();
        Poll::Ready(Ok(response.map(|incoming| ResponseBody::new(incoming, borrow))))
    }
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking").field("borrow", &self.borrow).finish_non_exhaustive()
    }
}

/// A request has a connection.
struct Borrow {
    life: Life,
    socket: AsyncId,
}

impl Borrow {
    fn begin(socket: AsyncId, location: &'static Location<'static>) -> Borrow {
        let birth = Birth::new(*BORROW, || "http request").location(location).link(socket);
        Borrow { life: Life::begin(birth), socket }
    }
}

impl fmt::Debug for Borrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Borrow").field("id", &self.life.id()).field("socket", &self.socket).finish()
    }
}

/// The body of an answer. The connection is borrowed until its end.
pub struct ResponseBody {
    incoming: Incoming,
    borrow: Option<Borrow>,
}

impl ResponseBody {
    fn new(incoming: Incoming, borrow: Option<Borrow>) -> ResponseBody {
        let mut body = ResponseBody { incoming, borrow };
        if body.incoming.is_end_stream() {
            body.give_back();
        }
        body
    }

    fn give_back(&mut self) {
        if let Some(borrow) = self.borrow.take() {
            borrow.life.end(Reason::Completed);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let ResponseBody { incoming, borrow } = &mut *self;
        let incoming = Pin::new(incoming);
        let frame = ready!(match borrow {
            Some(borrow) => borrow.life.run(|_| incoming.poll_frame(cx)),
            None => incoming.poll_frame(cx),
        });
        if !matches!(frame, Some(Ok(_))) {
            self.give_back();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("borrow", &self.borrow).finish_non_exhaustive()
    }
}

/// Makes roots of the tasks of a pool: they have an empty context, and a link to who was there.
#[derive(Clone, Debug)]
pub struct PoolExecutor {
    location: &'static Location<'static>,
}

impl PoolExecutor {
    /// Makes one; its tasks say that they were made here.
    #[must_use]
    #[track_caller]
    pub fn new() -> PoolExecutor {
        PoolExecutor { location: Location::caller() }
    }
}

impl Default for PoolExecutor {
    #[track_caller]
    fn default() -> PoolExecutor {
        PoolExecutor::new()
    }
}

impl<F> rt::Executor<F> for PoolExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let birth = Birth::new(Kind::TASK, || "http connection").location(self.location).root();
        enter::with_current(|shared| drop(spawn_on(shared, birth, future)));
    }
}

/// Connects to where a URI points, as a root.
#[derive(Clone)]
pub struct Connector {
    handshake: Option<Shake>,
    location: &'static Location<'static>,
}

type Shake = Arc<dyn Fn(String, TcpStream) -> Shaking + Send + Sync>;
type Shaking = Pin<Box<dyn Future<Output = io::Result<Box<dyn Wire>>> + Send>>;

/// What HTTP is spoken over.
trait Wire: rt::Read + rt::Write + Send + Unpin {}

impl<T: rt::Read + rt::Write + Send + Unpin> Wire for T {}

impl Connector {
    /// Makes one for `http`.
    #[must_use]
    #[track_caller]
    pub fn new() -> Connector {
        Connector { handshake: None, location: Location::caller() }
    }

    /// Does something with connections for `https` before HTTP is spoken on them: a TLS handshake,
    /// which is given the name of the host.
    ///
    /// What it returns speaks hyper's traits; for what speaks tokio's there is
    /// [`TokioIo`](crate::interop::hyper::TokioIo).
    #[must_use]
    pub fn handshake<F, R, I>(mut self, handshake: F) -> Connector
    where
        F: Fn(String, TcpStream) -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<I>> + Send + 'static,
        I: rt::Read + rt::Write + Send + Unpin + 'static,
    {
        self.handshake = Some(Arc::new(move |host, stream| {
            let shaking = handshake(host, stream);
            Box::pin(async move { Ok(Box::new(shaking.await?) as Box<dyn Wire>) })
        }));
        self
    }
}

impl Default for Connector {
    #[track_caller]
    fn default() -> Connector {
        Connector::new()
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("has_handshake", &self.handshake.is_some())
            .finish_non_exhaustive()
    }
}

impl Service<Uri> for Connector {
    type Response = PooledConnection;
    type Error = io::Error;
    type Future = Connecting;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        let connect = connect(uri, self.handshake.clone(), self.location);
        let birth = Birth::new(Kind::TASK, || "http connect").location(self.location).root();
        Connecting(enter::with_current(|shared| spawn_on(shared, birth, connect)))
    }
}

async fn connect(
    uri: Uri,
    handshake: Option<Shake>,
    location: &'static Location<'static>,
) -> io::Result<PooledConnection> {
    let invalid =
        |what: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("{what}: {uri}"));
    let host = uri.host().ok_or_else(|| invalid("there is no host in the URI"))?;
    // An address of version 6 stands between brackets.
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let (port, handshake) = match (uri.scheme_str(), handshake) {
        (Some("http"), _) => (80, None),
        (Some("https"), Some(handshake)) => (443, Some(handshake)),
        (Some("https"), None) => return Err(invalid("the connector has no handshake for https")),
        _ => return Err(invalid("this is neither http nor https")),
    };
    let address = (host, uri.port_u16().unwrap_or(port));
    let stream = TcpStream::connect_at(address, location).await?;
    // A request that comes in two parts must not wait for the peer to acknowledge the first.
    stream.set_nodelay(true)?;
    let socket = Socket(stream.id());
    let wire = match handshake {
        Some(handshake) => handshake(host.to_owned(), stream).await?,
        None => Box::new(stream),
    };
    Ok(PooledConnection { wire, socket })
}

/// The future of a [`Connector`]: dropping it gives the connection up.
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Connecting(JoinHandle<io::Result<PooledConnection>>);

impl Future for Connecting {
    type Output = io::Result<PooledConnection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|joined| joined.unwrap_or_else(|e| Err(io::Error::other(e))))
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The socket of a connection, as hyper-util hands it on.
#[derive(Clone, Copy, Debug)]
struct Socket(AsyncId);

/// A connection of the pool.
pub struct PooledConnection {
    wire: Box<dyn Wire>,
    socket: Socket,
}

impl HttpConnection for PooledConnection {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.socket)
    }
}

impl rt::Read for PooledConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.wire).poll_read(cx, buffer)
    }
}

impl rt::Write for PooledConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.wire).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.wire).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.wire).poll_write_vectored(cx, data)
    }
}

impl fmt::Debug for PooledConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledConnection").field("socket", &self.socket.0).finish_non_exhaustive()
    }
}
