//! Keeps what was measured, and makes `docs/PERFORMANCE.md` of it.

mod samples; // what was measured
mod origin; // where, when, with what
mod number; // how a number is written
mod budget; // what it was to be
pub mod tables; // side by side

pub use origin::Origin;
pub use samples::{Measured, Sample, SampleFile, Samples};
