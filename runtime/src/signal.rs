//! Waits for signals of the operating system.
//!
//! The handler of a signal writes a byte into a socket, which the driver watches like any other.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, Read};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use mio::net::UnixStream;
use signal_hook::SigId;
use signal_hook::low_level::{pipe, signal_name, unregister};

use crate::driver::{Registration, Watch};
use crate::handle::Handle;
use crate::hooks::life::{Birth, Life};
use crate::hooks::{AsyncId, Kind};
use crate::io::Interest;

/// Waits for the next Ctrl-C (SIGINT) from when this is called.
///
/// From the first call on, Ctrl-C no longer ends the process by itself.
///
/// # Errors
/// When the system refuses to report the signal.
///
/// # Panics
/// Outside a runtime.
///
/// # Cancel safety
/// Safe.
///
/// # Hooks
/// Those of [`signal`].
#[track_caller]
pub fn ctrl_c() -> CtrlC {
    CtrlC { signal: signal(SignalKind::interrupt()) }
}

/// The future of [`ctrl_c`].
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct CtrlC {
    signal: io::Result<Signal>,
}

impl Future for CtrlC {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.signal {
            Ok(signal) => match signal.poll_recv(cx) {
                Poll::Ready(Some(())) => Poll::Ready(Ok(())),
                Poll::Ready(None) => Poll::Ready(Err(crate::driver::reactor::gone())),
                Poll::Pending => Poll::Pending,
            },
            Err(error) => Poll::Ready(Err(io::Error::new(error.kind(), error.to_string()))),
        }
    }
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

    /// SIGINT: Ctrl-C.
    #[must_use]
    pub const fn interrupt() -> SignalKind {
        SignalKind(signal_hook::consts::SIGINT)
    }

    /// SIGTERM: the polite way to end a service.
    #[must_use]
    pub const fn terminate() -> SignalKind {
        SignalKind(signal_hook::consts::SIGTERM)
    }

    /// SIGHUP: by custom, read your configuration again.
    #[must_use]
    pub const fn hangup() -> SignalKind {
        SignalKind(signal_hook::consts::SIGHUP)
    }

    /// SIGUSR1.
    #[must_use]
    pub const fn user_defined1() -> SignalKind {
        SignalKind(signal_hook::consts::SIGUSR1)
    }

    /// SIGUSR2.
    #[must_use]
    pub const fn user_defined2() -> SignalKind {
        SignalKind(signal_hook::consts::SIGUSR2)
    }

    /// SIGQUIT.
    #[must_use]
    pub const fn quit() -> SignalKind {
        SignalKind(signal_hook::consts::SIGQUIT)
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
#[track_caller]
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    if signal_hook::consts::FORBIDDEN.contains(&kind.0) {
        let message = format!("signal {} cannot be listened to", kind.0);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let handle = Handle::current();
    let (ours, handlers) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    handlers.set_nonblocking(true)?;
    let shared = handle.shared().clone();
    let stream = UnixStream::from_std(ours);
    let registration = Registration::new(stream, shared, Watch::of(Interest::READABLE))?;
    let handler = pipe::register(kind.0, handlers)?;
    let mut birth =
        Birth::new(Kind::SIGNAL, || "signal").location(Location::caller()).runtime(handle.id());
    if let Some(name) = signal_name(kind.0) {
        birth = birth.name(name);
    }
    let life = Life::begin(birth);
    registration.belong_to(life.id());
    Ok(Signal { registration, handler, life })
}

/// Listens to a signal: see [`signal`].
pub struct Signal {
    registration: Registration<UnixStream>,
    handler: SigId,
    life: Life,
}

impl Signal {
    /// Waits for the next signal. `None` when the runtime has ended.
    ///
    /// # Cancel safety
    /// Safe: no signal is lost.
    pub fn recv(&mut self) -> impl Future<Output = Option<()>> + Send + '_ {
        poll_fn(|cx| self.poll_recv(cx))
    }

    /// Waits for the next signal. `None` when the runtime has ended.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let life = &self.life;
        let read = self.registration.poll_io(cx, Interest::READABLE, None, |attempt| {
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

/// Takes all bytes that are there: several signals count as one.
fn drain(io: &mut impl Read) -> io::Result<()> {
    let mut bytes = [0; 64];
    let mut has_any = false;
    loop {
        match io.read(&mut bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => has_any = true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && has_any => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

impl Stream for Signal {
    type Item = ();

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self.get_mut().poll_recv(cx)
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        unregister(self.handler);
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("id", &self.id()).finish_non_exhaustive()
    }
}
