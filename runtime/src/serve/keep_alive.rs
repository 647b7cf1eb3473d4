//! Keeps a stream of events alive while nothing happens: says something without meaning now and
//! then, so that no proxy on the way takes it for dead, and a peer that is gone is noticed.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::time::Sleep;

pin_project! {
    /// A body that says something whenever another has said nothing for a while.
    ///
    /// What it says by default is a comment of server-sent events. It stands between two frames, so
    /// each frame of the other has to be a whole event, as those of axum's `Sse` are, whose own
    /// `keep_alive` is tokio's alone:
    ///
    /// ```text
    /// let events = Sse::new(stream).into_response();
    /// events.map(|body| axum::body::Body::new(KeepAlive::new(body, Duration::from_secs(15))))
    /// ```
    ///
    /// # Hooks
    /// Those of a timer, while nothing is said.
    pub struct KeepAlive<B> {
        #[pin]
        body: B,
        every: Duration,
        text: Bytes,
        quiet: Option<Box<Sleep>>,
        location: &'static Location<'static>,
    }
}

impl<B> KeepAlive<B> {
    /// Makes it of another.
    #[must_use]
    #[track_caller]
    pub fn new(body: B, every: Duration) -> KeepAlive<B> {
        let text = Bytes::from_static(b":\n\n");
        KeepAlive { body, every, text, quiet: None, location: Location::caller() }
    }

    /// Lets it say something else.
    #[must_use]
    pub fn text(mut self, text: impl Into<Bytes>) -> KeepAlive<B> {
        self.text = text.into();
        self
    }
}

impl<B: Body<Data = Bytes>> Body for KeepAlive<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if let Poll::Ready(frame) = this.body.poll_frame(cx) {
            *this.quiet = None;
            return Poll::Ready(frame);
        }
        let (every, location) = (*this.every, *this.location);
        let quiet = this
            .quiet
            .get_or_insert_with(|| Box::new(Sleep::for_so_long(every, || "keep alive", location)));
        ready!(Pin::new(&mut **quiet).poll(cx));
        *this.quiet = None;
        Poll::Ready(Some(Ok(Frame::data(this.text.clone()))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    /// How much it will say depends on the time, unless nothing is left.
    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.body.size_hint().lower());
        hint
    }
}

impl<B> fmt::Debug for KeepAlive<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepAlive").field("every", &self.every).finish_non_exhaustive()
    }
}
