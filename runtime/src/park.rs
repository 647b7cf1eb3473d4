//! Puts a thread to sleep until there is a reason to run.
//!
//! A parker holds at most one token. `unpark` puts it there; `park` takes it, sleeping until it
//! can. A token put before `park` is not lost, and two tokens are one. A worker may sleep in the
//! driver instead of on the parker's own bell: then whoever brings the token must wake the driver.
//!
//! # State
//!
//! ```text
//!              park                        unpark
//!   empty ───────────────▶ on bell    ───────────────▶ token  (rings the bell)
//!   empty ───────────────▶ in driver  ───────────────▶ token  (caller wakes the driver)
//!   empty ──────────────────────────── unpark ───────▶ token
//!   token ─────────────── park ──────────────────────▶ empty  (returns at once)
//! ```
//!
//! # Memory ordering
//!
//! Only one promise leaves this file: what happened before `unpark` is visible after the `park`
//! that takes its token. The Release in [`Parker::unpark`] pairs with the Acquire of the swap or
//! exchange that takes the token. An `unpark` that finds a token still writes, so that its own
//! Release is the one that `park` reads. The lock around the bell keeps the bell from ringing
//! between the parker's last look and its sleep.

use std::time::{Duration, Instant};

use crate::primitive::{AtomicU32, Condvar, Mutex, Ordering};

const EMPTY: u32 = 0;
const TOKEN: u32 = 1;
const ON_BELL: u32 = 2;
const IN_DRIVER: u32 = 3;

#[derive(Default)]
pub(crate) struct Parker {
    state: AtomicU32,
    lock: Mutex<()>,
    bell: Condvar,
}

/// Where the thread was that got the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Found {
    /// Awake, or asleep on the bell, which was rung.
    Reached,
    /// Asleep in the driver, or about to be: the caller must wake the driver.
    InDriver,
}

impl Parker {
    pub(crate) fn new() -> Parker {
        Parker::default()
    }

    fn take_token(&self) -> bool {
        let taken = self.state.compare_exchange(TOKEN, EMPTY, Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok()
    }

    /// Takes the token, if it is there. Says whether it was.
    pub(crate) fn take(&self) -> bool {
        self.take_token()
    }

    /// Says where the thread is about to sleep. `false` if there is a token, which is taken: it
    /// must not sleep.
    fn announce(&self, place: u32) -> bool {
        // Relaxed: who finds the place learns nothing else from it.
        let announced =
            self.state.compare_exchange(EMPTY, place, Ordering::Relaxed, Ordering::Relaxed);
        if announced.is_err() {
            // A swap, because the next token may come at any moment and must be seen or kept.
            self.state.swap(EMPTY, Ordering::Acquire);
        }
        announced.is_ok()
    }

    /// Sleeps until there is a token, and takes it.
    pub(crate) fn park(&self) {
        if !self.take_token() {
            self.sleep(None);
        }
    }

    /// Sleeps until there is a token, and takes it, or until the time is over. Says which.
    pub(crate) fn park_timeout(&self, timeout: Duration) -> bool {
        self.take_token() || self.sleep(Instant::now().checked_add(timeout))
    }

    fn sleep(&self, until: Option<Instant>) -> bool {
        let mut guard = self.lock.lock();
        if !self.announce(ON_BELL) {
            return true;
        }
        loop {
            let timed_out;
            (guard, timed_out) = match until {
                None => (self.bell.wait(guard), false),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    self.bell.wait_timeout(guard, left)
                }
            };
            if self.take_token() {
                return true;
            }
            if timed_out {
                // A token that arrives just now is taken along.
                return self.state.swap(EMPTY, Ordering::Acquire) == TOKEN;
            }
        }
    }

    /// Announces that the thread is about to sleep in the driver. `false` if there is a token,
    /// which is taken: it must not sleep.
    pub(crate) fn begin_in_driver(&self) -> bool {
        self.announce(IN_DRIVER)
    }

    /// Ends what [`begin_in_driver`](Parker::begin_in_driver) began, and takes the token if one
    /// came. Says whether it did.
    pub(crate) fn end_in_driver(&self) -> bool {
        self.state.swap(EMPTY, Ordering::Acquire) == TOKEN
    }

    /// Puts the token there.
    pub(crate) fn unpark(&self) -> Found {
        match self.state.swap(TOKEN, Ordering::Release) {
            ON_BELL => {
                // Whoever said ON_BELL holds the lock until it sleeps.
                drop(self.lock.lock());
                self.bell.notify_one();
                Found::Reached
            }
            IN_DRIVER => Found::InDriver,
            _ => Found::Reached,
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::{Found, Parker};
    use crate::primitive::{AtomicUsize, Condvar, Mutex, Ordering};
    use loom::sync::Arc;
    use loom::thread;

    /// A parker, what two threads bring to it, and a driver that can be rung.
    #[derive(Default)]
    struct World {
        parker: Parker,
        brought: [AtomicUsize; 2],
        is_rung: Mutex<bool>,
        driver: Condvar,
    }

    impl World {
        fn bring(&self, what: usize) {
            self.brought[what].store(1, Ordering::Relaxed);
            if self.parker.unpark() == Found::InDriver {
                *self.is_rung.lock() = true;
                self.driver.notify_one();
            }
        }

        /// Relaxed: it is the parker that must make it visible.
        fn has_both(&self) -> bool {
            self.brought.iter().all(|it| it.load(Ordering::Relaxed) == 1)
        }

        fn park_in_driver(&self) {
            if self.parker.begin_in_driver() {
                let mut is_rung = self.is_rung.lock();
                while !*is_rung {
                    is_rung = self.driver.wait(is_rung);
                }
                *is_rung = false;
                drop(is_rung);
                self.parker.end_in_driver();
            }
        }
    }

    /// Parks until both are there. A token that is lost, or shows too little, is a deadlock.
    fn check(park: fn(&World, usize)) {
        loom::model(move || {
            let world = Arc::new(World::default());
            let bringing = [0, 1].map(|what| {
                let world = world.clone();
                thread::spawn(move || world.bring(what))
            });
            let mut times = 0;
            while !world.has_both() {
                park(&world, times);
                times += 1;
            }
            bringing.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }

    #[test]
    fn no_token_is_lost_on_the_bell() {
        check(|world, _| world.parker.park());
    }

    #[test]
    fn no_token_is_lost_in_the_driver() {
        check(|world, _| world.park_in_driver());
    }

    #[test]
    fn no_token_is_lost_between_the_driver_and_the_bell() {
        check(|world, times| match times % 2 {
            0 => world.park_in_driver(),
            _ => world.parker.park(),
        });
    }
}
