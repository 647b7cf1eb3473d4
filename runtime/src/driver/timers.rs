//! Keeps the timers of a runtime in wheels, and lets the driver sleep until the first is due.
//!
//! Each worker has a wheel of its own, so that registering a timer meets nobody; one more is for
//! all other threads. A timer stays in the wheel where it was registered. Any thread may advance
//! any wheel.
//!
//! # Memory ordering
//!
//! `next` of a wheel is written under its lock and read without it, Relaxed: what orders it against
//! the driver's sleep are the fences in `sleeper.rs`, where the argument stands.

use std::io;
use std::task::Waker;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use crate::driver::clock::Clock;
use crate::driver::sleeper::{AlarmClock, NEVER_NS, Sleeper};
use crate::driver::sys::{Alarm, IS_ALARM_PRECISE};
use crate::driver::wheel::{Key, More, Wheel};
use crate::primitive::{AtomicBool, AtomicU64, Mutex, Ordering};
use crate::task::waker::{self, drop_foreign, wake_foreign};

pub(crate) struct Timers {
    pub(crate) clock: Clock,
    wheels: Box<[CachePadded<Slot>]>,
    sleeper: Sleeper<Alarm>,
    /// The runtime has ended. It is set before the wheels are emptied, and read under their locks
    /// or after, so Relaxed will do.
    is_closed: AtomicBool,
}

struct Slot {
    wheel: Mutex<Wheel>,
    /// When something in the wheel may be due, in nanoseconds, or something that was cancelled would
    /// have been; [`NEVER_NS`] if there is neither.
    next: AtomicU64,
    /// Whatever was due until then, in nanoseconds, has fired. Relaxed: who sees that its own timer
    /// is among it learns nothing else from it.
    fired_to: AtomicU64,
}

/// A wheel's lock is held for so many timers at most, then its wakers are woken.
const BATCH_MAX_TIMERS: usize = 128;

/// Names a timer that was registered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimerKey {
    deadline_ns: u64,
    wheel: u32,
    key: Key,
}

/// What came of [`Timers::register`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Registered {
    /// The timer is due.
    Due,
    Yes,
    /// As before, but the driver has to be woken, on platforms whose alarm does not do it.
    MustWake,
}

/// What became of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum TimerState {
    Pending,
    Fired,
}

impl Timers {
    pub(super) fn new(workers: usize, registry: &mio::Registry) -> io::Result<Timers> {
        let slot = |_| {
            let wheel = Mutex::new(Wheel::new());
            let (next, fired_to) = (AtomicU64::new(NEVER_NS), AtomicU64::new(0));
            CachePadded::new(Slot { wheel, next, fired_to })
        };
        Ok(Timers {
            clock: Clock::new(),
            wheels: (0..=workers).map(slot).collect(),
            sleeper: Sleeper::new(Alarm::new(registry)?),
            is_closed: AtomicBool::new(false),
        })
    }

    /// Registers a timer with the wheel of `worker`, or with the common one, if it is not due, and
    /// writes its name to `place`: which is long, and would be late if it were passed on.
    ///
    /// # Panics
    /// If the runtime has ended, since nothing would ever fire the timer.
    pub(crate) fn register(
        &self,
        worker: Option<usize>,
        deadline: Instant,
        waker: Waker,
        place: &mut Option<TimerKey>,
    ) -> Registered {
        let index = worker.unwrap_or(self.wheels.len() - 1);
        let slot = &self.wheels[index];
        let deadline_ns = self.clock.to_ns(deadline);
        let mut wheel = slot.wheel.lock();
        assert!(
            !self.is_closed(),
            "a timer was waited for whose runtime has ended; keep it alive while it is used"
        );
        if deadline_ns <= wheel.now_ns() {
            drop(wheel);
            drop_foreign(Some(waker));
            return Registered::Due;
        }
        let (key, due_ns) = wheel.insert(deadline_ns, waker);
        let is_sooner = due_ns < slot.next.load(Ordering::Relaxed);
        if is_sooner {
            slot.next.store(due_ns, Ordering::Relaxed);
        }
        drop(wheel);
        #[allow(clippy::cast_possible_truncation, reason = "workers are few")]
        let wheel = index as u32;
        *place = Some(TimerKey { deadline_ns, wheel, key });
        if is_sooner && self.reset_alarm() { Registered::MustWake } else { Registered::Yes }
    }

    /// Sets the alarm for the first deadline there is, if a sleeper would miss it.
    #[inline]
    fn reset_alarm(&self) -> bool {
        self.sleeper.find().is_some_and(|clock| self.reset_alarm_of_sleeper(clock))
    }

    #[cold]
    fn reset_alarm_of_sleeper(&self, mut clock: AlarmClock<'_, Alarm>) -> bool {
        let next = self.next_ns();
        let is_sooner = clock.is_too_late_for(next);
        if is_sooner {
            clock.sleep_until(next).set(self.delay_until(next));
        }
        is_sooner && !IS_ALARM_PRECISE
    }

    fn next_ns(&self) -> u64 {
        let nexts = self.wheels.iter().map(|slot| slot.next.load(Ordering::Relaxed));
        nexts.min().unwrap_or(NEVER_NS)
    }

    fn delay_until(&self, ns: u64) -> Option<Duration> {
        let left = || Duration::from_nanos(ns.saturating_sub(self.clock.now_ns()));
        (ns != NEVER_NS).then(left)
    }

    /// Announces that the caller is about to sleep, and sets the alarm. Returns how long it may
    /// sleep at most, where the alarm does not end its sleep.
    pub(super) fn begin_sleep(&self) -> Option<Duration> {
        let mut clock = self.sleeper.announce();
        let next = self.next_ns();
        // Time that stands brings nothing by itself.
        let delay = if self.clock.is_paused() { None } else { self.delay_until(next) };
        if delay == Some(Duration::ZERO) {
            self.sleeper.get_up();
            return delay;
        }
        clock.sleep_until(next).set(delay);
        if IS_ALARM_PRECISE { None } else { delay }
    }

    pub(super) fn end_sleep(&self) {
        self.sleeper.get_up();
    }

    /// Wakes whoever is due.
    pub(crate) fn fire(&self, wakers: &mut Vec<Waker>) {
        let next = self.next_ns();
        if next == NEVER_NS {
            return;
        }
        let now = self.clock.now_ns();
        for slot in &self.wheels {
            if slot.next.load(Ordering::Relaxed) <= now {
                slot.fire(now, wakers);
            }
        }
    }

    /// Says when something may be due, if anything is registered.
    pub(crate) fn next_deadline_ns(&self) -> Option<u64> {
        for slot in &self.wheels {
            // What was cancelled does not count here.
            slot.publish(&slot.wheel.lock());
        }
        Some(self.next_ns()).filter(|next| *next != NEVER_NS)
    }

    /// Sees to it that `waker` will be woken, if the timer has not fired.
    pub(crate) fn set_waker(&self, key: TimerKey, waker: &Waker) -> TimerState {
        let slot = &self.wheels[key.wheel as usize];
        if key.deadline_ns <= slot.fired_to.load(Ordering::Relaxed) {
            return TimerState::Fired;
        }
        let wheel = &slot.wheel;
        let wakes = wheel.lock().wakes(key.key, waker);
        match wakes {
            None => return TimerState::Fired,
            Some(true) => return TimerState::Pending,
            Some(false) => {}
        }
        // Cloned and dropped outside of the lock: it is foreign code.
        let replaced = waker.clone();
        let replaced = wheel.lock().replace_waker(key.key, replaced);
        let state = if replaced.is_ok() { TimerState::Pending } else { TimerState::Fired };
        let (Ok(unused) | Err(unused)) = replaced;
        drop_foreign(Some(unused));
        state
    }

    /// Takes a timer out of its wheel.
    pub(crate) fn cancel(&self, key: TimerKey) {
        let slot = &self.wheels[key.wheel as usize];
        let mut wheel = slot.wheel.lock();
        let waker = wheel.cancel(key.key);
        // The wheel may seem due before it is, which is worth one look in vain: without it each
        // timer that is cancelled would have to find out who is next, and the next to be registered
        // to look for a sleeper.
        drop(wheel);
        drop_foreign(waker);
    }

    /// Takes all timers out, and wakes who waits: the runtime is ending.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        for slot in &self.wheels {
            let wakers = slot.wheel.lock().drain();
            wakers.into_iter().for_each(wake_foreign);
        }
    }

    /// Says whether timers that are gone were taken out by the end of the runtime.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    pub(crate) fn len(&self) -> usize {
        self.wheels.iter().map(|slot| slot.wheel.lock().len()).sum()
    }
}

impl Slot {
    /// Publishes when the wheel is due again.
    fn publish(&self, wheel: &Wheel) {
        self.next.store(wheel.next_deadline_ns().unwrap_or(NEVER_NS), Ordering::Relaxed);
    }

    fn fire(&self, now_ns: u64, wakers: &mut Vec<Waker>) {
        loop {
            wakers.reserve(BATCH_MAX_TIMERS);
            let mut wheel = self.wheel.lock();
            let more = wheel.advance(now_ns, wakers, BATCH_MAX_TIMERS);
            self.publish(&wheel);
            if more == More::No {
                self.fired_to.store(wheel.now_ns(), Ordering::Relaxed);
            }
            drop(wheel);
            waker::fetch(wakers);
            wakers.drain(..).for_each(wake_foreign);
            if more == More::No {
                return;
            }
        }
    }
}
