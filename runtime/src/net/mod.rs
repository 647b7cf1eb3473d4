//! Sockets that are resources: each has an id, a creator, a trigger, and a place in the tree.
//!
//! | | connects two ends | accepts such connections | carries messages |
//! |---|---|---|---|
//! | internet | [`TcpStream`] | [`TcpListener`] | [`UdpSocket`] |
//! | this machine (Unix) | `UnixStream`, `unix::pipe` | `UnixListener` | `UnixDatagram` |
//!
//! [`TcpSocket`] and `UnixSocket` are sockets before they are one of these, for settings that must
//! be made then. For descriptors of other kinds there is `io::unix::AsyncFd`.

mod address; // what may stand for an address
mod lookup; // names become addresses
mod bind; // addresses become sockets
pub(crate) mod side; // what sockets read from and write to, for the traits of others
mod methods; // the methods that sockets of one sort have in common
pub(crate) mod accept; // a listener's connections, one after another
pub(crate) mod stream; // a connection, of either family
pub(crate) mod split; // its two halves
pub mod tcp; // connections through the internet
mod udp; // messages through the internet
#[cfg(unix)]
pub mod unix; // connections and messages within the machine
pub(crate) mod raw; // numbers of sockets
#[cfg(unix)]
mod raw_fd; // sockets from numbers

pub use accept::Accept;
pub use address::{Addresses, ToSocketAddrs};
pub use bind::Bind;
pub use lookup::{LookupHost, lookup_host};
pub use tcp::{Connect, TcpListener, TcpSocket, TcpStream};
pub use udp::UdpSocket;
#[cfg(unix)]
pub use unix::{UnixDatagram, UnixListener, UnixSocket, UnixStream};

use std::io;
use std::net::SocketAddr;
use std::panic::Location;

use socket2::SockAddr;

use crate::handle::Handle;

/// Reads an address that the system returned.
pub(crate) fn internet_address(address: &SockAddr) -> io::Result<SocketAddr> {
    let foreign = || io::Error::new(io::ErrorKind::InvalidInput, "it is no internet address");
    address.as_socket().ok_or_else(foreign)
}

/// Returns the current runtime, for what was asked for at `location`.
fn runtime_for(location: &'static Location<'static>) -> Handle {
    match Handle::try_current() {
        Ok(handle) => handle,
        Err(error) => panic!("{error} (a socket was asked for at {location})"),
    }
}
