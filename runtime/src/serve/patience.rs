//! Decides when a connection has waited long enough for its peer, or for the end of the server.
//!
//! # State
//!
//! | mode | while | ends the wait when |
//! |---|---|---|
//! | `Calm` | requests are being answered, or none has begun to come | none came for the idle timeout |
//! | `Head` | one has begun to come | it took longer than the head timeout |
//! | `Grace` | the server ends, and none is being answered | none came for the time of grace |
//! | `Closing` | the peer was told that the connection ends, and nothing is being answered | it stays for the head timeout |
//!
//! `Calm`, `Grace` and `Closing` count quarters of their time in which nothing came. So they look at
//! the clock four times per timeout and not at every request, and take up to a quarter longer than
//! they were told.

use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::serve::Limits;
use crate::serve::roster::{Phase, Roster};
use crate::serve::status::Status;
use crate::time::Sleep;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Calm,
    Head,
    Grace,
    Closing,
}

/// Why a connection is not waited for any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// No request came, and none was on its way.
    Idle,
    /// A head, or a handshake, did not come to its end in this time.
    Slow(Duration),
    /// The server ends, and the peer has to be told at once: over HTTP/2 only.
    Ending,
    /// The peer was told, and stays.
    Stays,
    /// The server has ended.
    Abandoned,
}

/// In which parts of a timeout it is counted.
const QUARTERS: u32 = 4;

pub(super) struct Patience {
    limits: Limits,
    roster: Arc<Roster>,
    status: Arc<Status>,
    location: &'static Location<'static>,
    /// `None` before the first poll.
    mode: Option<Mode>,
    /// Requests come in streams: bytes need not be part of a head, and the end is announced.
    has_streams: bool,
    is_closing: bool,
    timer: Option<Box<Sleep>>,
    /// What was in flight, or had come, when the last quarter ended.
    requests_seen: u32,
    quiet_quarters: u32,
}

impl Patience {
    pub(super) fn new(
        limits: Limits,
        roster: Arc<Roster>,
        status: Arc<Status>,
        location: &'static Location<'static>,
    ) -> Patience {
        Patience {
            limits,
            roster,
            status,
            location,
            mode: None,
            has_streams: false,
            is_closing: false,
            timer: None,
            requests_seen: 0,
            quiet_quarters: 0,
        }
    }

    /// From here on requests come in streams.
    #[cfg(feature = "serve-http2")]
    pub(super) fn expect_streams(&mut self) {
        self.has_streams = true;
    }

    /// The peer has been told that the connection ends.
    pub(super) fn expect_end(&mut self) {
        self.is_closing = true;
    }

    /// Waits for `future`, but not longer than is reasonable.
    pub(super) async fn wait_for<F: Future>(&mut self, future: F) -> Result<F::Output, Over> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => self.poll(cx).map(Err),
        })
        .await
    }

    /// Says whether it is over. For what has just been polled and has to wait.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        let is_first = self.mode.is_none();
        let phase = if is_first {
            self.status.belongs_to(cx);
            self.roster.phase_at_first()
        } else {
            self.roster.phase()
        };
        let is_called = self.status.take_call();
        if phase == Phase::Abandoned {
            return Poll::Ready(Over::Abandoned);
        }
        let is_ending = phase == Phase::Ending;
        if is_ending && self.has_streams && !self.is_closing {
            return Poll::Ready(Over::Ending);
        }
        let mode = self.next_mode(is_ending);
        if self.mode != Some(mode) {
            self.mode = Some(mode);
            self.count_anew();
            self.arm(mode);
        } else if !is_called {
            return Poll::Pending;
        }
        self.poll_timer(mode)
    }

    fn next_mode(&self, is_ending: bool) -> Mode {
        let is_quiet = self.status.traffic().in_flight() == 0;
        match () {
            () if is_quiet && self.is_closing => Mode::Closing,
            () if is_quiet && self.status.has_bytes() && !self.has_streams => Mode::Head,
            () if is_quiet && is_ending => Mode::Grace,
            () => Mode::Calm,
        }
    }

    fn limit(&self, mode: Mode) -> Option<Duration> {
        match mode {
            Mode::Calm => self.limits.idle,
            Mode::Head | Mode::Closing => self.limits.head,
            Mode::Grace => Some(self.limits.grace),
        }
    }

    fn arm(&mut self, mode: Mode) {
        let location = self.location;
        let part = if mode == Mode::Head { 1 } else { QUARTERS };
        let label: fn() -> &'static str =
            if mode == Mode::Head { || "request head" } else { || "idle" };
        let next = |limit: Duration| Box::new(Sleep::for_so_long(limit / part, label, location));
        self.timer = self.limit(mode).map(next);
    }

    fn count_anew(&mut self) {
        self.requests_seen = self.status.traffic().requests();
        self.quiet_quarters = 0;
    }

    fn poll_timer(&mut self, mode: Mode) -> Poll<Over> {
        // The timer wakes the status, which wakes the task: so it is polled only if it has fired.
        let waker = Waker::from(self.status.clone());
        let cx = &mut Context::from_waker(&waker);
        while let Some(timer) = &mut self.timer {
            if Pin::new(&mut **timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
            if mode == Mode::Head || self.is_quiet_long_enough() {
                return Poll::Ready(self.verdict(mode));
            }
            self.arm(mode);
        }
        Poll::Pending
    }

    /// A quarter is over.
    fn is_quiet_long_enough(&mut self) -> bool {
        let traffic = self.status.traffic();
        if traffic.in_flight() > 0 || traffic.requests() != self.requests_seen {
            self.count_anew();
            return false;
        }
        self.quiet_quarters += 1;
        self.quiet_quarters >= QUARTERS
    }

    fn verdict(&self, mode: Mode) -> Over {
        match mode {
            Mode::Calm | Mode::Grace => Over::Idle,
            Mode::Head => Over::Slow(self.limits.head.unwrap_or_default()),
            Mode::Closing => Over::Stays,
        }
    }
}
