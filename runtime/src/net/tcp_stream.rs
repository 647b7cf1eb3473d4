//! Reads from and writes to a TCP connection.

use std::fmt;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use mio::Interest;

use crate::driver::{Direction, Registration};
use crate::handle::Handle;
use crate::hooks::life::{Birth, Life};
use crate::hooks::{AsyncId, Kind};
use crate::net::wait::Wait;
use crate::scheduler::Shared;

/// A TCP connection.
///
/// It reads and writes through tokio's traits (feature `tokio-io`), hyper's (feature `hyper`), or
/// its own [`poll_read_slice`](TcpStream::poll_read_slice) and
/// [`poll_write_slice`](TcpStream::poll_write_slice).
///
/// # Hooks
/// `init` when it is connected or accepted (then its trigger is the listener); a pair around each
/// attempt to read or write when the system says that it is ready; `destroy` at its drop.
pub struct TcpStream {
    registration: Registration<mio::net::TcpStream>,
    life: Life,
}

impl TcpStream {
    /// Connects to the first of these addresses that can be reached.
    ///
    /// A name is looked up when this is called, on this thread; give an address where that matters.
    ///
    /// # Errors
    /// When none of the addresses can be reached.
    ///
    /// # Panics
    /// Polling it panics outside a runtime.
    ///
    /// # Cancel safety
    /// Dropping it gives the attempt up.
    #[track_caller]
    pub fn connect(addresses: impl ToSocketAddrs) -> Connect {
        let addresses = addresses.to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        let addresses = addresses.map(Vec::into_iter);
        Connect { addresses, attempt: None, last_error: None, location: Location::caller() }
    }

    /// Takes over a connection of std's. It must be in non-blocking mode.
    ///
    /// # Errors
    /// When the system refuses to watch it.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        let location = Location::caller();
        let stream = mio::net::TcpStream::from_std(stream);
        TcpStream::register(stream, Handle::current().shared().clone(), None, location)
    }

    pub(super) fn register(
        stream: mio::net::TcpStream,
        shared: Arc<Shared>,
        trigger: Option<AsyncId>,
        location: &'static Location<'static>,
    ) -> io::Result<TcpStream> {
        let mut birth =
            Birth::new(Kind::TCP_STREAM, || "connection").location(location).runtime(shared.id());
        if let Some(trigger) = trigger {
            birth = birth.trigger(trigger);
        }
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registration = Registration::new(stream, shared, interest)?;
        Ok(TcpStream { registration, life: Life::begin(birth) })
    }

    /// Waits until there is something to read, and reads it. 0 bytes are the end.
    ///
    /// One task at a time may read, and one may write.
    pub fn poll_read_slice(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(cx, Direction::Read, |mut io| io.read(buffer))
    }

    /// Waits until something can be written, and writes some of it.
    pub fn poll_write_slice(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_io(cx, Direction::Write, |mut io| io.write(data))
    }

    /// Waits until something can be written, and writes some of it, from several slices.
    pub fn poll_write_slices(
        &self,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(cx, Direction::Write, |mut io| io.write_vectored(data))
    }

    fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut try_io: impl FnMut(&mio::net::TcpStream) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.registration.poll_io(cx, direction, None, |io| self.life.run(|_| try_io(io)))
    }

    /// Waits until there may be something to read. Several may wait at once.
    ///
    /// # Errors
    /// When the runtime has ended.
    ///
    /// # Cancel safety
    /// Safe.
    pub fn readable(&self) -> impl Future<Output = io::Result<()>> + Send + '_ {
        self.ready(Direction::Read)
    }

    /// Waits until something can probably be written. Several may wait at once.
    ///
    /// # Errors
    /// When the runtime has ended.
    ///
    /// # Cancel safety
    /// Safe.
    pub fn writable(&self) -> impl Future<Output = io::Result<()>> + Send + '_ {
        self.ready(Direction::Write)
    }

    fn ready(&self, direction: Direction) -> impl Future<Output = io::Result<()>> + Send + '_ {
        let mut wait = Wait::new(&self.registration, direction);
        std::future::poll_fn(move |cx| wait.poll_ready(cx))
    }

    /// Closes one direction, or both.
    ///
    /// # Errors
    /// When the system reports one.
    pub fn shutdown_std(&self, how: Shutdown) -> io::Result<()> {
        match self.registration.io().shutdown(how) {
            // The peer was faster.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }

    /// Returns the address of this end.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.registration.io().local_addr()
    }

    /// Returns the address of the other end.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.registration.io().peer_addr()
    }

    /// Says whether small writes are sent at once.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.registration.io().nodelay()
    }

    /// Lets small writes be sent at once, instead of being collected.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.registration.io().set_nodelay(nodelay)
    }

    /// Returns the connection's id.
    #[must_use]
    pub fn id(&self) -> AsyncId {
        self.life.id()
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

/// The future of [`TcpStream::connect`].
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Connect {
    addresses: io::Result<vec::IntoIter<SocketAddr>>,
    attempt: Option<TcpStream>,
    last_error: Option<io::Error>,
    location: &'static Location<'static>,
}

impl Future for Connect {
    type Output = io::Result<TcpStream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        loop {
            if let Some(stream) = self.attempt.take() {
                match stream.poll_connected(cx) {
                    Poll::Ready(Ok(())) => return Poll::Ready(Ok(stream)),
                    Poll::Ready(Err(error)) => self.last_error = Some(error),
                    Poll::Pending => {
                        self.attempt = Some(stream);
                        return Poll::Pending;
                    }
                }
            }
            match self.begin_next() {
                Some(Ok(stream)) => self.attempt = Some(stream),
                Some(Err(error)) => self.last_error = Some(error),
                None => return Poll::Ready(Err(self.explain())),
            }
        }
    }
}

impl Connect {
    /// Begins to connect to the next address, if there is one.
    fn begin_next(&mut self) -> Option<io::Result<TcpStream>> {
        let address = match &mut self.addresses {
            Ok(addresses) => addresses.next()?,
            Err(_) => return None,
        };
        let shared = Handle::current().shared().clone();
        let stream = mio::net::TcpStream::connect(address);
        Some(stream.and_then(|stream| TcpStream::register(stream, shared, None, self.location)))
    }

    fn explain(&mut self) -> io::Error {
        let looked_up = std::mem::replace(&mut self.addresses, Ok(Vec::new().into_iter()));
        let nothing = || io::Error::new(io::ErrorKind::InvalidInput, "no address to connect to");
        looked_up.err().or_else(|| self.last_error.take()).unwrap_or_else(nothing)
    }
}

impl TcpStream {
    /// Waits until the connection stands or has failed.
    fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_io(cx, Direction::Write, |io| {
            if let Some(error) = io.take_error()? {
                return Err(error);
            }
            match io.peer_addr() {
                Ok(_) => Ok(()),
                // The report was of something else.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    Err(io::ErrorKind::WouldBlock.into())
                }
                Err(error) => Err(error),
            }
        })
    }
}
