//! Is a TCP socket before it listens or connects, for settings that must be made then.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::handle::Handle;
use crate::net::methods::ip_settings;
use crate::net::raw::numbered;
use crate::net::{Connect, TcpListener, internet_address};

/// A TCP socket that neither listens nor is connected yet.
///
/// # Hooks
/// Emits nothing: what it becomes is a resource.
///
/// # Examples
/// ```
/// use forebear::net::TcpSocket;
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let socket = TcpSocket::new_v4()?;
/// socket.set_reuseaddr(true)?;
/// socket.bind("127.0.0.1:0".parse().unwrap())?;
/// let listener = socket.listen(128)?;
///
/// let socket = TcpSocket::new_v4()?;
/// socket.set_send_buffer_size(16 * 1024)?;
/// let stream = socket.connect(listener.local_addr()?).await?;
/// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpSocket {
    inner: Socket,
}

impl TcpSocket {
    /// Makes a socket for IPv4.
    ///
    /// # Errors
    /// When the system has none.
    pub fn new_v4() -> io::Result<TcpSocket> {
        TcpSocket::new(Domain::IPV4)
    }

    /// Makes a socket for IPv6.
    ///
    /// # Errors
    /// When the system has none.
    pub fn new_v6() -> io::Result<TcpSocket> {
        TcpSocket::new(Domain::IPV6)
    }

    fn new(domain: Domain) -> io::Result<TcpSocket> {
        let inner = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        inner.set_nonblocking(true)?;
        Ok(TcpSocket { inner })
    }

    /// Takes over a socket of std's, which need not be connected: it is how other crates hand on a
    /// socket with settings that this type does not know.
    ///
    /// It must be in non-blocking mode.
    #[must_use]
    pub fn from_std_stream(stream: std::net::TcpStream) -> TcpSocket {
        TcpSocket { inner: stream.into() }
    }

    /// Binds it to an address.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.inner.bind(&address.into())
    }

    /// Connects it.
    ///
    /// # Errors
    /// When the address cannot be reached.
    ///
    /// # Panics
    /// Polling it panics outside a runtime.
    ///
    /// # Cancel safety
    /// Dropping it gives the attempt up.
    ///
    /// # Hooks
    /// Those of [`TcpStream`](crate::net::TcpStream).
    #[track_caller]
    pub fn connect(self, address: SocketAddr) -> Connect {
        Connect::with(self.inner, address, Location::caller())
    }

    /// Lets it accept connections, of which so many may wait.
    ///
    /// # Errors
    /// When the system refuses.
    ///
    /// # Panics
    /// Outside a runtime.
    ///
    /// # Hooks
    /// Those of [`TcpListener`].
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        let (shared, location) = (Handle::current().shared().clone(), Location::caller());
        self.inner.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        TcpListener::register(self.inner.into(), shared, location)
    }

    /// Returns the address it is bound to.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        internet_address(&self.inner.local_addr()?)
    }

    /// Returns the error that is pending on the socket, which then is not pending any more.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.inner.take_error()
    }

    /// Says whether an idle connection is probed.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn keepalive(&self) -> io::Result<bool> {
        self.inner.keepalive()
    }

    /// Lets an idle connection be probed, so that a peer that is gone is found out.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.inner.set_keepalive(keepalive)
    }

    /// Says whether the address may be bound although connections of an earlier owner are still
    /// ending.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn reuseaddr(&self) -> io::Result<bool> {
        self.inner.reuse_address()
    }

    /// Lets the address be bound although connections of an earlier owner are still ending.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_reuseaddr(&self, reuseaddr: bool) -> io::Result<()> {
        self.inner.set_reuse_address(reuseaddr)
    }

    /// Says whether several sockets may be bound to the address.
    ///
    /// # Errors
    /// When the system does not say.
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
    pub fn reuseport(&self) -> io::Result<bool> {
        self.inner.reuse_port()
    }

    /// Lets several sockets be bound to the address, if all of them say so.
    ///
    /// # Errors
    /// When the system refuses.
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
    pub fn set_reuseport(&self, reuseport: bool) -> io::Result<()> {
        self.inner.set_reuse_port(reuseport)
    }

    /// Returns how much the system keeps of what is not sent yet.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        self.inner.send_buffer_size().map(size)
    }

    /// Sets how much the system keeps of what is not sent yet. It may round, and Linux doubles it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_send_buffer_size(&self, size: u32) -> io::Result<()> {
        self.inner.set_send_buffer_size(size as usize)
    }

    /// Returns how much the system keeps of what is not read yet.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        self.inner.recv_buffer_size().map(size)
    }

    /// Sets how much the system keeps of what is not read yet. It may round, and Linux doubles it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_recv_buffer_size(&self, size: u32) -> io::Result<()> {
        self.inner.set_recv_buffer_size(size as usize)
    }

    /// Returns how long dropping the connection waits for what is not sent yet.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.inner.linger()
    }

    /// Lets dropping the connection wait, with its thread, for what is not sent yet. See
    /// [`set_zero_linger`](TcpSocket::set_zero_linger) for the one use that does not block.
    ///
    /// # Errors
    /// When the system refuses.
    #[deprecated = "dropping the connection may block a worker"]
    pub fn set_linger(&self, duration: Option<Duration>) -> io::Result<()> {
        self.inner.set_linger(duration)
    }

    /// Lets dropping the connection reset it, and lose what is not sent yet.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.inner.set_linger(Some(Duration::ZERO))
    }

    /// Says whether small writes are sent at once.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.inner.tcp_nodelay()
    }

    /// Lets small writes be sent at once, instead of being collected.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.inner.set_tcp_nodelay(nodelay)
    }

    ip_settings!();

    fn settings(&self) -> SockRef<'_> {
        SockRef::from(&self.inner)
    }
}

fn size(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

numbered!(TcpSocket, socket => &socket.inner);

#[cfg(unix)]
impl From<std::os::fd::OwnedFd> for TcpSocket {
    /// Takes over a socket, which must be one of TCP, in non-blocking mode.
    fn from(fd: std::os::fd::OwnedFd) -> TcpSocket {
        TcpSocket { inner: fd.into() }
    }
}

#[cfg(unix)]
impl From<TcpSocket> for std::os::fd::OwnedFd {
    fn from(socket: TcpSocket) -> std::os::fd::OwnedFd {
        socket.inner.into()
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
