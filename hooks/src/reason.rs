//! Says how a resource came to its result, and why it ended.

/// What a resource's result is, as told by `promise_resolve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It has an output. Whether that output is an `Ok` is the program's own business.
    Ready,
    /// It panicked.
    Panicked,
    /// It was given up before it had an output.
    Cancelled,
}

/// Why a resource ended, as told by `destroy`.
///
/// | kind | ended by | reason |
/// |---|---|---|
/// | task, `block_on`, blocking job, flow, instrumented future | its output | `Completed` |
/// | | a panic in its poll or closure | `Panicked` |
/// | | `abort`, or being dropped before its output | `Cancelled` |
/// | task, blocking job | the end of its runtime | `Shutdown` |
/// | timer | its drop after it had elapsed in a poll | `Completed` |
/// | | its drop before that | `Dropped` |
/// | process | its drop after its end had been seen | `Completed` |
/// | | its drop before that | `Dropped` |
/// | interval, socket, signal | its drop | `Dropped` |
/// | instrumented stream | its end, a panic, its drop | as an instrumented future |
/// | `AsyncResource` | `emit_destroy` | `Completed` |
/// | | its drop | `Dropped` |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It did what it was for.
    Completed,
    /// It panicked.
    Panicked,
    /// It was given up by somebody before it had an output.
    Cancelled,
    /// Its owner let go of it.
    Dropped,
    /// The runtime it belonged to ended.
    Shutdown,
}

impl From<Outcome> for Reason {
    fn from(outcome: Outcome) -> Reason {
        match outcome {
            Outcome::Ready => Reason::Completed,
            Outcome::Panicked => Reason::Panicked,
            Outcome::Cancelled => Reason::Cancelled,
        }
    }
}
