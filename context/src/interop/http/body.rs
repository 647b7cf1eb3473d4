//! Polls the body of a response as code of the request's flow, which ends with it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use forebear_hooks::Frame as Values;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::flow::{FlowOutcome, Ongoing};

pin_project! {
    /// The body of a response that a [`ContextLayer`](super::ContextLayer) has made.
    ///
    /// The flow ends when the body ends, fails, or is dropped.
    pub struct ContextBody<B> {
        // `None` once the flow has ended, and for a request that is skipped.
        ongoing: Option<Ongoing>,
        // What the flow has come to if nothing goes wrong any more.
        outcome: FlowOutcome,
        // Nobody is going to poll it: there is no body behind the head of this response.
        is_head_only: bool,
        // `None` once it was dropped, as code of the flow.
        #[pin]
        body: Option<B>,
    }

    impl<B> PinnedDrop for ContextBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let Some(mut ongoing) = this.ongoing.take() else { return };
            if *this.is_head_only {
                ongoing.complete(this.outcome, || this.body.set(None));
            } else {
                ongoing.cancel(|| this.body.set(None));
            }
        }
    }
}

impl<B: Body> ContextBody<B> {
    /// The body of a request that is skipped.
    pub(super) fn skipped(body: B) -> ContextBody<B> {
        let outcome = FlowOutcome::Ok;
        ContextBody { ongoing: None, outcome, is_head_only: false, body: Some(body) }
    }

    pub(super) fn new(
        ongoing: Ongoing,
        outcome: FlowOutcome,
        is_head_only: bool,
        body: B,
    ) -> ContextBody<B> {
        let mut made =
            ContextBody { ongoing: Some(ongoing), outcome, is_head_only, body: Some(body) };
        if !is_head_only && made.is_end_stream() {
            // Nobody has to poll a body of which nothing is left.
            if let Some(mut ongoing) = made.ongoing.take() {
                ongoing.complete(&made.outcome, || {});
            }
        }
        made
    }
}

/// What a poll for a frame returns.
type PolledFrame<D, E> = Poll<Option<Result<Frame<D>, E>>>;

/// What a poll of the body means for the flow.
fn meaning<D, E>(
    polled: &std::thread::Result<PolledFrame<D, E>>,
    is_at_end: bool,
    outcome: &FlowOutcome,
) -> Option<FlowOutcome> {
    match polled {
        Ok(Poll::Pending) => None,
        Ok(Poll::Ready(Some(Ok(_)))) => is_at_end.then(|| outcome.clone()),
        Ok(Poll::Ready(Some(Err(_)))) => Some(FlowOutcome::Error("the body failed".into())),
        Ok(Poll::Ready(None)) => Some(outcome.clone()),
        Err(_) => Some(FlowOutcome::Panicked),
    }
}

impl<B: Body> Body for ContextBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(ongoing) = this.ongoing.as_ref() else {
            return match this.body.as_pin_mut() {
                Some(body) => Values::empty().sync_scope(|| body.poll_frame(cx)),
                None => Poll::Ready(None),
            };
        };
        let polled = ongoing.run(|running| {
            let polled = catch_unwind(AssertUnwindSafe(|| match this.body.as_mut().as_pin_mut() {
                Some(body) => body.poll_frame(cx),
                None => Poll::Ready(None),
            }));
            let body = this.body.as_ref().as_pin_ref();
            let is_at_end = polled.is_ok() && body.is_none_or(|body| body.is_end_stream());
            let meaning = meaning(&polled, is_at_end, this.outcome);
            if let Some(outcome) = &meaning {
                let drop_body = || this.body.set(None);
                if let Err(payload) = ongoing.conclude(running, outcome, drop_body) {
                    std::mem::forget(payload);
                }
            }
            (meaning, polled)
        });
        let Some((meaning, polled)) = polled else { return Poll::Ready(None) };
        if let (Some(outcome), Some(mut ongoing)) =
            (&meaning, this.ongoing.take_if(|_| meaning.is_some()))
        {
            ongoing.end(outcome);
        }
        polled.unwrap_or_else(|payload| resume_unwind(payload))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B> fmt::Debug for ContextBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextBody").field("flow", &self.ongoing).finish_non_exhaustive()
    }
}
