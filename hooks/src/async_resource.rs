//! Gives something of the user's own an id and a life: a query, a lease, a worker of a pool.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::frame::Frame;
use crate::id::AsyncId;
use crate::instrument::Instrumented;
use crate::kind::Kind;
use crate::life::{Birth, Life};
use crate::reason::{Outcome, Reason};

/// A resource of the user's own.
///
/// # Hooks
/// `init` when it is made, with the context of that place; a pair around each
/// [`run_in_async_scope`](AsyncResource::run_in_async_scope) and each poll of a
/// [`scope`](AsyncResource::scope); `promise_resolve` by [`resolve`](AsyncResource::resolve);
/// `destroy` by [`emit_destroy`](AsyncResource::emit_destroy), which takes the resource, so that
/// twice does not compile, or by drop.
///
/// # Examples
/// ```
/// use forebear_hooks::{AsyncResource, Kind, execution_async_id};
///
/// let lease = AsyncResource::builder(Kind::new("LEASE")).name("primary").build();
/// let inside = lease.run_in_async_scope(execution_async_id);
/// assert_eq!(inside, Some(lease.id()));
/// assert_eq!(execution_async_id(), None);
/// lease.emit_destroy();
/// ```
pub struct AsyncResource {
    life: Life,
}

impl AsyncResource {
    /// Creates a resource. Its trigger is what is running.
    #[track_caller]
    #[must_use = "dropping a resource ends it"]
    pub fn new(kind: Kind) -> AsyncResource {
        AsyncResource::builder(kind).build()
    }

    /// Begins a resource of which more is to be said.
    #[track_caller]
    pub fn builder(kind: Kind) -> AsyncResourceBuilder {
        AsyncResourceBuilder { birth: Birth::new(kind, || "AsyncResource") }
    }

    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> AsyncId {
        self.life.id()
    }

    /// Returns the id of what caused it.
    #[must_use]
    pub fn trigger_id(&self) -> Option<AsyncId> {
        self.life.trigger_id()
    }

    /// Returns its context.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        self.life.frame()
    }

    /// Runs `f` as code of this resource and in its context, between `before` and `after`.
    ///
    /// It may be used any number of times, from several threads, and within itself. A panic of
    /// `f` goes through, after `after`.
    pub fn run_in_async_scope<R>(&self, f: impl FnOnce() -> R) -> R {
        self.life.run(|_| f())
    }

    /// Returns a future that polls `future` as code of this resource.
    ///
    /// # Cancel safety
    /// As safe as `future`. Its destructor, too, runs as code of this resource.
    pub fn scope<F: Future>(&self, future: F) -> Scoped<'_, F> {
        Scoped { resource: self, future: Some(future) }
    }

    /// Gives the resource's life to a future: it ends when the future does.
    pub fn instrument<F: Future>(self, future: F) -> Instrumented<F> {
        Instrumented::new(self.life, future)
    }

    /// Emits `promise_resolve`, the first time. Says whether it did.
    ///
    /// It opens a pair of its own when the resource is not running.
    pub fn resolve(&self) -> bool {
        self.life.promise_resolve(Outcome::Ready)
    }

    /// Ends the resource with [`Reason::Completed`].
    pub fn emit_destroy(self) {
        self.life.end(Reason::Completed);
    }
}

impl fmt::Debug for AsyncResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.life.fmt(f)
    }
}

/// What is said about an [`AsyncResource`] before it begins.
#[must_use = "nothing is created before `build`"]
#[derive(Debug)]
pub struct AsyncResourceBuilder {
    birth: Birth,
}

impl AsyncResourceBuilder {
    /// Gives it a name.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.birth = self.birth.name(name);
        self
    }

    /// Says what caused it, if that is not what is running.
    pub fn trigger(mut self, trigger: AsyncId) -> Self {
        self.birth = self.birth.trigger(trigger);
        self
    }

    /// Links it to a resource from which it does not descend.
    pub fn link(mut self, link: AsyncId) -> Self {
        self.birth = self.birth.link(link);
        self
    }

    /// Lets it start with an empty context and without ancestors, linked to what is running.
    pub fn root(mut self) -> Self {
        self.birth = self.birth.root();
        self
    }

    /// Lets it hold only such values as say that resources may which outlive the work they were
    /// made for: a pooled connection keeps nobody's context alive.
    pub fn recurring(mut self) -> Self {
        self.birth = self.birth.recurring();
        self
    }

    /// Creates it.
    #[must_use = "dropping a resource ends it"]
    pub fn build(self) -> AsyncResource {
        AsyncResource { life: Life::begin(self.birth) }
    }
}

pin_project! {
    /// Polls a future as code of a resource: see [`AsyncResource::scope`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Scoped<'a, F: Future> {
        resource: &'a AsyncResource,
        // `None` once it has been dropped, as code of the resource.
        #[pin]
        future: Option<F>,
    }

    impl<F: Future> PinnedDrop for Scoped<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                this.resource.run_in_async_scope(|| this.future.set(None));
            }
        }
    }
}

impl<F: Future> Future for Scoped<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        this.resource.run_in_async_scope(|| {
            let Some(future) = this.future.as_mut().as_pin_mut() else {
                panic!("a scoped future was polled after it had completed");
            };
            let ready = future.poll(cx);
            if ready.is_ready() {
                this.future.set(None);
            }
            ready
        })
    }
}

impl<F: Future> fmt::Debug for Scoped<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").field("resource", &self.resource).finish_non_exhaustive()
    }
}
