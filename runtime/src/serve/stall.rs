//! Gives up a stream of HTTP/2 whose peer takes nothing of the answer.
//!
//! Over HTTP/1 the socket shows it. Over HTTP/2 the peer says how much it will take of each stream,
//! while the socket goes on: then the body of the answer has offered something, and is not asked for
//! more.
//!
//! # State
//!
//! An offer counts how often its body has offered something, and says whether that was taken. The
//! body changes it and the stream's task looks at it: hyper polls the one inside the other, so
//! Relaxed is enough.

use std::cell::Cell;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::primitive::{AtomicU32, Ordering};
use crate::time::Sleep;

/// What the body of one answer has to give.
pub(super) struct Offer(AtomicU32);

/// The offer stands: the peer has not taken it. What is above counts offers.
const STANDS: u32 = 1;

thread_local! {
    /// The offer of the request that was just handed over: hyper makes a task of its stream next, on
    /// this thread, before anything else.
    static NEXT: Cell<Option<Watch>> = const { Cell::new(None) };
}

/// Returns what looks after the request that was handed over last.
pub(super) fn take_next() -> Option<Watch> {
    NEXT.take()
}

/// What is done about peers that take nothing of an answer.
pub(super) struct Stalls {
    pub(super) limit: Duration,
    pub(super) location: &'static Location<'static>,
    /// Is told when a stream is given up.
    pub(super) tell: Arc<dyn Fn() + Send + Sync>,
}

impl Stalls {
    /// Makes the offer for the answer to a request.
    pub(super) fn next_offer(&self) -> Arc<Offer> {
        let offer = Arc::new(Offer(AtomicU32::new(0)));
        let Stalls { limit, location, tell } = self;
        let (limit, tell) = (*limit, tell.clone());
        NEXT.set(Some(Watch { offer: offer.clone(), limit, location, tell, timer: None }));
        offer
    }
}

impl Offer {
    /// The body was asked, which means that all it had given before was taken, and has something or
    /// has nothing.
    pub(super) fn note(&self, has_something: bool) {
        let count = self.0.load(Ordering::Relaxed) & !STANDS;
        let now = if has_something { count.wrapping_add(2) | STANDS } else { count };
        self.0.store(now, Ordering::Relaxed);
    }

    fn standing(&self) -> Option<u32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|now| now & STANDS != 0)
    }
}

pin_project! {
    /// The task of a stream, until its offer has stood for too long.
    pub(super) struct Stream<F> {
        #[pin]
        future: F,
        watch: Option<Watch>,
    }
}

/// Looks after an offer.
pub(super) struct Watch {
    offer: Arc<Offer>,
    limit: Duration,
    location: &'static Location<'static>,
    tell: Arc<dyn Fn() + Send + Sync>,
    /// Runs while this offer stands.
    timer: Option<(u32, Box<Sleep>)>,
}

impl<F> Stream<F> {
    pub(super) fn new(future: F, watch: Option<Watch>) -> Stream<F> {
        Stream { future, watch }
    }
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.future.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match this.watch {
            Some(watch) => watch.poll(cx),
            None => Poll::Pending,
        }
    }
}

impl Watch {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(standing) = self.offer.standing() else {
            self.timer = None;
            return Poll::Pending;
        };
        let (limit, location) = (self.limit, self.location);
        let fresh = || Box::new(Sleep::for_so_long(limit, || "peer takes nothing", location));
        let timer = match &mut self.timer {
            Some((of, timer)) if *of == standing => timer,
            timer => &mut timer.insert((standing, fresh())).1,
        };
        ready!(Pin::new(&mut **timer).poll(cx));
        (self.tell)();
        Poll::Ready(())
    }
}
