//! Defines what a task is: one allocation, whose header is the same for all.
//!
//! | field        | touched by                                          | when                         |
//! |--------------|-----------------------------------------------------|------------------------------|
//! | `state`      | everybody                                           | always: it is atomic         |
//! | `life`       | the spawner, then whoever runs the task             | until `destroy`              |
//! | `stage`      | whoever runs the task, then the join handle         | the output changes hands     |
//! | `join_waker` | the join handle, or the finisher                    | as the state says            |
//!
//! A task is run by whoever holds it `RUNNING`; abort and the end of a runtime go through a queue
//! like any wake, so nobody else is ever inside a task. It ends (`destroy`) when it is complete;
//! its memory goes with the last reference, which may be much later.

pub(crate) mod state; // what may be done with it
pub(crate) mod cell; // its layout
pub(crate) mod waker; // how it is woken
pub(crate) mod poll; // how it is run
pub mod coop; // whose turn it is, and for how long
pub(crate) mod unhandled; // who hears of a panic that nobody waits for
mod error; // why it has no output
mod join; // who waits for it
mod builder; // what can be said about it before it begins
pub(crate) mod local_queue; // where those wait that stay on one thread
pub(crate) mod local_set; // who runs them
mod blocking; // how it may block where it is
pub(crate) mod family; // what descends from it, if somebody asks
mod group; // many of them, with all that descends from them
mod id; // which one it is
mod task_local; // values of its own
pub mod join_set; // many of them, of one type
pub(crate) mod yielding; // how it lets others go first

#[cfg(feature = "context")]
pub use crate::facade::{JoinSubtree, abort_subtree, join_subtree};
pub use crate::hooks::AsyncId as Id;
pub use crate::spawn::{spawn, spawn_blocking, spawn_root};
pub use blocking::block_in_place;
pub use builder::Builder;
pub use coop::{Unconstrained, consume_budget, unconstrained};
pub use error::JoinError;
pub use group::TaskGroup;
pub use id::{id, try_id};
pub use join::{AbortHandle, JoinHandle};
pub use join_set::JoinSet;
pub use local_set::{LocalEnterGuard, LocalSet, RunUntil, spawn_local};
pub use task_local::{AccessError, LocalKey};
pub use unhandled::UnhandledPanic;
pub use yielding::{YieldNow, yield_now};

/// Futures that have a name.
pub mod futures {
    pub use super::coop::ConsumeBudget;
    pub use super::task_local::TaskLocalFuture;
}
