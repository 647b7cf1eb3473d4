//! Shows the context where other people's crates look: in logs, reports of errors, traces, queries.
//!
//! Each module is a feature, so that nobody builds what he does not use. All of them read from one
//! source, the [`fields`](crate::fields) as they may leave the process.

#[cfg(any(feature = "log", feature = "sentry", feature = "tracing"))]
mod shape; // under which names, in which order
#[cfg(feature = "http")]
pub mod http; // requests as flows
#[cfg(feature = "log")]
pub mod log; // records of `log`
#[cfg(feature = "sentry")]
pub mod sentry; // reports of errors
#[cfg(feature = "sql")]
pub mod sql; // comments in statements
#[cfg(feature = "tracing")]
pub mod tracing; // events and spans of `tracing`

#[cfg(any(feature = "log", feature = "sentry", feature = "tracing"))]
pub use shape::Shape;
