//! Joins the runtime with the context layer: the only place of this crate that names it.
//!
//! Each side must provide `Options` with `new()`, `is_mapped()`, which says whether anybody wants to
//! know when tasks were born, and `begin(RuntimeId)`, which returns what has to be kept until the
//! runtime has ended; `rest()`, which is called when all workers have been asleep for a while;
//! `assert_quiescent(RuntimeId)`, which panics if something of a runtime that has ended is alive
//! and that can be known; `prepare()`, which runs before `#[main]`; and `creator_of(AsyncId)`, which
//! says what is known of a resource.

#[cfg(feature = "context")]
pub mod deadline; // until when, and not longer
#[cfg(feature = "context")]
pub mod inspect; // the tree of this runtime
#[cfg(all(unix, feature = "context", feature = "signal"))]
mod on_signal; // the same, to standard error
#[cfg(feature = "context")]
mod socket; // lets others look
#[cfg(feature = "context")]
mod subtree; // all that descends from one resource
#[cfg(feature = "context")]
mod with_context;
#[cfg(not(feature = "context"))]
mod without_context;

#[cfg(feature = "context")]
pub use forebear_context::{
    AsyncLocal, Carried, Flow, FlowBuilder, FlowEnd, FlowOutcome, LocalGuard, NotInContext, Origin,
    OwnedAsyncLocal, Scope, Snapshot, fields, flow, flow_id, observers, strict, testing, tracker,
    try_flow, wire,
};
#[cfg(feature = "context")]
pub use forebear_hooks::Inherit;
#[cfg(feature = "context")]
pub use subtree::{JoinSubtree, abort_subtree, join_subtree};
#[cfg(feature = "context")]
pub use with_context::Lineage;
#[cfg(feature = "context")]
pub(crate) use with_context::{Options, creator_of, creators_of_others, rest};
#[cfg(not(feature = "context"))]
pub(crate) use without_context::{Options, creator_of, rest};

#[cfg(all(feature = "context", feature = "macros"))]
pub(crate) use with_context::{assert_quiescent, prepare};
#[cfg(all(not(feature = "context"), feature = "macros"))]
pub(crate) use without_context::{assert_quiescent, prepare};
