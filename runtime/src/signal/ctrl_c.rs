//! Waits for Ctrl-C.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::driver::reactor::gone;
use crate::signal::unix::{Signal, SignalKind};

/// Waits for the next Ctrl-C (SIGINT) from the first poll on.
///
/// From the first such poll on, Ctrl-C no longer ends the process by itself.
///
/// # Errors
/// When the system refuses to report the signal.
///
/// # Panics
/// If it is polled outside a runtime.
///
/// # Cancel safety
/// Safe. A Ctrl-C that comes between two calls is lost; a [`Signal`] keeps it.
///
/// # Hooks
/// Those of [`signal`](crate::signal::unix::signal), from the first poll on.
///
/// # Examples
/// ```
/// use forebear::signal;
/// use forebear::time::{Duration, timeout};
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let pressed = timeout(Duration::from_millis(1), signal::ctrl_c()).await;
/// assert!(pressed.is_err());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn ctrl_c() -> CtrlC {
    CtrlC { state: State::Asked, location: Location::caller() }
}

/// The future of [`ctrl_c`].
#[must_use = "futures do nothing unless polled"]
pub struct CtrlC {
    state: State,
    location: &'static Location<'static>,
}

enum State {
    Asked,
    Listening(Signal),
    Done,
}

impl Future for CtrlC {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let State::Asked = self.state {
            self.state = State::Done;
            self.state = State::Listening(Signal::new(SignalKind::interrupt(), self.location)?);
        }
        let State::Listening(signal) = &mut self.state else {
            panic!("`ctrl_c` was polled after it had returned");
        };
        let heard = ready!(signal.poll_recv(cx));
        self.state = State::Done;
        Poll::Ready(heard.ok_or_else(gone))
    }
}

impl fmt::Debug for CtrlC {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("CtrlC");
        match &self.state {
            State::Asked => f.field("is_begun", &false),
            State::Listening(signal) => f.field("signal", signal),
            State::Done => f.field("is_done", &true),
        };
        f.finish_non_exhaustive()
    }
}
