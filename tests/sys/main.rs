//! Drives what stands on the blocking pool and on signals, and checks what hooks hear of it: files,
//! signals, programs.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support; // runs a test on each flavour of the runtime
mod files; // files and folders
mod signals; // signals of the system
mod processes; // programs that are begun
