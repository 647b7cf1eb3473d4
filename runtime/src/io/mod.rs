//! Reads and writes without blocking: tokio's traits, and what tokio makes of them.
//!
//! The traits, the readers and writers around others, and the functions that copy are tokio's own,
//! so that what a library has implemented for tokio works here; none of them needs tokio's
//! runtime. The types of [`std::io`] that go with them stand here, too, as they do in tokio.
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

#[doc(no_inline)]
pub use std::io::{Error, ErrorKind, Result, SeekFrom};

pub use tokio::io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};
#[cfg(feature = "io-util")]
pub use tokio::io::{
    AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader, BufStream, BufWriter,
    Chain, DuplexStream, Empty, Join, Lines, ReadHalf, Repeat, SimplexStream, Sink, Split, Take,
    WriteHalf, copy, copy_bidirectional, copy_bidirectional_with_sizes, copy_buf, duplex, empty,
    join, repeat, simplex, sink, split,
};
