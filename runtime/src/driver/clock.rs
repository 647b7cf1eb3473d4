//! Tells the time of a runtime, which tests can stop and move.
//!
//! # Memory ordering
//!
//! `ever_paused` is Relaxed: it only says whether to look under the lock, and whoever paused the
//! clock and expects it to stand still does so on the runtime's own thread.

use std::time::{Duration, Instant};

use crate::primitive::{AtomicBool, Mutex, Ordering};

pub(crate) struct Clock {
    start: Instant,
    ever_paused: AtomicBool,
    hands: Mutex<Hands>,
}

/// The time was `at` when the system's clock said `since`; without that, it stands still.
struct Hands {
    at: Instant,
    since: Option<Instant>,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        let start = Instant::now();
        let hands = Mutex::new(Hands { at: start, since: Some(start) });
        Clock { start, ever_paused: AtomicBool::new(false), hands }
    }

    pub(crate) fn now(&self) -> Instant {
        let now = Instant::now();
        if self.ever_paused.load(Ordering::Relaxed) { self.hands.lock().read(now) } else { now }
    }

    /// Turns an instant into nanoseconds since the clock was made; 584 years fit.
    pub(crate) fn to_ns(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.start);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.to_ns(self.now())
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.ever_paused.load(Ordering::Relaxed) && self.hands.lock().since.is_none()
    }

    /// Stops the clock; `false` if it stands already.
    pub(crate) fn pause(&self) -> bool {
        self.ever_paused.store(true, Ordering::Relaxed);
        let mut hands = self.hands.lock();
        hands.at = hands.read(Instant::now());
        hands.since.take().is_some()
    }

    /// Lets the clock go on; `false` if it goes already.
    pub(crate) fn resume(&self) -> bool {
        let mut hands = self.hands.lock();
        let was_paused = hands.since.is_none();
        if was_paused {
            hands.since = Some(Instant::now());
        }
        was_paused
    }

    /// Moves a clock that stands; `false` if it goes.
    pub(crate) fn advance(&self, by: Duration) -> bool {
        let mut hands = self.hands.lock();
        if hands.since.is_some() {
            return false;
        }
        hands.at = hands.at.checked_add(by).unwrap_or(hands.at);
        true
    }
}

impl Hands {
    fn read(&self, now: Instant) -> Instant {
        match self.since {
            Some(since) => self.at + now.saturating_duration_since(since),
            None => self.at,
        }
    }
}
