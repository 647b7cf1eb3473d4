//! Tests what tasks can be asked, gathered in, and told to do, in all that tokio's `task` has.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support; // runtimes of each sort, and what they leave behind
mod coop; // whose turn it is
mod fairness; // who keeps whom out
mod join_set; // many of one type
mod task_local; // values of their own
mod group; // all that descends from them
mod block_in_place; // blocking the thread
mod local; // staying on it
mod runtime; // what runs them
