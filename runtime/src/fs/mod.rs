//! Works with files and folders, on the blocking pool.
//!
//! No system tells when a file is ready, so each call waits on a thread of the pool, where waiting
//! hurts nobody. What is to be read or written in small pieces is better read as a whole, or through
//! a [`BufReader`](crate::io::BufReader) or [`BufWriter`](crate::io::BufWriter): each piece is a job
//! of its own. Pipes with names are better opened by [`net::unix::pipe`](crate::net::unix::pipe),
//! which needs no thread to wait for them.
//!
//! # Hooks
//! Each call is a resource of kind `BLOCKING`, labelled with the name of the function (`fs::read`,
//! `fs::File::write`), which takes over the context of whoever polls it. Its location is that of the
//! call; of what is read and written through tokio's traits, that where the file was opened.
//!
//! ```
//! use forebear::fs;
//!
//! # forebear::runtime::Runtime::new()?.block_on(async {
//! let manifest = fs::read_to_string("Cargo.toml").await?;
//! assert!(manifest.contains("[package]"));
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod operation; // one call
mod paths; // calls by paths
mod dir_builder; // makes folders
mod read_dir; // reads them
mod open_options; // opens files
mod file; // reads and writes them
mod times; // when they were read and written
mod raw; // and their numbers
#[cfg(unix)]
mod raw_fd; // files from numbers

pub use dir_builder::DirBuilder;
pub use file::File;
pub use open_options::OpenOptions;
pub use operation::Operation;
#[cfg(unix)]
pub use paths::symlink;
pub use paths::{
    canonicalize, copy, create_dir, create_dir_all, hard_link, metadata, read, read_link,
    read_to_string, remove_dir, remove_dir_all, remove_file, rename, set_permissions,
    symlink_metadata, try_exists, write,
};
#[cfg(windows)]
pub use paths::{symlink_dir, symlink_file};
pub use read_dir::{DirEntry, ReadDir, read_dir};
pub use times::FileTimes;
