//! Reads from and writes to a Unix connection.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::unix::net;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::driver::Watch;
use crate::handle::Handle;
use crate::hooks::life::Birth;
use crate::hooks::{AsyncId, Kind};
use crate::io::watched::Watched;
use crate::io::{Interest, Ready};
use crate::net::methods::{reading, waiting, writing};
use crate::net::raw::{numbered, require_nonblocking};
use crate::net::side::{ReadSide, WriteSide};
use crate::net::split;
use crate::net::stream::{Stream, shut_down};
use crate::net::unix::credentials::{UCred, peer_credentials};
use crate::net::unix::{
    Connect, OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, SocketAddr, WriteHalf,
};
use crate::scheduler::Shared;

/// A Unix connection.
///
/// It reads and writes through tokio's traits (feature `tokio-io`), those of futures-io (feature
/// `futures-io`), hyper's (feature `hyper`), or its own methods, of which those that begin with
/// `try_` do not wait.
///
/// # Hooks
/// `init` when it begins to connect, is accepted (then its trigger is the listener) or made as one
/// of a pair; a pair around each attempt to read or write when the system says that it is ready;
/// `destroy` at its drop.
///
/// # Examples
/// ```
/// use forebear::net::UnixStream;
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let (near, far) = UnixStream::pair()?;
/// near.writable().await?;
/// assert_eq!(near.try_write(b"ping")?, 4);
/// far.readable().await?;
/// let mut read = [0; 16];
/// assert_eq!(far.try_read(&mut read)?, 4);
/// assert_eq!(&read[..4], b"ping");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixStream {
    watched: Watched<mio::net::UnixStream>,
}

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

impl UnixStream {
    /// Connects to the socket at a path. On Linux a path that begins with a zero byte is a name
    /// that no file has.
    ///
    /// Nothing is done before the first poll.
    ///
    /// # Errors
    /// When nobody listens there; [`WouldBlock`](io::ErrorKind::WouldBlock) when too many wait to
    /// be accepted: the system does not tell when that has passed, so connect again after a pause.
    ///
    /// # Panics
    /// Polling it panics outside a runtime.
    ///
    /// # Cancel safety
    /// Dropping it gives the attempt up.
    #[track_caller]
    pub fn connect<P: AsRef<Path>>(path: P) -> Connect {
        Connect::to(SocketAddr::of(path.as_ref()), Location::caller())
    }

    /// Connects to the socket at an address: see [`connect`](UnixStream::connect).
    ///
    /// # Errors
    /// As [`connect`](UnixStream::connect).
    ///
    /// # Panics
    /// Polling it panics outside a runtime.
    ///
    /// # Cancel safety
    /// Dropping it gives the attempt up.
    #[track_caller]
    pub fn connect_addr(address: &SocketAddr) -> Connect {
        Connect::to(Ok(address.clone()), Location::caller())
    }

    /// Makes two that are connected to each other.
    ///
    /// # Errors
    /// When the system has none.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (shared, location) = (Handle::current().shared().clone(), Location::caller());
        let (one, other) = mio::net::UnixStream::pair()?;
        let one = UnixStream::register_fresh(one, shared.clone(), location)?;
        Ok((one, UnixStream::register_fresh(other, shared, location)?))
    }

    /// Takes over a connection of std's. It must be in non-blocking mode.
    ///
    /// # Errors
    /// When it is in blocking mode, or the system refuses to watch it.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(stream: net::UnixStream) -> io::Result<UnixStream> {
        let (shared, location) = (Handle::current().shared().clone(), Location::caller());
        require_nonblocking(&stream)?;
        UnixStream::register(mio::net::UnixStream::from_std(stream), shared, location)
    }

    pub(super) fn register(
        stream: mio::net::UnixStream,
        shared: Arc<Shared>,
        location: &'static Location<'static>,
    ) -> io::Result<UnixStream> {
        let birth = Birth::new(Kind::UNIX_STREAM, || "connection").location(location);
        Ok(UnixStream { watched: Watched::begin(stream, shared, Watch::of(BOTH), birth)? })
    }

    /// Both ends of a pair are empty.
    fn register_fresh(
        stream: mio::net::UnixStream,
        shared: Arc<Shared>,
        location: &'static Location<'static>,
    ) -> io::Result<UnixStream> {
        let birth = Birth::new(Kind::UNIX_STREAM, || "connection").location(location);
        let watch = Watch::of(BOTH).assuming(Ready::WRITABLE);
        Ok(UnixStream { watched: Watched::begin(stream, shared, watch, birth)? })
    }

    /// Who connects mostly has something to say, so the first read is tried at once.
    pub(super) fn register_accepted(
        stream: mio::net::UnixStream,
        shared: Arc<Shared>,
        listener: AsyncId,
        location: &'static Location<'static>,
    ) -> io::Result<UnixStream> {
        let birth = Birth::new(Kind::UNIX_STREAM, || "connection").location(location);
        let watch = Watch::of(BOTH).assuming(Ready::READABLE | Ready::WRITABLE);
        Ok(UnixStream { watched: Watched::begin(stream, shared, watch, birth.trigger(listener))? })
    }

    /// Gives the connection to std. It stays in non-blocking mode.
    ///
    /// # Errors
    /// Never; it returns a `Result` because tokio's does.
    ///
    /// # Hooks
    /// `destroy`.
    pub fn into_std(self) -> io::Result<net::UnixStream> {
        Ok(self.watched.into_io().into())
    }

    waiting!();
    reading!();
    writing!();

    /// Divides it into a half that reads and one that writes, which borrow it.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::split(self)
    }

    /// Divides it into a half that reads and one that writes, which can go to different tasks.
    ///
    /// # Hooks
    /// Emits nothing: both are still this one resource, which ends when both are dropped.
    ///
    /// # Examples
    /// ```
    /// # use forebear::net::UnixStream;
    /// # forebear::runtime::Runtime::new()?.block_on(async {
    /// let (near, far) = UnixStream::pair()?;
    /// let (read, write) = near.into_split();
    /// drop(write);
    /// far.readable().await?;
    /// assert_eq!(far.try_read(&mut [0; 1])?, 0, "nothing more comes");
    /// # drop(read);
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split::into_split(self)
    }

    /// Closes one direction, or both.
    ///
    /// # Errors
    /// When the system reports one.
    pub fn shutdown_std(&self, how: Shutdown) -> io::Result<()> {
        shut_down(self.watched.io(), how)
    }

    /// Returns the address of this end.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.watched.io().local_addr().map(SocketAddr::from)
    }

    /// Returns the address of the other end.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.watched.io().peer_addr().map(SocketAddr::from)
    }

    /// Says whose process was at the other end when the connection was made.
    ///
    /// # Errors
    /// When the system does not say.
    ///
    /// # Examples
    /// ```
    /// # use forebear::net::UnixStream;
    /// # forebear::runtime::Runtime::new()?.block_on(async {
    /// let (near, _far) = UnixStream::pair()?;
    /// # if cfg!(target_os = "linux") {
    /// assert_eq!(near.peer_cred()?.pid(), i32::try_from(std::process::id()).ok());
    /// # }
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_cred(&self) -> io::Result<UCred> {
        peer_credentials(self.watched.io())
    }
}

impl Stream for UnixStream {
    type Io = mio::net::UnixStream;
    type Address = SocketAddr;
    type ReuniteError = ReuniteError;

    fn watched(&self) -> &Watched<mio::net::UnixStream> {
        &self.watched
    }

    fn name_here(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    fn name_there(&self) -> io::Result<SocketAddr> {
        self.peer_addr()
    }

    fn not_halves_of_one(read: OwnedReadHalf, write: OwnedWriteHalf) -> ReuniteError {
        ReuniteError(read, write)
    }
}

numbered!(UnixStream, stream => stream.watched.io());

impl TryFrom<net::UnixStream> for UnixStream {
    type Error = io::Error;

    /// As [`from_std`](UnixStream::from_std).
    #[track_caller]
    fn try_from(stream: net::UnixStream) -> io::Result<UnixStream> {
        UnixStream::from_std(stream)
    }
}

impl AsRef<UnixStream> for UnixStream {
    fn as_ref(&self) -> &UnixStream {
        self
    }
}

impl fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixStream")
            .field("id", &self.id())
            .field("local_addr", &self.local_addr().ok())
            .field("peer_addr", &self.peer_addr().ok())
            .finish()
    }
}
