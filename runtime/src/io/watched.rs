//! A source that the driver watches and that is a resource: what all sockets have in common.
//!
//! Every operation of a socket is a try here: it is made when the system has said that the source
//! is ready, as code of the resource, between `before` and `after`.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::task::{Context, Poll};

use mio::event::Source;

use crate::driver::{Attempt, Registration, Watch};
use crate::hooks::AsyncId;
use crate::hooks::life::{Birth, Life};
use crate::io::wait::Wait;
use crate::io::{Interest, Ready};
use crate::scheduler::Shared;

/// A source with a registration and a life. Dropping it closes the source and then ends the life.
pub struct Watched<S: Source> {
    registration: Registration<S>,
    life: Life,
}

impl<S: Source> Watched<S> {
    /// Lets the driver watch `io`, and emits `init`.
    pub(crate) fn begin(
        io: S,
        shared: Arc<Shared>,
        watch: Watch,
        birth: Birth,
    ) -> io::Result<Watched<S>> {
        let birth = birth.runtime(shared.id());
        let registration = Registration::new(io, shared, watch)?;
        let life = Life::begin(birth);
        registration.belong_to(life.id());
        Ok(Watched { registration, life })
    }

    pub(crate) fn io(&self) -> &S {
        self.registration.io()
    }

    /// Lets the driver forget the source, ends the resource, and returns the source.
    pub(crate) fn into_io(self) -> S {
        self.registration.into_io()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        self.registration.shared()
    }

    pub(crate) fn id(&self) -> AsyncId {
        self.life.id()
    }

    /// Waits as the one reader or writer until the source is ready.
    pub(crate) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
    ) -> Poll<io::Result<()>> {
        self.registration.poll_ready(cx, interest, None).map(|seen| seen.map(drop))
    }

    /// Waits until the source is ready. Several may wait at once.
    pub(crate) fn ready(
        &self,
        interest: Interest,
    ) -> impl Future<Output = io::Result<Ready>> + use<'_, S> {
        let mut wait = Wait::new(&self.registration, interest);
        poll_fn(move |cx| wait.poll_ready(cx).map(|seen| seen.map(|seen| seen.ready())))
    }

    /// Waits as the one reader or writer until an operation does not block.
    pub(crate) fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut try_io: impl FnMut(&Attempt<'_, S>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let try_io = |attempt: &Attempt<'_, S>| self.life.run(|_| try_io(attempt));
        self.registration.poll_io(cx, interest, None, try_io)
    }

    /// Waits until an operation does not block. Several may wait at once.
    pub(crate) fn async_io<R, F>(
        &self,
        interest: Interest,
        mut try_io: F,
    ) -> impl Future<Output = io::Result<R>> + use<'_, S, R, F>
    where
        F: FnMut(&Attempt<'_, S>) -> io::Result<R>,
    {
        let mut wait = Wait::new(&self.registration, interest);
        poll_fn(move |cx| wait.poll_io(cx, |attempt| self.life.run(|_| try_io(attempt))))
    }

    /// Waits for a place among others; see [`async_io`](Watched::async_io).
    pub(crate) fn wait(&self, interest: Interest) -> Wait<'_, S> {
        Wait::new(&self.registration, interest)
    }

    /// Waits in `wait`, a place of this source, until an operation does not block.
    pub(crate) fn poll_wait<R>(
        &self,
        wait: &mut Wait<'_, S>,
        cx: &mut Context<'_>,
        mut try_io: impl FnMut(&Attempt<'_, S>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        wait.poll_io(cx, |attempt| self.life.run(|_| try_io(attempt)))
    }

    /// Tries an operation once, whether the driver has said that the source is ready or not.
    #[cfg(feature = "serve")]
    pub(crate) fn try_anyway<R>(&self, try_io: impl FnOnce(&S) -> io::Result<R>) -> io::Result<R> {
        self.life.run(|_| try_io(self.io()))
    }

    /// Tries an operation once, if the source is ready; else it would block.
    pub(crate) fn try_io<R>(
        &self,
        interest: Interest,
        try_io: impl FnOnce(&Attempt<'_, S>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.registration.try_io(interest, |attempt| self.life.run(|_| try_io(attempt)))
    }
}

impl<S: Source + fmt::Debug> fmt::Debug for Watched<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("io", self.io()).field("life", &self.life).finish()
    }
}

// No user code runs under our locks, so a panic leaves nothing half done.
impl<S: Source> UnwindSafe for Watched<S> {}
impl<S: Source> RefUnwindSafe for Watched<S> {}
