//! Reads bytes from, and writes them to, sources that bytes flow through.
//!
//! What waits looks at how much was moved: less than could be is the end, and another try would
//! only find that out. What tries for its caller does not: a source is ready for it, as a program
//! may rely on, until it has said that it would block.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::ops::Deref;
use std::task::{Context, Poll};

use mio::event::Source;
use socket2::SockRef;

use crate::driver::Attempt;
use crate::io::Interest;
use crate::io::room::{self, Bytes};
use crate::io::watched::Watched;

/// A source that bytes come from or go to.
pub trait ByteSource: Source {
    /// Whether an operation that moves less than it could shows that the next would block, where
    /// the system promises that of streams at all. Of Unix sockets it is not so: a read ends where
    /// a descriptor came with the bytes, or another process wrote them.
    const SHORT_IS_ALL: bool = false;
}

/// A source that bytes come from.
pub trait Reads: ByteSource {
    /// Reads what is there.
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;
    /// Reads what is there, to one slice after another.
    fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize>;
    /// Reads what is there to room that holds nothing yet; returns what was read.
    fn read_room<'r>(&self, room: &'r mut Bytes) -> io::Result<&'r mut [u8]>;
}

/// A source that bytes go to.
pub trait Writes: ByteSource {
    /// Writes as much as can be.
    fn write(&self, data: &[u8]) -> io::Result<usize>;
    /// Writes as much as can be, from one slice after another.
    fn write_vectored(&self, data: &[IoSlice<'_>]) -> io::Result<usize>;
}

impl<S: Reads> Watched<S> {
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(cx, Interest::READABLE, |attempt| {
            moved(attempt, buffer.len(), attempt.io.read(buffer)?)
        })
    }

    pub(crate) fn poll_read_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(cx, Interest::READABLE, |attempt| {
            moved(attempt, length(buffers), attempt.io.read_vectored(buffers)?)
        })
    }

    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.try_io(Interest::READABLE, |attempt| attempt.io.read(buffer))
    }

    pub(crate) fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.try_io(Interest::READABLE, |attempt| attempt.io.read_vectored(buffers))
    }
}

impl<S: Writes> Watched<S> {
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_io(cx, Interest::WRITABLE, |attempt| {
            moved(attempt, data.len(), attempt.io.write(data)?)
        })
    }

    pub(crate) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(cx, Interest::WRITABLE, |attempt| {
            moved(attempt, length(data), attempt.io.write_vectored(data)?)
        })
    }

    pub(crate) fn try_write(&self, data: &[u8]) -> io::Result<usize> {
        self.try_io(Interest::WRITABLE, |attempt| attempt.io.write(data))
    }

    pub(crate) fn try_write_vectored(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.try_io(Interest::WRITABLE, |attempt| attempt.io.write_vectored(data))
    }
}

/// Takes note of an operation that has moved so many bytes out of so many. None at all is no sign
/// of emptiness: it is the end.
pub(crate) fn moved<S: ByteSource>(
    attempt: &Attempt<'_, S>,
    most: usize,
    count: usize,
) -> io::Result<usize> {
    if S::SHORT_IS_ALL && 0 < count && count < most {
        attempt.fell_short();
    }
    Ok(count)
}

/// The system takes at least so many slices at once; beyond that it may move less than it could.
const SLICES_SURE: usize = 16;

/// How many bytes an operation on these slices can move for sure.
fn length<T: Deref<Target = [u8]>>(slices: &[T]) -> usize {
    let sure = slices.iter().take(SLICES_SURE);
    sure.fold(0, |sum, slice| usize::saturating_add(sum, slice.len()))
}

/// Sources of mio that are read through references.
macro_rules! reads {
    ($source:ty, $read_room:expr) => {
        impl Reads for $source {
            fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                Read::read(&mut &*self, buffer)
            }

            fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                Read::read_vectored(&mut &*self, buffers)
            }

            fn read_room<'r>(&self, room: &'r mut Bytes) -> io::Result<&'r mut [u8]> {
                // Through mio, which on Windows has to know of operations that would block.
                self.try_io(|| $read_room(self, room))
            }
        }
    };
}

/// Sources of mio that are written through references.
macro_rules! writes {
    ($source:ty) => {
        impl Writes for $source {
            fn write(&self, data: &[u8]) -> io::Result<usize> {
                Write::write(&mut &*self, data)
            }

            fn write_vectored(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
                Write::write_vectored(&mut &*self, data)
            }
        }
    };
}

impl ByteSource for mio::net::TcpStream {
    const SHORT_IS_ALL: bool = true;
}

reads!(mio::net::TcpStream, receive);
writes!(mio::net::TcpStream);

#[cfg(unix)]
impl ByteSource for mio::net::UnixStream {}
#[cfg(unix)]
reads!(mio::net::UnixStream, receive);
#[cfg(unix)]
writes!(mio::net::UnixStream);

#[cfg(unix)]
impl ByteSource for mio::unix::pipe::Receiver {}
#[cfg(unix)]
reads!(mio::unix::pipe::Receiver, read_file);

#[cfg(unix)]
impl ByteSource for mio::unix::pipe::Sender {}
#[cfg(unix)]
writes!(mio::unix::pipe::Sender);

fn receive<'s, 'r, S>(socket: &'s S, room: &'r mut Bytes) -> io::Result<&'r mut [u8]>
where
    SockRef<'s>: From<&'s S>,
{
    room::receive(&SockRef::from(socket), room)
}

#[cfg(unix)]
fn read_file<'r>(file: &impl std::os::fd::AsFd, room: &'r mut Bytes) -> io::Result<&'r mut [u8]> {
    let (filled, _rest) = rustix::io::read(file, room)?;
    Ok(filled)
}
