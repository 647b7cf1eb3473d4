//! Shows what is alive, and why: as data, as a tree, as a line of ancestors.
//!
//! A snapshot copies what the map has, without stopping anybody, and is rendered later.

pub(crate) mod context; // which values may be shown
mod snapshot; // what is alive, as data
mod text; // one resource, to read
mod tree; // all of them, under their triggers
mod ancestry; // one of them, and what it descends from

pub use ancestry::{LineageText, lineage};
pub use context::declare_field;
pub use snapshot::{ResourceInfo, Snapshot, snapshot, snapshot_of};
pub(crate) use snapshot::{count, for_each_context};
pub use tree::{Tree, tree_all, tree_of};
