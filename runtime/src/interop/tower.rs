//! Implements the layers of tower's that need a timer: tower's own ask for tokio's.
//!
//! They have tower's names and habits, and can be put where those could be.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::primitive::Mutex;
use crate::time::{self, Instant, Sleep};

type BoxError = Box<dyn Error + Send + Sync>;

/// Makes a service answer within a time, or fail.
///
/// ```
/// use forebear::interop::tower::TimeoutLayer;
/// use forebear::time::Duration;
/// use tower_layer::Layer;
///
/// # fn wrap<S>(service: S) -> impl Sized {
/// TimeoutLayer::new(Duration::from_secs(1)).layer(service)
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer {
    limit: Duration,
    location: &'static Location<'static>,
}

impl TimeoutLayer {
    /// Makes it.
    #[must_use]
    #[track_caller]
    pub fn new(limit: Duration) -> TimeoutLayer {
        TimeoutLayer { limit, location: Location::caller() }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, service: S) -> Timeout<S> {
        Timeout { service, layer: *self }
    }
}

/// A service that answers within a time, or fails with [`Elapsed`](time::error::Elapsed).
///
/// # Hooks
/// Each call is a timer, of its caller.
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    service: S,
    layer: TimeoutLayer,
}

impl<S, R> Service<R> for Timeout<S>
where
    S: Service<R, Error: Into<BoxError>>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = TimeoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.service.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> TimeoutFuture<S::Future> {
        let TimeoutLayer { limit, location } = self.layer;
        let delay = Sleep::for_so_long(limit, || "timeout", location);
        TimeoutFuture { future: self.service.call(request), delay }
    }
}

pin_project! {
    /// The future of a [`Timeout`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct TimeoutFuture<F> {
        #[pin]
        future: F,
        delay: Sleep,
    }
}

impl<F, T, E> Future for TimeoutFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(answer) = this.future.poll(cx) {
            return Poll::Ready(answer.map_err(Into::into));
        }
        Pin::new(this.delay).poll(cx).map(|()| Err(time::error::Elapsed::new().into()))
    }
}

/// Lets a service be called so many times per period; who comes beyond that waits.
///
/// All services that a layer, or a clone of it, has made share the limit. So, unlike tower's, they can
/// be cloned without a buffer, and a router of axum's may make one per request.
///
/// ```
/// use forebear::interop::tower::RateLimitLayer;
/// use forebear::time::Duration;
/// use tower_layer::Layer;
///
/// # fn wrap<S>(service: S) -> impl Sized {
/// RateLimitLayer::new(100, Duration::from_secs(1)).layer(service)
/// # }
/// ```
#[derive(Clone)]
pub struct RateLimitLayer {
    calls: u64,
    per: Duration,
    period: Arc<Mutex<Option<Period>>>,
    location: &'static Location<'static>,
}

impl RateLimitLayer {
    /// Makes it.
    ///
    /// # Panics
    /// If `calls` or `per` is zero.
    #[must_use]
    #[track_caller]
    pub fn new(calls: u64, per: Duration) -> RateLimitLayer {
        assert!(calls > 0 && !per.is_zero(), "a rate of nothing lets nobody through");
        let period = Arc::new(Mutex::new(None));
        RateLimitLayer { calls, per, period, location: Location::caller() }
    }
}

impl fmt::Debug for RateLimitLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer")
            .field("calls", &self.calls)
            .field("per", &self.per)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimit<S>;

    fn layer(&self, service: S) -> RateLimit<S> {
        RateLimit { service, may_call: false, waiting: None, layer: self.clone() }
    }
}

/// A service that can be called so many times per period.
///
/// # Cancel safety
/// A service that was found ready and is dropped without a call has used up one.
///
/// # Hooks
/// Who waits has a timer.
pub struct RateLimit<S> {
    service: S,
    /// This clone was found ready, and has not been called since.
    may_call: bool,
    waiting: Option<Box<Sleep>>,
    layer: RateLimitLayer,
}

/// A stretch of time in which so many calls are still allowed.
#[derive(Clone, Copy, Debug)]
struct Period {
    end: Instant,
    left: u64,
}

impl<S> RateLimit<S> {
    /// Takes one of the calls of this period, or says when the next one begins.
    fn take(&self) -> Result<(), Instant> {
        let RateLimitLayer { calls, per, period, .. } = &self.layer;
        let now = Instant::now();
        match &mut *period.lock() {
            Some(period) if now < period.end => {
                period.left = period.left.checked_sub(1).ok_or(period.end)?;
            }
            over => *over = Some(Period { end: now.saturating_add(*per), left: calls - 1 }),
        }
        Ok(())
    }
}

impl<S: fmt::Debug> fmt::Debug for RateLimit<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("service", &self.service)
            .field("layer", &self.layer)
            .finish_non_exhaustive()
    }
}

impl<S: Clone> Clone for RateLimit<S> {
    fn clone(&self) -> RateLimit<S> {
        RateLimit {
            service: self.service.clone(),
            may_call: false,
            waiting: None,
            layer: self.layer.clone(),
        }
    }
}

impl<S, R> Service<R> for RateLimit<S>
where
    S: Service<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        while !self.may_call {
            if let Some(waiting) = &mut self.waiting {
                ready!(Pin::new(&mut **waiting).poll(cx));
                self.waiting = None;
            }
            match self.take() {
                Ok(()) => self.may_call = true,
                Err(next) => {
                    let location = self.layer.location;
                    self.waiting = Some(Box::new(Sleep::until(next, || "rate limit", location)));
                }
            }
        }
        self.service.poll_ready(cx)
    }

    /// Calls it.
    ///
    /// # Panics
    /// If it was not found ready before.
    fn call(&mut self, request: R) -> S::Future {
        assert!(self.may_call, "the service was called before it was ready");
        self.may_call = false;
        self.service.call(request)
    }
}
