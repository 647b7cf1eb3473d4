//! Lets one task read from a connection while another writes to it.
//!
//! Both halves are the same resource: they are two views of one socket, borrowed or shared.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::hooks::AsyncId;
use crate::io::watched::Watched;
use crate::io::{Interest, Ready};
use crate::net::methods::{reading, writing};
use crate::net::side::{ReadSide, WriteSide};
use crate::net::stream::Stream;

/// The half of a borrowed connection that reads: see `split` of
/// [`TcpStream`](crate::net::TcpStream::split) and `UnixStream`.
#[derive(Debug)]
pub struct ReadHalf<'a, S>(&'a S);

/// The half of a borrowed connection that writes: see `split` of
/// [`TcpStream`](crate::net::TcpStream::split) and `UnixStream`.
#[derive(Debug)]
pub struct WriteHalf<'a, S>(&'a S);

/// The half of a connection that reads, to be moved elsewhere: see `into_split` of
/// [`TcpStream`](crate::net::TcpStream::into_split) and `UnixStream`.
///
/// # Hooks
/// Both halves are one resource, which ends when both have been dropped.
#[derive(Debug)]
pub struct OwnedReadHalf<S> {
    stream: Arc<S>,
}

/// The half of a connection that writes, to be moved elsewhere: see `into_split` of
/// [`TcpStream`](crate::net::TcpStream::into_split) and `UnixStream`.
///
/// Dropping it tells the other end that nothing more comes.
///
/// # Hooks
/// Both halves are one resource, which ends when both have been dropped.
#[derive(Debug)]
pub struct OwnedWriteHalf<S: Stream> {
    stream: Arc<S>,
    closes: bool,
}

pub(super) fn split<S>(stream: &S) -> (ReadHalf<'_, S>, WriteHalf<'_, S>) {
    (ReadHalf(stream), WriteHalf(stream))
}

pub(super) fn into_split<S: Stream>(stream: S) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
    let stream = Arc::new(stream);
    (OwnedReadHalf { stream: stream.clone() }, OwnedWriteHalf { stream, closes: true })
}

fn reunite<S: Stream>(
    read: OwnedReadHalf<S>,
    write: OwnedWriteHalf<S>,
) -> Result<S, S::ReuniteError> {
    if !Arc::ptr_eq(&read.stream, &write.stream) {
        return Err(S::not_halves_of_one(read, write));
    }
    write.forget();
    match Arc::into_inner(read.stream) {
        Some(stream) => Ok(stream),
        None => unreachable!("there are two halves, and no third"),
    }
}

/// What `ReuniteError` says.
pub(super) fn tell_not_one(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("these halves are not of one connection")
}

/// What both sorts of halves that read can do.
macro_rules! read_half {
    () => {
        /// Waits until the connection is ready for any of this, and says for what: see `ready` of
        /// the whole connection.
        ///
        /// # Errors
        /// When the runtime has ended.
        ///
        /// # Cancel safety
        /// Safe.
        pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
            self.reader().ready(interest).await
        }

        /// Waits until there may be something to read.
        ///
        /// # Errors
        /// When the runtime has ended.
        ///
        /// # Cancel safety
        /// Safe.
        pub async fn readable(&self) -> io::Result<()> {
            self.ready(Interest::READABLE).await.map(drop)
        }

        reading!();
        whole!();
    };
}

/// What both sorts of halves that write can do.
macro_rules! write_half {
    () => {
        /// Waits until the connection is ready for any of this, and says for what: see `ready` of
        /// the whole connection.
        ///
        /// # Errors
        /// When the runtime has ended.
        ///
        /// # Cancel safety
        /// Safe.
        pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
            self.writer().ready(interest).await
        }

        /// Waits until something can probably be written.
        ///
        /// # Errors
        /// When the runtime has ended.
        ///
        /// # Cancel safety
        /// Safe.
        pub async fn writable(&self) -> io::Result<()> {
            self.ready(Interest::WRITABLE).await.map(drop)
        }

        writing!();
        whole!();
    };
}

/// What halves tell of the whole.
macro_rules! whole {
    () => {
        /// Returns the address of the other end.
        ///
        /// # Errors
        /// When the connection is gone.
        pub fn peer_addr(&self) -> io::Result<S::Address> {
            self.as_ref().name_there()
        }

        /// Returns the address of this end.
        ///
        /// # Errors
        /// When the system does not say.
        pub fn local_addr(&self) -> io::Result<S::Address> {
            self.as_ref().name_here()
        }

        /// Returns the id of the connection, which both halves share.
        #[must_use]
        pub fn id(&self) -> AsyncId {
            self.as_ref().watched().id()
        }
    };
}

impl<S: Stream> ReadHalf<'_, S> {
    read_half!();
}

impl<S: Stream> WriteHalf<'_, S> {
    write_half!();
}

impl<S: Stream> OwnedReadHalf<S> {
    read_half!();

    /// Puts the two halves of a connection together again.
    ///
    /// # Errors
    /// When they are not of one connection; the error holds them.
    pub fn reunite(self, other: OwnedWriteHalf<S>) -> Result<S, S::ReuniteError> {
        reunite(self, other)
    }
}

impl<S: Stream> OwnedWriteHalf<S> {
    write_half!();

    /// Puts the two halves of a connection together again.
    ///
    /// # Errors
    /// When they are not of one connection; the error holds them.
    pub fn reunite(self, other: OwnedReadHalf<S>) -> Result<S, S::ReuniteError> {
        reunite(other, self)
    }

    /// Drops it without telling the other end anything.
    pub fn forget(mut self) {
        self.closes = false;
    }
}

impl<S: Stream> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        if self.closes {
            // The other end is told, or is gone.
            let _ = self.stream.close_write();
        }
    }
}

impl<S> AsRef<S> for ReadHalf<'_, S> {
    fn as_ref(&self) -> &S {
        self.0
    }
}

impl<S> AsRef<S> for WriteHalf<'_, S> {
    fn as_ref(&self) -> &S {
        self.0
    }
}

impl<S> AsRef<S> for OwnedReadHalf<S> {
    fn as_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: Stream> AsRef<S> for OwnedWriteHalf<S> {
    fn as_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: Stream> ReadSide for ReadHalf<'_, S> {
    type Io = S::Io;

    fn reader(&self) -> &Watched<S::Io> {
        self.0.watched()
    }
}

impl<S: Stream> ReadSide for OwnedReadHalf<S> {
    type Io = S::Io;

    fn reader(&self) -> &Watched<S::Io> {
        self.stream.watched()
    }
}

impl<S: Stream> WriteSide for WriteHalf<'_, S> {
    type Io = S::Io;

    fn writer(&self) -> &Watched<S::Io> {
        self.0.watched()
    }

    fn close(&mut self) -> io::Result<()> {
        self.0.close_write()
    }
}

impl<S: Stream> WriteSide for OwnedWriteHalf<S> {
    type Io = S::Io;

    fn writer(&self) -> &Watched<S::Io> {
        self.stream.watched()
    }

    fn close(&mut self) -> io::Result<()> {
        let result = self.stream.close_write();
        if result.is_ok() {
            self.closes = false;
        }
        result
    }
}
