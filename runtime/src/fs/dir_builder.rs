//! Makes folders.

use std::path::Path;

use crate::fs::Operation;
use crate::io::request::request;

/// Says how a folder is to be made.
///
/// # Examples
/// ```
/// use forebear::fs::DirBuilder;
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// // It is there already, which is no error of a recursive builder.
/// DirBuilder::new().recursive(true).create("src").await
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct DirBuilder {
    is_recursive: bool,
    /// Of Unix.
    mode: Option<u32>,
}

impl DirBuilder {
    /// Begins with a folder whose parent must be there.
    #[must_use]
    pub fn new() -> DirBuilder {
        DirBuilder::default()
    }

    /// Says whether parents that are missing are made, too. Then it is no error if the folder is
    /// there already.
    pub fn recursive(&mut self, recursive: bool) -> &mut DirBuilder {
        self.is_recursive = recursive;
        self
    }

    /// Says who may do what with it.
    #[cfg(unix)]
    pub fn mode(&mut self, mode: u32) -> &mut DirBuilder {
        self.mode = Some(mode);
        self
    }

    /// Makes the folder.
    ///
    /// # Errors
    /// When the system refuses it.
    ///
    /// # Panics
    /// If it is polled outside a runtime.
    ///
    /// # Cancel safety
    /// Once it has been polled, the folder is made even if the future is dropped.
    ///
    /// # Hooks
    /// A resource of kind `BLOCKING`, labelled `fs::DirBuilder::create`, made in the first poll.
    #[track_caller]
    pub fn create(&self, path: impl AsRef<Path>) -> Operation<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(self.is_recursive);
        if let Some(mode) = self.mode {
            set_mode(&mut builder, mode);
        }
        let path = path.as_ref().to_owned();
        request!("fs::DirBuilder::create").call(move || builder.create(path))
    }
}

#[cfg(unix)]
fn set_mode(builder: &mut std::fs::DirBuilder, mode: u32) {
    std::os::unix::fs::DirBuilderExt::mode(builder, mode);
}

#[cfg(not(unix))]
fn set_mode(_builder: &mut std::fs::DirBuilder, _mode: u32) {
    unreachable!("only Unix has modes")
}
