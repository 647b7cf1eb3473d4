//! Waits for the world outside: sockets, timers, and threads that want a sleeper's attention.
//!
//! There is one driver per runtime, and whoever has nothing else to do holds it: it sleeps in
//! [`Driver::turn`], and lets go of it before it runs a task. What happens outside is turned into
//! wakes, with no resource current; the driver emits nothing. The pair of a socket or a timer
//! comes from the poll of whoever owns it.

mod sys; // what differs between platforms
mod clock; // what time it is
mod readiness; // what one source is ready for
pub(crate) mod reactor; // which sources there are
pub(crate) mod timers; // which wakers are due when
mod sleeper; // who must not sleep through that
mod wheel; // how they are kept

pub(crate) use clock::Clock;
pub(crate) use reactor::{Attempt, Registration, Watch};
pub(crate) use readiness::{Seen, Waiter};
pub(crate) use sys::STREAM_INTEREST;

use std::io;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::primitive::{AtomicU64, Ordering};
use crate::task::waker::wake_foreign;
use reactor::Reactor;
use timers::Timers;

/// The end that sleeps.
pub(crate) struct Driver {
    poll: mio::Poll,
    events: mio::Events,
}

/// The end that everybody has.
pub(crate) struct Handle {
    pub(crate) reactor: Reactor,
    pub(crate) timers: Timers,
    waker: mio::Waker,
    /// When a busy worker last took a glance, in nanoseconds since `start`. Relaxed: two that look at
    /// once do no harm.
    last_glance_ns: AtomicU64,
    start: Instant,
}

/// Busy workers take a glance at sockets so often at most: it is a system call, which costs as much
/// as ten small polls, and the workers make it for each other. A wait of this length is lost in
/// what a network takes.
const GLANCE_INTERVAL_NS: u64 = 50_000;

/// Whether a turn may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Only take what is there.
    Glance,
    /// Wait for something, or for [`Handle::wake`].
    Sleep,
}

/// Makes both ends. `workers` is how many will have timers of their own; of `events` at most so
/// many are taken from the system at once.
pub(crate) fn new(workers: usize, events: usize) -> io::Result<(Driver, Handle)> {
    let poll = mio::Poll::new()?;
    let registry = poll.registry();
    let waker = mio::Waker::new(registry, reactor::WAKE)?;
    let timers = Timers::new(workers, registry)?;
    let reactor = Reactor::new(registry.try_clone()?);
    let events = mio::Events::with_capacity(events);
    let (last_glance_ns, start) = (AtomicU64::new(0), Instant::now());
    Ok((Driver { poll, events }, Handle { reactor, timers, waker, last_glance_ns, start }))
}

impl Driver {
    /// Takes what has happened to sockets, sleeping until something does if it may. Whom it
    /// concerns is added to `wakers`: to be woken when the driver is free again.
    pub(crate) fn turn(&mut self, handle: &Handle, turn: Turn, wakers: &mut Vec<Waker>) {
        let timeout = match turn {
            Turn::Glance => Some(Duration::ZERO),
            Turn::Sleep => handle.timers.begin_sleep(),
        };
        let polled = self.poll.poll(&mut self.events, timeout);
        if turn == Turn::Sleep {
            handle.timers.end_sleep();
        }
        match polled {
            Ok(()) => handle.reactor.dispatch(&self.events, wakers),
            // A signal came; whatever it was for, the next turn sees it.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => panic!("the system refuses to report events: {error}"),
        }
    }
}

impl Handle {
    /// Wakes whom a turn found, and whoever's timer is due. Foreign code runs here: the caller
    /// holds no lock.
    pub(crate) fn wake_all(&self, wakers: &mut Vec<Waker>) {
        wakers.drain(..).for_each(wake_foreign);
        self.timers.fire(wakers);
    }

    /// Says whether a busy worker should see what has happened to sockets.
    pub(crate) fn is_worth_a_glance(&self) -> bool {
        if !self.reactor.has_sources() {
            return false;
        }
        let now_ns = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let last_ns = self.last_glance_ns.load(Ordering::Relaxed);
        let is_time = now_ns.saturating_sub(last_ns) >= GLANCE_INTERVAL_NS;
        if is_time {
            self.last_glance_ns.store(now_ns, Ordering::Relaxed);
        }
        is_time
    }

    /// Ends the sleep of whoever is, or soon will be, in [`Driver::turn`].
    pub(crate) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            panic!("the system refuses to wake the driver: {error}");
        }
    }
}
