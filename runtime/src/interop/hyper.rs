//! Implements hyper's executor, timer and I/O traits, so that hyper's servers and clients run here
//! with every task visible.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt;

use crate::handle::Handle;
use crate::interop::{reading_sides, writing_sides};
use crate::net::side::{ReadSide, WriteSide};
use crate::time::{self, Sleep};

/// Spawns hyper's background tasks on a runtime, or on the current one.
///
/// ```
/// use hyper::rt::Executor;
/// use forebear::interop::hyper::ForebearExecutor;
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// ForebearExecutor::new().execute(async {});
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ForebearExecutor {
    handle: Option<Handle>,
}

impl ForebearExecutor {
    /// Spawns on the runtime that is current when there is something to spawn.
    #[must_use]
    pub fn new() -> ForebearExecutor {
        ForebearExecutor::default()
    }

    /// Spawns on this runtime.
    #[must_use]
    pub fn on(handle: Handle) -> ForebearExecutor {
        ForebearExecutor { handle: Some(handle) }
    }
}

impl<F> rt::Executor<F> for ForebearExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    #[track_caller]
    fn execute(&self, future: F) {
        match &self.handle {
            Some(handle) => drop(handle.spawn(future)),
            None => drop(crate::spawn(future)),
        }
    }
}

/// Gives hyper timers of the current runtime: header read timeouts, keep-alive, and the like.
#[derive(Clone, Copy, Debug, Default)]
pub struct ForebearTimer;

impl ForebearTimer {
    /// Makes one.
    #[must_use]
    pub fn new() -> ForebearTimer {
        ForebearTimer
    }
}

impl rt::Timer for ForebearTimer {
    #[track_caller]
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(time::sleep(duration))
    }

    #[track_caller]
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(time::sleep_until(deadline.into()))
    }

    fn now(&self) -> Instant {
        time::Instant::now().into()
    }

    #[track_caller]
    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, new_deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Sleep>() {
            Some(sleep) => sleep.reset(new_deadline.into()),
            None => *sleep = self.sleep_until(new_deadline),
        }
    }
}

impl rt::Sleep for Sleep {}

/// Lets what speaks tokio's I/O traits speak hyper's, and the other way round.
///
/// Our own sockets speak both. This is for what others put around them: a TLS stream under hyper, or
/// hyper's `Upgraded` under a websocket.
///
/// ```
/// use forebear::interop::hyper::TokioIo;
///
/// fn speaks_hypers(_: impl hyper::rt::Read + hyper::rt::Write) {}
///
/// let (tls, _) = tokio::io::duplex(64);
/// speaks_hypers(TokioIo::new(tls));
/// ```
#[cfg(feature = "tokio-io")]
#[derive(Clone, Copy, Debug)]
pub struct TokioIo<T> {
    inner: T,
}

#[cfg(feature = "tokio-io")]
impl<T> TokioIo<T> {
    /// Wraps it.
    pub fn new(inner: T) -> TokioIo<T> {
        TokioIo { inner }
    }

    /// Returns what is wrapped.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// Returns what is wrapped.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Unwraps it.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

#[cfg(feature = "tokio-io")]
mod both {
    use super::{Context, Pin, Poll, TokioIo, io, rt};
    use crate::io::room;

    impl<T: tokio::io::AsyncRead + Unpin> rt::Read for TokioIo<T> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            mut buffer: rt::ReadBufCursor<'_>,
        ) -> Poll<io::Result<()>> {
            let inner = Pin::new(&mut self.inner);
            room::poll_tokio(&mut buffer, |buffer| inner.poll_read(cx, buffer))
        }
    }

    impl<T: rt::Read + Unpin> tokio::io::AsyncRead for TokioIo<T> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let inner = Pin::new(&mut self.inner);
            room::poll_hyper(buffer, |buffer| inner.poll_read(cx, buffer))
        }
    }

    /// Both traits have the same methods.
    macro_rules! write_as {
        ($trait:path, $inner:path) => {
            impl<T: $inner + Unpin> $trait for TokioIo<T> {
                fn poll_write(
                    mut self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                    data: &[u8],
                ) -> Poll<io::Result<usize>> {
                    Pin::new(&mut self.inner).poll_write(cx, data)
                }

                fn poll_flush(
                    mut self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                ) -> Poll<io::Result<()>> {
                    Pin::new(&mut self.inner).poll_flush(cx)
                }

                fn poll_shutdown(
                    mut self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                ) -> Poll<io::Result<()>> {
                    Pin::new(&mut self.inner).poll_shutdown(cx)
                }

                fn is_write_vectored(&self) -> bool {
                    self.inner.is_write_vectored()
                }

                fn poll_write_vectored(
                    mut self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                    data: &[io::IoSlice<'_>],
                ) -> Poll<io::Result<usize>> {
                    Pin::new(&mut self.inner).poll_write_vectored(cx, data)
                }
            }
        };
    }

    write_as!(rt::Write, tokio::io::AsyncWrite);
    write_as!(tokio::io::AsyncWrite, rt::Write);
}

macro_rules! read {
    ($($generics:ident)? => $side:ty) => {
        impl<$($generics: crate::net::stream::Stream)?> rt::Read for $side {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                mut buffer: rt::ReadBufCursor<'_>,
            ) -> Poll<io::Result<()>> {
                self.reader().poll_read_room(cx, &mut buffer)
            }
        }
    };
}

macro_rules! write {
    ($($generics:ident)? => $side:ty) => {
        impl<$($generics: crate::net::stream::Stream)?> rt::Write for $side {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                data: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.writer().poll_write(cx, data)
            }

            fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                // What is written is with the system at once.
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(
                self: Pin<&mut Self>,
                _cx: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                Poll::Ready(self.get_mut().close())
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                data: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.writer().poll_write_vectored(cx, data)
            }
        }
    };
}

reading_sides!(read);
writing_sides!(write);
