//! Runs foreign code whose panic must go no further.
//!
//! Destructors of values, and closures that turn a value into text, run where nobody expects them
//! to panic: inside a snapshot, or after a result was decided. The panic has been reported by then,
//! because Rust calls the panic hook before it unwinds.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `f`; returns `None` if it panicked.
pub(crate) fn quietly<R>(f: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => Some(result),
        Err(payload) => {
            // Leaked: its destructor may panic as well, and that would get out.
            std::mem::forget(payload);
            None
        }
    }
}
