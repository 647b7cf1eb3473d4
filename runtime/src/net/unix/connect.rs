//! Connects to a Unix socket.

use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::{SockAddr, Socket};

use crate::net::raw::is_under_way;
use crate::net::runtime_for;
use crate::net::stream::poll_connected;
use crate::net::unix::{SocketAddr, UnixStream};

/// The future of [`UnixStream::connect`] and [`UnixSocket::connect`](super::UnixSocket::connect).
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Connect {
    state: State,
    location: &'static Location<'static>,
}

#[derive(Debug)]
enum State {
    To(io::Result<SocketAddr>),
    With(Socket, io::Result<SockAddr>),
    Attempt(UnixStream),
    Done,
}

impl Connect {
    pub(super) fn to(
        address: io::Result<SocketAddr>,
        location: &'static Location<'static>,
    ) -> Connect {
        Connect { state: State::To(address), location }
    }

    pub(super) fn with(
        socket: Socket,
        address: io::Result<SockAddr>,
        location: &'static Location<'static>,
    ) -> Connect {
        Connect { state: State::With(socket, address), location }
    }

    fn watch(&self, stream: mio::net::UnixStream) -> io::Result<UnixStream> {
        let shared = runtime_for(self.location).shared().clone();
        UnixStream::register(stream, shared, self.location)
    }
}

/// Lets a socket begin to connect.
fn begin(socket: Socket, address: &SockAddr) -> io::Result<mio::net::UnixStream> {
    match socket.connect(address) {
        Err(error) if !is_under_way(&error) => Err(error),
        _ => Ok(mio::net::UnixStream::from_std(socket.into())),
    }
}

impl Future for Connect {
    type Output = io::Result<UnixStream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<UnixStream>> {
        let stream = match std::mem::replace(&mut self.state, State::Done) {
            State::To(address) => {
                self.watch(mio::net::UnixStream::connect_addr(address?.as_std())?)?
            }
            State::With(socket, address) => self.watch(begin(socket, &address?)?)?,
            State::Attempt(stream) => stream,
            State::Done => panic!("a connect was polled after it had returned"),
        };
        match poll_connected(&stream, cx) {
            Poll::Ready(result) => Poll::Ready(result.map(|()| stream)),
            Poll::Pending => {
                self.state = State::Attempt(stream);
                Poll::Pending
            }
        }
    }
}
