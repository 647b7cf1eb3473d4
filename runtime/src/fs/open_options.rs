//! Opens files.

use std::panic::Location;
use std::path::Path;

use crate::fs::{File, Operation};
use crate::io::request::request;

/// Says how a file is to be opened: that of std, but opening waits on the blocking pool.
///
/// # Examples
/// ```
/// use forebear::fs::OpenOptions;
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let file = OpenOptions::new().read(true).open("Cargo.toml").await?;
/// assert!(file.metadata().await?.is_file());
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions(std::fs::OpenOptions);

/// Options that std has under the same names.
macro_rules! options {
    ($($(#[$doc:meta])* $name:ident($argument:ident: $type:ty);)*) => {
        $(
            $(#[$doc])*
            pub fn $name(&mut self, $argument: $type) -> &mut OpenOptions {
                self.0.$name($argument);
                self
            }
        )*
    };
}

impl OpenOptions {
    /// Begins with options that open nothing: say for what.
    #[must_use]
    pub fn new() -> OpenOptions {
        OpenOptions(std::fs::OpenOptions::new())
    }

    options! {
        /// Says whether it can be read.
        read(read: bool);
        /// Says whether it can be written.
        write(write: bool);
        /// Says whether all that is written comes behind what is there.
        append(append: bool);
        /// Says whether what is there is to go.
        truncate(truncate: bool);
        /// Says whether it is made if it is not there.
        create(create: bool);
        /// Says whether it is made, and must not be there.
        create_new(create_new: bool);
    }

    /// Opens a file.
    ///
    /// # Errors
    /// When the system refuses it, or the options contradict each other.
    ///
    /// # Panics
    /// If it is polled outside a runtime.
    ///
    /// # Cancel safety
    /// Once it has been polled, the file is opened, and made if that is what the options say, even if
    /// the future is dropped; it is then closed.
    ///
    /// # Hooks
    /// A resource of kind `BLOCKING`, labelled `fs::File::open`, made in the first poll.
    #[track_caller]
    pub fn open(&self, path: impl AsRef<Path>) -> Operation<File> {
        let (options, path) = (self.0.clone(), path.as_ref().to_owned());
        let location = Location::caller();
        request!("fs::File::open").call(move || Ok(File::opened(options.open(path)?, location)))
    }
}

#[cfg(unix)]
impl OpenOptions {
    /// Says who may do what with a file that is made.
    pub fn mode(&mut self, mode: u32) -> &mut OpenOptions {
        std::os::unix::fs::OpenOptionsExt::mode(&mut self.0, mode);
        self
    }

    /// Passes flags of the system's own on.
    pub fn custom_flags(&mut self, flags: i32) -> &mut OpenOptions {
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut self.0, flags);
        self
    }
}

#[cfg(windows)]
mod windows {
    use std::os::windows::fs::OpenOptionsExt;

    use super::OpenOptions;

    impl OpenOptions {
        options! {
            /// Says for what it is opened, in the system's own terms.
            access_mode(access: u32);
            /// Says what others may do with it meanwhile.
            share_mode(mode: u32);
            /// Passes flags of the system's own on.
            custom_flags(flags: u32);
            /// Says which attributes a file that is made has.
            attributes(attributes: u32);
            /// Says how far a server of a pipe may act in our name.
            security_qos_flags(flags: u32);
        }
    }
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions::new()
    }
}

impl From<std::fs::OpenOptions> for OpenOptions {
    fn from(options: std::fs::OpenOptions) -> OpenOptions {
        OpenOptions(options)
    }
}
