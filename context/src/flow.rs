//! Runs one unit of business work as a resource: a request, a message, a run of a job.
//!
//! What a flow has come to is said once, at its end, to whoever listens by [`on_end`]: its name, its
//! [`FlowOutcome`], its fields and how long it took. That is the one wide event of a request.
//!
//! # Memory ordering
//!
//! The count of listeners is Relaxed: who begins to listen while a flow ends hears of it or does
//! not. The list itself is under a lock.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use forebear_hooks::life::{Birth, Life, Running};
use forebear_hooks::{AsyncId, Frame, Kind, Outcome};
use pin_project_lite::pin_project;

use crate::carried::Extracted;
#[cfg(feature = "http")]
use crate::carried::Origin;
use crate::fields::{self, Bag, Value};
use crate::local::AsyncLocal;
use crate::quiet::quietly;
use crate::trace_parent::TRACE;

/// Runs `future` as a unit of business work: a resource of kind `FLOW`, with fields of its own.
///
/// A flow lives inside a task; a task may run many, one after the other or at once. What it
/// creates descends from it and shares its fields, also when that lives longer.
///
/// It takes over the context of the place where it is made, as a task does, not of the place where
/// it is polled: a value for it is set inside, `flow(name, KEY.scope(value, future))`, or said to a
/// [`FlowBuilder`].
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

/// As [`flow`], of work that can fail: an `Err` makes its outcome [`FlowOutcome::Error`].
///
/// # Cancel safety
/// As safe as `future`, whose destructor runs as code of the flow.
///
/// # Hooks
/// Those of a [`flow`]: an error is a result like any other.
///
/// # Examples
/// ```
/// use std::sync::{Arc, Mutex};
/// use forebear_context::{flow::on_end, try_flow};
/// # use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};
///
/// let heard = Arc::new(Mutex::new(Vec::new()));
/// let notes = heard.clone();
/// let _listening = on_end(move |end| notes.lock().unwrap().push(end.to_string()));
///
/// let job = try_flow("reports.build", async { Err::<(), _>("no paper") });
/// # let done = pin!(job).poll(&mut Context::from_waker(Waker::noop()));
/// # assert_eq!(done, Poll::Ready(Err("no paper")));
/// assert!(heard.lock().unwrap()[0].starts_with("reports.build: error: no paper"));
/// ```
#[track_caller]
pub fn try_flow<T, E, F>(name: impl Into<Cow<'static, str>>, future: F) -> Flow<F>
where
    E: fmt::Display,
    F: Future<Output = Result<T, E>>,
{
    let mut flow = FlowBuilder::new(name).location(Location::caller()).run(future);
    flow.judge = Some(Judge::Plain(FlowOutcome::of));
    flow
}

/// Returns the id of the flow that is current.
#[must_use]
pub fn id() -> Option<AsyncId> {
    Frame::with_current(fields::bag_of).and_then(|bag| bag.flow())
}

/// Returns the name of the flow that is current.
#[must_use]
pub fn name() -> Option<Cow<'static, str>> {
    Frame::with_current(fields::bag_of).map(|bag| bag.name().clone())
}

/// Returns for how long the flow that is current has been going on; what it left behind when it
/// ended, such as a task, goes on counting.
#[must_use]
pub fn elapsed() -> Option<Duration> {
    Frame::with_current(fields::bag_of).map(|bag| bag.started().elapsed())
}

/// Returns when the flow that is current began.
#[must_use]
pub fn start_time() -> Option<SystemTime> {
    elapsed().and_then(|elapsed| SystemTime::now().checked_sub(elapsed))
}

/// What a flow has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowOutcome {
    /// It did what it was to do.
    Ok,
    /// It has a result, which is an error.
    Error(Cow<'static, str>),
    /// It panicked.
    Panicked,
    /// It was dropped before it had a result.
    Cancelled,
}

impl FlowOutcome {
    /// Returns what a result says.
    pub fn of<T, E: fmt::Display>(result: &Result<T, E>) -> FlowOutcome {
        match result {
            Ok(_) => FlowOutcome::Ok,
            Err(error) => FlowOutcome::Error(error.to_string().into()),
        }
    }

    /// Returns a word for it: `ok`, `error`, `panicked` or `cancelled`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            FlowOutcome::Ok => "ok",
            FlowOutcome::Error(_) => "error",
            FlowOutcome::Panicked => "panicked",
            FlowOutcome::Cancelled => "cancelled",
        }
    }

    /// Returns what the error was.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            FlowOutcome::Error(text) => Some(text),
            _ => None,
        }
    }

    /// What `promise_resolve` says: an error is a result.
    fn of_promise(&self) -> Outcome {
        match self {
            FlowOutcome::Ok | FlowOutcome::Error(_) => Outcome::Ready,
            FlowOutcome::Panicked => Outcome::Panicked,
            FlowOutcome::Cancelled => Outcome::Cancelled,
        }
    }
}

impl fmt::Display for FlowOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error() {
            Some(error) => write!(f, "error: {error}"),
            None => f.write_str(self.as_str()),
        }
    }
}

/// A flow at its end: see [`on_end`].
pub struct FlowEnd<'a> {
    life: &'a Life,
    outcome: &'a FlowOutcome,
    elapsed: Duration,
}

impl FlowEnd<'_> {
    /// Returns the id of the flow.
    #[must_use]
    pub fn id(&self) -> AsyncId {
        self.life.id()
    }

    /// Returns what caused the flow.
    #[must_use]
    pub fn trigger_id(&self) -> Option<AsyncId> {
        self.life.trigger_id()
    }

    /// Returns the name of the flow.
    #[must_use]
    pub fn name(&self) -> String {
        self.life.resource().label().to_owned()
    }

    /// Returns what the flow has come to.
    #[must_use]
    pub fn outcome(&self) -> &FlowOutcome {
        self.outcome
    }

    /// Returns how long the flow took.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Returns when the flow began.
    #[must_use]
    pub fn start_time(&self) -> SystemTime {
        SystemTime::now().checked_sub(self.elapsed).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Returns what the flow knew at its end.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, Value)> {
        fields::collect()
    }
}

impl fmt::Display for FlowEnd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FlowEnd { life, outcome, elapsed } = self;
        write!(f, "{}: {outcome} after {elapsed:?}", life.resource().label())
    }
}

impl fmt::Debug for FlowEnd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlowEnd")
            .field("id", &self.id())
            .field("name", &self.life.resource().label())
            .field("outcome", self.outcome)
            .field("elapsed", &self.elapsed)
            .finish()
    }
}

type Listen = dyn Fn(&FlowEnd<'_>) + Send + Sync;

static LISTENERS: RwLock<Vec<(u64, Arc<Listen>)>> = RwLock::new(Vec::new());

/// How many there are, for those who have nobody to tell.
static LISTENING: AtomicUsize = AtomicUsize::new(0);

/// Calls `f` at the end of each flow of the process, as code of that flow: what it logs carries the
/// flow's context. A panic of `f` goes no further.
///
/// While nobody listens, a flow's end costs nothing for that.
#[must_use = "dropping it ends the listening"]
pub fn on_end(f: impl Fn(&FlowEnd<'_>) + Send + Sync + 'static) -> Listening {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut listeners = LISTENERS.write().unwrap_or_else(PoisonError::into_inner);
    listeners.push((number, Arc::new(f)));
    LISTENING.store(listeners.len(), Ordering::Relaxed);
    Listening { number }
}

/// Somebody listens to the ends of flows, until this is dropped.
#[must_use = "dropping it ends the listening"]
#[derive(Debug)]
pub struct Listening {
    number: u64,
}

impl Listening {
    /// Goes on listening for the life of the process.
    pub fn detach(self) {
        std::mem::forget(self);
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut listeners = LISTENERS.write().unwrap_or_else(PoisonError::into_inner);
        let mine = listeners.iter().position(|(number, _)| *number == self.number);
        let mine = mine.map(|nth| listeners.remove(nth));
        LISTENING.store(listeners.len(), Ordering::Relaxed);
        drop(listeners);
        // Its destructor is foreign code, which may listen to something else.
        drop(mine);
    }
}

/// A flow that has begun and not ended. Dropping it ends it as cancelled.
pub(crate) struct Ongoing {
    // `None` once `destroy` was emitted.
    life: Option<Life>,
    bag: Arc<Bag>,
}

impl Ongoing {
    fn begin(birth: Birth, bag: Arc<Bag>) -> Ongoing {
        let life = Life::begin(birth);
        bag.belong_to(life.id());
        Ongoing { life: Some(life), bag }
    }

    pub(crate) fn id(&self) -> Option<AsyncId> {
        self.life.as_ref().map(Life::id)
    }

    /// Runs `f` as code of the flow; `None` if that is over.
    pub(crate) fn run<R>(&self, f: impl FnOnce(&Running<'_>) -> R) -> Option<R> {
        self.life.as_ref().map(|life| life.run(f))
    }

    /// Says what the flow has come to, lets go of what made it, and tells the listeners. For code of
    /// the flow. Returns what the destructor threw.
    pub(crate) fn conclude(
        &self,
        running: &Running<'_>,
        outcome: &FlowOutcome,
        drop_source: impl FnOnce(),
    ) -> std::thread::Result<()> {
        running.promise_resolve(outcome.of_promise());
        let dropped = catch_unwind(AssertUnwindSafe(drop_source));
        if LISTENING.load(Ordering::Relaxed) != 0 {
            self.tell(outcome);
        }
        self.bag.end();
        dropped
    }

    #[cold]
    fn tell(&self, outcome: &FlowOutcome) {
        let Some(life) = &self.life else { return };
        let listeners = LISTENERS.read().unwrap_or_else(PoisonError::into_inner).clone();
        let end = FlowEnd { life, outcome, elapsed: self.bag.started().elapsed() };
        for (_, listener) in &listeners {
            quietly(|| listener(&end));
        }
    }

    /// Ends the flow, once it was concluded.
    pub(crate) fn end(&mut self, outcome: &FlowOutcome) {
        if let Some(life) = self.life.take() {
            life.end(outcome.of_promise().into());
        }
    }

    /// Ends the flow with a result that is there. What the destructor throws goes no further: what
    /// was said is final.
    #[cfg(feature = "http")]
    pub(crate) fn complete(&mut self, outcome: &FlowOutcome, drop_source: impl FnOnce()) {
        let dropped = self.run(|running| self.conclude(running, outcome, drop_source));
        if let Some(Err(payload)) = dropped {
            std::mem::forget(payload);
        }
        self.end(outcome);
    }

    /// Ends the flow before it has a result.
    pub(crate) fn cancel(&mut self, drop_source: impl FnOnce()) {
        let cancelled = &FlowOutcome::Cancelled;
        let dropped = self.run(|running| self.conclude(running, cancelled, drop_source));
        self.end(cancelled);
        match dropped {
            // A second panic would abort the process; the first one goes on.
            Some(Err(payload)) if !std::thread::panicking() => resume_unwind(payload),
            Some(Err(payload)) => std::mem::forget(payload),
            Some(Ok(())) | None => {}
        }
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        // Here it comes while a caller unwinds, who has not taken it up yet.
        if self.life.is_some() && std::thread::panicking() {
            let panicked = &FlowOutcome::Panicked;
            self.run(|running| self.conclude(running, panicked, || {}).is_ok());
            self.end(panicked);
        }
        self.cancel(|| {});
    }
}

impl fmt::Debug for Ongoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.life.fmt(f)
    }
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
        FlowBuilder::of(Birth::new(Kind::FLOW, || "flow"), &inherited, name.into())
    }

    /// Begins with a name, of a flow that has nothing of what is here but a link to it: with an empty
    /// context, and without ancestors.
    #[track_caller]
    pub fn root(name: impl Into<Cow<'static, str>>) -> FlowBuilder {
        let birth = Birth::new(Kind::FLOW, || "flow").root();
        FlowBuilder::of(birth, &Frame::empty(), name.into())
    }

    fn of(birth: Birth, inherited: &Frame, name: Cow<'static, str>) -> FlowBuilder {
        let (frame, bag) = fields::with_new_bag(inherited, name.clone());
        FlowBuilder { birth: birth.name(name), frame, bag: BagRef(bag) }
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
    pub fn field(self, key: &'static str, value: impl Into<Value>) -> FlowBuilder {
        self.bag.0.set(key, value.into());
        self
    }

    /// Sets a value before the flow begins.
    pub fn local<T: Send + Sync + 'static>(mut self, key: &AsyncLocal<T>, value: T) -> FlowBuilder {
        self.frame = self.frame.with(key.key(), Arc::new(value));
        self
    }

    /// Says until when its work has to be done; a deadline that is around, and sooner, counts.
    pub fn deadline(mut self, deadline: Instant) -> FlowBuilder {
        self.frame = self.frame.with_deadline(deadline);
        self
    }

    /// Gives it what came from another process, besides what it has of this one.
    #[cfg(feature = "http")]
    pub(crate) fn of_origin(self, origin: &Origin) -> FlowBuilder {
        match origin.extracted() {
            Some(extracted) => self.extracted(extracted),
            None => self,
        }
    }

    /// Gives it what came from another process.
    pub(crate) fn extracted(mut self, extracted: &Extracted) -> FlowBuilder {
        for (key, value) in &extracted.fields {
            self = self.field(key, value.clone());
        }
        // A span of its own, in the trace of the sender.
        if let Some(trace) = extracted.trace {
            self = self.local(&TRACE, trace.child());
        }
        match extracted.deadline {
            Some(deadline) => self.deadline(deadline),
            None => self,
        }
    }

    pub(crate) fn location(mut self, location: &'static Location<'static>) -> FlowBuilder {
        self.birth = self.birth.location(location);
        self
    }

    pub(crate) fn begin(self) -> Ongoing {
        Ongoing::begin(self.birth.frame(self.frame), self.bag.0)
    }

    /// Begins the flow: see [`flow`].
    pub fn run<F: Future>(self, future: F) -> Flow<F> {
        Flow { ongoing: self.begin(), judge: None, future: Some(future) }
    }
}

/// Says what a result means.
enum Judge<T> {
    /// A function, which may speak of types that do not live as long as a closure must.
    Plain(fn(&T) -> FlowOutcome),
    Said(Box<dyn FnOnce(&T) -> FlowOutcome + Send>),
}

impl<T> Judge<T> {
    fn judge(self, output: &T) -> FlowOutcome {
        match self {
            Judge::Plain(judge) => judge(output),
            Judge::Said(judge) => judge(output),
        }
    }
}

pin_project! {
    /// The future of [`flow`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Flow<F: Future> {
        ongoing: Ongoing,
        judge: Option<Judge<F::Output>>,
        #[pin]
        future: Option<F>,
    }

    impl<F: Future> PinnedDrop for Flow<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            this.ongoing.cancel(|| this.future.set(None));
        }
    }
}

impl<F: Future> Flow<F> {
    /// Returns its id, `None` once it is done.
    #[must_use]
    pub fn id(&self) -> Option<AsyncId> {
        self.ongoing.id()
    }

    /// Says what a result means for the flow: without this, every one means [`FlowOutcome::Ok`].
    pub fn outcome(
        mut self,
        judge: impl FnOnce(&F::Output) -> FlowOutcome + Send + 'static,
    ) -> Flow<F> {
        self.judge = Some(Judge::Said(Box::new(judge)));
        self
    }
}

impl<F: Future> Future for Flow<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let ongoing = &*this.ongoing;
        let polled = ongoing.run(|running| {
            let polled = catch_unwind(AssertUnwindSafe(|| {
                this.future.as_mut().as_pin_mut().map_or(Poll::Pending, |future| future.poll(cx))
            }));
            let outcome = match &polled {
                Ok(Poll::Pending) => return (None, polled),
                Ok(Poll::Ready(output)) => {
                    let said = this.judge.take().and_then(|judge| quietly(|| judge.judge(output)));
                    said.unwrap_or(FlowOutcome::Ok)
                }
                Err(_) => FlowOutcome::Panicked,
            };
            // What was said is final: a destructor that panics takes nothing back.
            if let Err(payload) = ongoing.conclude(running, &outcome, || this.future.set(None)) {
                std::mem::forget(payload);
            }
            (Some(outcome), polled)
        });
        let Some((outcome, result)) = polled else {
            panic!("a flow was polled after it had completed");
        };
        if let Some(outcome) = outcome {
            this.ongoing.end(&outcome);
        }
        result.unwrap_or_else(|payload| resume_unwind(payload))
    }
}

impl<F: Future> fmt::Debug for Flow<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("life", &self.ongoing).finish_non_exhaustive()
    }
}
