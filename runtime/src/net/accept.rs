//! Accepts connections, of either family.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use mio::event::Source;

use crate::io::Interest;
use crate::io::wait::Wait;
use crate::io::watched::Watched;

/// What accepts connections.
pub trait Listens {
    type Source: Source;
    /// A connection that nobody watches yet.
    type Accepted;
    type Stream;
    type Address;

    fn watched(&self) -> &Watched<Self::Source>;

    fn accept_from(source: &Self::Source) -> io::Result<(Self::Accepted, Self::Address)>;

    /// Lets the runtime of the listener watch a connection, whose trigger the listener is.
    fn admit(
        &self,
        accepted: Self::Accepted,
        location: &'static Location<'static>,
    ) -> io::Result<Self::Stream>;
}

/// The future of `accept`: [`TcpListener`](crate::net::TcpListener::accept)'s and `UnixListener`'s.
#[must_use = "futures do nothing unless polled"]
pub struct Accept<'a, L: Listens> {
    listener: &'a L,
    wait: Wait<'a, L::Source>,
    location: &'static Location<'static>,
}

impl<'a, L: Listens> Accept<'a, L> {
    pub(super) fn new(listener: &'a L, location: &'static Location<'static>) -> Accept<'a, L> {
        Accept { listener, wait: listener.watched().wait(Interest::READABLE), location }
    }
}

impl<L: Listens> Future for Accept<'_, L> {
    type Output = io::Result<(L::Stream, L::Address)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Accept { listener, wait, location } = &mut *self;
        let accept = listener.watched().poll_wait(wait, cx, |attempt| L::accept_from(attempt.io));
        let (accepted, peer) = ready!(accept)?;
        Poll::Ready(listener.admit(accepted, location).map(|stream| (stream, peer)))
    }
}

/// Waits for a connection as the one acceptor.
pub(crate) fn poll_accept<L: Listens>(
    listener: &L,
    cx: &mut Context<'_>,
    location: &'static Location<'static>,
) -> Poll<io::Result<(L::Stream, L::Address)>> {
    let accept = |io: &L::Source| L::accept_from(io);
    let accept = listener.watched().poll_io(cx, Interest::READABLE, |attempt| accept(attempt.io));
    let (accepted, peer) = ready!(accept)?;
    Poll::Ready(listener.admit(accepted, location).map(|stream| (stream, peer)))
}

impl<L: Listens + fmt::Debug> fmt::Debug for Accept<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accept").field("listener", &self.listener).finish_non_exhaustive()
    }
}
