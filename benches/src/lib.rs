//! Measures forebear and its peers with the same programs.
//!
//! Each bench of this package names the [`Work`] it asks about and runs it on every [`Row`].
//! `ratios` does so for all of them in turns, and prints the table of `docs/PERFORMANCE.md`.

mod watch; // what a stretch of a program takes
mod peer; // what a program needs of a runtime
mod rows; // the runtimes, and how each is set up
mod work; // the programs whose operations are timed
mod stage; // a runtime, and what a bench asks of it
mod bench; // the same, for criterion

pub use bench::bench;
pub use rows::Row;
pub use stage::Stage;
pub use watch::Took;
pub use work::Work;
