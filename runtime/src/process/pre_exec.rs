//! Lets a closure run in the child before the program does.
//!
//! # Invariants
//! P1. Who calls `pre_exec` promises for the closure what std demands of it.

#![allow(unsafe_code, reason = "island: what a child does before it runs its program")]

use std::io;
use std::os::unix::process::CommandExt;

use crate::process::Command;

impl Command {
    /// Runs a closure in the child, after it has begun and before its program does.
    ///
    /// An error of the closure becomes that of [`spawn`](Command::spawn).
    ///
    /// # Safety
    /// - The closure runs in a copy of this process in which no other thread exists: it may call
    ///   only what may be called from a handler of a signal. In particular it must not allocate, nor
    ///   take a lock.
    /// - It runs again each time that this command is spawned.
    pub unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Command
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static,
    {
        // SAFETY: P1.
        unsafe { self.as_std_mut().pre_exec(f) };
        self
    }
}
