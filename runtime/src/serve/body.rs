//! Is the body of a request, which has to come within its time.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};

use crate::time::{Instant, Sleep};

/// The body of a request.
///
/// It is hyper's [`Incoming`], which [`into_incoming`](Body::into_incoming) returns, with the limit
/// of [`Serve::body_timeout`](crate::serve::Serve::body_timeout).
///
/// # Hooks
/// Those of a timer, if there is a limit and the body is waited for.
pub struct Body {
    incoming: Incoming,
    limit: Option<Limit>,
}

/// When it has to be there.
struct Limit {
    within: Duration,
    deadline: Instant,
    location: &'static Location<'static>,
    timer: Option<Box<Sleep>>,
}

impl Body {
    pub(super) fn new(
        incoming: Incoming,
        within: Option<Duration>,
        location: &'static Location<'static>,
    ) -> Body {
        // Most requests have none, and need no deadline.
        let within = if incoming.is_end_stream() { None } else { within };
        let limit = within.map(|within| Limit {
            within,
            deadline: Instant::now().saturating_add(within),
            location,
            timer: None,
        });
        Body { incoming, limit }
    }

    /// Returns hyper's body, which may take as long as it likes.
    pub fn into_incoming(self) -> Incoming {
        self.incoming
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Body { incoming, limit } = &mut *self;
        if let Poll::Ready(frame) = Pin::new(incoming).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::broken)));
        }
        let Some(limit) = limit else { return Poll::Pending };
        let Limit { within, deadline, location, timer } = limit;
        let timer = timer
            .get_or_insert_with(|| Box::new(Sleep::until(*deadline, || "request body", location)));
        let within = *within;
        Pin::new(&mut **timer).poll(cx).map(|()| Some(Err(BodyError(Kind::TooSlow(within)))))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("incoming", &self.incoming).finish_non_exhaustive()
    }
}

/// The body of a request did not come to its end.
pub struct BodyError(Kind);

enum Kind {
    TooSlow(Duration),
    Broken(hyper::Error),
}

impl BodyError {
    fn broken(error: hyper::Error) -> BodyError {
        BodyError(Kind::Broken(error))
    }

    /// Says whether it took too long; else the connection broke, or what came was no HTTP.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.0, Kind::TooSlow(_))
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::TooSlow(limit) => write!(f, "the body of a request took longer than {limit:?}"),
            Kind::Broken(error) => match error.source() {
                Some(cause) => write!(f, "the body of a request broke off: {cause}"),
                None => write!(f, "the body of a request broke off: {error}"),
            },
        }
    }
}

impl fmt::Debug for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for BodyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Kind::TooSlow(_) => None,
            Kind::Broken(error) => Some(error),
        }
    }
}
