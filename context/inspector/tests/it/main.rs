//! Drives the command against real services in other processes: the example `planted`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support; // starts both
mod shows; // what is shown of a service
mod wedged; // of one that is stuck
mod leaks; // of one that leaks
#[cfg(feature = "tmux")]
mod watch; // what a terminal shows
mod page; // what the page is served
mod hostile; // clients and services that behave badly
