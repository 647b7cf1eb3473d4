//! Is the socket of a connection, as HTTP sees it: it gives up on a peer that takes nothing, and is
//! closed in a way that lets the peer read the last answer.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::Bytes;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

use crate::serve::roster::Ticket;
use crate::serve::status::Status;
use crate::time::Sleep;

/// How much more, and for how long, is taken from a peer to which nothing more is said.
const LINGER_BYTES_MAX: usize = 256 * 1024;
const LINGER: Duration = Duration::from_secs(1);

/// A socket, or what a handshake has made of it.
pub(super) struct Wire<T> {
    io: T,
    /// What was read to find out what is spoken, and has to be read again.
    ahead: Bytes,
    write_timeout: Option<Duration>,
    /// There is something to write that the peer does not take.
    is_blocked: bool,
    /// Runs meanwhile.
    stalled: Option<Box<Sleep>>,
    lingering: Option<Linger>,
    status: Arc<Status>,
    location: &'static Location<'static>,
    /// Held for its drop: a connection counts for as long as its socket is there, also when it
    /// speaks something else by now.
    _ticket: Ticket,
}

impl<T: Read + Write + Unpin> Wire<T> {
    pub(super) fn new(
        io: T,
        (status, ticket): (Arc<Status>, Ticket),
        write_timeout: Option<Duration>,
        location: &'static Location<'static>,
    ) -> Wire<T> {
        Wire {
            io,
            ahead: Bytes::new(),
            write_timeout,
            is_blocked: false,
            stalled: None,
            lingering: None,
            status,
            location,
            _ticket: ticket,
        }
    }

    /// Puts back what was read.
    #[cfg(feature = "serve-http2")]
    pub(super) fn unread(&mut self, bytes: Bytes) {
        self.ahead = bytes;
    }

    /// Lets shutting it down include what [`close`](Wire::close) does.
    #[cfg(feature = "serve-http2")]
    pub(super) fn linger_at_shutdown(&mut self) {
        self.lingering = Some(Linger::new());
    }

    /// Says whether there is something to write that the peer does not take.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Says some last words, and closes it when the peer has, or has had time to.
    ///
    /// A socket that is closed with bytes unread resets the connection, and the peer loses the
    /// answer that told it to go.
    pub(super) async fn close(mut self, last_words: &'static [u8]) -> io::Result<()> {
        let mut words = last_words;
        while !words.is_empty() {
            let written = poll_fn(|cx| Pin::new(&mut self).poll_write(cx, words)).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            words = &words[written..];
        }
        if !last_words.is_empty() {
            poll_fn(|cx| Pin::new(&mut self).poll_flush(cx)).await?;
        }
        self.lingering.get_or_insert_with(Linger::new);
        poll_fn(|cx| Pin::new(&mut self).poll_shutdown(cx)).await
    }

    fn limit<R>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        self.is_blocked = written.is_pending();
        if let Poll::Ready(written) = written {
            self.stalled = None;
            return Poll::Ready(self.status.judge(written));
        }
        let Some(limit) = self.write_timeout else { return Poll::Pending };
        let location = self.location;
        let stalled = self.stalled.get_or_insert_with(|| {
            Box::new(Sleep::for_so_long(limit, || "peer takes nothing", location))
        });
        ready!(Pin::new(&mut **stalled).poll(cx));
        self.status.note_stall();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

/// The time between the last word and the end.
struct Linger {
    until: Option<Box<Sleep>>,
    is_shut_down: bool,
    thrown_away: usize,
}

impl Linger {
    fn new() -> Linger {
        Linger { until: None, is_shut_down: false, thrown_away: 0 }
    }

    fn poll<T: Read + Write + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut T,
        location: &'static Location<'static>,
    ) -> Poll<io::Result<()>> {
        // Most peers have closed their end by now, and need no timer.
        if let Poll::Ready(closed) = self.poll_closed(cx, io) {
            return Poll::Ready(closed);
        }
        let until = self
            .until
            .get_or_insert_with(|| Box::new(Sleep::for_so_long(LINGER, || "linger", location)));
        Pin::new(&mut **until).poll(cx).map(Ok)
    }

    fn poll_closed<T: Read + Write + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut T,
    ) -> Poll<io::Result<()>> {
        if !self.is_shut_down {
            ready!(Pin::new(&mut *io).poll_shutdown(cx))?;
            self.is_shut_down = true;
        }
        let mut buffer = [0; 4096];
        while self.thrown_away < LINGER_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut buffer);
            ready!(Pin::new(&mut *io).poll_read(cx, buffer.unfilled()))?;
            match buffer.filled().len() {
                0 => break,
                read => self.thrown_away += read,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Read + Unpin> Read for Wire<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead.split_to(count));
            return Poll::Ready(Ok(()));
        }
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buffer));
        self.status.note_bytes();
        // What it did not take may be found out while something is read.
        Poll::Ready(self.status.judge(read))
    }
}

impl<T: Read + Write + Unpin> Write for Wire<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, data);
        self.limit(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.limit(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Wire { io, lingering, location, .. } = &mut *self;
        match lingering {
            Some(lingering) => lingering.poll(cx, io, location),
            None => Pin::new(io).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, data);
        self.limit(cx, written)
    }
}
