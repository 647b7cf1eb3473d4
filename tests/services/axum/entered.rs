//! Puts a service inside of a tokio runtime, as a bridge does: its timers and tasks are then there to
//! be asked for.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service};

/// The layer that does it.
#[derive(Clone)]
pub(crate) struct EnterTokio(Arc<Runtime>);

impl EnterTokio {
    pub(crate) fn new() -> EnterTokio {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        EnterTokio(Arc::new(runtime.unwrap()))
    }

    /// Calls a closure there.
    pub(crate) fn inside<R>(&self, f: impl FnOnce() -> R) -> R {
        let _inside = self.0.enter();
        f()
    }
}

impl<S> Layer<S> for EnterTokio {
    type Service = Entered<S>;

    fn layer(&self, service: S) -> Entered<S> {
        Entered { service, tokio: self.clone() }
    }
}

#[derive(Clone)]
pub(crate) struct Entered<S> {
    service: S,
    tokio: EnterTokio,
}

impl<R, S: Service<R, Future: Send + 'static>> Service<R> for Entered<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = EnteredFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let _inside = self.tokio.0.enter();
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let _inside = self.tokio.0.enter();
        EnteredFuture { future: Box::pin(self.service.call(request)), tokio: self.tokio.clone() }
    }
}

pub(crate) struct EnteredFuture<F> {
    future: Pin<Box<F>>,
    tokio: EnterTokio,
}

impl<F: Future> Future for EnteredFuture<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let EnteredFuture { future, tokio } = &mut *self;
        let _inside = tokio.0.enter();
        future.as_mut().poll(cx)
    }
}
