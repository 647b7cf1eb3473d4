//! Connections through the internet.

mod connect; // asks for one
mod listener; // accepts them
mod socket; // what is neither yet
mod stream; // is one

pub use connect::Connect;
pub use listener::TcpListener;
pub use socket::TcpSocket;
pub use stream::TcpStream;

use std::error::Error;
use std::fmt;

use crate::net::split;

/// The half of a borrowed [`TcpStream`] that reads: see [`TcpStream::split`].
pub type ReadHalf<'a> = split::ReadHalf<'a, TcpStream>;

/// The half of a borrowed [`TcpStream`] that writes: see [`TcpStream::split`].
pub type WriteHalf<'a> = split::WriteHalf<'a, TcpStream>;

/// The half of a [`TcpStream`] that reads: see [`TcpStream::into_split`].
pub type OwnedReadHalf = split::OwnedReadHalf<TcpStream>;

/// The half of a [`TcpStream`] that writes: see [`TcpStream::into_split`].
///
/// Dropping it tells the other end that nothing more comes.
pub type OwnedWriteHalf = split::OwnedWriteHalf<TcpStream>;

/// Two halves that are not of one connection: what `reunite` returns them with.
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        split::tell_not_one(f)
    }
}

impl Error for ReuniteError {}
