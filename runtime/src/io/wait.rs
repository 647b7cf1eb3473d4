//! Waits for a source that is only borrowed, so that several may wait at once.

use std::io;
use std::task::{Context, Poll};

use mio::event::Source;

use crate::driver::{Attempt, Registration, Seen, Waiter};
use crate::io::Interest;

/// One place among those who wait for a source, left when this is dropped.
pub(crate) struct Wait<'a, S: Source> {
    registration: &'a Registration<S>,
    interest: Interest,
    waiter: Waiter,
}

impl<'a, S: Source> Wait<'a, S> {
    pub(crate) fn new(registration: &'a Registration<S>, interest: Interest) -> Wait<'a, S> {
        Wait { registration, interest, waiter: Waiter::default() }
    }

    /// Tries the operation each time the source is ready, until it does not block.
    pub(crate) fn poll_io<R>(
        &mut self,
        cx: &mut Context<'_>,
        try_io: impl FnMut(&Attempt<'_, S>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.registration.poll_io(cx, self.interest, Some(&mut self.waiter), try_io)
    }

    /// Waits until the source is ready.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Seen>> {
        self.registration.poll_ready(cx, self.interest, Some(&mut self.waiter))
    }
}

impl<S: Source> Drop for Wait<'_, S> {
    fn drop(&mut self) {
        self.registration.leave(&mut self.waiter);
    }
}
