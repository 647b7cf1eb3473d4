//! Connects to the first of some addresses that can be reached.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::Socket;

use crate::net::address::none;
use crate::net::raw::is_under_way;
use crate::net::stream::poll_connected;
use crate::net::{Addresses, LookupHost, TcpStream, runtime_for};

/// The future of [`TcpStream::connect`] and [`TcpSocket::connect`](crate::net::TcpSocket::connect).
#[must_use = "futures do nothing unless polled"]
pub struct Connect {
    next: Next,
    attempt: Option<TcpStream>,
    last_error: Option<io::Error>,
    location: &'static Location<'static>,
}

/// What is tried next.
enum Next {
    Lookup(LookupHost),
    Addresses(Addresses),
    Socket(Option<(Socket, SocketAddr)>),
}

impl Connect {
    pub(super) fn to(lookup: LookupHost, location: &'static Location<'static>) -> Connect {
        Connect { next: Next::Lookup(lookup), attempt: None, last_error: None, location }
    }

    pub(super) fn with(
        socket: Socket,
        address: SocketAddr,
        location: &'static Location<'static>,
    ) -> Connect {
        let next = Next::Socket(Some((socket, address)));
        Connect { next, attempt: None, last_error: None, location }
    }

    /// Begins another attempt. An error if there is nothing to try, or it fails at once.
    fn begin_next(&mut self) -> Option<io::Result<TcpStream>> {
        let stream = match &mut self.next {
            Next::Lookup(_) => return None,
            Next::Addresses(addresses) => mio::net::TcpStream::connect(addresses.next()?),
            Next::Socket(socket) => {
                let (socket, address) = socket.take()?;
                begin(socket, address)
            }
        };
        let shared = runtime_for(self.location).shared().clone();
        Some(stream.and_then(|stream| TcpStream::register(stream, shared, self.location)))
    }
}

/// Lets a socket begin to connect.
fn begin(socket: Socket, address: SocketAddr) -> io::Result<mio::net::TcpStream> {
    match socket.connect(&address.into()) {
        Err(error) if !is_under_way(&error) => Err(error),
        _ => Ok(mio::net::TcpStream::from_std(socket.into())),
    }
}

impl Future for Connect {
    type Output = io::Result<TcpStream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        if let Next::Lookup(lookup) = &mut self.next {
            self.next = Next::Addresses(ready!(Pin::new(lookup).poll(cx))?);
        }
        loop {
            if let Some(stream) = self.attempt.take() {
                match poll_connected(&stream, cx) {
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
                None => return Poll::Ready(Err(self.last_error.take().unwrap_or_else(none))),
            }
        }
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Connect");
        match &self.next {
            Next::Lookup(lookup) => f.field("lookup", lookup),
            Next::Addresses(addresses) => f.field("addresses", addresses),
            Next::Socket(socket) => f.field("socket", socket),
        };
        f.field("attempt", &self.attempt).field("last_error", &self.last_error).finish()
    }
}
