//! Serves HTTP: any service of tower's or hyper's, over HTTP/1 and, with the feature `serve-http2`,
//! HTTP/2.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use forebear::net::TcpListener;
//! use forebear::serve::{Body, HyperService};
//! use hyper::{Request, Response, body::Incoming, service::service_fn};
//!
//! # forebear::runtime::Runtime::new()?.block_on(async {
//! let hello = service_fn(async |_: Request<Incoming>| {
//!     Ok::<_, Infallible>(Response::new("hello\n".to_owned()))
//! });
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! let (end, ended) = forebear::sync::oneshot::channel::<()>();
//! let serving = forebear::serve(listener, HyperService::new(hello))
//!     .max_connections(1000)
//!     .with_graceful_shutdown(async { ended.await.unwrap_or_default() });
//! let serving = forebear::spawn(serving.into_future());
//!
//! // … and when it is to end:
//! end.send(()).ok();
//! assert_eq!(serving.await??.connections_left, 0);
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! An `axum::Router` is such a service and needs no adapter; axum's own `serve` is tokio's alone. For
//! `ConnectInfo` there is [`with_peer`].
//!
//! # What a peer may do
//!
//! | it | ends | by default |
//! |---|---|---|
//! | connects and says nothing, or no more | its connection, without a word | after 75 s: [`idle_timeout`](Serve::idle_timeout) |
//! | does not bring the head of a request, or a handshake, to its end | its connection, after a `408` | after 30 s: [`head_timeout`](Serve::head_timeout) |
//! | does not bring a body to its end | that body, with a [`BodyError`] | never: [`body_timeout`](Serve::body_timeout) |
//! | takes nothing of an answer | its connection, or over HTTP/2 that answer | after 30 s: [`write_timeout`](Serve::write_timeout) |
//! | connects when others fill the server | nothing: it waits | never: [`max_connections`](Serve::max_connections) |
//! | closes its sending half while it is being answered | its connection: it looks as if it had gone | `http1.half_close` of [`configure_http1`](Serve::configure_http1) |
//!
//! What goes wrong with a connection is nobody's business but its own, and is told to whoever asks
//! with [`on_trouble`](Serve::on_trouble).
//!
//! # Resources
//!
//! Each connection is a task. Its trigger is its socket, whose trigger is the listener. It holds only
//! such context as says that it may outlive the work that made it, like the listener. Over HTTP/2
//! each request is a task of its own.

mod listen; // where
mod welcome; // what is served, and to whom
mod accept; // who is let in
mod roster; // and is there
mod connection; // what becomes of them
mod status; // what is known of one
mod patience; // how long it may take
mod wire; // what it says, and takes
#[cfg(feature = "serve-http2")]
mod http2; // in which language
#[cfg(not(feature = "serve-http2"))]
#[path = "without_http2.rs"]
mod http2;
#[cfg_attr(not(feature = "serve-http2"), allow(dead_code, reason = "only HTTP/2 has streams"))]
mod stall; // where it takes nothing
mod request; // what is asked
mod body; // and with what
mod keep_alive; // what is said when nothing happens
mod trouble; // what went wrong

pub use accept::{Ended, Serving};
pub use body::{Body, BodyError};
#[cfg(feature = "serve-http2")]
pub use http2::StreamExecutor;
pub use keep_alive::KeepAlive;
pub use trouble::Trouble;
pub use welcome::{Each, HyperService, IncomingService, Same};

use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;

use accept::{Server, Signal};
use connection::House;
use http2::Http2;
use listen::Listen;
use roster::Roster;
use trouble::Report;
use welcome::{Handshake, Maker, Plain, Welcome};

/// Serves `service` to everybody who connects to `listener`: see [the module](mod@crate::serve).
///
/// Nothing is done before what this returns is awaited, which is for as long as it serves.
///
/// # Errors
/// Awaiting it fails when the listener is none. That single connections fail, or cannot be accepted
/// for a while, is no error.
///
/// # Panics
/// Polling it panics outside a runtime.
///
/// # Cancel safety
/// Dropping it closes the listener. Connections end when they have answered.
///
/// # Hooks
/// Those of a task for each connection.
#[track_caller]
pub fn serve<L: Listen, S>(listener: L, service: S) -> Serve<L, Same<S>>
where
    Same<S>: Maker<L::Peer>,
{
    Serve::new(listener, Same(service))
}

/// As [`serve`](serve()), with a service for each connection: `make` is a tower service that is
/// asked for one with the peer's address.
///
/// `Router::into_make_service_with_connect_info::<SocketAddr>()` of axum is such a service.
#[track_caller]
pub fn with_peer<L: Listen, M>(listener: L, make: M) -> Serve<L, Each<M>>
where
    Each<M>: Maker<L::Peer>,
{
    Serve::new(listener, Each(make))
}

/// How long a peer may take for what.
#[derive(Clone, Copy, Debug)]
struct Limits {
    head: Option<Duration>,
    body: Option<Duration>,
    idle: Option<Duration>,
    write: Option<Duration>,
    grace: Duration,
    shutdown: Option<Duration>,
}

impl Limits {
    const fn new() -> Limits {
        Limits {
            // hyper's own limit.
            head: Some(Duration::from_secs(30)),
            // A stream of messages may be as long as it likes.
            body: None,
            // Longer than the minute for which balancers keep what they believe to be open.
            idle: Some(Duration::from_secs(75)),
            write: Some(Duration::from_secs(30)),
            // Longer than an answer takes to its client, whose next request then comes in time.
            grace: Duration::from_millis(100),
            shutdown: Some(Duration::from_secs(30)),
        }
    }
}

/// A server that is to be: what [`serve`](serve()) returns. Awaiting it serves.
#[must_use = "nothing is served unless it is awaited"]
pub struct Serve<L, M, W = Plain> {
    listener: L,
    maker: M,
    welcome: W,
    limits: Limits,
    connections_max: usize,
    http1: http1::Builder,
    http2: Http2,
    report: Report,
    signal: Option<Signal>,
    location: &'static Location<'static>,
}

impl<L, M> Serve<L, M> {
    #[track_caller]
    fn new(listener: L, maker: M) -> Serve<L, M> {
        let location = Location::caller();
        let mut http1 = http1::Builder::new();
        // We have our own, which tells a slow head from an idle peer.
        http1.header_read_timeout(None);
        Serve {
            listener,
            maker,
            welcome: Plain,
            limits: Limits::new(),
            connections_max: usize::MAX,
            http1,
            http2: Http2::new(location),
            report: Report::default(),
            signal: None,
            location,
        }
    }

    /// Does something with each connection before HTTP is spoken on it: a TLS handshake, most often.
    ///
    /// It is done in the connection's task, within the [`head_timeout`](Serve::head_timeout). What it
    /// returns speaks hyper's [`Read`](hyper::rt::Read) and [`Write`](hyper::rt::Write); for what
    /// speaks tokio's traits there is [`TokioIo`](crate::interop::hyper::TokioIo).
    pub fn handshake<F, R, I>(self, handshake: F) -> Serve<L, M, Handshake<F>>
    where
        L: Listen,
        F: Fn(L::Stream) -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<I>> + Send,
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let Serve { listener, maker, limits, connections_max, .. } = self;
        let Serve { http1, http2, report, signal, location, .. } = self;
        let welcome = Handshake(handshake);
        Serve {
            listener,
            maker,
            welcome,
            limits,
            connections_max,
            http1,
            http2,
            report,
            signal,
            location,
        }
    }
}

impl<L, M, W> Serve<L, M, W> {
    /// Lets the server end when `signal` is ready: it lets in who has connected by then, closes the
    /// listener, tells peers to go, and waits for those that are being answered, at most for the
    /// [`shutdown_timeout`](Serve::shutdown_timeout).
    ///
    /// A connection over HTTP/1 on which nothing is being asked is closed after the
    /// [`idle_grace`](Serve::idle_grace); one that was made something else of, a websocket, counts
    /// until it is closed.
    pub fn with_graceful_shutdown<F>(mut self, signal: F) -> Serve<L, M, W>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.signal = Some(Box::pin(signal));
        self
    }

    /// Says how long the end may take: 30 s, unless this says something else. What is left then is
    /// dropped.
    pub fn shutdown_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Serve<L, M, W> {
        self.limits.shutdown = timeout.into();
        self
    }

    /// Says for how long, when the server ends, a request may still come on a connection where none
    /// is being answered: 100 ms, unless this says something else.
    ///
    /// Without it, the request would be lost of a client that has just got an answer and sends the
    /// next request while the connection is being closed. The answer to one that comes tells the
    /// client that the connection ends.
    pub fn idle_grace(mut self, grace: Duration) -> Serve<L, M, W> {
        self.limits.grace = grace;
        self
    }

    /// Says how long the head of a request may take, from its first byte on, and a handshake: 30 s,
    /// unless this says something else.
    pub fn head_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Serve<L, M, W> {
        self.limits.head = timeout.into();
        self
    }

    /// Says how long the body of a request may take, from the end of its head on: without this as
    /// long as it likes. What reads it then gets a [`BodyError`].
    pub fn body_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Serve<L, M, W> {
        self.limits.body = timeout.into();
        self
    }

    /// Says how long a connection may be there without a request, up to a quarter longer: 75 s,
    /// unless this says something else.
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Serve<L, M, W> {
        self.limits.idle = timeout.into();
        self
    }

    /// Says how long a peer may take nothing of what is written to it: 30 s, unless this says
    /// something else.
    pub fn write_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Serve<L, M, W> {
        self.limits.write = timeout.into();
        self
    }

    /// Says how many connections may be served at once: without this, any number. The others wait in
    /// the system's queue.
    pub fn max_connections(mut self, max: usize) -> Serve<L, M, W> {
        self.connections_max = max.max(1);
        self
    }

    /// Lets hyper's settings of HTTP/1 be changed.
    pub fn configure_http1(mut self, change: impl FnOnce(&mut http1::Builder)) -> Serve<L, M, W> {
        change(&mut self.http1);
        self
    }

    /// Lets hyper's settings of HTTP/2 be changed.
    #[cfg(feature = "serve-http2")]
    pub fn configure_http2(
        mut self,
        change: impl FnOnce(&mut hyper::server::conn::http2::Builder<StreamExecutor>),
    ) -> Serve<L, M, W> {
        change(&mut self.http2.0);
        self
    }

    /// Tells `listener` what goes wrong. Without this, it is said on standard error when no
    /// connections can be accepted, and nothing of others.
    pub fn on_trouble(
        mut self,
        listener: impl Fn(&Trouble) + Send + Sync + 'static,
    ) -> Serve<L, M, W> {
        self.report = Report::to(listener);
        self
    }
}

impl<L, M, W> IntoFuture for Serve<L, M, W>
where
    L: Listen,
    M: Maker<L::Peer>,
    W: Welcome<L::Stream>,
{
    type Output = io::Result<Ended>;
    type IntoFuture = Serving;

    fn into_future(self) -> Serving {
        let Serve { listener, maker, welcome, limits, connections_max, .. } = self;
        let Serve { http1, http2, report, signal, location, .. } = self;
        let roster = Arc::new(Roster::new(connections_max));
        let house = Arc::new(House { welcome, limits, http1, http2, roster, report, location });
        Serving { future: Box::pin(Server { listener, maker, house, signal }.run()) }
    }
}

impl<L: fmt::Debug, M, W> fmt::Debug for Serve<L, M, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .field("limits", &self.limits)
            .field("connections_max", &self.connections_max)
            .finish_non_exhaustive()
    }
}
