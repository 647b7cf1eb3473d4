//! Is what a server listens on: a socket that accepts connections, of either family.

use std::fmt;
use std::io;
use std::panic::Location;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, Write};

use crate::hooks::AsyncId;
use crate::net::accept::{Listens, poll_accept};
use crate::net::raw::{give_up_writes, is_about_connection, is_about_listener};
use crate::net::{TcpListener, TcpStream};

/// What can be listened on: a [`TcpListener`] or a `UnixListener`.
pub trait Listen: Send + 'static {
    /// Its connections.
    type Stream: Read + Write + Unpin + Send + 'static;
    /// Who is at their other end.
    type Peer: Clone + fmt::Debug + Send + Sync + 'static;

    /// Waits for a connection.
    fn poll_next(
        &self,
        cx: &mut Context<'_>,
        location: &'static Location<'static>,
    ) -> Poll<io::Result<(Self::Stream, Self::Peer)>>;

    /// Returns a connection that is there already, if there is one.
    fn next_now(
        &self,
        location: &'static Location<'static>,
    ) -> io::Result<(Self::Stream, Self::Peer)>;

    /// Returns the id of a connection.
    fn id_of(stream: &Self::Stream) -> AsyncId;

    /// Prepares a connection for HTTP. Says whether the system sees to it that a peer takes something
    /// of what is written to it within this time.
    fn prepare(stream: &Self::Stream, write_timeout: Option<Duration>) -> bool;
}

fn accept_now<L: Listens>(
    listener: &L,
    location: &'static Location<'static>,
) -> io::Result<(L::Stream, L::Address)> {
    let (accepted, peer) = listener.watched().try_anyway(L::accept_from)?;
    listener.admit(accepted, location).map(|stream| (stream, peer))
}

impl Listen for TcpListener {
    type Stream = TcpStream;
    type Peer = std::net::SocketAddr;

    fn poll_next(
        &self,
        cx: &mut Context<'_>,
        location: &'static Location<'static>,
    ) -> Poll<io::Result<(TcpStream, Self::Peer)>> {
        poll_accept(self, cx, location)
    }

    fn next_now(
        &self,
        location: &'static Location<'static>,
    ) -> io::Result<(TcpStream, Self::Peer)> {
        accept_now(self, location)
    }

    fn id_of(stream: &TcpStream) -> AsyncId {
        stream.id()
    }

    /// An answer that comes in two parts must not wait for the peer to acknowledge the first.
    fn prepare(stream: &TcpStream, write_timeout: Option<Duration>) -> bool {
        // It fails if the peer is gone, which the first read will tell.
        let _ = stream.set_nodelay(true);
        write_timeout.is_some_and(|timeout| give_up_writes(stream, timeout))
    }
}

#[cfg(unix)]
impl Listen for crate::net::UnixListener {
    type Stream = crate::net::UnixStream;
    type Peer = crate::net::unix::SocketAddr;

    fn poll_next(
        &self,
        cx: &mut Context<'_>,
        location: &'static Location<'static>,
    ) -> Poll<io::Result<(Self::Stream, Self::Peer)>> {
        poll_accept(self, cx, location)
    }

    fn next_now(
        &self,
        location: &'static Location<'static>,
    ) -> io::Result<(Self::Stream, Self::Peer)> {
        accept_now(self, location)
    }

    fn id_of(stream: &Self::Stream) -> AsyncId {
        stream.id()
    }

    fn prepare(_stream: &Self::Stream, _write_timeout: Option<Duration>) -> bool {
        false
    }
}

/// What an error of accepting means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setback {
    /// One connection is no more: nothing is lost.
    Passing,
    /// Something is short, most often descriptors: trying again at once would only burn time.
    Shortage,
    /// Nothing will ever be accepted.
    Final,
}

impl Setback {
    pub(super) fn of(error: &io::Error) -> Setback {
        if is_about_connection(error) {
            Setback::Passing
        } else if is_about_listener(error) {
            Setback::Final
        } else {
            Setback::Shortage
        }
    }
}

#[cfg(all(test, unix, not(loom)))]
mod tests {
    use std::io;

    use super::Setback;

    #[test]
    fn only_what_concerns_the_listener_is_final() {
        let check = |code: i32, want: Setback| {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(Setback::of(&error), want, "{error}");
        };
        check(libc::ECONNABORTED, Setback::Passing);
        check(libc::EPROTO, Setback::Passing);
        check(libc::EMFILE, Setback::Shortage);
        check(libc::ENFILE, Setback::Shortage);
        check(libc::ENOBUFS, Setback::Shortage);
        check(libc::ENOMEM, Setback::Shortage);
        check(libc::EBADF, Setback::Final);
        check(libc::EINVAL, Setback::Final);
    }
}
