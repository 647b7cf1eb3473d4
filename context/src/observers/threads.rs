//! Numbers for threads, and their names.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

/// So many threads have a number of their own; those that come later share the last.
pub(super) const THREADS_MAX: usize = 1024;

static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());

thread_local! {
    static NUMBER: Cell<Option<u16>> = const { Cell::new(None) };
}

/// Returns the number of this thread, the same for as long as it lives.
pub(super) fn number() -> u16 {
    // A thread that is ending has lost its number, and gets none any more.
    let known = NUMBER.try_with(Cell::get).unwrap_or(Some(LAST));
    known.unwrap_or_else(|| {
        let name = std::thread::current().name().unwrap_or("unnamed").to_owned();
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        let number = u16::try_from(names.len()).unwrap_or(LAST).min(LAST);
        if names.len() < THREADS_MAX {
            names.push(name);
        }
        NUMBER.set(Some(number));
        number
    })
}

#[expect(clippy::cast_possible_truncation, reason = "it is 1023")]
const LAST: u16 = (THREADS_MAX - 1) as u16;

/// Returns the names of all threads that have a number.
pub(super) fn names() -> Vec<String> {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
