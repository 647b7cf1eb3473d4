//! Names the runtimes that are compared, and starts each with as many threads as it is told.

mod forebear; // ours, in three settings
mod smol; // async-executor with async-io
mod smol_hyper; // and what it lacks to run hyper
mod tokio; // tokio

use crate::stage::Stage;

/// A line of the tables: a runtime, and what is switched on in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// forebear without hooks and without an id map.
    Bare,
    /// forebear as it is without a word in the builder, id map and lineage included, with one
    /// context value set.
    Default,
    /// forebear with five hooks that do nothing, and no id map.
    Hooked,
    /// tokio's multi-thread flavour.
    Tokio,
    /// async-executor, with async-io's timers and sockets.
    Smol,
}

impl Row {
    /// All rows, ours first.
    pub const ALL: [Row; 5] = [Row::Bare, Row::Default, Row::Hooked, Row::Tokio, Row::Smol];

    /// Returns the name in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Row::Bare => "bare",
            Row::Default => "default",
            Row::Hooked => "hooked",
            Row::Tokio => "tokio",
            Row::Smol => "async-executor",
        }
    }

    /// Returns the row of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Row> {
        Row::ALL.into_iter().find(|row| row.name() == name)
    }

    /// Says whether it is somebody else's.
    #[must_use]
    pub fn is_peer(self) -> bool {
        matches!(self, Row::Tokio | Row::Smol)
    }

    /// Starts the runtime. It ends when the stage is dropped.
    #[must_use]
    pub fn start(self, workers: usize) -> Box<dyn Stage> {
        match self {
            Row::Bare => Box::new(forebear::bare(workers)),
            Row::Default => Box::new(forebear::default(workers)),
            Row::Hooked => Box::new(forebear::hooked(workers)),
            Row::Tokio => Box::new(tokio::Tokio::start(workers)),
            Row::Smol => Box::new(smol::Smol::start(workers)),
        }
    }
}
