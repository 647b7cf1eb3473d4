//! Lets crates that were written for other runtimes run on this one.

#[cfg(feature = "hyper")]
pub mod hyper; // hyper's executor, timers, and I/O traits
#[cfg(feature = "tokio-io")]
mod tokio_io; // tokio's I/O traits
