//! Prints the tree when a signal comes: for where there is no command `forebear`.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::thread;

use forebear_context::inspect::tree_all;
use forebear_context::observers::write_recordings;
use signal_hook::consts::SIGUSR1;
use signal_hook::low_level::pipe;

/// Prints the tree of the process to standard error whenever SIGUSR1 comes, from now on, and writes
/// the recordings that are [kept](crate::observers::FlightRecorder::keep_at).
///
/// A thread of its own does that, so it works while every worker is blocked. A program that has
/// something else to do with SIGUSR1 does both. Said again it changes nothing.
///
/// # Errors
/// When there can be no thread, or no pipe to it.
///
/// # Examples
/// ```
/// forebear::inspect::dump_on_signal()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn dump_on_signal() -> io::Result<()> {
    static IS_ON: Mutex<bool> = Mutex::new(false);
    let mut is_on = IS_ON.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if *is_on {
        return Ok(());
    }
    let (signals, handlers) = UnixStream::pair()?;
    handlers.set_nonblocking(true)?;
    thread::Builder::new().name("forebear-dump".into()).spawn(move || print_trees(signals))?;
    // Afterwards: without the thread nobody would read what comes.
    pipe::register(SIGUSR1, handlers)?;
    *is_on = true;
    Ok(())
}

fn print_trees(mut signals: UnixStream) {
    let mut several = [0; 64];
    while signals.read(&mut several).is_ok_and(|signals| signals > 0) {
        // Standard error may be closed, which is no reason to fail.
        let _ = write!(io::stderr(), "{}", tree_all());
        for path in write_recordings() {
            let _ = writeln!(io::stderr(), "what happened last is in {}", path.display());
        }
    }
}
