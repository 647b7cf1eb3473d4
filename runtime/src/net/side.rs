//! Is what every reader and every writer of ours is to the traits of other crates.
//!
//! `interop` implements those traits in terms of these two, once for each crate.

#![cfg_attr(not(feature = "tokio-io"), allow(dead_code, reason = "only features close so"))]

use std::io;

use crate::io::bytes::{Reads, Writes};
use crate::io::watched::Watched;
use crate::net::stream::Stream;

/// What bytes can be read from.
pub(crate) trait ReadSide {
    type Io: Reads;

    fn reader(&self) -> &Watched<Self::Io>;
}

/// What bytes can be written to.
pub(crate) trait WriteSide {
    type Io: Writes;

    fn writer(&self) -> &Watched<Self::Io>;

    /// Says to the other end that nothing more comes, where that can be said.
    fn close(&mut self) -> io::Result<()>;
}

impl<S: Stream> ReadSide for S {
    type Io = S::Io;

    fn reader(&self) -> &Watched<S::Io> {
        self.watched()
    }
}

impl<S: Stream> WriteSide for S {
    type Io = S::Io;

    fn writer(&self) -> &Watched<S::Io> {
        self.watched()
    }

    fn close(&mut self) -> io::Result<()> {
        self.close_write()
    }
}
