//! Remembers what one source is ready for, and who waits for that.
//!
//! The system reports edges: once for each time a source becomes ready. So readiness stays noted
//! until an operation has found that there is nothing more (`WouldBlock`); then it is cleared,
//! unless a newer edge came meanwhile, which the tick tells.
//!
//! # Memory ordering
//!
//! The word is Acquire and Release only to be prompt; what the system did is seen through system
//! calls. No wake is lost because of the lock around the waiters: the driver notes the readiness
//! and then takes the waiters under the lock; a waiter enters itself under the lock and then looks
//! at the readiness again.

use std::task::{Context, Poll, Waker};

use crate::primitive::{AtomicU32, Mutex, Ordering};
use crate::task::waker::drop_foreign;

/// The two things that a socket can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

const READABLE: u32 = 1;
const WRITABLE: u32 = 1 << 1;
const READ_CLOSED: u32 = 1 << 2;
const WRITE_CLOSED: u32 = 1 << 3;
const ERROR: u32 = 1 << 4;
/// The runtime is gone: nothing will be reported any more.
const SHUTDOWN: u32 = 1 << 5;
const READY: u32 = TICK_ONE - 1;
const TICK_ONE: u32 = 1 << 6;

impl Direction {
    fn mask(self) -> u32 {
        let closed = match self {
            Direction::Read => READABLE | READ_CLOSED,
            Direction::Write => WRITABLE | WRITE_CLOSED,
        };
        closed | ERROR | SHUTDOWN
    }

    /// What an operation that would block disproves. What is closed stays closed.
    fn clearable(self) -> u32 {
        match self {
            Direction::Read => READABLE,
            Direction::Write => WRITABLE,
        }
    }
}

pub(crate) struct Source {
    word: AtomicU32,
    waiters: Mutex<Waiters>,
    /// Its name in the reactor.
    pub(super) token: mio::Token,
}

#[derive(Default)]
struct Waiters {
    /// Those of `poll_read` and `poll_write`, of which there is one each.
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Those of futures that borrow the socket, of which there are any number.
    others: Vec<Other>,
    next_id: u64,
}

struct Other {
    id: u64,
    direction: Direction,
    waker: Waker,
}

/// Names a future that waits for a source. It must be given back with [`Source::leave`].
#[derive(Debug, Default)]
pub(crate) struct Waiter(Option<u64>);

/// What a source was ready for when it was looked at.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) struct Ready {
    word: u32,
    direction: Direction,
}

impl Ready {
    pub(crate) fn is_shutdown(self) -> bool {
        self.word & SHUTDOWN != 0
    }
}

impl Source {
    pub(super) fn new(token: mio::Token) -> Source {
        Source { word: AtomicU32::new(0), waiters: Mutex::default(), token }
    }

    fn look(&self, direction: Direction) -> Option<Ready> {
        let word = self.word.load(Ordering::Acquire);
        (word & direction.mask() != 0).then_some(Ready { word, direction })
    }

    /// Waits until the source is ready: for `waiter`, or as the one reader or writer.
    pub(crate) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        waiter: Option<&mut Waiter>,
    ) -> Poll<Ready> {
        if let Some(ready) = self.look(direction) {
            return Poll::Ready(ready);
        }
        // Cloned and dropped outside of the lock: it is foreign code.
        let waker = cx.waker().clone();
        let mut waiters = self.waiters.lock();
        let left = match waiter {
            Some(waiter) => waiters.enter(waiter, direction, waker),
            None => waiters.enter_one(direction, waker),
        };
        drop(waiters);
        drop_foreign(left);
        match self.look(direction) {
            Some(ready) => Poll::Ready(ready),
            None => Poll::Pending,
        }
    }

    /// Notes that an operation found nothing more to do.
    pub(crate) fn clear(&self, seen: Ready) {
        let mut now = seen.word;
        // A newer edge has another tick: then what was seen is no longer what is there.
        while now / TICK_ONE == seen.word / TICK_ONE {
            let next = now & !seen.direction.clearable();
            let swapped =
                self.word.compare_exchange(now, next, Ordering::AcqRel, Ordering::Acquire);
            match swapped {
                Ok(_) => return,
                Err(found) => now = found,
            }
        }
    }

    /// Forgets a waiter.
    pub(crate) fn leave(&self, waiter: &mut Waiter) {
        if let Some(id) = waiter.0.take() {
            let mut waiters = self.waiters.lock();
            let place = waiters.others.iter().position(|other| other.id == id);
            let left = place.map(|place| waiters.others.swap_remove(place));
            drop(waiters);
            drop_foreign(left.map(|other| other.waker));
        }
    }

    /// Notes what the system reported, and takes those whom it concerns.
    pub(super) fn report(&self, event: &mio::event::Event, wakers: &mut Vec<Waker>) {
        let flags = [
            (event.is_readable(), READABLE),
            (event.is_writable(), WRITABLE),
            (event.is_read_closed(), READ_CLOSED),
            (event.is_write_closed(), WRITE_CLOSED),
            (event.is_error(), ERROR),
        ];
        let ready = flags.iter().filter(|(is_set, _)| *is_set).fold(0, |all, (_, flag)| all | flag);
        self.note(ready, wakers);
    }

    pub(super) fn shut_down(&self, wakers: &mut Vec<Waker>) {
        self.note(SHUTDOWN, wakers);
    }

    fn note(&self, ready: u32, wakers: &mut Vec<Waker>) {
        let add =
            |word: u32| Some(((word & !READY).wrapping_add(TICK_ONE)) | (word & READY) | ready);
        // It always writes, so it cannot fail.
        let _ = self.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, add);
        let mut waiters = self.waiters.lock();
        if ready & Direction::Read.mask() != 0 {
            wakers.extend(waiters.reader.take());
        }
        if ready & Direction::Write.mask() != 0 {
            wakers.extend(waiters.writer.take());
        }
        let mut place = 0;
        while place < waiters.others.len() {
            if ready & waiters.others[place].direction.mask() != 0 {
                wakers.push(waiters.others.swap_remove(place).waker);
            } else {
                place += 1;
            }
        }
    }
}

/// Both return the waker that is of no use any more.
impl Waiters {
    fn enter_one(&mut self, direction: Direction, waker: Waker) -> Option<Waker> {
        let place = match direction {
            Direction::Read => &mut self.reader,
            Direction::Write => &mut self.writer,
        };
        place.replace(waker)
    }

    fn enter(&mut self, waiter: &mut Waiter, direction: Direction, waker: Waker) -> Option<Waker> {
        let known = waiter.0.and_then(|id| self.others.iter_mut().find(|other| other.id == id));
        if let Some(other) = known {
            return Some(std::mem::replace(&mut other.waker, waker));
        }
        let id = self.next_id;
        self.next_id += 1;
        self.others.push(Other { id, direction, waker });
        waiter.0 = Some(id);
        None
    }
}
