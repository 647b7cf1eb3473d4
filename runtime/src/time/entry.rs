//! Waits for one deadline after the other: the part that sleeps and intervals have in common.

use std::sync::Arc;
use std::task::Context;

use crate::driver::timers::{TimerKey, TimerState, Timers};
use crate::enter;
use crate::scheduler::Shared;
use crate::time::Instant;

/// At most one timer in one of the wheels of a runtime.
pub(super) struct Entry {
    shared: Arc<Shared>,
    timer: Option<TimerKey>,
}

impl Entry {
    pub(super) fn new(shared: Arc<Shared>) -> Entry {
        Entry { shared, timer: None }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn timers(&self) -> &Timers {
        &self.shared.driver.timers
    }

    /// Says whether the deadline has come; else sees to it that the task is woken then.
    ///
    /// A timer is registered at the first call that has to wait, with the worker that makes it.
    pub(super) fn poll_due(&mut self, deadline: Instant, cx: &mut Context<'_>) -> bool {
        let timers = &self.shared.driver.timers;
        if let Some(timer) = self.timer {
            if timers.set_waker(timer, cx.waker()) == TimerState::Pending {
                return false;
            }
            self.timer = None;
            if !timers.is_closed() {
                return true;
            }
        }
        let deadline = deadline.into_std();
        if timers.clock.now() >= deadline {
            return true;
        }
        let worker = enter::with_worker(|worker| {
            worker.filter(|worker| worker.serves(self.shared.id())).map(|worker| worker.index())
        });
        let (timer, must_wake) = timers.register(worker, deadline, cx.waker().clone());
        self.timer = Some(timer);
        if must_wake {
            self.shared.driver.wake();
        }
        false
    }

    /// Forgets the timer.
    pub(super) fn cancel(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.shared.driver.timers.cancel(timer);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.cancel();
    }
}
