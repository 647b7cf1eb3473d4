//! Hands requests to the service, and counts those whose answers are not all written.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Request, Response, Version};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::serve::body::Body;
use crate::serve::roster::{Phase, Roster};
use crate::serve::stall::{Offer, Stalls};
use crate::serve::status::{InFlight, Status};

/// Stands between HTTP and the service of one connection.
pub(super) struct Desk<S> {
    pub(super) service: S,
    pub(super) body_timeout: Option<Duration>,
    pub(super) location: &'static Location<'static>,
    pub(super) status: Arc<Status>,
    pub(super) roster: Arc<Roster>,
    /// Over HTTP/2, what is done about peers that take nothing.
    pub(super) stalls: Option<Stalls>,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Desk<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone,
{
    type Response = Response<Answer<B>>;
    type Error = S::Error;
    type Future = Answering<S>;

    fn call(&self, request: Request<Incoming>) -> Answering<S> {
        let version = request.version();
        let offer = self.stalls.as_ref().map(Stalls::next_offer);
        let request = request.map(|body| Body::new(body, self.body_timeout, self.location));
        Answering {
            step: Step::Ready { service: self.service.clone(), request: Some(request) },
            in_flight: Some((self.status.begin(), offer)),
            version,
            roster: self.roster.clone(),
        }
    }
}

pin_project! {
    /// The future of an answer.
    pub(super) struct Answering<S: Service<Request<Body>>> {
        #[pin]
        step: Step<S, S::Future>,
        in_flight: Option<(InFlight, Option<Arc<Offer>>)>,
        version: Version,
        roster: Arc<Roster>,
    }
}

pin_project! {
    /// A service may have to be waited for before it can be called.
    #[project = StepNow]
    enum Step<S, F> {
        Ready { service: S, request: Option<Request<Body>> },
        Called { #[pin] future: F },
    }
}

impl<S, B> Future for Answering<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
{
    type Output = Result<Response<Answer<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let response = loop {
            let future = match this.step.as_mut().project() {
                StepNow::Called { future } => break ready!(future.poll(cx))?,
                StepNow::Ready { service, request } => {
                    ready!(service.poll_ready(cx))?;
                    let Some(request) = request.take() else {
                        panic!("an answer was polled after it had been given");
                    };
                    service.call(request)
                }
            };
            this.step.set(Step::Called { future });
        };
        let (in_flight, offer) = this.in_flight.take().unzip();
        let offer = offer.flatten();
        let mut response = response.map(|body| Answer { body, offer, in_flight });
        // Over HTTP/2 the connection says it, not the answer.
        if *this.version <= Version::HTTP_11 && this.roster.phase() != Phase::Serving {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response))
    }
}

pin_project! {
    /// The body of an answer. Dropping it ends the request.
    pub(super) struct Answer<B> {
        #[pin]
        body: B,
        offer: Option<Arc<Offer>>,
        in_flight: Option<InFlight>,
    }
}

impl<B: HttpBody> HttpBody for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = this.body.poll_frame(cx);
        if let Some(offer) = this.offer {
            offer.note(frame.is_ready());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
