//! Knows whether threads of a runtime are on a bridge to tokio's as well.
//!
//! Each side must provide `begin()`, which is called before a runtime starts; `Crossing`, a guard of
//! one thread; and `enter(&Config)`, which makes one.

#[cfg(not(feature = "tokio-bridge"))]
mod absent;
#[cfg(feature = "tokio-bridge")]
pub mod present;

#[cfg(not(feature = "tokio-bridge"))]
pub(crate) use absent::{Crossing, begin, enter};
#[cfg(feature = "tokio-bridge")]
pub(crate) use present::{Crossing, begin, enter};
