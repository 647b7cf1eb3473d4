//! Writes the context that is current into the headers of a request.

use std::task::{Context, Poll};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use crate::wire::{self, Allow};

/// Lets requests to others take along what is allowed of the context in which they are sent: the
/// id of the request, the trace, the time that is left, fields as `baggage`.
#[derive(Clone, Debug)]
pub struct InjectLayer {
    allow: Allow,
}

impl InjectLayer {
    /// Says what may go out.
    #[must_use]
    pub fn new(allow: Allow) -> InjectLayer {
        InjectLayer { allow }
    }
}

impl<S> Layer<S> for InjectLayer {
    type Service = Inject<S>;

    fn layer(&self, inner: S) -> Inject<S> {
        Inject { allow: self.allow.clone(), inner }
    }
}

/// The client of [`InjectLayer`].
#[derive(Clone, Debug)]
pub struct Inject<S> {
    allow: Allow,
    inner: S,
}

impl<S, B> Service<Request<B>> for Inject<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        wire::inject(&self.allow, request.headers_mut());
        self.inner.call(request)
    }
}
