//! Measures forebear and its peers with the same programs.
//!
//! Each bench of this package names the [`Work`] it asks about and runs it on every [`Row`].
//! `ratios` does so for all of them in turns, and prints the table of `docs/PERFORMANCE.md`.

mod peer; // what a program needs of a runtime
mod rows; // the runtimes, and how each is set up
mod work; // the programs
mod bench; // the same, for criterion

pub use bench::bench;
pub use rows::Row;
pub use work::{Stage, Work};
