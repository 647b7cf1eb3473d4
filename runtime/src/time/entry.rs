//! Waits for one deadline after the other: the part that sleeps and intervals have in common.

use std::task::Context;

use crate::driver::timers::{Registered, TimerKey, TimerState};
use crate::enter;
use crate::hooks::RuntimeId;
use crate::time::Instant;

/// At most one timer in one of the wheels of a runtime, which it knows by its number, so that a timer
/// counts nothing that others count too.
pub(super) struct Entry {
    runtime: RuntimeId,
    timer: Option<TimerKey>,
}

/// What is known of a deadline without looking at the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deadline {
    /// It was to come when it was made. If it has come by now, the wheel will say so.
    Ahead,
    Unknown,
}

impl Entry {
    pub(super) fn new(runtime: RuntimeId) -> Entry {
        Entry { runtime, timer: None }
    }

    pub(super) fn runtime(&self) -> RuntimeId {
        self.runtime
    }

    /// Returns the present by the clock of its runtime.
    pub(super) fn now(&self) -> Instant {
        let now = enter::with_runtime(self.runtime, |shared, _| shared.driver.timers.clock.now());
        Instant::from_std(now.unwrap_or_else(std::time::Instant::now))
    }

    /// Says whether the deadline has come; else sees to it that the task is woken then.
    ///
    /// A timer is registered at the first call that has to wait, with the worker that makes it.
    ///
    /// # Panics
    /// If the runtime has ended, since nothing would ever fire the timer.
    pub(super) fn poll_due(
        &mut self,
        deadline: Instant,
        known: Deadline,
        cx: &mut Context<'_>,
    ) -> bool {
        let Entry { runtime, timer } = self;
        let is_due = enter::with_runtime(*runtime, |shared, worker| {
            let timers = &shared.driver.timers;
            if let Some(key) = *timer {
                if timers.set_waker(key, cx.waker()) == TimerState::Pending {
                    return false;
                }
                *timer = None;
                if !timers.is_closed() {
                    return true;
                }
            }
            let deadline = deadline.into_std();
            if known == Deadline::Unknown && timers.clock.now() >= deadline {
                return true;
            }
            match timers.register(worker, deadline, cx.waker().clone(), timer) {
                Registered::Due => return true,
                Registered::Yes => {}
                Registered::MustWake => shared.driver.wake(),
            }
            false
        });
        match is_due {
            Some(is_due) => is_due,
            None => panic!(
                "a timer was waited for whose runtime has ended; keep it alive while it is used"
            ),
        }
    }

    /// Forgets the timer.
    #[inline]
    pub(super) fn cancel(&mut self) {
        if let Some(timer) = self.timer.take() {
            // With a runtime its timers have gone.
            enter::with_runtime(self.runtime, |shared, _| shared.driver.timers.cancel(timer));
        }
    }
}

impl Drop for Entry {
    #[inline]
    fn drop(&mut self) {
        self.cancel();
    }
}
