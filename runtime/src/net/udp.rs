//! Sends and receives messages through the internet.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::panic::Location;
use std::sync::Arc;
use std::task::{Context, Poll};

use socket2::SockRef;

use crate::driver::{Attempt, Watch};
use crate::handle::Handle;
use crate::hooks::life::Birth;
use crate::hooks::{AsyncId, Kind};
use crate::io::watched::Watched;
use crate::io::{Interest, Ready};
use crate::net::address::none;
use crate::net::bind::BindTo;
use crate::net::methods::{ip_settings, messaging, waiting};
use crate::net::raw::{numbered, require_nonblocking};
use crate::net::{Bind, LookupHost, ToSocketAddrs, internet_address};
use crate::scheduler::Shared;

/// A UDP socket.
///
/// It can be connected to one other end, whose messages alone it then receives, with
/// [`connect`](UdpSocket::connect) and [`send`](UdpSocket::send); else each message has an address:
/// [`send_to`](UdpSocket::send_to), [`recv_from`](UdpSocket::recv_from). All of them borrow it, so
/// tasks can share one in an `Arc`.
///
/// # Hooks
/// Its label is the address it is bound to. `init` when it is bound; a pair around each attempt to
/// send or receive when the system says that it is ready; `destroy` at its drop.
///
/// # Examples
/// ```
/// use forebear::net::UdpSocket;
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let near = UdpSocket::bind("127.0.0.1:0").await?;
/// let far = UdpSocket::bind("127.0.0.1:0").await?;
///
/// near.send_to(b"ping", far.local_addr()?).await?;
/// let mut message = [0; 64];
/// let (count, sender) = far.recv_from(&mut message).await?;
/// assert_eq!((&message[..count], sender), (&b"ping"[..], near.local_addr()?));
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UdpSocket {
    watched: Watched<mio::net::UdpSocket>,
}

impl UdpSocket {
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
    pub fn bind<A: ToSocketAddrs>(addresses: A) -> Bind<UdpSocket> {
        Bind::new(&addresses, Location::caller())
    }

    /// Takes over a socket of std's. It must be in non-blocking mode.
    ///
    /// # Errors
    /// When it is in blocking mode, or the system refuses to watch it.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
        let (shared, location) = (Handle::current().shared().clone(), Location::caller());
        require_nonblocking(&socket)?;
        UdpSocket::register(mio::net::UdpSocket::from_std(socket), shared, location)
    }

    fn register(
        socket: mio::net::UdpSocket,
        shared: Arc<Shared>,
        location: &'static Location<'static>,
    ) -> io::Result<UdpSocket> {
        let mut birth = Birth::new(Kind::UDP_SOCKET, || "socket").location(location);
        if let Ok(address) = socket.local_addr() {
            birth = birth.name(address.to_string());
        }
        Ok(UdpSocket { watched: Watched::begin(socket, shared, Watch::for_messages(), birth)? })
    }

    /// Gives the socket to std. It stays in non-blocking mode.
    ///
    /// # Errors
    /// Never; it returns a `Result` because tokio's does.
    ///
    /// # Hooks
    /// `destroy`.
    pub fn into_std(self) -> io::Result<std::net::UdpSocket> {
        Ok(self.watched.into_io().into())
    }

    /// Connects it to the first of these addresses to which it can be: `send` sends there, and only
    /// what comes from there is received. Nothing is sent.
    ///
    /// Nothing is done before the first poll. A name is looked up on the blocking pool.
    ///
    /// # Errors
    /// When it can be connected to none of the addresses: the last one's error.
    ///
    /// # Panics
    /// Polling it with a name panics outside a runtime.
    ///
    /// # Cancel safety
    /// Safe.
    #[track_caller]
    pub fn connect<A: ToSocketAddrs>(
        &self,
        addresses: A,
    ) -> impl Future<Output = io::Result<()>> + Send + use<'_, A> {
        let lookup = LookupHost::new(&addresses, Location::caller());
        async move { lookup.await?.first(|address| self.watched.io().connect(address)) }
    }

    /// Sends a message to the first of these addresses. Several may send at once.
    ///
    /// Nothing is done before the first poll. A name is looked up on the blocking pool.
    ///
    /// # Errors
    /// The system's, also one that an earlier message met with; and when the runtime has ended.
    ///
    /// # Panics
    /// Polling it with a name panics outside a runtime.
    ///
    /// # Cancel safety
    /// Safe: a message is sent whole, in the poll that returns, or not at all.
    ///
    /// # Hooks
    /// A pair around each try.
    #[track_caller]
    pub fn send_to<'a, A: ToSocketAddrs>(
        &'a self,
        message: &'a [u8],
        addresses: A,
    ) -> impl Future<Output = io::Result<usize>> + Send + use<'a, A> {
        let lookup = LookupHost::new(&addresses, Location::caller());
        async move {
            let address = lookup.await?.next().ok_or_else(none)?;
            let send =
                |attempt: &Attempt<'_, mio::net::UdpSocket>| attempt.io.send_to(message, address);
            self.watched.async_io(Interest::WRITABLE, send).await
        }
    }

    /// As [`send_to`](UdpSocket::send_to), for one task at a time.
    ///
    /// # Errors
    /// As [`send_to`](UdpSocket::send_to).
    ///
    /// # Hooks
    /// A pair around each try.
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        message: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.watched.poll_io(cx, Interest::WRITABLE, |attempt| attempt.io.send_to(message, target))
    }

    /// Sends a message, or says that it would block.
    ///
    /// # Errors
    /// As [`send_to`](UdpSocket::send_to), and [`WouldBlock`](io::ErrorKind::WouldBlock), also if
    /// the system has not said yet that something can be sent.
    ///
    /// # Hooks
    /// A pair, unless nothing is known to fit.
    pub fn try_send_to(&self, message: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.watched.try_io(Interest::WRITABLE, |attempt| attempt.io.send_to(message, target))
    }

    waiting!();
    messaging!(SocketAddr);

    /// Receives a message without taking it, from where the socket is connected to.
    ///
    /// # Errors
    /// As [`recv`](UdpSocket::recv).
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Hooks
    /// A pair around each try.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.watched.async_io(Interest::READABLE, |attempt| attempt.io.peek(buffer)).await
    }

    /// As [`peek`](UdpSocket::peek), for one task at a time.
    ///
    /// # Errors
    /// As [`recv`](UdpSocket::recv).
    ///
    /// # Hooks
    /// A pair around each try.
    #[cfg(feature = "tokio-io")]
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.watched.poll_io(cx, Interest::READABLE, |attempt| {
            let count = attempt.io.peek(buffer.initialize_unfilled())?;
            buffer.advance(count);
            Ok(())
        })
    }

    /// As [`peek`](UdpSocket::peek), or says that it would block.
    ///
    /// # Errors
    /// As [`try_recv`](UdpSocket::try_recv).
    ///
    /// # Hooks
    /// As [`try_recv`](UdpSocket::try_recv).
    pub fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.watched.try_io(Interest::READABLE, |attempt| attempt.io.peek(buffer))
    }

    /// Receives a message without taking it, and says who sent it.
    ///
    /// # Errors
    /// As [`recv`](UdpSocket::recv).
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Hooks
    /// A pair around each try.
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.watched.async_io(Interest::READABLE, |attempt| attempt.io.peek_from(buffer)).await
    }

    /// As [`peek_from`](UdpSocket::peek_from), for one task at a time.
    ///
    /// # Errors
    /// As [`recv`](UdpSocket::recv).
    ///
    /// # Hooks
    /// A pair around each try.
    #[cfg(feature = "tokio-io")]
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        self.watched.poll_io(cx, Interest::READABLE, |attempt| {
            let (count, sender) = attempt.io.peek_from(buffer.initialize_unfilled())?;
            buffer.advance(count);
            Ok(sender)
        })
    }

    /// As [`peek_from`](UdpSocket::peek_from), or says that it would block.
    ///
    /// # Errors
    /// As [`try_recv`](UdpSocket::try_recv).
    ///
    /// # Hooks
    /// As [`try_recv`](UdpSocket::try_recv).
    pub fn try_peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.watched.try_io(Interest::READABLE, |attempt| attempt.io.peek_from(buffer))
    }

    /// Waits for a message, and says who sent it, without taking it.
    ///
    /// # Errors
    /// As [`recv`](UdpSocket::recv).
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Hooks
    /// A pair around each try.
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        self.watched.async_io(Interest::READABLE, |attempt| sender(attempt.io)).await
    }

    /// As [`peek_sender`](UdpSocket::peek_sender), for one task at a time.
    ///
    /// # Errors
    /// As [`recv`](UdpSocket::recv).
    ///
    /// # Hooks
    /// A pair around each try.
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.watched.poll_io(cx, Interest::READABLE, |attempt| sender(attempt.io))
    }

    /// As [`peek_sender`](UdpSocket::peek_sender), or says that it would block.
    ///
    /// # Errors
    /// As [`try_recv`](UdpSocket::try_recv).
    ///
    /// # Hooks
    /// As [`try_recv`](UdpSocket::try_recv).
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        self.watched.try_io(Interest::READABLE, |attempt| sender(attempt.io))
    }

    /// Returns the address it is bound to.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.watched.io().local_addr()
    }

    /// Returns the address it is connected to.
    ///
    /// # Errors
    /// When it is not connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.watched.io().peer_addr()
    }

    /// Says whether it may send to everybody in its network at once.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.watched.io().broadcast()
    }

    /// Lets it send to everybody in its network at once.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.watched.io().set_broadcast(on)
    }

    /// Says whether what it sends to a group comes back to this machine, with IPv4.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.watched.io().multicast_loop_v4()
    }

    /// Lets what it sends to a group come back to this machine, with IPv4.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.watched.io().set_multicast_loop_v4(on)
    }

    /// Returns how many routers what it sends to a group may pass, with IPv4.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.watched.io().multicast_ttl_v4()
    }

    /// Sets how many routers what it sends to a group may pass, with IPv4.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.watched.io().set_multicast_ttl_v4(ttl)
    }

    /// Says whether what it sends to a group comes back to this machine, with IPv6.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.watched.io().multicast_loop_v6()
    }

    /// Lets what it sends to a group come back to this machine, with IPv6.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.watched.io().set_multicast_loop_v6(on)
    }

    /// Joins a group, through the interface with this address.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.watched.io().join_multicast_v4(&group, &interface)
    }

    /// Joins a group, through the interface with this number.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.watched.io().join_multicast_v6(group, interface)
    }

    /// Leaves a group: see [`join_multicast_v4`](UdpSocket::join_multicast_v4).
    ///
    /// # Errors
    /// When the system refuses.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.watched.io().leave_multicast_v4(&group, &interface)
    }

    /// Leaves a group: see [`join_multicast_v6`](UdpSocket::join_multicast_v6).
    ///
    /// # Errors
    /// When the system refuses.
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.watched.io().leave_multicast_v6(group, interface)
    }

    /// Returns how many routers its messages may pass.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ttl(&self) -> io::Result<u32> {
        self.watched.io().ttl()
    }

    /// Sets how many routers its messages may pass.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.watched.io().set_ttl(ttl)
    }

    ip_settings!();

    fn settings(&self) -> SockRef<'_> {
        SockRef::from(self.watched.io())
    }

    fn watched(&self) -> &Watched<mio::net::UdpSocket> {
        &self.watched
    }
}

fn sender(io: &mio::net::UdpSocket) -> io::Result<SocketAddr> {
    io.try_io(|| internet_address(&SockRef::from(io).peek_sender()?))
}

impl BindTo for UdpSocket {
    fn bind_to(
        address: SocketAddr,
        runtime: &Handle,
        location: &'static Location<'static>,
    ) -> io::Result<UdpSocket> {
        UdpSocket::register(mio::net::UdpSocket::bind(address)?, runtime.shared().clone(), location)
    }
}

numbered!(UdpSocket, socket => socket.watched.io());

impl TryFrom<std::net::UdpSocket> for UdpSocket {
    type Error = io::Error;

    /// As [`from_std`](UdpSocket::from_std).
    #[track_caller]
    fn try_from(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
        UdpSocket::from_std(socket)
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket")
            .field("id", &self.id())
            .field("local_addr", &self.local_addr().ok())
            .field("peer_addr", &self.peer_addr().ok())
            .finish()
    }
}
