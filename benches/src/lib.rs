//! Measures forebear and its peers with the same programs.
//!
//! Each bench of this package names the [`Work`] it asks about and runs it on every [`Row`].
//! `ratios` does so for all of them in turns, and prints the table of `docs/PERFORMANCE.md`.
//! `hooks` and `context` ask what parts of forebear cost, each [`Beside`] the same without it.

mod spread; // many values, summed up
mod watch; // what a stretch of a program takes
mod peer; // what a program needs of a runtime
mod rows; // the runtimes, and how each is set up
mod work; // programs whose operations are timed
mod net; // servers, and the clients that ask them
mod late; // things that are due at a certain time
mod stage; // a runtime, and what a bench asks of it
mod question; // all that is asked, and what an answer is
mod ask; // how it is asked
mod plan; // what is asked when
mod bench; // programs shown to criterion
pub mod report; // what was answered, kept and shown
mod document; // where tables are put
mod beside; // a part with and without, in turns
pub mod elsewhere; // the same, in a process of its own

pub use ask::{Answer, Prepared, Setting, Size, resident_bytes};
pub use bench::bench;
pub use beside::{Beside, Budget, Contrast, Subject, time};
pub use late::{Extent, Late};
pub use net::{Exchange, be_crowd, be_load};
pub use plan::{WORKERS, Workers, plan};
pub use question::{Better, Figure, Question};
pub use rows::Row;
pub use spread::Spread;
pub use stage::Stage;
pub use watch::Took;
pub use work::Work;
