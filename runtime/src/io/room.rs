//! Reads into room that holds nothing yet, so that nobody has to fill it with zeros first.
//!
//! # Invariants
//! I1. A call of the system that receives says how many bytes it has written to the beginning of
//!     the room; `socket2` passes the number on.
//! I2. What is filled begins where the room begins and is not longer: [`fill`] checks that.
//!     And it is a slice of bytes, so the bytes are there.

#![allow(unsafe_code, reason = "island: buffers that are not initialized")]

use std::io;
use std::mem::MaybeUninit;
use std::slice;
#[cfg(all(feature = "hyper", feature = "tokio-io"))]
use std::task::{Poll, ready};

use socket2::{SockAddr, SockRef};

/// Bytes that may hold nothing yet.
pub(crate) type Bytes = [MaybeUninit<u8>];

/// A buffer of one of the crates whose traits we implement: a part that is filled, and room.
pub(crate) trait Room {
    /// Returns the room. Nothing is put into it but bytes.
    ///
    /// # Safety
    /// - What holds a byte must go on doing so.
    unsafe fn room(&mut self) -> &mut Bytes;

    /// Counts so many bytes at the beginning of the room to the part that is filled.
    ///
    /// # Safety
    /// - The room has so many, and they hold something.
    unsafe fn advance(&mut self, count: usize);
}

/// Lets `read` fill the beginning of the room, and counts what it returns as filled.
pub(crate) fn fill<T>(
    into: &mut impl Room,
    read: impl for<'r> FnOnce(&'r mut Bytes) -> io::Result<(&'r mut [u8], T)>,
) -> io::Result<(usize, T)> {
    // SAFETY: by I2: `read` returns bytes, so it has put nothing but bytes there.
    let room = unsafe { into.room() };
    let (start, length) = (room.as_ptr().cast(), room.len());
    let (filled, more) = read(room)?;
    let is_beginning = filled.as_ptr() == start && filled.len() <= length;
    assert!(is_beginning || filled.is_empty(), "what was filled is not the room");
    let count = filled.len();
    // SAFETY: I2.
    unsafe { into.advance(count) };
    Ok((count, more))
}

/// Says how much would fit, as far as is known now.
pub(crate) fn size(into: &mut impl Room) -> usize {
    // SAFETY: by I2: nothing is put there.
    unsafe { into.room() }.len()
}

/// Receives from a socket.
pub(crate) fn receive<'r>(socket: &SockRef<'_>, room: &'r mut Bytes) -> io::Result<&'r mut [u8]> {
    let count = socket.recv(room)?;
    Ok(filled(room, count))
}

/// Receives from a socket, and says from whom.
pub(crate) fn receive_from<'r>(
    socket: &SockRef<'_>,
    room: &'r mut Bytes,
) -> io::Result<(&'r mut [u8], SockAddr)> {
    let (count, sender) = socket.recv_from(room)?;
    Ok((filled(room, count), sender))
}

/// The beginning of the room, which by I1 the system has filled.
fn filled(room: &mut Bytes, count: usize) -> &mut [u8] {
    let start = room[..count].as_mut_ptr().cast::<u8>();
    // SAFETY: by I1 so many bytes are there, and `room` is borrowed for as long as they are.
    unsafe { slice::from_raw_parts_mut(start, count) }
}

/// Lets one crate's reader fill the beginning of another's room, and counts that as filled.
#[cfg(all(feature = "hyper", feature = "tokio-io"))]
pub(crate) fn poll_tokio(
    into: &mut impl Room,
    read: impl FnOnce(&mut tokio::io::ReadBuf<'_>) -> Poll<io::Result<()>>,
) -> Poll<io::Result<()>> {
    // SAFETY: by I2: a `ReadBuf` lets nothing but bytes be put there.
    let room = unsafe { into.room() };
    let (start, length) = (room.as_ptr().cast(), room.len());
    let mut buffer = tokio::io::ReadBuf::uninit(room);
    ready!(read(&mut buffer))?;
    let filled = buffer.filled();
    let is_beginning = filled.as_ptr() == start && filled.len() <= length;
    assert!(is_beginning || filled.is_empty(), "what was filled is not the room");
    let count = filled.len();
    // SAFETY: I2.
    unsafe { into.advance(count) };
    Poll::Ready(Ok(()))
}

/// As [`poll_tokio`], of a reader of hyper's, which cannot exchange the buffer.
#[cfg(all(feature = "hyper", feature = "tokio-io"))]
pub(crate) fn poll_hyper(
    into: &mut impl Room,
    read: impl FnOnce(hyper::rt::ReadBufCursor<'_>) -> Poll<io::Result<()>>,
) -> Poll<io::Result<()>> {
    // SAFETY: by I2: a `ReadBuf` lets nothing but bytes be put there.
    let room = unsafe { into.room() };
    let mut buffer = hyper::rt::ReadBuf::uninit(room);
    ready!(read(buffer.unfilled()))?;
    let count = buffer.filled().len();
    // SAFETY: I2.
    unsafe { into.advance(count) };
    Poll::Ready(Ok(()))
}

#[cfg(feature = "tokio-io")]
impl Room for tokio::io::ReadBuf<'_> {
    unsafe fn room(&mut self) -> &mut Bytes {
        // SAFETY: as I2 asks of the caller.
        unsafe { self.unfilled_mut() }
    }

    unsafe fn advance(&mut self, count: usize) {
        // SAFETY: as I2 asks of the caller.
        unsafe { self.assume_init(count) };
        tokio::io::ReadBuf::advance(self, count);
    }
}

#[cfg(feature = "hyper")]
impl Room for hyper::rt::ReadBufCursor<'_> {
    unsafe fn room(&mut self) -> &mut Bytes {
        // SAFETY: as I2 asks of the caller.
        unsafe { self.as_mut() }
    }

    unsafe fn advance(&mut self, count: usize) {
        // SAFETY: as I2 asks of the caller.
        unsafe { hyper::rt::ReadBufCursor::advance(self, count) };
    }
}

/// A buffer of the crate `bytes`, which may grow to make room.
#[cfg(feature = "io-util")]
pub(crate) struct Growing<'a, B>(pub(crate) &'a mut B);

#[cfg(feature = "io-util")]
impl<B: bytes::BufMut> Room for Growing<'_, B> {
    unsafe fn room(&mut self) -> &mut Bytes {
        let chunk = self.0.chunk_mut();
        // SAFETY: as I2 asks of the caller.
        unsafe { chunk.as_uninit_slice_mut() }
    }

    unsafe fn advance(&mut self, count: usize) {
        // SAFETY: as I2 asks of the caller.
        unsafe { self.0.advance_mut(count) };
    }
}
