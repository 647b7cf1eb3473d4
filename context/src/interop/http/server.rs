//! Makes a flow of each request, from its head to the end of the answer's body.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use forebear_hooks::Frame;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::ContextBody;
use crate::fields;
use crate::flow::{FlowBuilder, FlowOutcome, Ongoing};
use crate::wire::{self, Allow, REQUEST_ID, REQUEST_ID_HEADER, TRACE, TraceParent};

/// Runs each request as a flow: see the [module](super).
///
/// The flow has the fields `requestId`, `http.method` and `http.path`, and `http.status` when there is
/// an answer; the trace of the caller, or a new one; a deadline, if one is said here or by the
/// caller. `requestId` is the caller's if it is on the list and well-formed, else a new one; the answer
/// has it, too. The status is the outcome: from 500 on it is an error.
///
/// It ends when the body of the answer has ended or is dropped; until then the body is polled as
/// code of the flow.
///
/// # Hooks
/// Those of a [`flow`](crate::flow()), whose label is `http.request` unless something else was said.
#[derive(Clone, Default)]
pub struct ContextLayer {
    rules: Rules,
}

type Ask<R> = Arc<dyn Fn(&Parts) -> R + Send + Sync>;

#[derive(Clone)]
struct Rules {
    allow: Allow,
    deadline: Option<Duration>,
    skips: Option<Ask<bool>>,
    name: Option<Ask<Cow<'static, str>>>,
    samples: Option<Ask<bool>>,
}

impl Default for Rules {
    fn default() -> Rules {
        let allow = Allow::nothing().request_id().trace();
        Rules { allow, deadline: None, skips: None, name: None, samples: None }
    }
}

impl ContextLayer {
    /// Begins with a layer that believes callers their `x-request-id` and `traceparent`.
    #[must_use]
    pub fn new() -> ContextLayer {
        ContextLayer::default()
    }

    /// Says what is believed of what callers send, in place of the id of the request and the trace.
    #[must_use]
    pub fn allow(mut self, allow: Allow) -> ContextLayer {
        self.rules.allow = allow;
        self
    }

    /// Gives each request so much time, or what its caller says, if that is less.
    ///
    /// It is a word: what waits under it (`timeout`, `deadline::within`, outgoing requests) honours it.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> ContextLayer {
        self.rules.deadline = Some(deadline);
        self
    }

    /// Hides requests from the context: no flow is made of them, so there is none in the map and none
    /// for hooks, and no values are set.
    #[must_use]
    pub fn skip(mut self, skips: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> ContextLayer {
        self.rules.skips = Some(Arc::new(skips));
        self
    }

    /// Names the flows: by their route, say.
    #[must_use]
    pub fn name(
        mut self,
        name: impl Fn(&Parts) -> Cow<'static, str> + Send + Sync + 'static,
    ) -> ContextLayer {
        self.rules.name = Some(Arc::new(name));
        self
    }

    /// Says which of the traces that begin here are to be recorded: none, without this.
    #[must_use]
    pub fn sample(
        mut self,
        samples: impl Fn(&Parts) -> bool + Send + Sync + 'static,
    ) -> ContextLayer {
        self.rules.samples = Some(Arc::new(samples));
        self
    }
}

impl fmt::Debug for ContextLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextLayer").field("allow", &self.rules.allow).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for ContextLayer {
    type Service = ContextService<S>;

    fn layer(&self, inner: S) -> ContextService<S> {
        ContextService { rules: Arc::new(self.rules.clone()), inner }
    }
}

impl Rules {
    /// Makes the flow of a request, and the id to be echoed.
    fn begin(&self, parts: &Parts) -> (Ongoing, Option<HeaderValue>) {
        let name = self.name.as_ref().map_or("http.request".into(), |name| name(parts));
        let origin = wire::extract(&self.allow, &parts.headers);
        let (request_id, is_traced) = origin.sync_scope(|| {
            (fields::get(REQUEST_ID).map(|id| id.to_string()), TRACE.get_silently().is_some())
        });
        let request_id = request_id.unwrap_or_else(new_request_id);
        let mut builder = FlowBuilder::new(name)
            .of_origin(&origin)
            .field(REQUEST_ID, request_id.clone())
            .field("http.method", parts.method.as_str().to_owned())
            .field("http.path", parts.uri.path().to_owned());
        if !is_traced {
            let is_sampled = self.samples.as_ref().is_some_and(|samples| samples(parts));
            builder = builder.local(&TRACE, TraceParent::root(is_sampled));
        }
        if let Some(deadline) = self.deadline {
            builder = builder.deadline(Instant::now() + deadline);
        }
        (builder.begin(), HeaderValue::try_from(request_id).ok())
    }
}

/// As good as any other that nobody has had.
fn new_request_id() -> String {
    format!("{:032x}", TraceParent::root(false).trace_id())
}

/// The service of [`ContextLayer`].
#[derive(Clone)]
pub struct ContextService<S> {
    rules: Arc<Rules>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for ContextService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    type Response = Response<ContextBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture<S::Future> {
        let (parts, body) = request.into_parts();
        let is_skipped = self.rules.skips.as_ref().is_some_and(|skips| skips(&parts));
        let is_head = parts.method == Method::HEAD;
        let begun = (!is_skipped).then(|| self.rules.begin(&parts));
        let request = Request::from_parts(parts, body);
        let Some((ongoing, request_id)) = begun else {
            let future = Frame::empty().sync_scope(|| self.inner.call(request));
            return ResponseFuture {
                ongoing: None,
                request_id: None,
                is_head,
                future: Some(future),
            };
        };
        // The service may do a good part of its work here already.
        let future = ongoing.run(|_| self.inner.call(request));
        ResponseFuture { ongoing: Some(ongoing), request_id, is_head, future }
    }
}

impl<S> fmt::Debug for ContextService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextService").finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`ContextService`].
    pub struct ResponseFuture<F> {
        // `None` for a request that is skipped, and once there is an answer.
        ongoing: Option<Ongoing>,
        request_id: Option<HeaderValue>,
        is_head: bool,
        // `None` once it was dropped, as code of the flow.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for ResponseFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(mut ongoing) = this.ongoing.take() {
                ongoing.cancel(|| this.future.set(None));
            }
        }
    }
}

/// What the head of an answer means for the flow.
fn outcome_of(status: StatusCode) -> FlowOutcome {
    match status.is_server_error() {
        true => FlowOutcome::Error(format!("status {}", status.as_u16()).into()),
        false => FlowOutcome::Ok,
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
{
    type Output = Result<Response<ContextBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let poll = |future: Pin<&mut Option<F>>, cx: &mut Context<'_>| match future.as_pin_mut() {
            Some(future) => future.poll(cx),
            None => Poll::Pending,
        };
        let Some(ongoing) = this.ongoing.as_ref() else {
            let ready = Frame::empty().sync_scope(|| poll(this.future, cx));
            return ready.map_ok(|response| response.map(ContextBody::skipped));
        };
        let polled = ongoing.run(|running| {
            let polled = catch_unwind(AssertUnwindSafe(|| poll(this.future.as_mut(), cx)));
            let end = match &polled {
                Ok(Poll::Pending) => return (None, polled),
                Ok(Poll::Ready(Ok(response))) => {
                    fields::set("http.status", response.status().as_u16());
                    // The flow goes on with the body, without what has made it.
                    crate::quiet::quietly(|| this.future.set(None));
                    return (None, polled);
                }
                Ok(Poll::Ready(Err(_))) => FlowOutcome::Error("the service failed".into()),
                Err(_) => FlowOutcome::Panicked,
            };
            if let Err(payload) = ongoing.conclude(running, &end, || this.future.set(None)) {
                std::mem::forget(payload);
            }
            (Some(end), polled)
        });
        let Some((end, polled)) = polled else { return Poll::Pending };
        if matches!(polled, Ok(Poll::Pending)) {
            return Poll::Pending;
        }
        let ongoing = this.ongoing.take();
        if let Some(end) = end {
            if let Some(mut ongoing) = ongoing {
                ongoing.end(&end);
            }
            return match polled {
                Ok(ready) => ready.map_ok(|response| response.map(ContextBody::skipped)),
                Err(payload) => resume_unwind(payload),
            };
        }
        let (Some(ongoing), Ok(Poll::Ready(Ok(response)))) = (ongoing, polled) else {
            return Poll::Pending;
        };
        Poll::Ready(Ok(answer(ongoing, this.request_id.take(), *this.is_head, response)))
    }
}

/// Lets the flow go on with the body of its answer.
fn answer<R: Body>(
    ongoing: Ongoing,
    request_id: Option<HeaderValue>,
    is_head: bool,
    response: Response<R>,
) -> Response<ContextBody<R>> {
    let (mut head, body) = response.into_parts();
    if let Some(id) = request_id {
        head.headers.insert(REQUEST_ID_HEADER, id);
    }
    let is_head_only = is_head
        || head.status.is_informational()
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let outcome = outcome_of(head.status);
    Response::from_parts(head, ContextBody::new(ongoing, outcome, is_head_only, body))
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("flow", &self.ongoing).finish_non_exhaustive()
    }
}
