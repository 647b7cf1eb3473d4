//! An async runtime in which every task, timer and socket knows its forebears.
//!
//! ```
//! use forebear::runtime::Runtime;
//! use forebear::time::{Duration, sleep};
//!
//! let runtime = Runtime::new()?;
//! let answer = runtime.block_on(async {
//!     let shipped = forebear::spawn(async {
//!         sleep(Duration::from_millis(1)).await;
//!         "shipped"
//!     });
//!     shipped.await
//! });
//! assert_eq!(answer?, "shipped");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With the feature `macros` the function itself can be asynchronous:
//!
//! ```
//! # #[cfg(feature = "macros")]
//! #[forebear::main]
//! async fn main() -> Result<(), forebear::task::JoinError> {
//!     let answer = forebear::spawn(async { 6 * 7 });
//!     assert_eq!(answer.await?, 42);
//!     Ok(())
//! }
//! # #[cfg(not(feature = "macros"))]
//! # fn main() {}
//! ```
//!
//! Names and habits are tokio's, hooks and their events are those of Node's `async_hooks`, and the
//! engine is its own. What a resource is, what its five events are, and how to listen to them, is
//! told in [`hooks`].
//!
//! Read the modules in this order: it is the life of a task.

pub use forebear_hooks as hooks; // ids, events, hooks: the floor below

mod primitive; // real atomics, or modelled ones
mod asymmetric; // a fence that costs one side next to nothing
mod config; // every knob
mod spawn; // a future becomes a task
mod resident; // where it lies, and is found
pub mod task; // what a task is
mod queue; // where it waits
mod scheduler; // who runs it
mod park; // how a thread sleeps
mod driver; // what wakes it from outside
mod bridge; // whether tokio's is, too
mod enter; // which runtime is at hand
mod blocking; // where it may block
mod handle; // how it is reached
mod builder; // what it is to be like
pub mod runtime; // who owns the threads
mod local_runtime; // and who stays on one
mod metrics; // what it is doing, in numbers
mod waits; // and who waits for what

pub mod time; // sleeps, deadlines, ticks
pub mod io; // readers and writers, and what is ready
pub mod net; // sockets
#[cfg(feature = "fs")]
pub mod fs; // files and folders
#[cfg(all(unix, feature = "signal"))]
pub mod signal; // signals of the operating system
#[cfg(all(unix, feature = "process"))]
pub mod process; // other programs
pub mod interop; // other people's traits
#[cfg(feature = "serve")]
pub mod serve; // HTTP
mod facade; // the context layer, joined
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod entry; // what `#[main]` and `#[test]` call

#[cfg(feature = "context")]
pub use facade::{
    AsyncLocal, Carried, Flow, FlowBuilder, FlowEnd, FlowOutcome, Inherit, Lineage, LocalGuard,
    NotInContext, Origin, OwnedAsyncLocal, Scope, Snapshot, deadline, fields, flow, flow_id,
    inspect, observers, strict, testing, tracker, try_flow, wire,
};
#[cfg(feature = "context")]
pub use forebear_context as context;
#[cfg(feature = "macros")]
pub use forebear_macros::{main, test};
#[cfg(feature = "serve")]
pub use serve::serve;
pub use spawn::{spawn, spawn_root};
#[cfg(feature = "tokio-io")]
pub use tokio::pin;
#[cfg(feature = "sync")]
pub use tokio::sync;
#[cfg(feature = "macros")]
pub use tokio::{join, select, try_join};
