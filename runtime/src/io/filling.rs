//! Reads bytes and receives messages to room that holds nothing yet: for the buffers of tokio, of
//! hyper, and of the crate `bytes`.

use std::io;
use std::task::{Context, Poll};

use mio::event::Source;
use socket2::{SockAddr, SockRef};

use crate::driver::Attempt;
use crate::io::Interest;
use crate::io::bytes::{Reads, moved};
use crate::io::room::{self, Bytes, Room};
use crate::io::watched::Watched;
use crate::net::internet_address;

impl<S: Reads> Watched<S> {
    pub(crate) fn poll_read_room(
        &self,
        cx: &mut Context<'_>,
        into: &mut impl Room,
    ) -> Poll<io::Result<()>> {
        self.poll_io(cx, Interest::READABLE, |attempt| {
            let most = room::size(into);
            moved(attempt, most, read(attempt, into)?).map(drop)
        })
    }

    pub(crate) fn try_read_room(&self, into: &mut impl Room) -> io::Result<usize> {
        self.try_io(Interest::READABLE, |attempt| read(attempt, into))
    }
}

fn read<S: Reads>(attempt: &Attempt<'_, S>, into: &mut impl Room) -> io::Result<usize> {
    let (count, ()) = room::fill(into, |room| Ok((attempt.io.read_room(room)?, ())))?;
    Ok(count)
}

/// A source that carries messages.
pub(crate) trait Messages: Source {
    /// Who sends them.
    type Address;

    /// Receives a message; returns what of it found room.
    fn receive<'r>(&self, room: &'r mut Bytes) -> io::Result<&'r mut [u8]>;

    /// Receives a message, and says from whom.
    fn receive_from<'r>(&self, room: &'r mut Bytes) -> io::Result<(&'r mut [u8], Self::Address)>;
}

/// Receives a message.
pub(crate) fn receive(io: &impl Messages, into: &mut impl Room) -> io::Result<usize> {
    let (count, ()) = room::fill(into, |room| Ok((io.receive(room)?, ())))?;
    Ok(count)
}

/// Receives a message, and says from whom.
pub(crate) fn receive_from<S: Messages>(
    io: &S,
    into: &mut impl Room,
) -> io::Result<(usize, S::Address)> {
    room::fill(into, |room| io.receive_from(room))
}

/// Sockets of mio, and how to read an address of theirs.
macro_rules! messages {
    ($socket:ty, $address:ty, $read:path) => {
        impl Messages for $socket {
            type Address = $address;

            // Through mio, which on Windows has to know of operations that would block.
            fn receive<'r>(&self, room: &'r mut Bytes) -> io::Result<&'r mut [u8]> {
                self.try_io(|| room::receive(&SockRef::from(self), room))
            }

            fn receive_from<'r>(
                &self,
                room: &'r mut Bytes,
            ) -> io::Result<(&'r mut [u8], Self::Address)> {
                let (filled, sender) =
                    self.try_io(|| room::receive_from(&SockRef::from(self), room))?;
                Ok((filled, $read(&sender)?))
            }
        }
    };
}

messages!(mio::net::UdpSocket, std::net::SocketAddr, internet_address);

#[cfg(unix)]
messages!(mio::net::UnixDatagram, std::os::unix::net::SocketAddr, unix_address);

#[cfg(unix)]
fn unix_address(address: &SockAddr) -> io::Result<std::os::unix::net::SocketAddr> {
    use std::os::unix::net::SocketAddr;

    #[cfg(target_os = "linux")]
    if let Some(name) = address.as_abstract_namespace() {
        use std::os::linux::net::SocketAddrExt;
        return SocketAddr::from_abstract_name(name);
    }
    // The empty path stands for a socket without a name.
    SocketAddr::from_pathname(address.as_pathname().unwrap_or("".as_ref()))
}
