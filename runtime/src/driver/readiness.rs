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
//! at the readiness again. A loom model holds that, and that no edge is cleared away.

use std::task::{Context, Poll, Waker};

use crate::driver::reactor::Watch;
use crate::hooks::AsyncId;
use crate::hooks::waits::{Until, Wait};
use crate::io::{Interest, Ready};
use crate::primitive::{AtomicU32, AtomicU64, Mutex, Ordering};
use crate::task::waker::{self, drop_foreign};

/// The runtime is gone: nothing will be reported any more. The bits below are those of [`Ready`].
const SHUTDOWN: u32 = 1 << 6;
const TICK_ONE: u32 = 1 << 7;
/// Everything but the tick.
const FLAGS: u32 = TICK_ONE - 1;

// The bits of `Ready` are all below.
const _: () = assert!((Ready::ALL.bits() as u32) < SHUTDOWN);

pub(crate) struct Source {
    word: AtomicU32,
    /// What of the system's reports is noted.
    noted: Ready,
    waiters: Mutex<Waiters>,
    /// The number of the resource that it is, 0 while that is not known. Relaxed: for whoever looks.
    id: AtomicU64,
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
    interest: Interest,
    waker: Waker,
}

/// Names a future that waits for a source. It must be given back with [`Source::leave`].
#[derive(Debug, Default)]
pub(crate) struct Waiter(Option<u64>);

/// What a source was ready for when it was looked at.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) struct Seen {
    word: u32,
    /// What was asked about.
    asked: Ready,
}

impl Seen {
    pub(crate) fn is_shutdown(self) -> bool {
        self.word & SHUTDOWN != 0
    }

    /// What it is ready for, of what was asked about.
    pub(crate) fn ready(self) -> Ready {
        self.all() & self.asked
    }

    /// Everything that it is ready for.
    pub(crate) fn all(self) -> Ready {
        Ready::from_bits(self.word)
    }

    /// The same, without this.
    pub(crate) fn without(self, ready: Ready) -> Seen {
        Seen { word: self.word, asked: self.asked - ready }
    }

    fn is_any(self) -> bool {
        self.is_shutdown() || !self.ready().is_empty()
    }
}

impl Source {
    pub(super) fn new(token: mio::Token, watch: Watch) -> Source {
        let word = AtomicU32::new(u32::from(watch.assumed.bits()));
        Source { word, noted: watch.noted, waiters: Mutex::default(), id: AtomicU64::new(0), token }
    }

    /// Says which resource it is.
    pub(super) fn belong_to(&self, id: AsyncId) {
        self.id.store(id.get(), Ordering::Relaxed);
    }

    /// Adds to `found` who waits for it, if it is known which resource it is.
    pub(super) fn add_waits(&self, found: &mut Vec<Wait>) {
        let Some(on) = AsyncId::from_u64(self.id.load(Ordering::Relaxed)) else { return };
        let waiters = self.waiters.lock();
        let others = waiters.others.iter().map(|other| (until(other.interest), &other.waker));
        let reader = waiters.reader.iter().map(|waker| (Until::Readable, waker));
        let writer = waiters.writer.iter().map(|waker| (Until::Writable, waker));
        found.extend(reader.chain(writer).chain(others).map(|(until, waker)| Wait {
            waiter: waker::id_of(waker),
            on,
            until,
        }));
    }

    /// Says what the source is ready for, if it is.
    pub(super) fn look(&self, interest: Interest) -> Option<Seen> {
        let word = self.word.load(Ordering::Acquire);
        Some(Seen { word, asked: interest.mask() }).filter(|seen| seen.is_any())
    }

    /// Waits until the source is ready: for `waiter`, or as the one reader or writer.
    pub(crate) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        waiter: Option<&mut Waiter>,
    ) -> Poll<Seen> {
        if let Some(seen) = self.look(interest) {
            return Poll::Ready(seen);
        }
        // Cloned and dropped outside of the lock: it is foreign code.
        let waker = cx.waker().clone();
        let mut waiters = self.waiters.lock();
        let left = match waiter {
            Some(waiter) => waiters.enter(waiter, interest, waker),
            None => waiters.enter_one(interest, waker),
        };
        drop(waiters);
        drop_foreign(left);
        match self.look(interest) {
            Some(seen) => Poll::Ready(seen),
            None => Poll::Pending,
        }
    }

    /// Notes that an operation found nothing more to do. What is closed stays closed.
    pub(crate) fn clear(&self, seen: Seen) {
        self.clear_of(seen, seen.asked);
    }

    /// Notes that the source is not ready for this any more. What is closed stays closed.
    pub(crate) fn clear_of(&self, seen: Seen, ready: Ready) {
        let cleared = u32::from((ready - Ready::CLOSED).bits());
        let mut now = seen.word;
        // A newer edge has another tick: then what was seen is no longer what is there.
        while now / TICK_ONE == seen.word / TICK_ONE {
            let next = now & !cleared;
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
        self.note(u32::from((Ready::reported(event) & self.noted).bits()), wakers);
    }

    pub(super) fn shut_down(&self, wakers: &mut Vec<Waker>) {
        self.note(SHUTDOWN, wakers);
    }

    fn note(&self, flags: u32, wakers: &mut Vec<Waker>) {
        let add =
            |word: u32| Some(((word & !FLAGS).wrapping_add(TICK_ONE)) | (word & FLAGS) | flags);
        // It always writes, so it cannot fail.
        let _ = self.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, add);
        let is_for = |interest: Interest| Seen { word: flags, asked: interest.mask() }.is_any();
        let mut waiters = self.waiters.lock();
        if is_for(Interest::READABLE) {
            wakers.extend(waiters.reader.take());
        }
        if is_for(Interest::WRITABLE) {
            wakers.extend(waiters.writer.take());
        }
        let mut place = 0;
        while place < waiters.others.len() {
            if is_for(waiters.others[place].interest) {
                wakers.push(waiters.others.swap_remove(place).waker);
            } else {
                place += 1;
            }
        }
    }
}

fn until(interest: Interest) -> Until {
    if interest == Interest::READABLE {
        Until::Readable
    } else if interest == Interest::WRITABLE {
        Until::Writable
    } else {
        Until::Ready
    }
}

/// Both return the waker that is of no use any more.
impl Waiters {
    /// The one writer waits for nothing but to write; everybody else counts as the one reader.
    fn enter_one(&mut self, interest: Interest, waker: Waker) -> Option<Waker> {
        let place =
            if interest == Interest::WRITABLE { &mut self.writer } else { &mut self.reader };
        place.replace(waker)
    }

    fn enter(&mut self, waiter: &mut Waiter, interest: Interest, waker: Waker) -> Option<Waker> {
        let known = waiter.0.and_then(|id| self.others.iter_mut().find(|other| other.id == id));
        if let Some(other) = known {
            return Some(std::mem::replace(&mut other.waker, waker));
        }
        let id = self.next_id;
        self.next_id += 1;
        self.others.push(Other { id, interest, waker });
        waiter.0 = Some(id);
        None
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::{Source, Waiter};
    use crate::driver::reactor::Watch;
    use crate::io::{Interest, Ready};
    use crate::primitive::{AtomicBool, Ordering};
    use loom::thread;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};

    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    /// Something comes while a reader finds that nothing is there, clears, and begins to wait.
    fn check(mut waiter: Option<Waiter>) {
        let watch = Watch::of(Interest::READABLE).assuming(Ready::READABLE);
        let source = Arc::new(Source::new(mio::Token(0), watch));
        let has_come = Arc::new(AtomicBool::new(false));
        let driver = thread::spawn({
            let (source, has_come) = (source.clone(), has_come.clone());
            move || {
                has_come.store(true, Ordering::Release);
                let mut wakers = Vec::new();
                source.note(u32::from(Ready::READABLE.bits()), &mut wakers);
                wakers.into_iter().for_each(Waker::wake);
            }
        });
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(woken.clone());
        let mut cx = Context::from_waker(&waker);
        let must_wait = loop {
            match source.poll_ready(&mut cx, Interest::READABLE, waiter.as_mut()) {
                Poll::Ready(_) if has_come.load(Ordering::Acquire) => break false,
                Poll::Ready(seen) => source.clear(seen),
                Poll::Pending => break true,
            }
        };
        driver.join().expect("the driver has told");
        assert!(!must_wait || woken.0.load(Ordering::SeqCst), "nobody wakes the reader");
        assert!(source.look(Interest::READABLE).is_some(), "the edge is lost");
        if let Some(waiter) = &mut waiter {
            source.leave(waiter);
        }
    }

    #[test]
    fn no_edge_is_lost_to_the_one_reader() {
        loom::model(|| check(None));
    }

    #[test]
    fn no_edge_is_lost_to_one_of_many() {
        loom::model(|| check(Some(Waiter::default())));
    }
}
