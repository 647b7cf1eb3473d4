//! Is a Unix socket before it listens, connects or carries messages.

use std::io;
use std::os::fd::OwnedFd;
use std::panic::Location;
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::handle::Handle;
use crate::net::raw::numbered;
use crate::net::unix::{Connect, UnixDatagram, UnixListener};

/// A Unix socket that does nothing yet: for binding before connecting, and the length of the queue
/// of connections.
///
/// # Hooks
/// Emits nothing: what it becomes is a resource.
///
/// # Examples
/// ```
/// use forebear::net::UnixSocket;
///
/// # let folder = std::env::temp_dir().join(format!("forebear-doc-s-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("socket.sock");
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let socket = UnixSocket::new_stream()?;
/// socket.bind(&path)?;
/// let listener = socket.listen(16)?;
/// let stream = UnixSocket::new_stream()?.connect(&path).await?;
/// # drop((listener, stream));
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct UnixSocket {
    inner: Socket,
}

impl UnixSocket {
    /// Makes a socket for connections.
    ///
    /// # Errors
    /// When the system has none.
    pub fn new_stream() -> io::Result<UnixSocket> {
        UnixSocket::new(Type::STREAM)
    }

    /// Makes a socket for messages.
    ///
    /// # Errors
    /// When the system has none.
    pub fn new_datagram() -> io::Result<UnixSocket> {
        UnixSocket::new(Type::DGRAM)
    }

    fn new(sort: Type) -> io::Result<UnixSocket> {
        let inner = Socket::new(Domain::UNIX, sort, None)?;
        inner.set_nonblocking(true)?;
        Ok(UnixSocket { inner })
    }

    /// Binds it to a path. On Linux a path that begins with a zero byte is a name that no file has.
    ///
    /// # Errors
    /// When the path cannot be had.
    pub fn bind(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.inner.bind(&SockAddr::unix(path)?)
    }

    /// Lets it accept connections, of which so many may wait.
    ///
    /// # Errors
    /// When it is a socket for messages, or the system refuses.
    ///
    /// # Panics
    /// Outside a runtime.
    ///
    /// # Hooks
    /// Those of [`UnixListener`].
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<UnixListener> {
        let (shared, location) = (Handle::current().shared().clone(), Location::caller());
        self.require(Type::STREAM)?;
        self.inner.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        let listener = mio::net::UnixListener::from_std(self.inner.into());
        UnixListener::register(listener, shared, location)
    }

    /// Connects it to the socket at a path.
    ///
    /// # Errors
    /// When it is a socket for messages; else as
    /// [`UnixStream::connect`](super::UnixStream::connect).
    ///
    /// # Panics
    /// Polling it panics outside a runtime.
    ///
    /// # Cancel safety
    /// Dropping it gives the attempt up.
    ///
    /// # Hooks
    /// Those of [`UnixStream`](super::UnixStream).
    #[track_caller]
    pub fn connect(self, path: impl AsRef<Path>) -> Connect {
        let address = self.require(Type::STREAM).and_then(|()| SockAddr::unix(path));
        Connect::with(self.inner, address, Location::caller())
    }

    /// Makes it a socket for messages.
    ///
    /// # Errors
    /// When it is a socket for connections, or the system refuses to watch it.
    ///
    /// # Panics
    /// Outside a runtime.
    ///
    /// # Hooks
    /// Those of [`UnixDatagram`].
    #[track_caller]
    pub fn datagram(self) -> io::Result<UnixDatagram> {
        let (shared, location) = (Handle::current().shared().clone(), Location::caller());
        self.require(Type::DGRAM)?;
        let socket = mio::net::UnixDatagram::from_std(self.inner.into());
        UnixDatagram::register(socket, shared, location)
    }

    fn require(&self, sort: Type) -> io::Result<()> {
        if self.inner.r#type()? == sort {
            return Ok(());
        }
        let what = if sort == Type::STREAM { "messages" } else { "connections" };
        Err(io::Error::other(format!("this is a socket for {what}")))
    }
}

numbered!(UnixSocket, socket => &socket.inner);

impl From<OwnedFd> for UnixSocket {
    /// Takes over a socket, which must be a Unix one, in non-blocking mode.
    fn from(fd: OwnedFd) -> UnixSocket {
        UnixSocket { inner: fd.into() }
    }
}

impl From<UnixSocket> for OwnedFd {
    fn from(socket: UnixSocket) -> OwnedFd {
        socket.inner.into()
    }
}
