//! Reads what a program was begun with to read, and writes to where it writes, each piece as a job.
//!
//! std's own handles do the work, so that what they buffer is shared with code that uses them. A
//! job cannot work in memory that its caller has lent, so bytes are carried in a [`Portion`]: what
//! was read for somebody who is gone waits for the next who reads, and a write is done when its
//! bytes have been taken over.

use std::fmt;
use std::io::{self, IoSlice, Write};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::blocking::outcome;
use crate::driver::reactor::gone;
use crate::io::portion::{PORTION_MAX_BYTES, Portion};
use crate::io::request::Request;
use crate::task::JoinHandle;

mod raw; // their numbers

use raw::numbered;

/// Returns the standard input of the process.
///
/// For a program that reads a file or another program's output. It is nothing to talk to somebody
/// by: a read that has begun cannot be taken back, so a runtime that ends waits until there is
/// something to read or the input has ended; use
/// [`shutdown_background`](crate::runtime::Runtime::shutdown_background) then, or a thread of your
/// own.
///
/// # Cancel safety
/// What was read for somebody who is gone waits for the next who reads this value.
///
/// # Hooks
/// Each piece that is read is a resource of kind `BLOCKING`, labelled `io::Stdin::read`, with the
/// location of this call.
///
/// # Examples
/// ```no_run
/// # #[cfg(feature = "io-util")] {
/// use forebear::io::{AsyncBufReadExt, BufReader, stdin};
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let mut lines = BufReader::new(stdin()).lines();
/// while let Some(line) = lines.next_line().await? {
///     println!("{}", line.to_uppercase());
/// }
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
#[track_caller]
pub fn stdin() -> Stdin {
    Stdin { std: io::stdin(), desk: Desk::new(Location::caller()) }
}

/// Returns the standard output of the process.
///
/// A write is done when its bytes have been taken over: they are then written even if the runtime
/// ends. Whether that went well is told by the next operation, so flush before you leave. Two
/// values that are written at once mix their pieces.
///
/// # Cancel safety
/// Of a write that returned nothing, nothing was taken over.
///
/// # Hooks
/// Each piece that is written is a resource of kind `BLOCKING`, labelled `io::Stdout::write`, with
/// the location of this call; so is each flush.
///
/// # Examples
/// ```
/// # #[cfg(feature = "io-util")] {
/// use forebear::io::{AsyncWriteExt, stdout};
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let mut out = stdout();
/// out.write_all(b"shipped\n").await?;
/// out.flush().await?;
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
#[track_caller]
pub fn stdout() -> Stdout {
    Stdout { std: io::stdout(), desk: Desk::new(Location::caller()) }
}

/// Returns the standard error output of the process. See [`stdout`].
///
/// # Hooks
/// As [`stdout`], with labels that begin with `io::Stderr`.
#[must_use]
#[track_caller]
pub fn stderr() -> Stderr {
    Stderr { std: io::stderr(), desk: Desk::new(Location::caller()) }
}

/// The standard input of the process: see [`stdin`].
pub struct Stdin {
    std: io::Stdin,
    desk: Desk,
}

/// The standard output of the process: see [`stdout`].
pub struct Stdout {
    std: io::Stdout,
    desk: Desk,
}

/// The standard error output of the process: see [`stderr`].
pub struct Stderr {
    std: io::Stderr,
    desk: Desk,
}

/// What is going on with one of them.
struct Desk {
    state: State,
    has_unflushed: bool,
    location: &'static Location<'static>,
}

enum State {
    Idle(Portion),
    Busy(JoinHandle<(io::Result<()>, Portion)>),
}

impl Desk {
    fn new(location: &'static Location<'static>) -> Desk {
        Desk { state: State::Idle(Portion::default()), has_unflushed: false, location }
    }

    /// What is read and written has nobody's location but that of the value.
    fn request(&self, label: fn() -> &'static str) -> Request {
        Request { label, location: self.location }
    }

    /// Waits until nothing is going on, and returns how what was going on went.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let State::Busy(job) = &mut self.state else { return Poll::Ready(Ok(())) };
        let joined = ready!(Pin::new(job).poll(cx));
        self.state = State::Idle(Portion::default());
        let (done, portion) = outcome(joined)?;
        self.state = State::Idle(portion);
        Poll::Ready(done)
    }

    /// Takes the portion, to give it to a job, while nothing is going on.
    fn portion(&mut self) -> Portion {
        match &mut self.state {
            State::Idle(portion) => std::mem::take(portion),
            State::Busy(_) => unreachable!("something is going on"),
        }
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        label: fn() -> &'static str,
        buffer: &mut ReadBuf<'_>,
        read: impl FnOnce(&mut Portion, usize) -> io::Result<()> + Send + 'static,
    ) -> Poll<io::Result<()>> {
        let mut read = Some(read);
        loop {
            let was_busy = matches!(self.state, State::Busy(_));
            ready!(self.poll_idle(cx))?;
            let mut portion = self.portion();
            if was_busy || !portion.is_empty() || buffer.remaining() == 0 {
                portion.give_to(buffer);
                self.state = State::Idle(portion);
                return Poll::Ready(Ok(()));
            }
            let most = buffer.remaining().min(PORTION_MAX_BYTES);
            let Some(read) = read.take() else { unreachable!("it has read once") };
            self.state = State::Busy(self.request(label).begin(move || {
                let done = read(&mut portion, most);
                (done, portion)
            }));
        }
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        label: fn() -> &'static str,
        slices: &[IoSlice<'_>],
        write: impl FnOnce(&mut Portion) -> io::Result<()> + Send + 'static,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_idle(cx))?;
        if slices.iter().all(|slice| slice.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        let mut portion = self.portion();
        let count = portion.fill_from(slices, PORTION_MAX_BYTES);
        self.has_unflushed = true;
        self.promise(label, portion, write)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        label: fn() -> &'static str,
        flush: impl FnOnce(&mut Portion) -> io::Result<()> + Send + 'static,
    ) -> Poll<io::Result<()>> {
        let mut flush = Some(flush);
        loop {
            ready!(self.poll_idle(cx))?;
            if !std::mem::take(&mut self.has_unflushed) {
                return Poll::Ready(Ok(()));
            }
            let Some(flush) = flush.take() else { unreachable!("it has flushed once") };
            let portion = self.portion();
            self.promise(label, portion, flush)?;
        }
    }

    /// Begins a job that will be done, even if the runtime ends first.
    fn promise(
        &mut self,
        label: fn() -> &'static str,
        mut portion: Portion,
        job: impl FnOnce(&mut Portion) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let job = self.request(label).promise(move || {
            let done = job(&mut portion);
            (done, portion)
        });
        self.state = State::Busy(job.ok_or_else(gone)?);
        Ok(())
    }
}

impl AsyncRead for Stdin {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = |portion: &mut Portion, most| portion.read_from(&mut io::stdin(), most);
        self.get_mut().desk.poll_read(cx, || "io::Stdin::read", buffer, read)
    }
}

/// What both outputs have in common.
macro_rules! output {
    ($output:ident, $std:path, $write:literal, $flush:literal) => {
        impl AsyncWrite for $output {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                data: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.poll_write_vectored(cx, &[IoSlice::new(data)])
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                data: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let desk = &mut self.get_mut().desk;
                desk.poll_write(cx, || $write, data, |portion| portion.write_to(&mut $std()))
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.get_mut().desk.poll_flush(cx, || $flush, |_| $std().flush())
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_flush(cx)
            }
        }
    };
}

output!(Stdout, io::stdout, "io::Stdout::write", "io::Stdout::flush");
output!(Stderr, io::stderr, "io::Stderr::write", "io::Stderr::flush");

numbered!(Stdin);
numbered!(Stdout);
numbered!(Stderr);

/// What is shown of each.
macro_rules! shown {
    ($type:ident) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let is_busy = matches!(self.desk.state, State::Busy(_));
                f.debug_struct(stringify!($type)).field("is_busy", &is_busy).finish_non_exhaustive()
            }
        }
    };
}

shown!(Stdin);
shown!(Stdout);
shown!(Stderr);
