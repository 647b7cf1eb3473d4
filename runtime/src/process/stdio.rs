//! Writes to what a child reads, and reads what it writes.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::Location;
use std::process::Stdio;
use std::sync::Arc;
use std::task::{Context, Poll};

use mio::unix::pipe;

use crate::driver::Watch;
use crate::handle::Handle;
use crate::hooks::life::{Birth, Life};
use crate::hooks::{AsyncId, Kind};
use crate::io::watched::Watched;
use crate::io::{Interest, Ready};
use crate::net::raw::numbered;
use crate::net::side::{ReadSide, WriteSide};
use crate::net::unix::pipe::{make_blocking, make_nonblocking};
use crate::scheduler::Shared;

/// What a child reads, to write to: dropping it is how the child learns that nothing more comes.
///
/// It writes through tokio's trait, and those of futures-io and hyper (features of those names).
///
/// # Hooks
/// A resource of kind `PIPE`, labelled `stdin`, whose trigger is the process.
pub struct ChildStdin {
    watched: Watched<pipe::Sender>,
}

/// What a child writes, to read.
///
/// It reads through tokio's trait, and those of futures-io and hyper (features of those names).
///
/// # Hooks
/// A resource of kind `PIPE`, labelled `stdout`, whose trigger is the process.
pub struct ChildStdout {
    watched: Watched<pipe::Receiver>,
}

/// What a child writes as errors, to read.
///
/// It reads through tokio's trait, and those of futures-io and hyper (features of those names).
///
/// # Hooks
/// A resource of kind `PIPE`, labelled `stderr`, whose trigger is the process.
pub struct ChildStderr {
    watched: Watched<pipe::Receiver>,
}

/// What all three have in common, but for the direction.
macro_rules! end {
    ($end:ident, $watch:expr, $label:literal) => {
        impl $end {
            /// Takes over what std's command has begun.
            ///
            /// # Errors
            /// When the system refuses to watch it.
            ///
            /// # Panics
            /// Outside a runtime.
            #[track_caller]
            pub fn from_std(std: std::process::$end) -> io::Result<$end> {
                let (shared, location) = (Handle::current().shared().clone(), Location::caller());
                $end::of(std.into(), &shared, location, None)
            }

            pub(super) fn of(
                fd: OwnedFd,
                shared: &Arc<Shared>,
                location: &'static Location<'static>,
                process: Option<&Life>,
            ) -> io::Result<$end> {
                let birth = Birth::new(Kind::PIPE, || $label).location(location);
                let birth = match process {
                    Some(process) => birth.trigger_of(process),
                    None => birth,
                };
                // The child's end is another file, which stays as it is.
                let io = make_nonblocking(fd)?.into();
                Ok($end { watched: Watched::begin(io, shared.clone(), $watch, birth)? })
            }

            /// Gives the descriptor away, in blocking mode: to another child, perhaps.
            ///
            /// # Errors
            /// When the system refuses the mode.
            ///
            /// # Hooks
            /// `destroy`.
            pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
                make_blocking(self.watched.into_io().into())
            }

            /// Returns its id.
            #[must_use]
            pub fn id(&self) -> AsyncId {
                self.watched.id()
            }
        }

        impl TryFrom<$end> for Stdio {
            type Error = io::Error;

            fn try_from(end: $end) -> io::Result<Stdio> {
                end.into_owned_fd().map(Stdio::from)
            }
        }

        numbered!($end, end => end.watched.io());

        impl fmt::Debug for $end {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($end)).field("id", &self.id()).finish_non_exhaustive()
            }
        }
    };
}

end!(ChildStdin, Watch::of(Interest::WRITABLE).assuming(Ready::WRITABLE), "stdin");
end!(ChildStdout, Watch::of(Interest::READABLE), "stdout");
end!(ChildStderr, Watch::of(Interest::READABLE), "stderr");

impl WriteSide for ChildStdin {
    type Io = pipe::Sender;

    fn writer(&self) -> &Watched<pipe::Sender> {
        &self.watched
    }

    /// Only dropping a pipe tells the other end.
    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadSide for ChildStdout {
    type Io = pipe::Receiver;

    fn reader(&self) -> &Watched<pipe::Receiver> {
        &self.watched
    }
}

impl ReadSide for ChildStderr {
    type Io = pipe::Receiver;

    fn reader(&self) -> &Watched<pipe::Receiver> {
        &self.watched
    }
}

impl ChildStdout {
    pub(super) fn into_watched(self) -> Watched<pipe::Receiver> {
        self.watched
    }
}

impl ChildStderr {
    pub(super) fn into_watched(self) -> Watched<pipe::Receiver> {
        self.watched
    }
}

/// So much is read at once, to the stack of the worker. A pipe of the system holds four times that.
const ROOM_BYTES: usize = 16 * 1024;

/// Reads to the end, and then drops the pipe. An inner `Pending`: there is more to come.
pub(super) fn read_all(
    pipe: &mut Option<Watched<pipe::Receiver>>,
    all: &mut Vec<u8>,
    cx: &mut Context<'_>,
) -> io::Result<Poll<()>> {
    let Some(watched) = pipe else { return Ok(Poll::Ready(())) };
    let mut room = [0; ROOM_BYTES];
    loop {
        match watched.poll_read(cx, &mut room) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(read) => match read? {
                0 => break,
                count => all.extend_from_slice(&room[..count]),
            },
        }
    }
    *pipe = None;
    Ok(Poll::Ready(()))
}
