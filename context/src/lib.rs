//! Carries values with the work, and keeps the map of it.
//!
//! The values live in the frame of a resource, which is taken over by what the resource creates:
//! setting one copies the frame, passing it on costs a pointer. The map is a hook like any user's.
//!
//! ```
//! use forebear_context::{AsyncLocal, Snapshot};
//!
//! static USER: AsyncLocal<&str> = AsyncLocal::named("user");
//!
//! let later = USER.sync_scope("ada", || Snapshot::capture().bind_once(|()| USER.get()));
//! assert_eq!(USER.get(), None);
//! assert_eq!(later(()), Some("ada"));
//! ```
//!
//! Read the modules in this order.

#![forbid(unsafe_code)]

mod quiet; // foreign code that must not panic out
mod percent; // text that means nothing anywhere
mod scope; // a future in another frame
mod local; // one value
mod snapshot; // all values
pub mod fields; // the business context
pub mod flow; // one unit of business work
pub mod deadline; // until when
mod carried; // through a queue
mod trace_parent; // the trace of several processes
pub mod wire; // to another process
pub mod strict; // what is mostly a mistake
mod map; // what is alive, by id
pub mod tracker; // the ledger that is kept by it
mod lineage; // what is gone and not forgotten
pub mod inspect; // the same, to look at
pub mod observers; // instruments that listen
pub mod testing; // checks for tests
pub mod interop; // in other people's crates

pub use carried::{Carried, Origin};
pub use flow::id as flow_id;
pub use flow::{Flow, FlowBuilder, FlowEnd, FlowOutcome, flow, try_flow};
pub use local::{AsyncLocal, LocalGuard, NotInContext, OwnedAsyncLocal};
pub use scope::Scope;
pub use snapshot::Snapshot;
