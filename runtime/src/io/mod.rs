//! What sources of input and output are ready for, and what they have in common.

mod interest; // what a source is waited for
mod ready; // what it is ready for
pub(crate) mod wait; // waits for a source that is only borrowed
pub(crate) mod watched; // a source that is watched, and is a resource
pub(crate) mod bytes; // those that bytes flow through
#[cfg_attr(not(feature = "io-util"), allow(dead_code, reason = "only features read so"))]
pub(crate) mod filling; // reads to room that holds nothing yet
#[cfg_attr(not(feature = "tokio-io"), allow(dead_code, reason = "only features read so"))]
pub(crate) mod room; // such room
#[cfg(unix)]
mod async_fd; // any descriptor

pub use interest::Interest;
pub use ready::Ready;

/// What there is on Unix only.
#[cfg(unix)]
pub mod unix {
    pub use super::async_fd::{
        AsyncFd, AsyncFdReadyGuard, AsyncFdReadyMutGuard, AsyncFdRegisterError, TryIoError,
    };

    #[doc(hidden)]
    #[expect(deprecated, reason = "an old name of tokio's")]
    pub use super::async_fd::AsyncFdTryNewError;
}
