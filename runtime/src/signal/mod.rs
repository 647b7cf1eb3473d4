//! Waits for signals of the operating system.
//!
//! The handler of a signal writes a byte into a socket, which the driver watches like any other.

mod ctrl_c; // the one that all platforms have
pub(crate) mod listener; // hears one, and is no resource
pub mod unix; // the others

pub use ctrl_c::{CtrlC, ctrl_c};
#[doc(no_inline)]
pub use unix::{Signal, SignalKind, signal};
