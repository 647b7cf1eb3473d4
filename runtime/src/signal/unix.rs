//! The signals that Unix has, and who listens to them.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use signal_hook::consts;
use signal_hook::low_level::signal_name;

use crate::driver::Watch;
use crate::handle::Handle;
use crate::hooks::life::{Birth, Life};
use crate::hooks::{AsyncId, Kind};
use crate::io::Interest;
use crate::signal::listener::{Listener, drain};

/// Functions that return one signal each.
macro_rules! signals {
    ($($(#[$doc:meta])* $name:ident = $number:expr;)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub const fn $name() -> SignalKind {
                SignalKind($number)
            }
        )*
    };
}

/// A signal of Unix, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignalKind(i32);

impl SignalKind {
    /// The signal with this number.
    #[must_use]
    pub const fn from_raw(number: i32) -> SignalKind {
        SignalKind(number)
    }

    /// Returns its number.
    #[must_use]
    pub const fn as_raw_value(&self) -> i32 {
        self.0
    }

    signals! {
        /// SIGALRM: a timer of the system's own is due.
        alarm = consts::SIGALRM;
        /// SIGCHLD: a child has ended, or was stopped or continued.
        child = consts::SIGCHLD;
        /// SIGHUP: by custom, read your configuration again.
        hangup = consts::SIGHUP;
        /// SIGINT: Ctrl-C.
        interrupt = consts::SIGINT;
        /// SIGIO: something can be read or written.
        io = consts::SIGIO;
        /// SIGPIPE: what was written to is closed.
        pipe = consts::SIGPIPE;
        /// SIGQUIT: end, and leave an image of your memory.
        quit = consts::SIGQUIT;
        /// SIGTERM: the polite way to end a service.
        terminate = consts::SIGTERM;
        /// SIGUSR1.
        user_defined1 = consts::SIGUSR1;
        /// SIGUSR2.
        user_defined2 = consts::SIGUSR2;
        /// SIGWINCH: the window of the terminal has another size.
        window_change = consts::SIGWINCH;
    }
}

impl From<i32> for SignalKind {
    fn from(number: i32) -> SignalKind {
        SignalKind(number)
    }
}

impl From<SignalKind> for i32 {
    fn from(kind: SignalKind) -> i32 {
        kind.0
    }
}

/// Listens to a signal. Signals that come faster than they are consumed count as one.
///
/// # Errors
/// When the system refuses to report the signal: SIGKILL and SIGSTOP cannot be caught.
///
/// # Panics
/// Outside a runtime.
///
/// # Hooks
/// A resource of kind `SIGNAL`: `init` here, a pair around each signal that is consumed, `destroy`
/// at its drop.
///
/// # Examples
/// ```
/// use forebear::signal::unix::{SignalKind, signal};
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let mut hangup = signal(SignalKind::hangup())?;
/// let itself = std::process::id().to_string();
/// std::process::Command::new("kill").args(["-HUP", &itself]).status()?;
/// assert_eq!(hangup.recv().await, Some(()));
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    Signal::new(kind, Location::caller())
}

/// Listens to a signal: see [`signal`]. Also a [`Stream`].
pub struct Signal {
    listener: Listener,
    life: Life,
}

impl Signal {
    pub(super) fn new(
        kind: SignalKind,
        location: &'static Location<'static>,
    ) -> io::Result<Signal> {
        let handle = match Handle::try_current() {
            Ok(handle) => handle,
            Err(error) => panic!("{error} (a signal was to be listened to at {location})"),
        };
        let watch = Watch::of(Interest::READABLE);
        let listener = Listener::new(kind.0, handle.shared().clone(), watch)?;
        let mut birth =
            Birth::new(Kind::SIGNAL, || "signal").location(location).runtime(handle.id());
        if let Some(name) = signal_name(kind.0) {
            birth = birth.name(name);
        }
        let life = Life::begin(birth);
        listener.registration().belong_to(life.id());
        Ok(Signal { listener, life })
    }

    /// Waits for the next signal. `None` when the runtime has ended.
    ///
    /// # Cancel safety
    /// Safe: no signal is lost.
    pub fn recv(&mut self) -> impl Future<Output = Option<()>> + Send + '_ {
        poll_fn(|cx| self.poll_recv(cx))
    }

    /// Waits for the next signal. `None` when the runtime has ended.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let Signal { listener, life } = self;
        let read = listener.registration().poll_io(cx, Interest::READABLE, None, |attempt| {
            life.run(|_| drain(&mut &*attempt.io))
        });
        read.map(Result::ok)
    }

    /// Returns the listener's id.
    #[must_use]
    pub fn id(&self) -> AsyncId {
        self.life.id()
    }
}

impl Stream for Signal {
    type Item = ();

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self.get_mut().poll_recv(cx)
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("id", &self.id()).finish_non_exhaustive()
    }
}
