//! Shows what is alive, and why: as data, as a tree, as a line of ancestors.
//!
//! A snapshot copies what is known, without stopping or polling anybody, and is rendered later: as
//! text, as JSON, for Graphviz, for flame graphs. A [`Query`] picks, an [`Edge`] says along what a
//! tree is drawn.

mod label; // texts that are copied for nothing
pub(crate) mod context; // which values may be shown
mod counts; // polls and times, while somebody wants them
mod resource; // what is known of one resource
mod snapshot; // what is alive, as data
mod graph; // who stands under whom, along three edges
mod shape; // what looks the same
mod query; // which are wanted
mod paint; // colours for terminals
pub mod text; // one resource, to read
mod tree; // all of them, under their triggers
mod ancestry; // one of them, and what it descends from
mod leaks; // what has no use any more and is still there
mod json; // for programs
mod dot; // for Graphviz and flame graphs
mod panic; // for who panics
pub mod wire; // for another process
#[cfg(all(unix, feature = "socket"))]
pub mod socket; // where that connects

pub use ancestry::{LineageText, lineage};
pub use context::declare_field;
pub use counts::{Counting, Counts, count};
pub use dot::{Dot, FoldedStacks};
pub use graph::{Edge, Graph, UnknownEdge};
pub use json::{JSON_VERSION, Json, LeaksJson, LineageJson, ResourceJson, TreeJson, json_text};
pub use label::{Label, Site};
pub use leaks::{Leak, LeakKind, Leaks};
pub use paint::Paint;
pub use panic::install_panic_hook;
pub use query::{Query, QueryError};
pub use resource::{FlowRef, ResourceInfo, WaitsFor};
pub use snapshot::{Chunks, Snapshot, chunks, snapshot, snapshot_of};
pub(crate) use snapshot::{count_alive, for_each_context};
pub use tree::{Tree, TreeLine, TreeLines, tree_all, tree_of};
