//! Finds out who waits for what: by the wakers that are with timers, sockets and tasks.
//!
//! Only whoever looks comes here. Locks are held for a few wakers at a time.

use crate::hooks::waits::{Until, Wait};
use crate::scheduler::lookup;
use crate::task::cell;

/// Shows every wait in the process to a function that calls nothing foreign.
pub(crate) fn census(f: &mut dyn FnMut(Wait)) {
    cell::each_join(|waiter, on| f(Wait { waiter: Some(waiter), on, until: Until::Ended }));
    for runtime in lookup::all_runtimes() {
        runtime.driver.timers.each_wait(f);
        runtime.driver.reactor.each_wait(f);
    }
}
