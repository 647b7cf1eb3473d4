//! Reads from and writes to a TCP connection.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::panic::Location;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;

use crate::driver::{STREAM_INTEREST, Watch};
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
use crate::net::tcp::{Connect, OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
use crate::net::{LookupHost, ToSocketAddrs};
use crate::scheduler::Shared;

/// A TCP connection.
///
/// It reads and writes through tokio's traits (feature `tokio-io`), those of futures-io (feature
/// `futures-io`), hyper's (feature `hyper`), or its own methods, of which those that begin with
/// `try_` do not wait.
///
/// # Hooks
/// `init` when it begins to connect or is accepted (then its trigger is the listener); a pair
/// around each attempt to read or write when the system says that it is ready; `destroy` at its
/// drop.
///
/// # Examples
/// ```
/// use forebear::net::{TcpListener, TcpStream};
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let near = TcpStream::connect(listener.local_addr()?).await?;
/// let (far, _) = listener.accept().await?;
///
/// near.writable().await?;
/// assert_eq!(near.try_write(b"ping")?, 4);
/// let mut read = [0; 16];
/// let count = loop {
///     far.readable().await?;
///     match far.try_read(&mut read) {
///         // What was known of the readiness was out of date.
///         Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
///         result => break result?,
///     }
/// };
/// assert_eq!(&read[..count], b"ping");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpStream {
    watched: Watched<mio::net::TcpStream>,
}

impl TcpStream {
    /// Connects to the first of these addresses that can be reached.
    ///
    /// Nothing is done before the first poll. A name is looked up on the blocking pool.
    ///
    /// # Errors
    /// When none of the addresses can be reached: the last one's error.
    ///
    /// # Panics
    /// Polling it panics outside a runtime.
    ///
    /// # Cancel safety
    /// Dropping it gives the attempt up.
    #[track_caller]
    pub fn connect<A: ToSocketAddrs>(addresses: A) -> Connect {
        TcpStream::connect_at(addresses, Location::caller())
    }

    /// As [`connect`](TcpStream::connect), for what is called by whoever is at that location.
    pub(crate) fn connect_at<A: ToSocketAddrs>(
        addresses: A,
        location: &'static Location<'static>,
    ) -> Connect {
        Connect::to(LookupHost::new(&addresses, location), location)
    }

    /// Takes over a connection of std's. It must be in non-blocking mode.
    ///
    /// # Errors
    /// When it is in blocking mode, or the system refuses to watch it.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        let (shared, location) = (Handle::current().shared().clone(), Location::caller());
        require_nonblocking(&stream)?;
        TcpStream::register(mio::net::TcpStream::from_std(stream), shared, location)
    }

    pub(super) fn register(
        stream: mio::net::TcpStream,
        shared: Arc<Shared>,
        location: &'static Location<'static>,
    ) -> io::Result<TcpStream> {
        let birth = Birth::new(Kind::TCP_STREAM, || "connection").location(location);
        let watched = Watched::begin(stream, shared, Watch::of(STREAM_INTEREST), birth)?;
        Ok(TcpStream { watched })
    }

    /// Who connects mostly has something to say, so the first read is tried at once.
    pub(super) fn register_accepted(
        stream: mio::net::TcpStream,
        shared: Arc<Shared>,
        listener: AsyncId,
        location: &'static Location<'static>,
    ) -> io::Result<TcpStream> {
        let birth = Birth::new(Kind::TCP_STREAM, || "connection").location(location);
        let watch = Watch::of(STREAM_INTEREST).assuming(Ready::READABLE | Ready::WRITABLE);
        Ok(TcpStream { watched: Watched::begin(stream, shared, watch, birth.trigger(listener))? })
    }

    /// Gives the connection to std. It stays in non-blocking mode.
    ///
    /// # Errors
    /// Never; it returns a `Result` because tokio's does.
    ///
    /// # Hooks
    /// `destroy`.
    pub fn into_std(self) -> io::Result<std::net::TcpStream> {
        Ok(self.watched.into_io().into())
    }

    waiting!();
    reading!();
    writing!();

    /// Waits until there is something to read, and copies it without taking it.
    ///
    /// # Errors
    /// The system's, and when the runtime has ended.
    ///
    /// # Cancel safety
    /// Safe: nothing is taken.
    ///
    /// # Hooks
    /// A pair around each try.
    ///
    /// # Examples
    /// ```
    /// # use forebear::net::{TcpListener, TcpStream};
    /// # forebear::runtime::Runtime::new()?.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let near = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (far, _) = listener.accept().await?;
    /// # near.writable().await?;
    /// near.try_write(b"GET")?;
    /// let mut first = [0; 1];
    /// assert_eq!((far.peek(&mut first).await?, first), (1, *b"G"));
    /// assert_eq!((far.peek(&mut first).await?, first), (1, *b"G"));
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.watched.async_io(Interest::READABLE, |attempt| attempt.io.peek(buffer)).await
    }

    /// Waits until there is something to read, and copies it without taking it.
    ///
    /// One task at a time may wait so; any number may with [`peek`](Self::peek).
    ///
    /// # Errors
    /// The system's, and when the runtime has ended.
    ///
    /// # Hooks
    /// A pair around each try.
    #[cfg(feature = "tokio-io")]
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        self.watched.poll_io(cx, Interest::READABLE, |attempt| {
            let count = attempt.io.peek(buffer.initialize_unfilled())?;
            buffer.advance(count);
            Ok(count)
        })
    }

    /// Divides it into a half that reads and one that writes, which borrow it.
    ///
    /// # Examples
    /// ```
    /// # use forebear::net::{TcpListener, TcpStream};
    /// # forebear::runtime::Runtime::new()?.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut near = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (far, _) = listener.accept().await?;
    /// let (read, write) = near.split();
    /// write.writable().await?;
    /// assert_eq!(write.try_write(b"ping")?, 4);
    /// assert!(read.try_read(&mut [0; 4]).is_err(), "nothing has come");
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
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
    /// # use forebear::net::{TcpListener, TcpStream};
    /// # forebear::runtime::Runtime::new()?.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let near = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (far, _) = listener.accept().await?;
    /// let (read, write) = near.into_split();
    /// let writer = forebear::spawn(async move {
    ///     write.writable().await?;
    ///     write.try_write(b"ping")
    /// });
    /// assert_eq!(far.peek(&mut [0; 4]).await?, writer.await??);
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
        self.watched.io().local_addr()
    }

    /// Returns the address of the other end.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.watched.io().peer_addr()
    }

    /// Says whether small writes are sent at once.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.watched.io().nodelay()
    }

    /// Lets small writes be sent at once, instead of being collected.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.watched.io().set_nodelay(nodelay)
    }

    /// Says whether what comes is acknowledged at once.
    ///
    /// # Errors
    /// When the system does not say.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn quickack(&self) -> io::Result<bool> {
        SockRef::from(self.watched.io()).tcp_quickack()
    }

    /// Lets what comes be acknowledged at once, for now: the system may go back to its own ways.
    ///
    /// # Errors
    /// When the system refuses.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        SockRef::from(self.watched.io()).set_tcp_quickack(quickack)
    }

    /// Returns how long dropping it waits for what is not sent yet.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self.watched.io()).linger()
    }

    /// Lets dropping it wait, with its thread, for what is not sent yet. See
    /// [`set_zero_linger`](TcpStream::set_zero_linger) for the one use that does not block.
    ///
    /// # Errors
    /// When the system refuses.
    #[deprecated = "dropping the connection may block a worker"]
    pub fn set_linger(&self, duration: Option<Duration>) -> io::Result<()> {
        SockRef::from(self.watched.io()).set_linger(duration)
    }

    /// Lets dropping it reset the connection, and lose what is not sent yet.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        SockRef::from(self.watched.io()).set_linger(Some(Duration::ZERO))
    }

    /// Returns how many routers its packets may pass.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ttl(&self) -> io::Result<u32> {
        self.watched.io().ttl()
    }

    /// Sets how many routers its packets may pass.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.watched.io().set_ttl(ttl)
    }
}

impl ReadHalf<'_> {
    /// Copies what there is to read without taking it: see [`TcpStream::peek`].
    ///
    /// # Errors
    /// As [`TcpStream::peek`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.as_ref().peek(buffer).await
    }

    /// Copies what there is to read without taking it: see [`TcpStream::poll_peek`].
    ///
    /// # Errors
    /// As [`TcpStream::poll_peek`].
    #[cfg(feature = "tokio-io")]
    pub fn poll_peek(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        self.as_ref().poll_peek(cx, buffer)
    }
}

impl OwnedReadHalf {
    /// Copies what there is to read without taking it: see [`TcpStream::peek`].
    ///
    /// # Errors
    /// As [`TcpStream::peek`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.as_ref().peek(buffer).await
    }

    /// Copies what there is to read without taking it: see [`TcpStream::poll_peek`].
    ///
    /// # Errors
    /// As [`TcpStream::poll_peek`].
    #[cfg(feature = "tokio-io")]
    pub fn poll_peek(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        self.as_ref().poll_peek(cx, buffer)
    }
}

impl Stream for TcpStream {
    type Io = mio::net::TcpStream;
    type Address = SocketAddr;
    type ReuniteError = ReuniteError;

    fn watched(&self) -> &Watched<mio::net::TcpStream> {
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

numbered!(TcpStream, stream => stream.watched.io());

impl TryFrom<std::net::TcpStream> for TcpStream {
    type Error = io::Error;

    /// As [`from_std`](TcpStream::from_std).
    #[track_caller]
    fn try_from(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        TcpStream::from_std(stream)
    }
}

impl AsRef<TcpStream> for TcpStream {
    fn as_ref(&self) -> &TcpStream {
        self
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("id", &self.id())
            .field("local_addr", &self.local_addr().ok())
            .field("peer_addr", &self.peer_addr().ok())
            .finish()
    }
}
