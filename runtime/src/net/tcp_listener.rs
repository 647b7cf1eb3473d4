//! Accepts TCP connections.

use std::fmt;
use std::future::{Future, Ready, ready};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use mio::Interest;
use socket2::{Domain, Protocol, Socket, Type};

use crate::driver::{Direction, Registration};
use crate::handle::Handle;
use crate::hooks::life::{Birth, Life};
use crate::hooks::{AsyncId, Kind};
use crate::net::TcpStream;
use crate::net::wait::Wait;

/// A TCP socket that accepts connections.
///
/// # Hooks
/// Its label is the address. `init` when it is bound; a pair around each attempt to accept when the system says that a
/// connection is there; `destroy` at its drop. It holds only such context as says that it may
/// outlive the work that made it. The trigger of an accepted connection is its listener.
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
    registration: Registration<mio::net::TcpListener>,
    life: Life,
}

/// Connections that wait to be accepted: what tokio asks for too.
const BACKLOG: i32 = 1024;

impl TcpListener {
    /// Binds a socket to the first of these addresses that can be had.
    ///
    /// It is bound when this is called; the future, which is ready, is there because programs
    /// that were written for tokio await it. A name is looked up on this thread; give an address
    /// where that matters.
    ///
    /// # Errors
    /// When none of the addresses can be had.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn bind(addresses: impl ToSocketAddrs) -> Ready<io::Result<TcpListener>> {
        ready(TcpListener::bind_now(addresses, &Handle::current(), Location::caller()))
    }

    fn bind_now(
        addresses: impl ToSocketAddrs,
        handle: &Handle,
        location: &'static Location<'static>,
    ) -> io::Result<TcpListener> {
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no address to bind to");
        for address in addresses.to_socket_addrs()? {
            match listen(address) {
                Ok(listener) => return TcpListener::register(listener, handle, location),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Takes over a listener of std's. It must be in non-blocking mode.
    ///
    /// # Errors
    /// When the system refuses to watch it.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::register(listener, &Handle::current(), Location::caller())
    }

    fn register(
        listener: std::net::TcpListener,
        handle: &Handle,
        location: &'static Location<'static>,
    ) -> io::Result<TcpListener> {
        let listener = mio::net::TcpListener::from_std(listener);
        let shared = handle.shared().clone();
        let registration = Registration::new(listener, shared, Interest::READABLE)?;
        let mut birth =
            Birth::new(Kind::TCP_LISTENER, || "listener").location(location).runtime(handle.id());
        if let Ok(address) = registration.io().local_addr() {
            birth = birth.name(address.to_string());
        }
        Ok(TcpListener { registration, life: Life::begin(birth) })
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
    pub fn accept(&self) -> Accept<'_> {
        let wait = Wait::new(&self.registration, Direction::Read);
        Accept { listener: self, wait, location: Location::caller() }
    }

    /// Returns the address it is bound to.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.registration.io().local_addr()
    }

    /// Returns the listener's id.
    #[must_use]
    pub fn id(&self) -> AsyncId {
        self.life.id()
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

/// The future of [`TcpListener::accept`].
#[must_use = "futures do nothing unless polled"]
pub struct Accept<'a> {
    listener: &'a TcpListener,
    wait: Wait<'a, mio::net::TcpListener>,
    location: &'static Location<'static>,
}

impl Future for Accept<'_> {
    type Output = io::Result<(TcpStream, SocketAddr)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Accept { listener, wait, location } = &mut *self;
        let life = &listener.life;
        let accepted = wait.poll_io(cx, |io| life.run(|_| io.accept()));
        accepted.map(|accepted| {
            let (stream, peer) = accepted?;
            let shared = listener.registration.shared().clone();
            let stream = TcpStream::register(stream, shared, Some(listener.id()), location)?;
            Ok((stream, peer))
        })
    }
}

impl fmt::Debug for Accept<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accept").field("listener", &self.listener).finish_non_exhaustive()
    }
}
