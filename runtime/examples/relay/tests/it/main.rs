//! Tests the program from outside, and the bridge that it stands on from inside.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support; // begins processes, and a server to ask
mod relay; // the program
mod bridge; // what tokio's own types do on our threads
