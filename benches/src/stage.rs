//! Shows a started runtime as one object, whichever it is, that does what a bench asks of it.

use std::io;
use std::net::SocketAddr;

use crate::late::{self, Extent, Late};
use crate::net::{self, Exchange};
use crate::peer::Network;
use crate::watch::Took;
use crate::work::{self, Work};

/// A runtime that has been started.
pub trait Stage {
    /// Runs `work` with about so many operations. Returns how many it did, and what they took.
    fn run(&self, work: Work, operations: u64) -> (u64, Took);

    /// Makes so many tasks that wait for ever. Returns when all of them do.
    fn hold(&self, tasks: u64);

    /// Makes so many tasks that wait for each other, calls `at_peak` when all do, and joins them.
    fn burst(&self, tasks: u64, at_peak: &mut dyn FnMut());

    /// Begins to serve clients, until the runtime ends. Returns where.
    ///
    /// # Errors
    /// When the system refuses a socket.
    fn serve(&self, exchange: Exchange) -> io::Result<SocketAddr>;

    /// Returns by how many nanoseconds things were late, each time.
    fn late(&self, what: Late, extent: Extent) -> Vec<f64>;
}

impl<P: Network> Stage for P {
    fn run(&self, work: Work, operations: u64) -> (u64, Took) {
        self.with_context(|| work::run(self, work, operations.max(1)))
    }

    fn hold(&self, tasks: u64) {
        self.with_context(|| work::hold(self, tasks));
    }

    fn burst(&self, tasks: u64, at_peak: &mut dyn FnMut()) {
        self.with_context(|| work::burst(self, tasks, at_peak));
    }

    fn serve(&self, exchange: Exchange) -> io::Result<SocketAddr> {
        self.with_context(|| net::serve(self, exchange))
    }

    fn late(&self, what: Late, extent: Extent) -> Vec<f64> {
        self.with_context(|| late::late(self, what, extent))
    }
}
