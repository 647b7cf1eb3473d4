//! Begins other programs, talks to them, and waits for their end.
//!
//! A child is watched by the driver like a socket: on Linux through a descriptor of the process,
//! elsewhere through SIGCHLD. Its input and output are pipes that are read and written like any
//! connection.
//!
//! # Ends
//! Dropping a [`Child`] does not end the process, unless [`Command::kill_on_drop`] says so. Either
//! way it leaves nothing behind: a child that nobody waits for any more is waited for by a thread
//! of its own, which there is only while it has somebody to wait for.
//!
//! ```
//! # #[cfg(feature = "io-util")] {
//! use std::process::Stdio;
//!
//! use forebear::io::AsyncWriteExt;
//! use forebear::process::Command;
//!
//! # forebear::runtime::Runtime::new()?.block_on(async {
//! let mut child =
//!     Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
//! let mut stdin = child.stdin.take().expect("it is piped");
//! stdin.write_all(b"an order").await?;
//! drop(stdin);
//! let output = child.wait_with_output().await?;
//! assert!(output.status.success());
//! assert_eq!(output.stdout, b"an order");
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # }
//! # Ok::<(), std::io::Error>(())
//! ```

mod command; // what is to be begun, and how
mod pre_exec; // what runs before it does
mod child; // what was begun
mod exit; // hears of its end
mod abandoned; // waits for those whom nobody waits for
mod stdio; // what it reads and writes

pub use child::Child;
pub use command::Command;
pub use stdio::{ChildStderr, ChildStdin, ChildStdout};
