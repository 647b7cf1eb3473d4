//! Shows what is alive, and why: of the current runtime, or of the process.
//!
//! ```
//! use forebear::inspect;
//!
//! # forebear::runtime::Runtime::new()?.block_on(async {
//! let waiting = forebear::task::Builder::new().name("waits").spawn(std::future::pending::<()>());
//! assert!(inspect::tree().to_string().contains("task waits"));
//! # waiting.abort();
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

pub use forebear_context::inspect::{
    LineageText, ResourceInfo, Snapshot, Tree, declare_field, lineage, snapshot, snapshot_of,
    tree_all, tree_of,
};

use crate::handle::Handle;

/// Takes a snapshot of the current runtime, as a tree.
///
/// # Panics
/// Outside a runtime; [`tree_all`] shows the process from anywhere.
#[track_caller]
#[must_use]
pub fn tree() -> Tree {
    tree_of(Handle::current().id())
}
