//! Sends and receives messages within the machine.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::unix::net;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::driver::{Attempt, Watch};
use crate::handle::Handle;
use crate::hooks::life::Birth;
use crate::hooks::{AsyncId, Kind};
use crate::io::watched::Watched;
use crate::io::{Interest, Ready};
use crate::net::methods::{messaging, waiting};
use crate::net::raw::{numbered, require_nonblocking};
use crate::net::unix::SocketAddr;
use crate::net::unix::address::name;
use crate::scheduler::Shared;

/// A Unix socket that carries messages.
///
/// Messages arrive whole and in order, and a sender waits while the receiver's queue is full.
/// Dropping it leaves the file that names it.
///
/// # Hooks
/// Its label is the path, if it is bound. `init` when it is made; a pair around each attempt to
/// send or receive when the system says that it is ready; `destroy` at its drop.
///
/// # Examples
/// ```
/// use forebear::net::UnixDatagram;
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let (near, far) = UnixDatagram::pair()?;
/// near.send(b"ping").await?;
/// let mut message = [0; 64];
/// let count = far.recv(&mut message).await?;
/// assert_eq!(&message[..count], b"ping");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixDatagram {
    watched: Watched<mio::net::UnixDatagram>,
}

impl UnixDatagram {
    /// Binds a socket to a path. On Linux a path that begins with a zero byte is a name that no
    /// file has.
    ///
    /// # Errors
    /// When the path cannot be had: there is something there, or it is too long.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        let (shared, location) = (Handle::current().shared().clone(), Location::caller());
        let address = SocketAddr::of(path.as_ref())?;
        let socket = mio::net::UnixDatagram::bind_addr(address.as_std())?;
        UnixDatagram::register(socket, shared, location)
    }

    /// Makes a socket without a name: nobody can send to it but to answer a connection.
    ///
    /// # Errors
    /// When the system has none.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn unbound() -> io::Result<UnixDatagram> {
        let (shared, location) = (Handle::current().shared().clone(), Location::caller());
        UnixDatagram::register(mio::net::UnixDatagram::unbound()?, shared, location)
    }

    /// Makes two that are connected to each other.
    ///
    /// # Errors
    /// When the system has none.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (shared, location) = (Handle::current().shared().clone(), Location::caller());
        let (one, other) = mio::net::UnixDatagram::pair()?;
        let one = UnixDatagram::register(one, shared.clone(), location)?;
        Ok((one, UnixDatagram::register(other, shared, location)?))
    }

    /// Takes over a socket of std's. It must be in non-blocking mode.
    ///
    /// # Errors
    /// When it is in blocking mode, or the system refuses to watch it.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(socket: net::UnixDatagram) -> io::Result<UnixDatagram> {
        let (shared, location) = (Handle::current().shared().clone(), Location::caller());
        require_nonblocking(&socket)?;
        UnixDatagram::register(mio::net::UnixDatagram::from_std(socket), shared, location)
    }

    pub(super) fn register(
        socket: mio::net::UnixDatagram,
        shared: Arc<Shared>,
        location: &'static Location<'static>,
    ) -> io::Result<UnixDatagram> {
        let mut birth = Birth::new(Kind::UNIX_DATAGRAM, || "socket").location(location);
        if let Some(name) = socket.local_addr().ok().as_ref().and_then(name) {
            birth = birth.name(name);
        }
        let watched = Watched::begin(socket, shared, Watch::for_messages(), birth)?;
        Ok(UnixDatagram { watched })
    }

    /// Gives the socket to std. It stays in non-blocking mode.
    ///
    /// # Errors
    /// Never; it returns a `Result` because tokio's does.
    ///
    /// # Hooks
    /// `destroy`.
    pub fn into_std(self) -> io::Result<net::UnixDatagram> {
        Ok(self.watched.into_io().into())
    }

    /// Connects it: `send` sends there, and only what comes from there is received.
    ///
    /// # Errors
    /// When nobody has bound that path.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.watched.io().connect(path)
    }

    /// Sends a message to the socket at a path. Several may send at once.
    ///
    /// # Errors
    /// When nobody has bound that path, the message is too long, or the runtime has ended.
    ///
    /// # Cancel safety
    /// Safe: a message is sent whole, in the poll that returns, or not at all.
    ///
    /// # Hooks
    /// A pair around each try.
    pub async fn send_to<P: AsRef<Path>>(&self, message: &[u8], target: P) -> io::Result<usize> {
        let target = target.as_ref();
        let send =
            |attempt: &Attempt<'_, mio::net::UnixDatagram>| attempt.io.send_to(message, target);
        self.watched.async_io(Interest::WRITABLE, send).await
    }

    /// As [`send_to`](UnixDatagram::send_to), for one task at a time.
    ///
    /// # Errors
    /// As [`send_to`](UnixDatagram::send_to).
    ///
    /// # Hooks
    /// A pair around each try.
    pub fn poll_send_to<P: AsRef<Path>>(
        &self,
        cx: &mut Context<'_>,
        message: &[u8],
        target: P,
    ) -> Poll<io::Result<usize>> {
        let target = target.as_ref();
        self.watched.poll_io(cx, Interest::WRITABLE, |attempt| attempt.io.send_to(message, target))
    }

    /// Sends a message, or says that it would block.
    ///
    /// # Errors
    /// As [`send_to`](UnixDatagram::send_to), and [`WouldBlock`](io::ErrorKind::WouldBlock), also
    /// if the system has not said yet that something can be sent.
    ///
    /// # Hooks
    /// A pair, unless nothing is known to fit.
    pub fn try_send_to<P: AsRef<Path>>(&self, message: &[u8], target: P) -> io::Result<usize> {
        let target = target.as_ref();
        self.watched.try_io(Interest::WRITABLE, |attempt| attempt.io.send_to(message, target))
    }

    waiting!();
    messaging!(SocketAddr);

    /// Closes one direction, or both.
    ///
    /// # Errors
    /// When the system reports one.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.watched.io().shutdown(how)
    }

    /// Returns the address it is bound to.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.watched.io().local_addr().map(SocketAddr::from)
    }

    /// Returns the address it is connected to.
    ///
    /// # Errors
    /// When it is not connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.watched.io().peer_addr().map(SocketAddr::from)
    }

    fn watched(&self) -> &Watched<mio::net::UnixDatagram> {
        &self.watched
    }
}

numbered!(UnixDatagram, socket => socket.watched.io());

impl TryFrom<net::UnixDatagram> for UnixDatagram {
    type Error = io::Error;

    /// As [`from_std`](UnixDatagram::from_std).
    #[track_caller]
    fn try_from(socket: net::UnixDatagram) -> io::Result<UnixDatagram> {
        UnixDatagram::from_std(socket)
    }
}

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixDatagram")
            .field("id", &self.id())
            .field("local_addr", &self.local_addr().ok())
            .field("peer_addr", &self.peer_addr().ok())
            .finish()
    }
}
