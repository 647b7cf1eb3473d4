//! Keeps what was measured, and makes `docs/PERFORMANCE.md` of it.

mod samples; // what was measured
mod origin; // where, when, with what
mod number; // how a number is written
mod budget; // what it was to be
pub mod tables; // side by side
mod chart; // at a glance
mod document; // in its place

pub use chart::chart;
pub use document::{Rendered, render};
pub use origin::Origin;
pub use samples::{Measured, Sample, SampleFile, Samples};
