//! Reads and writes without blocking: tokio's traits, and what tokio makes of them.
//!
//! The traits, the readers and writers around others, and the functions that copy are tokio's own,
//! so that what a library has implemented for tokio works here; none of them needs tokio's
//! runtime. The types of [`std::io`] that go with them stand here, too, as they do in tokio.
//!
//! What sources of input and output are ready for stands here as well: see [`unix::AsyncFd`].
//!
//! ```
//! # #[cfg(feature = "io-util")] {
//! use forebear::io::{AsyncReadExt, AsyncWriteExt, duplex};
//!
//! # forebear::runtime::Runtime::new()?.block_on(async {
//! let (mut near, mut far) = duplex(64);
//! near.write_all(b"ping").await?;
//! let mut read = [0; 4];
//! far.read_exact(&mut read).await?;
//! assert_eq!(&read, b"ping");
//! # Ok::<(), forebear::io::Error>(())
//! # })?;
//! # }
//! # Ok::<(), forebear::io::Error>(())
//! ```

mod interest; // what a source is waited for
mod ready; // what it is ready for
pub(crate) mod wait; // waits for a source that is only borrowed
pub(crate) mod watched; // a source that is watched, and is a resource
pub(crate) mod bytes; // those that bytes flow through
#[cfg_attr(not(feature = "io-util"), allow(dead_code, reason = "only features read so"))]
pub(crate) mod filling; // reads to room that holds nothing yet
#[cfg_attr(not(feature = "tokio-io"), allow(dead_code, reason = "only features read so"))]
pub(crate) mod room; // such room
#[cfg(any(feature = "fs", feature = "io-std"))]
pub(crate) mod portion; // bytes that a job reads or writes
#[cfg(any(feature = "fs", feature = "io-std"))]
pub(crate) mod request; // asks for such a job
#[cfg(feature = "io-std")]
mod standard; // what a program was begun with
#[cfg(unix)]
pub(crate) mod descriptor; // shows the driver any descriptor
#[cfg(unix)]
mod async_fd; // waits for one

pub use interest::Interest;
pub use ready::Ready;
#[cfg(feature = "io-std")]
pub use standard::{Stderr, Stdin, Stdout, stderr, stdin, stdout};

#[doc(no_inline)]
pub use std::io::{Error, ErrorKind, Result, SeekFrom};

#[cfg(feature = "tokio-io")]
pub use tokio::io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};
#[cfg(feature = "io-util")]
pub use tokio::io::{
    AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader, BufStream, BufWriter,
    Chain, DuplexStream, Empty, Join, Lines, ReadHalf, Repeat, SimplexStream, Sink, Split, Take,
    WriteHalf, copy, copy_bidirectional, copy_bidirectional_with_sizes, copy_buf, duplex, empty,
    join, repeat, simplex, sink, split,
};

/// What there is on Unix only.
#[cfg(unix)]
pub mod unix {
    pub use super::async_fd::{
        AsyncFd, AsyncFdReadyGuard, AsyncFdReadyMutGuard, AsyncFdRegisterError, TryIoError,
    };

    #[doc(hidden)]
    #[expect(deprecated, reason = "an old name of tokio's")]
    pub use super::async_fd::AsyncFdTryNewError;
}
