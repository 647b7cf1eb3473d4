//! Measures forebear and its peers with the same programs.
//!
//! Each bench of this package names the [`Work`] it asks about and runs it on every [`Row`].
//! `ratios` does so for all of them in turns, and prints the table of `docs/PERFORMANCE.md`.
//! `hooks` and `context` ask what parts of forebear cost, each [`Beside`] the same without it.

mod peer; // what a program needs of a runtime
mod rows; // the runtimes, and how each is set up
mod work; // the programs
mod bench; // the same, for criterion
mod spread; // many values, summed up
mod document; // where tables are put
mod beside; // a part with and without, in turns
pub mod elsewhere; // the same, in a process of its own

pub use bench::bench;
pub use beside::{Beside, Budget, Contrast, Subject, time};
pub use rows::Row;
pub use spread::Spread;
pub use work::{Stage, Work};
