//! Connections and messages within the machine, and who is at the other end.

mod address; // what a Unix socket is called
mod connect; // asks for a connection
mod credentials; // whose process is at the other end
mod datagram; // messages
mod listener; // accepts connections
pub mod pipe; // connections in one direction
mod socket; // what is none of these yet
mod stream; // is a connection

pub use address::SocketAddr;
pub use connect::Connect;
pub use credentials::{UCred, gid_t, pid_t, uid_t};
pub use datagram::UnixDatagram;
pub use listener::UnixListener;
pub use socket::UnixSocket;
pub use stream::UnixStream;

use std::error::Error;
use std::fmt;

use crate::net::split;

/// The half of a borrowed [`UnixStream`] that reads: see [`UnixStream::split`].
pub type ReadHalf<'a> = split::ReadHalf<'a, UnixStream>;

/// The half of a borrowed [`UnixStream`] that writes: see [`UnixStream::split`].
pub type WriteHalf<'a> = split::WriteHalf<'a, UnixStream>;

/// The half of a [`UnixStream`] that reads: see [`UnixStream::into_split`].
pub type OwnedReadHalf = split::OwnedReadHalf<UnixStream>;

/// The half of a [`UnixStream`] that writes: see [`UnixStream::into_split`].
///
/// Dropping it tells the other end that nothing more comes.
pub type OwnedWriteHalf = split::OwnedWriteHalf<UnixStream>;

/// Two halves that are not of one connection: what `reunite` returns them with.
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        split::tell_not_one(f)
    }
}

impl Error for ReuniteError {}
