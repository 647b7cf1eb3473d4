//! Knows the sources that the system watches for us, and turns its reports into wakes.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use mio::event::Source as MioSource;
use mio::{Interest, Registry, Token};

use crate::driver::readiness::{Direction, Ready, Source, Waiter};
use crate::primitive::Mutex;
use crate::scheduler::Shared;
use crate::task::coop;
use crate::task::waker::wake_foreign;

/// The driver was woken by a thread.
pub(super) const WAKE: Token = Token(usize::MAX);
/// A timer may be due.
pub(super) const ALARM: Token = Token(usize::MAX - 1);

pub(crate) struct Reactor {
    registry: Registry,
    sources: Mutex<Sources>,
}

/// A token is an index and, above it, a number that no earlier source at that index had: a report
/// for a source that is gone finds nobody.
#[derive(Default)]
struct Sources {
    slots: Vec<Option<Arc<Source>>>,
    free: Vec<usize>,
    next_generation: usize,
    is_closed: bool,
}

/// At most so many sources: the rest of a token is the generation.
const INDEX_BITS: u32 = if usize::BITS == 64 { 32 } else { 16 };

/// When no source is left, room for so many is kept and the rest given back.
const KEPT_SLOTS: usize = 64;

impl Sources {
    fn insert(&mut self) -> io::Result<Arc<Source>> {
        if self.is_closed {
            return Err(gone());
        }
        let index = self.free.pop().unwrap_or(self.slots.len());
        if index >> INDEX_BITS != 0 {
            return Err(io::Error::other("too many sockets are open in this runtime"));
        }
        // The highest generation is never used, so that WAKE and ALARM are nobody's.
        let generations = usize::MAX >> INDEX_BITS;
        self.next_generation = (self.next_generation + 1) % generations;
        let token = Token(self.next_generation << INDEX_BITS | index);
        let source = Arc::new(Source::new(token));
        if index == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[index] = Some(source.clone());
        Ok(source)
    }

    fn get(&self, token: Token) -> Option<Arc<Source>> {
        let slot = self.slots.get(index_of(token))?;
        slot.clone().filter(|source| source.token == token)
    }

    fn remove(&mut self, token: Token) -> Option<Arc<Source>> {
        let removed = self.slots.get_mut(index_of(token))?.take_if(|source| source.token == token);
        if removed.is_some() {
            self.free.push(index_of(token));
            if self.free.len() == self.slots.len() && self.slots.capacity() > KEPT_SLOTS {
                self.slots = Vec::new();
                self.free = Vec::new();
            }
        }
        removed
    }
}

fn index_of(token: Token) -> usize {
    token.0 & ((1 << INDEX_BITS) - 1)
}

pub(crate) fn gone() -> io::Error {
    io::Error::other(Gone)
}

/// Why a resource of a runtime that has ended cannot be used.
#[derive(Debug)]
struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the runtime of this resource has ended; keep it alive while it is used")
    }
}

impl std::error::Error for Gone {}

/// Says whether an error comes from using a resource whose runtime has ended.
///
/// ```
/// use forebear::net::TcpListener;
/// use forebear::runtime::{Runtime, is_rt_shutdown_err};
///
/// let (one, other) = (Runtime::new()?, Runtime::new()?);
/// let listener = one.block_on(async { TcpListener::bind("127.0.0.1:0").await })?;
/// drop(one);
/// let error = other.block_on(listener.accept()).unwrap_err();
/// assert!(is_rt_shutdown_err(&error));
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn is_rt_shutdown_err(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Gone>())
}

impl Reactor {
    pub(super) fn new(registry: Registry) -> Reactor {
        Reactor { registry, sources: Mutex::default() }
    }

    /// Notes the reports, and adds those whom they concern to `wakers`.
    pub(super) fn dispatch(&self, events: &mio::Events, wakers: &mut Vec<Waker>) {
        if events.is_empty() {
            return;
        }
        let sources = self.sources.lock();
        for event in events {
            if let Some(source) = sources.get(event.token()) {
                source.report(event, wakers);
            }
        }
    }

    /// Ends all waiting: the runtime is ending.
    pub(crate) fn close(&self) {
        let mut wakers = Vec::new();
        let mut sources = self.sources.lock();
        sources.is_closed = true;
        for source in sources.slots.iter().flatten() {
            source.shut_down(&mut wakers);
        }
        drop(sources);
        wakers.into_iter().for_each(wake_foreign);
    }

    /// Says how many sources are watched.
    pub(crate) fn len(&self) -> usize {
        let sources = self.sources.lock();
        sources.slots.len() - sources.free.len()
    }
}

/// A source that the system watches, until this is dropped.
pub(crate) struct Registration<S: MioSource> {
    io: S,
    source: Arc<Source>,
    shared: Arc<Shared>,
}

impl<S: MioSource> Registration<S> {
    /// Lets the system watch `io`.
    pub(crate) fn new(mut io: S, shared: Arc<Shared>, interest: Interest) -> io::Result<Self> {
        let reactor = &shared.driver.reactor;
        let source = reactor.sources.lock().insert()?;
        if let Err(error) = reactor.registry.register(&mut io, source.token, interest) {
            let unused = reactor.sources.lock().remove(source.token);
            drop(unused);
            return Err(error);
        }
        Ok(Registration { io, source, shared })
    }

    pub(crate) fn io(&self) -> &S {
        &self.io
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Waits until the source is ready: for `waiter`, or as the one reader or writer.
    pub(crate) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        waiter: Option<&mut Waiter>,
    ) -> Poll<io::Result<Ready>> {
        let proceed = ready!(coop::poll_proceed(cx));
        let ready = ready!(self.source.poll_ready(cx, direction, waiter));
        proceed.made_progress();
        Poll::Ready(if ready.is_shutdown() { Err(gone()) } else { Ok(ready) })
    }

    /// Tries an operation each time the source is ready, until it does not block.
    ///
    /// `run` is called around each try: it emits the pair of the resource.
    pub(crate) fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut waiter: Option<&mut Waiter>,
        mut try_io: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            let ready = match self.poll_ready(cx, direction, waiter.as_deref_mut()) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => return Poll::Pending,
            };
            match try_io(&self.io) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.source.clear(ready);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Forgets a waiter.
    pub(crate) fn leave(&self, waiter: &mut Waiter) {
        self.source.leave(waiter);
    }
}

impl<S: MioSource> Drop for Registration<S> {
    fn drop(&mut self) {
        let reactor = &self.shared.driver.reactor;
        // The system forgets a socket that is closed; an error has no consequence.
        let _ = reactor.registry.deregister(&mut self.io);
        let removed = reactor.sources.lock().remove(self.source.token);
        drop(removed);
    }
}
