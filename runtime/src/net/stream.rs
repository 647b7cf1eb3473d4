//! Is a connection, of either family: what its halves, and whoever connects, need to know.

use std::io;
use std::net::Shutdown;
use std::task::{Context, Poll};

use crate::io::Interest;
use crate::io::bytes::{Reads, Writes};
use crate::io::watched::Watched;
use crate::net::split::{OwnedReadHalf, OwnedWriteHalf};

/// A connection.
pub trait Stream: Sized {
    type Io: Reads + Writes + Connected;
    /// What either end is called.
    type Address;
    /// Two halves that do not belong together.
    type ReuniteError;

    fn watched(&self) -> &Watched<Self::Io>;
    fn name_here(&self) -> io::Result<Self::Address>;
    fn name_there(&self) -> io::Result<Self::Address>;
    fn not_halves_of_one(
        read: OwnedReadHalf<Self>,
        write: OwnedWriteHalf<Self>,
    ) -> Self::ReuniteError;

    /// Says to the other end that nothing more comes.
    fn close_write(&self) -> io::Result<()> {
        shut_down(self.watched().io(), Shutdown::Write)
    }
}

/// What the system tells of a connection.
pub trait Connected {
    fn shut_down(&self, how: Shutdown) -> io::Result<()>;
    fn take_error(&self) -> io::Result<Option<io::Error>>;
    /// Says that it would block if there is no other end yet.
    fn find_peer(&self) -> io::Result<()>;
}

pub(super) fn shut_down(io: &impl Connected, how: Shutdown) -> io::Result<()> {
    match io.shut_down(how) {
        // The peer was faster.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        result => result,
    }
}

/// Waits until the connection stands or has failed.
pub(super) fn poll_connected(stream: &impl Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    stream.watched().poll_io(cx, Interest::WRITABLE, |attempt| {
        if let Some(error) = attempt.io.take_error()? {
            return Err(error);
        }
        attempt.io.find_peer()
    })
}

/// Streams of mio.
macro_rules! connected {
    ($($stream:ty),*) => { $(
        impl Connected for $stream {
            fn shut_down(&self, how: Shutdown) -> io::Result<()> {
                self.shutdown(how)
            }

            fn take_error(&self) -> io::Result<Option<io::Error>> {
                self.take_error()
            }

            fn find_peer(&self) -> io::Result<()> {
                // Through mio, which on Windows has to know of operations that would block.
                self.try_io(|| match self.peer_addr() {
                    // The report was of something else.
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                        Err(io::ErrorKind::WouldBlock.into())
                    }
                    peer => peer.map(drop),
                })
            }
        }
    )* };
}

connected!(mio::net::TcpStream);

#[cfg(unix)]
connected!(mio::net::UnixStream);
