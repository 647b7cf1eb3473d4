//! Connections in one direction, with or without a name in the file system.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};

use mio::unix::pipe;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::driver::Watch;
use crate::handle::Handle;
use crate::hooks::life::Birth;
use crate::hooks::{AsyncId, Kind};
use crate::io::watched::Watched;
use crate::io::{Interest, Ready};
use crate::net::methods::{reading, writing};
use crate::net::raw::numbered;
use crate::net::side::{ReadSide, WriteSide};
use crate::scheduler::Shared;

/// Makes a pipe.
///
/// # Errors
/// When the system has none.
///
/// # Panics
/// Outside a runtime.
///
/// # Hooks
/// Each end is a resource of kind `PIPE`.
///
/// # Examples
/// ```
/// use forebear::net::unix::pipe;
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let (sender, receiver) = pipe::pipe()?;
/// sender.writable().await?;
/// assert_eq!(sender.try_write(b"ping")?, 4);
/// receiver.readable().await?;
/// let mut read = [0; 16];
/// assert_eq!(receiver.try_read(&mut read)?, 4);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn pipe() -> io::Result<(Sender, Receiver)> {
    let (shared, location) = (Handle::current().shared().clone(), Location::caller());
    let (sender, receiver) = pipe::new()?;
    // It is empty.
    let watch = Sender::WATCH.assuming(Ready::WRITABLE);
    let sender = Sender::begin(sender, shared.clone(), watch, location)?;
    Ok((sender, Receiver::register(receiver, shared, location)?))
}

/// Says how to open a pipe that has a name.
///
/// # Examples
/// ```
/// use forebear::net::unix::pipe;
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let refused = pipe::OpenOptions::new().open_receiver("Cargo.toml");
/// assert_eq!(refused.unwrap_err().to_string(), "it is no pipe");
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    has_both: bool,
    is_unchecked: bool,
}

impl OpenOptions {
    /// Begins with a pipe that must be one, opened for one direction.
    #[must_use]
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    /// Opens it for both directions: then a sender finds it open although nobody reads yet, and a
    /// receiver never finds that all senders have gone.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn read_write(&mut self, value: bool) -> &mut OpenOptions {
        self.has_both = value;
        self
    }

    /// Does not check that it is a pipe.
    pub fn unchecked(&mut self, value: bool) -> &mut OpenOptions {
        self.is_unchecked = value;
        self
    }

    /// Opens the end that reads.
    ///
    /// # Errors
    /// When it cannot be opened, is no pipe, or the system refuses to watch it.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn open_receiver<P: AsRef<Path>>(&self, path: P) -> io::Result<Receiver> {
        let (shared, location) = (Handle::current().shared().clone(), Location::caller());
        let file = self.open(path.as_ref(), End::Receiver)?;
        Receiver::register(OwnedFd::from(file).into(), shared, location)
    }

    /// Opens the end that writes.
    ///
    /// # Errors
    /// When it cannot be opened, which includes that nobody has opened it to read; is no pipe; or
    /// the system refuses to watch it.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn open_sender<P: AsRef<Path>>(&self, path: P) -> io::Result<Sender> {
        let (shared, location) = (Handle::current().shared().clone(), Location::caller());
        let file = self.open(path.as_ref(), End::Sender)?;
        Sender::register(OwnedFd::from(file).into(), shared, location)
    }

    fn open(&self, path: &Path, end: End) -> io::Result<File> {
        let file = std::fs::OpenOptions::new()
            .read(self.has_both || end == End::Receiver)
            .write(self.has_both || end == End::Sender)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        if !self.is_unchecked {
            require_pipe(&file)?;
        }
        Ok(file)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Sender,
    Receiver,
}

impl End {
    /// Takes over a file, which must be a pipe that is open in the right direction, and puts it
    /// into non-blocking mode.
    fn take(self, file: File) -> io::Result<OwnedFd> {
        require_pipe(&file)?;
        let flags = fcntl_getfl(&file)?;
        let mode = flags & OFlags::ACCMODE;
        let (fits, way) = match self {
            End::Sender => (mode != OFlags::RDONLY, "write"),
            End::Receiver => (mode != OFlags::WRONLY, "read"),
        };
        if !fits {
            let message = format!("the pipe is not open to {way}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        make_nonblocking(file.into())
    }
}

fn require_pipe(file: &File) -> io::Result<()> {
    if file.metadata()?.file_type().is_fifo() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no pipe"))
}

/// Puts a descriptor into non-blocking mode.
pub(crate) fn make_nonblocking(fd: OwnedFd) -> io::Result<OwnedFd> {
    let flags = fcntl_getfl(&fd)?;
    if !flags.contains(OFlags::NONBLOCK) {
        fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
    }
    Ok(fd)
}

/// Puts a descriptor into blocking mode.
pub(crate) fn make_blocking(fd: OwnedFd) -> io::Result<OwnedFd> {
    fcntl_setfl(&fd, fcntl_getfl(&fd)? - OFlags::NONBLOCK)?;
    Ok(fd)
}

/// The end of a pipe that writes.
///
/// It writes through tokio's trait (feature `tokio-io`), those of futures-io and hyper (features of
/// those names), or its own methods.
///
/// # Hooks
/// A resource of kind `PIPE`: `init` when it is made; a pair around each attempt to write when the
/// system says that it is ready; `destroy` at its drop.
pub struct Sender {
    watched: Watched<pipe::Sender>,
}

/// The end of a pipe that reads.
///
/// It reads through tokio's trait (feature `tokio-io`), those of futures-io and hyper (features of
/// those names), or its own methods.
///
/// # Hooks
/// A resource of kind `PIPE`: `init` when it is made; a pair around each attempt to read when the
/// system says that it is ready; `destroy` at its drop.
pub struct Receiver {
    watched: Watched<pipe::Receiver>,
}

/// What both ends have in common, but for the direction.
macro_rules! end {
    ($end:ident, $sort:expr, $interest:expr, $label:literal) => {
        /// Takes over a file, which must be a pipe that is open in this direction, and puts it into
        /// non-blocking mode.
        ///
        /// # Errors
        /// When it is not, or the system refuses to watch it.
        ///
        /// # Panics
        /// Outside a runtime.
        #[track_caller]
        pub fn from_file(file: File) -> io::Result<$end> {
            let (shared, location) = (Handle::current().shared().clone(), Location::caller());
            $end::register($sort.take(file)?.into(), shared, location)
        }

        /// As [`from_file`](Self::from_file).
        ///
        /// # Errors
        /// As [`from_file`](Self::from_file).
        ///
        /// # Panics
        /// Outside a runtime.
        #[track_caller]
        pub fn from_owned_fd(fd: OwnedFd) -> io::Result<$end> {
            $end::from_file(fd.into())
        }

        /// Takes over a file as it is: it must be in non-blocking mode, and something like a pipe.
        ///
        /// # Errors
        /// When the system refuses to watch it.
        ///
        /// # Panics
        /// Outside a runtime.
        #[track_caller]
        pub fn from_file_unchecked(file: File) -> io::Result<$end> {
            $end::from_owned_fd_unchecked(file.into())
        }

        /// As [`from_file_unchecked`](Self::from_file_unchecked).
        ///
        /// # Errors
        /// When the system refuses to watch it.
        ///
        /// # Panics
        /// Outside a runtime.
        #[track_caller]
        pub fn from_owned_fd_unchecked(fd: OwnedFd) -> io::Result<$end> {
            let (shared, location) = (Handle::current().shared().clone(), Location::caller());
            $end::register(fd.into(), shared, location)
        }

        fn register(
            end: pipe::$end,
            shared: Arc<Shared>,
            location: &'static Location<'static>,
        ) -> io::Result<$end> {
            $end::begin(end, shared, $end::WATCH, location)
        }

        const WATCH: Watch = Watch::of($interest);

        fn begin(
            end: pipe::$end,
            shared: Arc<Shared>,
            watch: Watch,
            location: &'static Location<'static>,
        ) -> io::Result<$end> {
            let birth = Birth::new(Kind::PIPE, || $label).location(location);
            Ok($end { watched: Watched::begin(end, shared, watch, birth)? })
        }

        /// Waits until it is ready for any of this, and says for what. Several may wait at once.
        ///
        /// # Errors
        /// When the runtime has ended.
        ///
        /// # Cancel safety
        /// Safe.
        pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
            self.watched.ready(interest).await
        }

        /// Tries an operation of your own on the pipe, if it is ready; else it would block.
        ///
        /// # Errors
        /// The operation's own, and [`WouldBlock`](io::ErrorKind::WouldBlock).
        ///
        /// # Hooks
        /// A pair around the operation.
        pub fn try_io<R>(&self, f: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
            self.watched.try_io($interest, |attempt| attempt.io.try_io(f))
        }

        /// Gives the descriptor away, in blocking mode.
        ///
        /// # Errors
        /// When the system refuses the mode.
        ///
        /// # Hooks
        /// `destroy`.
        pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
            make_blocking(self.watched.into_io().into())
        }

        /// Gives the descriptor away, in non-blocking mode.
        ///
        /// # Errors
        /// Never; it returns a `Result` because tokio's does.
        ///
        /// # Hooks
        /// `destroy`.
        pub fn into_nonblocking_fd(self) -> io::Result<OwnedFd> {
            Ok(self.watched.into_io().into())
        }

        /// Returns its id.
        #[must_use]
        pub fn id(&self) -> AsyncId {
            self.watched.id()
        }
    };
}

impl Sender {
    end!(Sender, End::Sender, Interest::WRITABLE, "sender");

    /// Waits until something can probably be written. Several may wait at once.
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
}

impl Receiver {
    end!(Receiver, End::Receiver, Interest::READABLE, "receiver");

    /// Waits until there may be something to read. Several may wait at once.
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
}

impl WriteSide for Sender {
    type Io = pipe::Sender;

    fn writer(&self) -> &Watched<pipe::Sender> {
        &self.watched
    }

    /// Only dropping a pipe tells the other end.
    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadSide for Receiver {
    type Io = pipe::Receiver;

    fn reader(&self) -> &Watched<pipe::Receiver> {
        &self.watched
    }
}

numbered!(Sender, sender => sender.watched.io());
numbered!(Receiver, receiver => receiver.watched.io());

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("id", &self.id()).finish_non_exhaustive()
    }
}
