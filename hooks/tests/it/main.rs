//! Tests the hooks through their public interface: one binary, one module per promise.
//!
//! Hooks are process-wide, so every test begins with [`support::alone`].

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support; // what the tests share
mod order; // who hears what, in which order, while hooks come and go
mod limits; // how many, and what contradicts itself
mod filters; // kinds, runtime, under, sample
mod attach; // hooks that come late and want everything
mod slots; // what hooks keep in resources
mod faults; // hooks that panic
mod hidden; // what hooks make themselves
mod current; // whose code is running
mod lives; // resources, futures and streams from init to destroy
mod locations; // where things were made
mod threads; // several threads, and threads that end
mod random_programs; // all of it against a model
