//! Is what the parts of one connection know of each other: how many requests are being answered,
//! whether more bytes have come, and that it has to look up.
//!
//! The parts are the connection's task, its socket, and each request with its answer, which over
//! HTTP/2 are tasks of their own.
//!
//! # Memory ordering
//!
//! Everything is Relaxed. Over HTTP/1 all of it happens in one task; over HTTP/2 a count that is seen
//! late is seen at the next tick of the connection's timer. A call is made visible by the wake that
//! comes with it.

use std::io;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Wake, Waker};

use crate::primitive::{AtomicBool, AtomicU64, Ordering};

#[derive(Default)]
pub(super) struct Status {
    /// The requests that came so far, above; below [`REQUEST`], those whose answers are not all
    /// written.
    traffic: AtomicU64,
    /// Bytes have come since the last request came or was answered.
    has_bytes: AtomicBool,
    /// The peer has taken nothing of an answer for too long.
    is_stalled: AtomicBool,
    /// The connection has to look at its timer and at the phase of the server.
    is_called: AtomicBool,
    /// The connection's task, once it has been polled.
    task: OnceLock<Waker>,
}

const REQUEST: u64 = 1 << 32;

/// How many requests there were and are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Traffic(u64);

impl Traffic {
    /// So many answers are not all written.
    pub(super) fn in_flight(self) -> u32 {
        (self.0 % REQUEST) as u32
    }

    /// So many requests came, modulo 2³².
    pub(super) fn requests(self) -> u32 {
        (self.0 / REQUEST) as u32
    }
}

impl Status {
    pub(super) fn traffic(&self) -> Traffic {
        Traffic(self.traffic.load(Ordering::Relaxed))
    }

    pub(super) fn note_bytes(&self) {
        self.has_bytes.store(true, Ordering::Relaxed);
    }

    pub(super) fn forget_bytes(&self) {
        self.has_bytes.store(false, Ordering::Relaxed);
    }

    pub(super) fn has_bytes(&self) -> bool {
        self.has_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn note_stall(&self) {
        self.is_stalled.store(true, Ordering::Relaxed);
    }

    /// Notes it if the system has given the peer up.
    pub(super) fn judge<R>(&self, done: io::Result<R>) -> io::Result<R> {
        if done.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            self.note_stall();
        }
        done
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.is_stalled.load(Ordering::Relaxed)
    }

    /// A request has come; it is being answered until what this returns is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.traffic.fetch_add(REQUEST + 1, Ordering::Relaxed);
        self.forget_bytes();
        InFlight(self.clone())
    }

    /// Lets the connection look up.
    pub(super) fn call(&self) {
        self.is_called.store(true, Ordering::Relaxed);
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }

    /// Says whether it was called since it was last asked.
    pub(super) fn take_call(&self) -> bool {
        self.is_called.load(Ordering::Relaxed) && self.is_called.swap(false, Ordering::Relaxed)
    }

    /// Notes which task is the connection's, which then has to look up, called or not.
    pub(super) fn belongs_to(&self, cx: &Context<'_>) {
        self.task.get_or_init(|| cx.waker().clone());
    }
}

/// What a timer wakes in place of the task, so that the timer is polled only when it has fired.
impl Wake for Status {
    fn wake(self: Arc<Self>) {
        self.call();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.call();
    }
}

/// A request that is being answered.
pub(super) struct InFlight(Arc<Status>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.traffic.fetch_sub(1, Ordering::Relaxed);
        // What came while it was answered is no sign that the next head has begun.
        self.0.forget_bytes();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::Status;

    #[test]
    fn requests_are_counted_and_so_are_those_in_flight() {
        let status = Arc::<Status>::default();
        let check = |requests, in_flight| {
            let traffic = status.traffic();
            assert_eq!((traffic.requests(), traffic.in_flight()), (requests, in_flight));
        };
        check(0, 0);
        let first = status.begin();
        let second = status.begin();
        check(2, 2);
        drop(first);
        check(2, 1);
        drop(second);
        check(2, 0);
    }
}
