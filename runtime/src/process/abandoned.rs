//! Waits for children whom nobody waits for any more, so that the system can forget them.
//!
//! They are waited for by a thread, since the runtime that they came from may be gone. It sleeps
//! until a SIGCHLD says that some child has ended, and there is one only while somebody is
//! abandoned.
//!
//! # Invariants
//! A1. While `has_thread` is set, a thread hears of every SIGCHLD that comes after that, and looks
//!     at all children once more.
//! A2. A child that is among them had not ended when A1 held already: so the signal of its end is
//!     still to come, or has not been acted on.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use signal_hook::SigId;
use signal_hook::consts::SIGCHLD;
use signal_hook::low_level::{pipe, unregister};

static ABANDONED: Mutex<Abandoned> =
    Mutex::new(Abandoned { children: Vec::new(), has_thread: false });

struct Abandoned {
    children: Vec<Child>,
    has_thread: bool,
}

fn abandoned() -> MutexGuard<'static, Abandoned> {
    // What is under the lock calls the system and no user code.
    ABANDONED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a child over, if it has not ended yet.
pub(super) fn adopt(mut child: Child) {
    if has_ended(&mut child) {
        return;
    }
    let mut abandoned = abandoned();
    if !abandoned.has_thread {
        // If the system has nothing to spare, it waits for the next that is abandoned.
        abandoned.has_thread = begin().is_ok();
    }
    if !has_ended(&mut child) {
        abandoned.children.push(child);
    }
}

/// Says whether it has ended, or cannot be waited for at all.
fn has_ended(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}

/// Begins to listen, and then the thread.
fn begin() -> io::Result<()> {
    let (heard, handlers) = UnixStream::pair()?;
    handlers.set_nonblocking(true)?;
    let handler = pipe::register(SIGCHLD, handlers)?;
    let thread = thread::Builder::new().name("forebear-reaper".to_owned());
    let begun = thread.spawn(move || wait_for_all(heard, handler));
    if begun.is_err() {
        unregister(handler);
    }
    begun.map(drop)
}

/// The body of the thread.
fn wait_for_all(mut heard: UnixStream, handler: SigId) {
    loop {
        let mut abandoned = abandoned();
        abandoned.children.retain_mut(|child| !has_ended(child));
        if abandoned.children.is_empty() {
            abandoned.has_thread = false;
            break;
        }
        drop(abandoned);
        // An error can only be that it was interrupted.
        let _ = heard.read(&mut [0; 64]);
    }
    unregister(handler);
}
