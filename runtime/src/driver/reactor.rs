//! Knows the sources that the system watches for us, and turns its reports into wakes.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use mio::event::Source as MioSource;
use mio::{Registry, Token};

use crate::driver::readiness::{Seen, Source, Waiter};
use crate::driver::sys;
use crate::hooks::AsyncId;
use crate::hooks::waits::Wait;
use crate::io::{Interest, Ready};
use crate::primitive::{AtomicBool, Mutex, Ordering};
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
    /// Whether there are any. Relaxed: it is a hint, written under the lock.
    has_sources: AtomicBool,
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

/// Whoever looks holds the lock for so many sources.
const LOOK_MAX_SOURCES: usize = 128;

/// When no source is left, room for so many is kept and the rest given back.
const KEPT_SLOTS: usize = 64;

impl Sources {
    fn insert(&mut self, watch: Watch) -> io::Result<Arc<Source>> {
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
        let source = Arc::new(Source::new(token, watch));
        if index == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[index] = Some(source.clone());
        Ok(source)
    }

    fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
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
        Reactor { registry, sources: Mutex::default(), has_sources: AtomicBool::new(false) }
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

    /// Says whether any source is watched.
    #[inline]
    pub(super) fn has_sources(&self) -> bool {
        self.has_sources.load(Ordering::Relaxed)
    }

    fn insert(&self, watch: Watch) -> io::Result<Arc<Source>> {
        let mut sources = self.sources.lock();
        let source = sources.insert(watch);
        self.has_sources.store(!sources.is_empty(), Ordering::Relaxed);
        source
    }

    fn remove(&self, token: Token) -> Option<Arc<Source>> {
        let mut sources = self.sources.lock();
        let source = sources.remove(token);
        self.has_sources.store(!sources.is_empty(), Ordering::Relaxed);
        source
    }

    /// Shows to `f` which tasks wait for which sources, and for what of them.
    pub(crate) fn each_wait(&self, f: &mut dyn FnMut(Wait)) {
        let (mut from, mut found) = (0, Vec::new());
        loop {
            let sources = self.sources.lock();
            let Some(rest) = sources.slots.get(from..).filter(|rest| !rest.is_empty()) else {
                return;
            };
            // So many at a time, because the driver needs the lock for every report.
            rest.iter().take(LOOK_MAX_SOURCES).flatten().for_each(|source| {
                source.add_waits(&mut found);
            });
            from += LOOK_MAX_SOURCES.min(rest.len());
            drop(sources);
            found.drain(..).for_each(&mut *f);
        }
    }

    /// Says how many sources are watched.
    pub(crate) fn len(&self) -> usize {
        self.sources.lock().len()
    }
}

/// A source that the system watches, until this is dropped.
pub(crate) struct Registration<S: MioSource> {
    /// `None` only on the way out.
    io: Option<S>,
    source: Arc<Source>,
    shared: Arc<Shared>,
}

/// What the system is asked to report of a source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    pub(crate) interest: Interest,
    /// What of the reports counts.
    pub(super) noted: Ready,
    /// What it is taken to be ready for until an operation finds otherwise.
    pub(super) assumed: Ready,
}

impl Watch {
    /// Everything about this much.
    pub(crate) const fn of(interest: Interest) -> Watch {
        Watch { interest, noted: Ready::ALL, assumed: Ready::EMPTY }
    }

    /// Both directions of a socket that carries messages. One that could not be delivered is an
    /// error of the next operation, and passes. The system tells of it in words that would be the
    /// end of a stream; here neither direction is ever closed for good.
    pub(crate) const fn for_messages() -> Watch {
        let noted = Ready::READABLE.with(Ready::WRITABLE).with(Ready::ERROR);
        let interest = Interest::READABLE.add(Interest::WRITABLE);
        Watch { interest, noted, assumed: Ready::WRITABLE }
    }

    /// Takes the source to be ready for this, without waiting for the first report: the first
    /// operation is tried at once. For what is probably so.
    pub(crate) const fn assuming(mut self, ready: Ready) -> Watch {
        self.assumed = ready;
        self
    }
}

/// One try of an operation, made because the source was ready.
pub(crate) struct Attempt<'a, S> {
    pub(crate) io: &'a S,
    source: &'a Source,
    seen: Seen,
}

impl<S> Attempt<'_, S> {
    /// Says that the operation moved less than it could have, so that the next would block.
    ///
    /// That spares the call that finds out. Where urgent data may have cut a read short, or the
    /// system tells of readiness again only after an operation that did block, nothing follows.
    pub(crate) fn fell_short(&self) {
        if sys::SHORT_IS_ALL && !self.seen.all().is_urgent() {
            self.source.clear(self.seen);
        }
    }
}

impl<S: MioSource> Registration<S> {
    /// Lets the system watch `io`.
    pub(crate) fn new(io: S, shared: Arc<Shared>, watch: Watch) -> io::Result<Self> {
        Registration::try_new(io, shared, watch).map_err(|(_, error)| error)
    }

    /// Lets the system watch `io`, or gives it back.
    pub(crate) fn try_new(
        mut io: S,
        shared: Arc<Shared>,
        watch: Watch,
    ) -> Result<Self, (S, io::Error)> {
        let reactor = &shared.driver.reactor;
        let source = match reactor.insert(watch) {
            Ok(source) => source,
            Err(error) => return Err((io, error)),
        };
        let interest = watch.interest.to_mio();
        if let Err(error) = reactor.registry.register(&mut io, source.token, interest) {
            drop(reactor.remove(source.token));
            return Err((io, error));
        }
        Ok(Registration { io: Some(io), source, shared })
    }

    /// Says which resource the source is.
    pub(crate) fn belong_to(&self, id: AsyncId) {
        self.source.belong_to(id);
    }

    pub(crate) fn io(&self) -> &S {
        match &self.io {
            Some(io) => io,
            None => unreachable!("it is taken by value only"),
        }
    }

    pub(crate) fn io_mut(&mut self) -> &mut S {
        match &mut self.io {
            Some(io) => io,
            None => unreachable!("it is taken by value only"),
        }
    }

    /// Lets the system forget the source, and returns it.
    pub(crate) fn into_io(mut self) -> S {
        match self.forget() {
            Some(io) => io,
            None => unreachable!("it is taken by value only"),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Waits until the source is ready: for `waiter`, or as the one reader or writer.
    pub(crate) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        waiter: Option<&mut Waiter>,
    ) -> Poll<io::Result<Seen>> {
        let proceed = ready!(coop::poll_proceed(cx));
        let seen = ready!(self.source.poll_ready(cx, interest, waiter));
        proceed.made_progress();
        Poll::Ready(unless_gone(seen))
    }

    /// Tries an operation each time the source is ready, until it does not block.
    ///
    /// `try_io` emits the pair of the resource around what it does.
    pub(crate) fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut waiter: Option<&mut Waiter>,
        mut try_io: impl FnMut(&Attempt<'_, S>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            let seen = ready!(self.poll_ready(cx, interest, waiter.as_deref_mut()))?;
            let result = try_io(&Attempt { io: self.io(), source: &self.source, seen });
            if let Some(result) = self.settle(seen, result) {
                return Poll::Ready(result);
            }
        }
    }

    /// As [`poll_io`](Registration::poll_io), for an operation that changes the source's own data.
    pub(crate) fn poll_io_mut<R>(
        &mut self,
        cx: &mut Context<'_>,
        interest: Interest,
        waiter: &mut Waiter,
        mut try_io: impl FnMut(&mut S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            let seen = ready!(self.poll_ready(cx, interest, Some(waiter)))?;
            let result = try_io(self.io_mut());
            if let Some(result) = self.settle(seen, result) {
                return Poll::Ready(result);
            }
        }
    }

    /// Takes note of what an operation came to. `None`: it is to be tried again, when the source is
    /// ready.
    fn settle<R>(&self, seen: Seen, result: io::Result<R>) -> Option<io::Result<R>> {
        match result.as_ref().map_err(io::Error::kind) {
            Err(io::ErrorKind::WouldBlock) => {
                self.source.clear(seen);
                None
            }
            Err(io::ErrorKind::Interrupted) => None,
            _ => Some(result),
        }
    }

    /// Tries an operation once, if the source is ready; else it would block.
    pub(crate) fn try_io<R>(
        &self,
        interest: Interest,
        try_io: impl FnOnce(&Attempt<'_, S>) -> io::Result<R>,
    ) -> io::Result<R> {
        let seen = self.look(interest)?;
        let result = try_io(&Attempt { io: self.io(), source: &self.source, seen });
        self.settle_once(seen, result)
    }

    /// As [`try_io`](Registration::try_io), for an operation that changes the source's own data.
    pub(crate) fn try_io_mut<R>(
        &mut self,
        interest: Interest,
        try_io: impl FnOnce(&mut S) -> io::Result<R>,
    ) -> io::Result<R> {
        let seen = self.look(interest)?;
        let result = try_io(self.io_mut());
        self.settle_once(seen, result)
    }

    /// Says what the source is ready for; if for nothing of this, that an operation would block.
    fn look(&self, interest: Interest) -> io::Result<Seen> {
        self.source.look(interest).map_or(Err(io::ErrorKind::WouldBlock.into()), unless_gone)
    }

    fn settle_once<R>(&self, seen: Seen, result: io::Result<R>) -> io::Result<R> {
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.source.clear(seen);
        }
        result
    }

    /// Notes that the source is not ready for this any more.
    pub(crate) fn clear(&self, seen: Seen, ready: Ready) {
        self.source.clear_of(seen, ready);
    }

    /// Forgets a waiter.
    pub(crate) fn leave(&self, waiter: &mut Waiter) {
        self.source.leave(waiter);
    }

    fn forget(&mut self) -> Option<S> {
        let mut io = self.io.take()?;
        let reactor = &self.shared.driver.reactor;
        // The system forgets a socket that is closed; an error has no consequence.
        let _ = reactor.registry.deregister(&mut io);
        drop(reactor.remove(self.source.token));
        Some(io)
    }
}

fn unless_gone(seen: Seen) -> io::Result<Seen> {
    if seen.is_shutdown() { Err(gone()) } else { Ok(seen) }
}

impl<S: MioSource> Drop for Registration<S> {
    fn drop(&mut self) {
        drop(self.forget());
    }
}
