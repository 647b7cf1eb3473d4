//! Runs one unit of business work as a resource: a request, a message, a run of a job.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use forebear_hooks::life::{Birth, Life};
use forebear_hooks::{AsyncId, Frame, Kind, Outcome};
use pin_project_lite::pin_project;

use crate::fields::{self, Bag};
use crate::quiet::quietly;

/// Runs `future` as a unit of business work: a resource of kind `FLOW`, with fields of its own.
///
/// A flow lives inside a task; a task may run many, one after the other or at once. What it
/// creates descends from it and shares its fields, also when that lives longer.
///
/// It takes over the context of the place where it is made, as a task does, not of the place where
/// it is polled: a value for it is set inside, `flow(name, KEY.scope(value, future))`.
///
/// # Cancel safety
/// As safe as `future`, whose destructor runs as code of the flow.
///
/// # Hooks
/// `init` here; a pair around every poll; `promise_resolve` and `destroy` once, however it ends.
///
/// # Examples
/// ```
/// use forebear_context::{fields, flow};
/// # use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};
///
/// let request = flow("orders.place", async {
///     fields::set("accountId", 42);
///     fields::get("accountId").is_some()
/// });
/// # let done = pin!(request).poll(&mut Context::from_waker(Waker::noop()));
/// # assert_eq!(done, Poll::Ready(true));
/// assert_eq!(fields::get("accountId"), None);
/// ```
#[track_caller]
pub fn flow<F: Future>(name: impl Into<Cow<'static, str>>, future: F) -> Flow<F> {
    FlowBuilder::new(name).location(Location::caller()).run(future)
}

/// Says more about a flow before it begins.
#[must_use = "nothing begins before `run`"]
#[derive(Debug)]
pub struct FlowBuilder {
    birth: Birth,
    frame: Frame,
    bag: BagRef,
}

struct BagRef(Arc<Bag>);

impl fmt::Debug for BagRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bag").finish_non_exhaustive()
    }
}

impl FlowBuilder {
    /// Begins with a name, which is the flow's label.
    #[track_caller]
    pub fn new(name: impl Into<Cow<'static, str>>) -> FlowBuilder {
        let inherited = Frame::with_current(|frame| frame.inherited_by(Kind::FLOW));
        let (frame, bag) = fields::with_new_bag(&inherited);
        FlowBuilder { birth: Birth::new(Kind::FLOW, || "flow").name(name), frame, bag: BagRef(bag) }
    }

    /// Says what caused it, if that is not what is running.
    pub fn trigger(mut self, trigger: AsyncId) -> FlowBuilder {
        self.birth = self.birth.trigger(trigger);
        self
    }

    /// Links it to a resource from which it does not descend: who sent the message, for one.
    pub fn link(mut self, link: AsyncId) -> FlowBuilder {
        self.birth = self.birth.link(link);
        self
    }

    /// Sets a field before the flow begins.
    pub fn field(self, key: &'static str, value: impl Into<fields::Value>) -> FlowBuilder {
        self.frame.sync_scope(|| fields::set(key, value));
        self
    }

    fn location(mut self, location: &'static Location<'static>) -> FlowBuilder {
        self.birth = self.birth.location(location);
        self
    }

    /// Begins the flow: see [`flow`].
    pub fn run<F: Future>(self, future: F) -> Flow<F> {
        let life = Life::begin(self.birth.frame(self.frame));
        self.bag.0.belong_to(life.id());
        Flow { life: Some(life), future: Some(future) }
    }
}

fn end(life: Life, outcome: Outcome) {
    fields::end_of_flow(life.frame());
    life.end(outcome.into());
}

pin_project! {
    /// The future of [`flow`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Flow<F> {
        // `None` once `destroy` was emitted.
        life: Option<Life>,
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Flow<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let Some(life) = this.life.take() else { return };
            let dropped = life.run(|running| {
                running.promise_resolve(Outcome::Cancelled);
                catch_unwind(AssertUnwindSafe(|| this.future.set(None)))
            });
            end(life, Outcome::Cancelled);
            match dropped {
                // A second panic would abort the process; the first one goes on.
                Err(payload) if !std::thread::panicking() => resume_unwind(payload),
                Err(payload) => std::mem::forget(payload),
                Ok(()) => {}
            }
        }
    }
}

impl<F> Flow<F> {
    /// Returns its id, `None` once it is done.
    #[must_use]
    pub fn id(&self) -> Option<AsyncId> {
        self.life.as_ref().map(Life::id)
    }
}

impl<F: Future> Future for Flow<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let Some(life) = this.life.as_ref() else {
            panic!("a flow was polled after it had completed");
        };
        let (outcome, result) = life.run(|running| {
            let polled = catch_unwind(AssertUnwindSafe(|| {
                this.future.as_mut().as_pin_mut().map_or(Poll::Pending, |future| future.poll(cx))
            }));
            let outcome = match &polled {
                Ok(Poll::Pending) => return (None, polled),
                Ok(Poll::Ready(_)) => Outcome::Ready,
                Err(_) => Outcome::Panicked,
            };
            running.promise_resolve(outcome);
            // What was said is final: a destructor that panics takes nothing back.
            quietly(|| this.future.set(None));
            (Some(outcome), polled)
        });
        if let Some(outcome) = outcome {
            if let Some(life) = this.life.take() {
                end(life, outcome);
            }
        }
        result.unwrap_or_else(|payload| resume_unwind(payload))
    }
}

impl<F> fmt::Debug for Flow<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("life", &self.life).finish_non_exhaustive()
    }
}
