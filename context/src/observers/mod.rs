//! Instruments that listen: ordinary hooks on the public interface, to be enabled while a program runs
//! and dropped again.
//!
//! | hook | says |
//! |---|---|
//! | [`Lives`] | how many were made and have ended, by place: what grows |
//! | [`LongPolls`] | which polls took long, whose, in which context; which have not ended yet |
//! | [`Delays`] | how long what was made, or woken, waited for a worker; who wakes itself |
//! | [`FanOut`] | who has very many children |
//! | [`KindMetrics`] | counts, gauges and histograms per kind, for Prometheus |
//! | [`FlightRecorder`] | what happened last: to read, or for Perfetto |
//!
//! What is wrong with what is alive, seen at one moment, say [`Leaks`](crate::inspect::Leaks).
//!
//! ```
//! use std::time::Duration;
//! use forebear_context::observers::LongPolls;
//! use forebear_hooks::{Kind, create_hook};
//!
//! let hook = create_hook(LongPolls::new(Duration::from_millis(10)));
//! let polls = hook.kinds([Kind::TASK, Kind::BLOCK_ON]).enable()?;
//! // …
//! for poll in polls.found().iter().chain(&polls.unfinished()) {
//!     println!("{poll}");
//! }
//! # Ok::<(), forebear_hooks::EnableError>(())
//! ```

mod names; // what resources of one place have in common
mod threads; // which thread this is
mod histogram; // how long things took
mod lives; // what is made, and what ends
mod long_polls; // what holds its thread
mod delays; // what waits for a worker
mod fan_out; // who has many children
mod metrics; // numbers for others
mod recorder; // what happened last
mod chrome; // the same, as a picture

pub use chrome::ChromeTrace;
pub use delays::{Delays, PlaceDelays};
pub use fan_out::{FanOut, ManyChildren};
pub use histogram::Spread;
pub use lives::{Lives, PlaceLives};
pub use long_polls::{LongPoll, LongPolls};
pub use metrics::KindMetrics;
pub use names::Place;
pub use recorder::{FlightRecorder, Moment, Recording, What, write_recordings};
