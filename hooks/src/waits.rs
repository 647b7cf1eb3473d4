//! Says who waits for what, as far as an executor can tell.
//!
//! A waker that is registered with a timer, a socket or a task says who waits there. So it is known
//! of a task that has been stuck for hours, although nobody had looked before.

use std::sync::OnceLock;
use std::time::Duration;

use crate::id::AsyncId;

/// One resource that waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Who waits; `None` if the waker is not one of the executor's tasks.
    pub waiter: Option<AsyncId>,
    /// For what.
    pub on: AsyncId,
    /// For what about it.
    pub until: Until,
}

/// What about a resource is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// A task's end.
    Ended,
    /// A timer's deadline, after so long.
    Due(Duration),
    /// That it can be read from, or accepts.
    Readable,
    /// That it can be written to.
    Writable,
    /// Either of both, or something else that the system reports.
    Ready,
}

/// Shows every wait of an executor to a function that calls nothing foreign.
pub type WaitCensus = fn(&mut dyn FnMut(Wait));

static WAIT_CENSUS: OnceLock<WaitCensus> = OnceLock::new();

/// Lets the waits of an executor be found, for the life of the process. Says whether they will be:
/// there can be one such executor.
pub fn set_wait_census(census: WaitCensus) -> bool {
    WAIT_CENSUS.set(census).is_ok()
}

/// Shows every wait to `f`, which calls nothing foreign.
pub fn take_wait_census(mut f: impl FnMut(Wait)) {
    if let Some(census) = WAIT_CENSUS.get() {
        census(&mut f);
    }
}
