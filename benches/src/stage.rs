//! Shows a started runtime as one object, whichever it is, that does what a bench asks of it.

use crate::peer::Peer;
use crate::watch::Took;
use crate::work::{self, Work};

/// A runtime that has been started and runs programs.
pub trait Stage {
    /// Runs `work` with about so many operations. Returns how many it did, and what they took.
    fn run(&self, work: Work, operations: u64) -> (u64, Took);

    /// Makes so many tasks that wait for ever. Returns when all of them do.
    fn hold(&self, tasks: u64);
}

impl<P: Peer> Stage for P {
    fn run(&self, work: Work, operations: u64) -> (u64, Took) {
        self.with_context(|| work::run(self, work, operations.max(1)))
    }

    fn hold(&self, tasks: u64) {
        self.with_context(|| work::hold(self, tasks));
    }
}
