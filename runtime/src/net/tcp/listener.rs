//! Accepts TCP connections.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::sync::Arc;
use std::task::{Context, Poll};

use socket2::{Domain, Protocol, Socket, Type};

use crate::driver::Watch;
use crate::handle::Handle;
use crate::hooks::life::Birth;
use crate::hooks::{AsyncId, Kind};
use crate::io::Interest;
use crate::io::watched::Watched;
use crate::net::accept::{Listens, poll_accept};
use crate::net::bind::BindTo;
use crate::net::raw::{numbered, require_nonblocking};
use crate::net::{Accept, Bind, TcpStream, ToSocketAddrs};
use crate::scheduler::Shared;

/// A TCP socket that accepts connections.
///
/// # Hooks
/// Its label is the address. `init` when it is bound; a pair around each attempt to accept when the
/// system says that a connection is there; `destroy` at its drop. It holds only such context as
/// says that it may outlive the work that made it. The trigger of an accepted connection is its
/// listener.
///
/// # Examples
/// ```
/// use forebear::net::{TcpListener, TcpStream};
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let client = forebear::spawn(TcpStream::connect(listener.local_addr()?));
/// let (stream, _peer) = listener.accept().await?;
/// assert_eq!(stream.peer_addr()?, client.await??.local_addr()?);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpListener {
    watched: Watched<mio::net::TcpListener>,
}

/// Connections that wait to be accepted: what tokio asks for too.
const BACKLOG: i32 = 1024;

impl TcpListener {
    /// Binds a socket to the first of these addresses that can be had.
    ///
    /// Nothing is done before the first poll. A name is looked up on the blocking pool.
    ///
    /// # Errors
    /// When none of the addresses can be had: the last one's error.
    ///
    /// # Panics
    /// Polling it panics outside a runtime.
    ///
    /// # Cancel safety
    /// Safe: dropping it binds nothing.
    #[track_caller]
    pub fn bind<A: ToSocketAddrs>(addresses: A) -> Bind<TcpListener> {
        Bind::new(&addresses, Location::caller())
    }

    /// Takes over a listener of std's. It must be in non-blocking mode.
    ///
    /// # Errors
    /// When it is in blocking mode, or the system refuses to watch it.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        let (shared, location) = (Handle::current().shared().clone(), Location::caller());
        require_nonblocking(&listener)?;
        TcpListener::register(listener, shared, location)
    }

    pub(super) fn register(
        listener: std::net::TcpListener,
        shared: Arc<Shared>,
        location: &'static Location<'static>,
    ) -> io::Result<TcpListener> {
        let mut birth = Birth::new(Kind::TCP_LISTENER, || "listener").location(location);
        if let Ok(address) = listener.local_addr() {
            birth = birth.name(address.to_string());
        }
        let listener = mio::net::TcpListener::from_std(listener);
        let watch = Watch::of(Interest::READABLE);
        Ok(TcpListener { watched: Watched::begin(listener, shared, watch, birth)? })
    }

    /// Gives the listener to std. It stays in non-blocking mode.
    ///
    /// # Errors
    /// Never; it returns a `Result` because tokio's does.
    ///
    /// # Hooks
    /// `destroy`.
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        Ok(self.watched.into_io().into())
    }

    /// Waits for a connection. Several may wait at once.
    ///
    /// # Errors
    /// When the system reports one: most, such as a connection that was given up by the peer, or
    /// too many open files, pass; accept again, after a pause for the latter.
    ///
    /// # Cancel safety
    /// Safe: no connection is lost.
    #[track_caller]
    pub fn accept(&self) -> Accept<'_, TcpListener> {
        Accept::new(self, Location::caller())
    }

    /// Waits for a connection. One task at a time may wait so; any number may with
    /// [`accept`](TcpListener::accept).
    ///
    /// # Errors
    /// As [`accept`](TcpListener::accept).
    #[track_caller]
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        poll_accept(self, cx, Location::caller())
    }

    /// Returns the address it is bound to.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.watched.io().local_addr()
    }

    /// Returns how many routers the packets of its connections may pass.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ttl(&self) -> io::Result<u32> {
        self.watched.io().ttl()
    }

    /// Sets how many routers the packets of its connections may pass.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.watched.io().set_ttl(ttl)
    }

    /// Returns the listener's id.
    #[must_use]
    pub fn id(&self) -> AsyncId {
        self.watched.id()
    }
}

impl BindTo for TcpListener {
    fn bind_to(
        address: SocketAddr,
        runtime: &Handle,
        location: &'static Location<'static>,
    ) -> io::Result<TcpListener> {
        TcpListener::register(listen(address)?, runtime.shared().clone(), location)
    }
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Windows means something else by it, and worse.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Listens for TcpListener {
    type Source = mio::net::TcpListener;
    type Accepted = mio::net::TcpStream;
    type Stream = TcpStream;
    type Address = SocketAddr;

    fn watched(&self) -> &Watched<mio::net::TcpListener> {
        &self.watched
    }

    fn accept_from(
        source: &mio::net::TcpListener,
    ) -> io::Result<(mio::net::TcpStream, SocketAddr)> {
        source.accept()
    }

    fn admit(
        &self,
        accepted: mio::net::TcpStream,
        location: &'static Location<'static>,
    ) -> io::Result<TcpStream> {
        let shared = self.watched.shared().clone();
        TcpStream::register_accepted(accepted, shared, self.id(), location)
    }
}

numbered!(TcpListener, listener => listener.watched.io());

impl TryFrom<std::net::TcpListener> for TcpListener {
    type Error = io::Error;

    /// As [`from_std`](TcpListener::from_std).
    #[track_caller]
    fn try_from(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::from_std(listener)
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener")
            .field("id", &self.id())
            .field("local_addr", &self.local_addr().ok())
            .finish()
    }
}
