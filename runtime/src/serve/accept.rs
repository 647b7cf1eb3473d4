//! Accepts connections, as many as may be served at once, and makes a task of each; at the end, sees
//! them off.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::enter;
use crate::hooks::Kind;
use crate::hooks::life::Birth;
use crate::serve::connection::{self, Arrival, House};
use crate::serve::listen::{Listen, Setback};
use crate::serve::roster::{Phase, Roster};
use crate::serve::status::Status;
use crate::serve::trouble::Trouble;
use crate::serve::welcome::{Maker, Welcome};
use crate::spawn::spawn_on;
use crate::task;
use crate::time::Sleep;

/// How long to wait when connections cannot be accepted. Long enough to cost nothing, short enough
/// for a client that waits.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) type Signal = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The future of a [`Serve`](crate::serve::Serve).
#[must_use = "futures do nothing unless polled"]
pub struct Serving {
    pub(super) future: Pin<Box<dyn Future<Output = io::Result<Ended>> + Send>>,
}

impl Future for Serving {
    type Output = io::Result<Ended>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.future.as_mut().poll(cx)
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").finish_non_exhaustive()
    }
}

/// How a server has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// So many connections were accepted.
    pub accepted: u64,
    /// So many of them were still there when the time for the end was over, and were given up.
    pub connections_left: usize,
}

/// A server that accepts.
pub(super) struct Server<L, M, W> {
    pub(super) listener: L,
    pub(super) maker: M,
    pub(super) house: Arc<House<W>>,
    pub(super) signal: Option<Signal>,
}

/// What happened next.
enum Next<T, P> {
    Came(T, P),
    Failed(io::Error),
    Signal,
}

impl<L, M, W> Server<L, M, W>
where
    L: Listen,
    M: Maker<L::Peer>,
    W: Welcome<L::Stream>,
{
    pub(super) async fn run(mut self) -> io::Result<Ended> {
        let _host = Host(self.house.roster.clone());
        let mut accepted = 0;
        let mut is_short = false;
        loop {
            match self.next().await {
                Next::Came(stream, peer) => {
                    is_short = false;
                    accepted += 1;
                    self.let_in(stream, peer);
                }
                Next::Failed(error) => match Setback::of(&error) {
                    Setback::Passing => {}
                    Setback::Shortage => {
                        let trouble = Trouble::accept(error, PAUSE);
                        self.house.report.tell(&trouble, !is_short);
                        is_short = true;
                        if self.pause().await.is_break() {
                            break;
                        }
                    }
                    Setback::Final => return Err(error),
                },
                Next::Signal => break,
            }
        }
        accepted += self.let_in_who_waits();
        let Server { listener, house, .. } = self;
        drop(listener);
        Ok(Ended { accepted, connections_left: see_off(&house).await })
    }

    /// Waits for room and a connection, or for the signal.
    fn next(&mut self) -> impl Future<Output = Next<L::Stream, L::Peer>> + use<'_, L, M, W> {
        poll_fn(|cx| {
            if self.poll_signal(cx).is_ready() {
                return Poll::Ready(Next::Signal);
            }
            ready!(self.house.roster.poll_room(cx));
            let next = ready!(self.listener.poll_next(cx, self.house.location));
            Poll::Ready(match next {
                Ok((stream, peer)) => Next::Came(stream, peer),
                Err(error) => Next::Failed(error),
            })
        })
    }

    fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.signal {
            Some(signal) => signal.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    /// Waits a little; breaks off at the signal.
    async fn pause(&mut self) -> ControlFlow<()> {
        let mut pause = Sleep::for_so_long(PAUSE, || "pause", self.house.location);
        poll_fn(|cx| {
            if self.poll_signal(cx).is_ready() {
                return Poll::Ready(ControlFlow::Break(()));
            }
            Pin::new(&mut pause).poll(cx).map(ControlFlow::Continue)
        })
        .await
    }

    /// Makes a task of a connection, which descends from its socket and so from the listener.
    fn let_in(&self, stream: L::Stream, peer: L::Peer) {
        let write_timeout = self.house.limits.write;
        let is_watched = L::prepare(&stream, write_timeout);
        let write_timeout = write_timeout.filter(|_| !is_watched);
        let id = L::id_of(&stream);
        let status = Arc::<Status>::default();
        let ticket = self.house.roster.enter(status.clone());
        let arrival = Arrival { stream, id, peer, status, ticket, write_timeout };
        // Like a listener it outlives whatever called it into being.
        let birth = Birth::new(Kind::TASK, || "connection")
            .location(self.house.location)
            .trigger(id)
            .recurring();
        let serve = connection::serve(self.house.clone(), self.maker.clone(), arrival);
        enter::with_current(|shared| drop(spawn_on(shared, birth, serve)));
    }

    /// Lets in who has connected already, as far as there is room: closing the listener would turn
    /// them away. Returns how many they were.
    fn let_in_who_waits(&self) -> u64 {
        let mut count = 0;
        while self.house.roster.has_room() {
            match self.listener.next_now(self.house.location) {
                Ok((stream, peer)) => {
                    count += 1;
                    self.let_in(stream, peer);
                }
                Err(error) if Setback::of(&error) == Setback::Passing => {}
                // Nobody waits, or nobody can be let in.
                Err(_) => break,
            }
        }
        count
    }
}

/// Waits until all connections have ended, but not too long. Returns how many were left.
async fn see_off<W>(house: &House<W>) -> usize {
    let roster = &house.roster;
    roster.proceed(Phase::Ending);
    let limit = house.limits.shutdown;
    let mut over = limit.map(|limit| Sleep::for_so_long(limit, || "shutdown", house.location));
    let left = task::unconstrained(poll_fn(|cx| {
        if roster.poll_empty(cx).is_ready() {
            return Poll::Ready(0);
        }
        match &mut over {
            Some(over) => Pin::new(over).poll(cx).map(|()| roster.len()),
            None => Poll::Pending,
        }
    }));
    let left = left.await;
    roster.proceed(Phase::Abandoned);
    left
}

/// Whoever lets connections in; without it they end when they have answered.
struct Host(Arc<Roster>);

impl Drop for Host {
    fn drop(&mut self) {
        self.0.proceed(Phase::Ending);
    }
}
