//! Shows what is alive, and why: of the current runtime, or of the process.
//!
//! From outside it is shown by the command `forebear` (of the package `forebear-inspector`): see
//! [`Builder::inspect`](crate::runtime::Builder::inspect).
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

#[cfg(all(unix, feature = "inspect"))]
pub use forebear_context::inspect::socket;
pub use forebear_context::inspect::{
    Chunks, Counting, Counts, Dot, Edge, FlowRef, FoldedStacks, Graph, JSON_VERSION, Json, Label,
    Leak, LeakKind, Leaks, LeaksJson, LineageJson, LineageText, Paint, Query, QueryError,
    ResourceInfo, ResourceJson, Site, Snapshot, Tree, TreeJson, TreeLine, TreeLines, UnknownEdge,
    WaitsFor, chunks, count, declare_field, install_panic_hook, json_text, lineage, snapshot,
    snapshot_of, text, tree_all, tree_of, wire,
};

#[cfg(all(unix, feature = "signal"))]
pub use crate::facade::on_signal::dump_on_signal;
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
