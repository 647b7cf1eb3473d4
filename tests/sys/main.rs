//! Drives what stands on the blocking pool and on signals, and checks what hooks hear of it: files.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support; // runs a test on each flavour of the runtime
mod files; // files and folders
