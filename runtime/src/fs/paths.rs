//! The functions of std's `fs` that take paths, each as one job.

use std::fs::{Metadata, Permissions};
use std::path::{Path, PathBuf};

use crate::fs::Operation;
use crate::io::request::request;

/// Functions whose arguments are paths. What is said of all of them is said here.
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($($path:ident),+) -> $made:ty, $label:literal, $call:path;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// When the system refuses it.
            ///
            /// # Panics
            /// If it is polled outside a runtime.
            ///
            /// # Cancel safety
            /// Once it has been polled, the call is made even if the future is dropped.
            ///
            /// # Hooks
            #[doc = concat!(
                "A resource of kind `BLOCKING`, labelled `", $label, "`, made in the first poll."
            )]
            #[track_caller]
            pub fn $name($($path: impl AsRef<Path>),+) -> Operation<$made> {
                $(let $path = $path.as_ref().to_owned();)+
                request!($label).call(move || $call($($path),+))
            }
        )*
    };
}

calls! {
    /// Returns what a path really leads to, without links and dots.
    canonicalize(path) -> PathBuf, "fs::canonicalize", std::fs::canonicalize;
    /// Copies a file with its permissions, over what was there. Returns how many bytes it has.
    copy(from, to) -> u64, "fs::copy", std::fs::copy;
    /// Makes a folder, whose parent must be there.
    create_dir(path) -> (), "fs::create_dir", std::fs::create_dir;
    /// Makes a folder, and all that is missing above it.
    create_dir_all(path) -> (), "fs::create_dir_all", std::fs::create_dir_all;
    /// Gives a file another name, `link`, besides the one it has.
    hard_link(original, link) -> (), "fs::hard_link", std::fs::hard_link;
    /// Returns what is known of a file or folder, or of that to which a link leads.
    metadata(path) -> Metadata, "fs::metadata", std::fs::metadata;
    /// Reads a whole file.
    read(path) -> Vec<u8>, "fs::read", std::fs::read;
    /// Returns where a link leads.
    read_link(path) -> PathBuf, "fs::read_link", std::fs::read_link;
    /// Reads a whole file, which must be UTF-8.
    read_to_string(path) -> String, "fs::read_to_string", std::fs::read_to_string;
    /// Removes a folder, which must be empty.
    remove_dir(path) -> (), "fs::remove_dir", std::fs::remove_dir;
    /// Removes a folder with all that is in it. Links in it are removed, not followed.
    remove_dir_all(path) -> (), "fs::remove_dir_all", std::fs::remove_dir_all;
    /// Removes a file.
    remove_file(path) -> (), "fs::remove_file", std::fs::remove_file;
    /// Gives a file or folder another name within its file system, over what had that name.
    rename(from, to) -> (), "fs::rename", std::fs::rename;
    /// Returns what is known of a file, folder or link itself.
    symlink_metadata(path) -> Metadata, "fs::symlink_metadata", std::fs::symlink_metadata;
    /// Says whether there is something. That something else forbids to look is an error, not a no.
    try_exists(path) -> bool, "fs::try_exists", std::fs::exists;
}

#[cfg(unix)]
calls! {
    /// Makes a link at `link` that leads to `original`.
    symlink(original, link) -> (), "fs::symlink", std::os::unix::fs::symlink;
}

#[cfg(windows)]
calls! {
    /// Makes a link at `link` that leads to the folder `original`.
    symlink_dir(original, link) -> (), "fs::symlink_dir", std::os::windows::fs::symlink_dir;
    /// Makes a link at `link` that leads to the file `original`.
    symlink_file(original, link) -> (), "fs::symlink_file", std::os::windows::fs::symlink_file;
}

/// Says what may be done with a file or folder.
///
/// # Errors
/// When the system refuses it.
///
/// # Panics
/// If it is polled outside a runtime.
///
/// # Cancel safety
/// Once it has been polled, the call is made even if the future is dropped.
///
/// # Hooks
/// A resource of kind `BLOCKING`, labelled `fs::set_permissions`, made in the first poll.
#[track_caller]
pub fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> Operation<()> {
    let path = path.as_ref().to_owned();
    request!("fs::set_permissions").call(move || std::fs::set_permissions(path, permissions))
}

/// Makes a file that holds this, over what was there.
///
/// # Errors
/// When the system refuses it; a part may then have been written.
///
/// # Panics
/// If it is polled outside a runtime.
///
/// # Cancel safety
/// Once it has been polled, the file is written even if the future is dropped.
///
/// # Hooks
/// A resource of kind `BLOCKING`, labelled `fs::write`, made in the first poll.
///
/// # Examples
/// ```
/// use forebear::fs;
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let path = std::env::temp_dir().join(format!("forebear-write-{}", std::process::id()));
/// fs::write(&path, "a line\n").await?;
/// assert_eq!(fs::read(&path).await?, b"a line\n");
/// fs::remove_file(&path).await?;
/// assert!(!fs::try_exists(&path).await?);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> Operation<()> {
    let (path, contents) = (path.as_ref().to_owned(), contents.as_ref().to_owned());
    request!("fs::write").call(move || std::fs::write(path, contents))
}
