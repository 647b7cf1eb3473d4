//! Waits for an operation on a socket that is only borrowed, so that several may wait at once.

use std::io;
use std::task::{Context, Poll};

use mio::event::Source;

use crate::driver::{Direction, Registration, Waiter};

/// One place among those who wait for a socket, left when this is dropped.
pub(super) struct Wait<'a, S: Source> {
    registration: &'a Registration<S>,
    direction: Direction,
    waiter: Waiter,
}

impl<'a, S: Source> Wait<'a, S> {
    pub(super) fn new(registration: &'a Registration<S>, direction: Direction) -> Wait<'a, S> {
        Wait { registration, direction, waiter: Waiter::default() }
    }

    /// Tries the operation each time the socket is ready, until it does not block.
    pub(super) fn poll_io<R>(
        &mut self,
        cx: &mut Context<'_>,
        try_io: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.registration.poll_io(cx, self.direction, Some(&mut self.waiter), try_io)
    }

    /// Waits until the socket is ready.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ready = self.registration.poll_ready(cx, self.direction, Some(&mut self.waiter));
        ready.map(|ready| ready.map(|_| ()))
    }
}

impl<S: Source> Drop for Wait<'_, S> {
    fn drop(&mut self) {
        self.registration.leave(&mut self.waiter);
    }
}
