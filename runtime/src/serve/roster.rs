//! Knows which connections are served: how many there may be, and how all of them are told that the
//! server ends.
//!
//! # Memory ordering
//!
//! The phase is read by connections without the lock, with Relaxed: who changes it calls every
//! connection afterwards, and a wake makes what was before it visible to the poll that follows. A
//! connection that has not been polled yet cannot be woken. In its first poll it says which task is
//! its own and then looks at the phase under the lock: either the change came before, and is seen,
//! or it comes later, and finds the task.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::primitive::{AtomicU32, Mutex, Ordering};
use crate::serve::status::Status;

/// What a server has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Serving,
    /// What is being answered is answered; nothing new begins.
    Ending,
    /// Nothing is waited for any more.
    Abandoned,
}

/// The connections of one server.
pub(super) struct Roster {
    phase: AtomicU32,
    max: usize,
    state: Mutex<State>,
}

struct State {
    guests: HashMap<u64, Arc<Status>>,
    next: u64,
    /// Who waits until there are fewer: at most one task, since a server waits for room or for its
    /// end.
    waiter: Option<Waker>,
}

impl Roster {
    pub(super) fn new(max: usize) -> Roster {
        let state = State { guests: HashMap::new(), next: 0, waiter: None };
        Roster { phase: AtomicU32::new(Phase::Serving as u32), max, state: Mutex::new(state) }
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Serving,
            1 => Phase::Ending,
            _ => Phase::Abandoned,
        }
    }

    /// As [`phase`](Roster::phase), for a connection that has just become one that can be woken.
    pub(super) fn phase_at_first(&self) -> Phase {
        let _state = self.state.lock();
        self.phase()
    }

    /// Goes on to a later phase, and wakes every connection.
    pub(super) fn proceed(&self, phase: Phase) {
        let guests: Vec<Arc<Status>> = {
            let state = self.state.lock();
            if phase <= self.phase() {
                return;
            }
            self.phase.store(phase as u32, Ordering::Relaxed);
            state.guests.values().cloned().collect()
        };
        for guest in guests {
            guest.call();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().guests.len()
    }

    pub(super) fn has_room(&self) -> bool {
        self.len() < self.max
    }

    /// Waits until one more connection may be served.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_fewer_than(self.max, cx)
    }

    /// Waits until no connection is left.
    pub(super) fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_fewer_than(1, cx)
    }

    fn poll_fewer_than(&self, count: usize, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.guests.len() < count {
            return Poll::Ready(());
        }
        let before = state.waiter.replace(cx.waker().clone());
        drop(state);
        // A waker of somebody else's: not under the lock.
        drop(before);
        Poll::Pending
    }

    /// Lets a connection in.
    pub(super) fn enter(self: &Arc<Self>, status: Arc<Status>) -> Ticket {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        state.guests.insert(number, status);
        Ticket { roster: self.clone(), number }
    }
}

/// The place of a connection among those that are served, until it is dropped.
#[must_use = "the connection is served for as long as this lives"]
pub(super) struct Ticket {
    roster: Arc<Roster>,
    number: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let (guest, waiter) = {
            let State { guests, waiter, .. } = &mut *self.roster.state.lock();
            let guest = guests.remove(&self.number);
            let wanted = ROOM_MIN.max(guests.len() * 2);
            if guests.capacity() / 2 > wanted {
                guests.shrink_to(wanted);
            }
            (guest, mem::take(waiter))
        };
        drop(guest);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

/// Room for so many connections is kept, however few there are.
const ROOM_MIN: usize = 64;

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use super::{Phase, ROOM_MIN, Roster};
    use crate::serve::status::Status;

    #[test]
    fn there_is_room_as_long_as_there_are_fewer_than_may_be() {
        let roster = Arc::new(Roster::new(2));
        let cx = &mut Context::from_waker(Waker::noop());
        let first = roster.enter(Arc::default());
        assert!(roster.poll_room(cx).is_ready());
        let second = roster.enter(Arc::default());
        assert!(roster.poll_room(cx).is_pending());
        drop(first);
        assert!(roster.poll_room(cx).is_ready());
        assert!(roster.poll_empty(cx).is_pending());
        drop(second);
        assert_eq!(roster.poll_empty(cx), Poll::Ready(()));
    }

    #[test]
    fn a_phase_never_goes_back_and_calls_who_is_there() {
        let roster = Arc::new(Roster::new(2));
        let status = Arc::<Status>::default();
        let _ticket = roster.enter(status.clone());
        roster.proceed(Phase::Abandoned);
        assert!(status.take_call());
        roster.proceed(Phase::Ending);
        assert!(!status.take_call());
        assert_eq!(roster.phase(), Phase::Abandoned);
    }

    #[test]
    fn room_for_a_crowd_is_given_back_when_it_is_gone() {
        let roster = Arc::new(Roster::new(usize::MAX));
        let crowd: Vec<_> = (0..10_000).map(|_| roster.enter(Arc::default())).collect();
        assert_eq!(roster.len(), 10_000);
        drop(crowd);
        assert!(roster.state.lock().guests.capacity() <= 2 * ROOM_MIN);
    }
}
