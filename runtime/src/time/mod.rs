//! Sleeps, deadlines and ticks, precise to a fraction of a millisecond.
//!
//! No sleep ends early. A timer is registered when it is first polled, in the wheel of the worker
//! that polls it, and taken out when it is dropped.

mod instant; // points in time, by a clock that tests can stop
mod entry; // what waits for them
mod sleep; // waits until one
mod timeout; // waits for a future, but not longer
mod interval; // waits again and again

pub use std::time::Duration;

pub use instant::{Instant, advance, pause, resume};
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Timeout, timeout, timeout_at};

/// Errors of timers.
pub mod error {
    pub use super::timeout::Elapsed;
}

/// How far ahead a deadline is put that was meant to be never: 30 years.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
