//! Waits for any descriptor that the system can watch.

use std::any::type_name;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::driver::{Registration, Seen, Waiter, Watch};
use crate::handle::Handle;
use crate::hooks::life::{Birth, Life};
use crate::hooks::{AsyncId, Kind};
use crate::io::descriptor::Descriptor;
use crate::io::wait::Wait;
use crate::io::{Interest, Ready};

/// Any object with a descriptor that the system can watch: a socket of a kind that is not in
/// [`net`](crate::net), an inotify or a timerfd descriptor, a device, a C library's connection.
///
/// It waits; reading and writing is the object's own business, and must not block: the descriptor
/// has to be in non-blocking mode. Readiness stays noted until an operation says that it would
/// block, so either give the operation to a `try_io` or an `async_io`, or see to it that the guard
/// is told ([`AsyncFdReadyGuard::clear_ready`]).
///
/// # Hooks
/// A resource of kind `ASYNC_FD`, whose label is the type of the object: `init` when it is made; a
/// pair around each attempt that a `try_io` or an `async_io` makes, and where readiness is cleared;
/// `destroy` at its drop.
///
/// # Examples
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// use forebear::io::Interest;
/// use forebear::io::unix::AsyncFd;
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let (mut near, far) = UnixStream::pair()?;
/// far.set_nonblocking(true)?;
/// let far = AsyncFd::with_interest(far, Interest::READABLE)?;
/// near.write_all(b"ping")?;
/// let mut read = [0; 4];
/// let count = far.async_io(Interest::READABLE, |mut far| far.read(&mut read)).await?;
/// assert_eq!(&read[..count], b"ping");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct AsyncFd<T: AsRawFd> {
    registration: Registration<Descriptor<T>>,
    /// Shared, so that the pair can stay open while the object is borrowed mutably.
    life: Arc<Life>,
}

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

impl<T: AsRawFd> AsyncFd<T> {
    /// Takes an object over, to read and to write.
    ///
    /// # Errors
    /// When the system cannot watch the descriptor: an ordinary file, or one that is not open.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn new(inner: T) -> io::Result<AsyncFd<T>> {
        AsyncFd::with_interest(inner, BOTH)
    }

    /// Takes an object over, to wait for this.
    ///
    /// # Errors
    /// As [`new`](AsyncFd::new).
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn with_interest(inner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
        AsyncFd::try_with_interest(inner, interest).map_err(io::Error::from)
    }

    /// As [`new`](AsyncFd::new), but gives the object back if it cannot be watched.
    ///
    /// # Errors
    /// As [`new`](AsyncFd::new).
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn try_new(inner: T) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        AsyncFd::try_with_interest(inner, BOTH)
    }

    /// As [`with_interest`](AsyncFd::with_interest), but gives the object back if it cannot be
    /// watched.
    ///
    /// # Errors
    /// As [`new`](AsyncFd::new).
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn try_with_interest(
        inner: T,
        interest: Interest,
    ) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        let birth = Birth::new(Kind::ASYNC_FD, type_name::<T>).location(Location::caller());
        let shared = Handle::current().shared().clone();
        let birth = birth.runtime(shared.id());
        match Registration::try_new(Descriptor(inner), shared, Watch::of(interest)) {
            Ok(registration) => {
                let life = Arc::new(Life::begin(birth));
                registration.belong_to(life.id());
                Ok(AsyncFd { registration, life })
            }
            Err((Descriptor(inner), cause)) => Err(AsyncFdRegisterError { inner, cause }),
        }
    }

    /// As [`try_new`](AsyncFd::try_new), under the name that tokio prefers. There it is `unsafe`,
    /// because it lends the descriptor to others; this one does so only if the object does
    /// ([`AsFd`]), so nothing that the descriptor is can break a promise.
    ///
    /// # Errors
    /// As [`new`](AsyncFd::new).
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn register(inner: T) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        AsyncFd::try_with_interest(inner, BOTH)
    }

    /// As [`try_with_interest`](AsyncFd::try_with_interest); see [`register`](AsyncFd::register).
    ///
    /// # Errors
    /// As [`new`](AsyncFd::new).
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn register_with_interest(
        inner: T,
        interest: Interest,
    ) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        AsyncFd::try_with_interest(inner, interest)
    }

    /// Returns the object.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        &self.registration.io().0
    }

    /// Returns the object. Its descriptor must stay the one that is watched.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.registration.io_mut().0
    }

    /// Gives the object back, which is watched no longer.
    ///
    /// # Hooks
    /// `destroy`.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.registration.into_io().0
    }

    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> AsyncId {
        self.life.id()
    }

    /// Waits until there may be something to read.
    ///
    /// One task at a time may wait so; any number may with [`readable`](AsyncFd::readable).
    ///
    /// # Errors
    /// When the runtime has ended.
    pub fn poll_read_ready<'a>(
        &'a self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        self.poll_ready(cx, Interest::READABLE).map(|seen| self.guard(seen))
    }

    /// As [`poll_read_ready`](AsyncFd::poll_read_ready), for an operation that changes the object.
    ///
    /// # Errors
    /// When the runtime has ended.
    pub fn poll_read_ready_mut<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        self.poll_ready(cx, Interest::READABLE).map(|seen| self.guard_mut(seen))
    }

    /// Waits until something can probably be written.
    ///
    /// One task at a time may wait so; any number may with [`writable`](AsyncFd::writable).
    ///
    /// # Errors
    /// When the runtime has ended.
    pub fn poll_write_ready<'a>(
        &'a self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        self.poll_ready(cx, Interest::WRITABLE).map(|seen| self.guard(seen))
    }

    /// As [`poll_write_ready`](AsyncFd::poll_write_ready), for an operation that changes the
    /// object.
    ///
    /// # Errors
    /// When the runtime has ended.
    pub fn poll_write_ready_mut<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        self.poll_ready(cx, Interest::WRITABLE).map(|seen| self.guard_mut(seen))
    }

    /// Waits until it is ready for any of this; the guard says for what.
    ///
    /// # Errors
    /// When the runtime has ended.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn ready(&self, interest: Interest) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        let seen = self.wait(interest).await;
        self.guard(seen)
    }

    /// As [`ready`](AsyncFd::ready), for an operation that changes the object.
    ///
    /// # Errors
    /// When the runtime has ended.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn ready_mut(
        &mut self,
        interest: Interest,
    ) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        let seen = self.wait(interest).await;
        self.guard_mut(seen)
    }

    /// Waits until there may be something to read. Several may wait at once.
    ///
    /// # Errors
    /// When the runtime has ended.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::READABLE).await
    }

    /// As [`readable`](AsyncFd::readable), for an operation that changes the object.
    ///
    /// # Errors
    /// When the runtime has ended.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn readable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::READABLE).await
    }

    /// Waits until something can probably be written. Several may wait at once.
    ///
    /// # Errors
    /// When the runtime has ended.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn writable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::WRITABLE).await
    }

    /// As [`writable`](AsyncFd::writable), for an operation that changes the object.
    ///
    /// # Errors
    /// When the runtime has ended.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn writable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::WRITABLE).await
    }

    /// Waits until it is ready, and tries an operation; if that would block, waits again.
    ///
    /// # Errors
    /// The operation's own, and when the runtime has ended.
    ///
    /// # Cancel safety
    /// Safe: between a try that succeeds and the return there is no waiting.
    ///
    /// # Hooks
    /// A pair around each try.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut f: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut wait = Wait::new(&self.registration, interest);
        poll_fn(|cx| wait.poll_io(cx, |attempt| self.life.run(|_| f(&attempt.io.0)))).await
    }

    /// As [`async_io`](AsyncFd::async_io), for an operation that changes the object.
    ///
    /// # Errors
    /// As [`async_io`](AsyncFd::async_io).
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Hooks
    /// A pair around each try.
    pub async fn async_io_mut<R>(
        &mut self,
        interest: Interest,
        mut f: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut place = Place { async_fd: self, waiter: Waiter::default() };
        poll_fn(|cx| {
            let Place { async_fd: AsyncFd { registration, life }, waiter } = &mut place;
            registration.poll_io_mut(cx, interest, waiter, |io| life.run(|_| f(&mut io.0)))
        })
        .await
    }

    /// Tries an operation, if the object is ready; else it would block.
    ///
    /// # Errors
    /// The operation's own, and [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// # Hooks
    /// A pair around the try.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        f: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.registration.try_io(interest, |attempt| self.life.run(|_| f(&attempt.io.0)))
    }

    /// As [`try_io`](AsyncFd::try_io), for an operation that changes the object.
    ///
    /// # Errors
    /// As [`try_io`](AsyncFd::try_io).
    ///
    /// # Hooks
    /// A pair around the try.
    pub fn try_io_mut<R>(
        &mut self,
        interest: Interest,
        f: impl FnOnce(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let AsyncFd { registration, life } = self;
        registration.try_io_mut(interest, |io| life.run(|_| f(&mut io.0)))
    }

    fn poll_ready(&self, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<Seen>> {
        self.registration.poll_ready(cx, interest, None)
    }

    fn wait(&self, interest: Interest) -> impl Future<Output = io::Result<Seen>> + use<'_, T> {
        let mut wait = Wait::new(&self.registration, interest);
        poll_fn(move |cx| wait.poll_ready(cx))
    }

    fn guard(&self, seen: io::Result<Seen>) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        seen.map(|seen| AsyncFdReadyGuard { async_fd: self, event: Event(Some(seen)) })
    }

    fn guard_mut(&mut self, seen: io::Result<Seen>) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        seen.map(|seen| AsyncFdReadyMutGuard { async_fd: self, event: Event(Some(seen)) })
    }
}

/// A place among those who wait, of somebody who may change the object.
struct Place<'a, T: AsRawFd> {
    async_fd: &'a mut AsyncFd<T>,
    waiter: Waiter,
}

impl<T: AsRawFd> Drop for Place<'_, T> {
    fn drop(&mut self) {
        self.async_fd.registration.leave(&mut self.waiter);
    }
}

// No user code runs under our locks, so a panic leaves nothing half done.
impl<T: AsRawFd + UnwindSafe> UnwindSafe for AsyncFd<T> {}
impl<T: AsRawFd + RefUnwindSafe> RefUnwindSafe for AsyncFd<T> {}

impl<T: AsRawFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.get_ref().as_raw_fd()
    }
}

impl<T: AsRawFd + AsFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsRawFd + fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFd").field("id", &self.id()).field("inner", self.get_ref()).finish()
    }
}

/// What an [`AsyncFd`] was ready for, until it is cleared.
struct Event(Option<Seen>);

impl Event {
    fn ready(&self) -> Ready {
        self.0.map_or(Ready::EMPTY, Seen::ready)
    }

    fn clear<T: AsRawFd>(&mut self, async_fd: &AsyncFd<T>) {
        async_fd.life.run(|_| self.clear_in_pair(async_fd, Ready::ALL));
    }

    fn clear_matching<T: AsRawFd>(&mut self, async_fd: &AsyncFd<T>, ready: Ready) {
        async_fd.life.run(|_| self.clear_in_pair(async_fd, ready));
    }

    fn clear_in_pair<T: AsRawFd>(&mut self, async_fd: &AsyncFd<T>, ready: Ready) {
        if let Some(seen) = self.0 {
            async_fd.registration.clear(seen, ready & seen.ready());
            let left = seen.without(ready);
            self.0 = Some(left).filter(|left| !left.ready().is_empty());
        }
    }

    /// Clears it if the operation would have blocked, which its caller is told apart from errors.
    fn settle<T: AsRawFd, R>(
        &mut self,
        async_fd: &AsyncFd<T>,
        result: io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        match &result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.clear_in_pair(async_fd, Ready::ALL);
                Err(TryIoError(()))
            }
            _ => Ok(result),
        }
    }
}

/// Says that an [`AsyncFd`] is ready, as far as is known.
///
/// That stays noted until an operation has found that it would block: use
/// [`try_io`](AsyncFdReadyGuard::try_io), or say so with
/// [`clear_ready`](AsyncFdReadyGuard::clear_ready). Dropping it clears nothing.
#[must_use = "readiness stays noted until it is cleared"]
pub struct AsyncFdReadyGuard<'a, T: AsRawFd> {
    async_fd: &'a AsyncFd<T>,
    event: Event,
}

/// As [`AsyncFdReadyGuard`], for an operation that changes the object.
#[must_use = "readiness stays noted until it is cleared"]
pub struct AsyncFdReadyMutGuard<'a, T: AsRawFd> {
    async_fd: &'a mut AsyncFd<T>,
    event: Event,
}

impl<'a, T: AsRawFd> AsyncFdReadyGuard<'a, T> {
    /// Notes that an operation has found that it would block. What became ready since this guard
    /// was made is not forgotten, and what is closed stays closed.
    ///
    /// Never call it because an operation has succeeded: there may be more, and nobody will report
    /// that.
    ///
    /// # Hooks
    /// A pair.
    pub fn clear_ready(&mut self) {
        self.event.clear(self.async_fd);
    }

    /// As [`clear_ready`](AsyncFdReadyGuard::clear_ready), for a part of it.
    ///
    /// # Hooks
    /// A pair.
    pub fn clear_ready_matching(&mut self, ready: Ready) {
        self.event.clear_matching(self.async_fd, ready);
    }

    /// Leaves it noted that the object is ready, as dropping the guard does, but says so.
    pub fn retain_ready(&mut self) {}

    /// Says what the object is ready for.
    #[must_use]
    pub fn ready(&self) -> Ready {
        self.event.ready()
    }

    /// Tries an operation, and clears the readiness if it would block.
    ///
    /// # Errors
    /// The outer error says that it would block; the inner one is the operation's own.
    ///
    /// # Hooks
    /// A pair around the try.
    pub fn try_io<R>(
        &mut self,
        f: impl FnOnce(&'a AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        let AsyncFdReadyGuard { async_fd, event } = self;
        async_fd.life.run(|_| event.settle(async_fd, f(async_fd)))
    }

    /// Returns what it is about.
    #[must_use]
    pub fn get_ref(&self) -> &'a AsyncFd<T> {
        self.async_fd
    }

    /// Returns the object.
    #[must_use]
    pub fn get_inner(&self) -> &'a T {
        self.async_fd.get_ref()
    }
}

impl<T: AsRawFd> AsyncFdReadyMutGuard<'_, T> {
    /// As [`AsyncFdReadyGuard::clear_ready`].
    pub fn clear_ready(&mut self) {
        self.event.clear(self.async_fd);
    }

    /// As [`AsyncFdReadyGuard::clear_ready_matching`].
    pub fn clear_ready_matching(&mut self, ready: Ready) {
        self.event.clear_matching(self.async_fd, ready);
    }

    /// As [`AsyncFdReadyGuard::retain_ready`].
    pub fn retain_ready(&mut self) {}

    /// Says what the object is ready for.
    #[must_use]
    pub fn ready(&self) -> Ready {
        self.event.ready()
    }

    /// Tries an operation, and clears the readiness if it would block.
    ///
    /// # Errors
    /// The outer error says that it would block; the inner one is the operation's own.
    ///
    /// # Hooks
    /// A pair around the try.
    pub fn try_io<R>(
        &mut self,
        f: impl FnOnce(&mut AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        let life = self.async_fd.life.clone();
        let AsyncFdReadyMutGuard { async_fd, event } = self;
        life.run(|_| {
            let result = f(async_fd);
            event.settle(async_fd, result)
        })
    }

    /// Returns what it is about.
    #[must_use]
    pub fn get_ref(&self) -> &AsyncFd<T> {
        self.async_fd
    }

    /// Returns what it is about.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut AsyncFd<T> {
        self.async_fd
    }

    /// Returns the object.
    #[must_use]
    pub fn get_inner(&self) -> &T {
        self.async_fd.get_ref()
    }

    /// Returns the object.
    #[must_use]
    pub fn get_inner_mut(&mut self) -> &mut T {
        self.async_fd.get_mut()
    }
}

impl<T: AsRawFd + fmt::Debug> fmt::Debug for AsyncFdReadyGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFdReadyGuard")
            .field("async_fd", &self.async_fd)
            .field("ready", &self.ready())
            .finish()
    }
}

impl<T: AsRawFd + fmt::Debug> fmt::Debug for AsyncFdReadyMutGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFdReadyMutGuard")
            .field("async_fd", &self.async_fd)
            .field("ready", &self.ready())
            .finish()
    }
}

/// An operation would block: the answer of [`AsyncFdReadyGuard::try_io`] that is no error.
#[derive(Debug)]
pub struct TryIoError(());

impl fmt::Display for TryIoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operation would block")
    }
}

impl Error for TryIoError {}

/// The system cannot watch an object, which is given back.
pub struct AsyncFdRegisterError<T> {
    inner: T,
    cause: io::Error,
}

/// Is now called [`AsyncFdRegisterError`].
#[deprecated = "it is called `AsyncFdRegisterError`"]
#[doc(hidden)]
pub type AsyncFdTryNewError<T> = AsyncFdRegisterError<T>;

impl<T> AsyncFdRegisterError<T> {
    /// Returns the object, and why it cannot be watched.
    #[must_use]
    pub fn into_parts(self) -> (T, io::Error) {
        (self.inner, self.cause)
    }
}

impl<T> fmt::Display for AsyncFdRegisterError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl<T> fmt::Debug for AsyncFdRegisterError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.cause, f)
    }
}

impl<T> Error for AsyncFdRegisterError<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

impl<T> From<AsyncFdRegisterError<T>> for io::Error {
    fn from(error: AsyncFdRegisterError<T>) -> io::Error {
        error.cause
    }
}
