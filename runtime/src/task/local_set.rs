//! Runs tasks whose futures may not leave their thread.

use std::any::type_name;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::enter;
use crate::hooks::RuntimeId;
use crate::hooks::life::Birth;
use crate::runtime::Runtime;
use crate::spawn;
use crate::task::JoinHandle;
use crate::task::cell::{Runnable, StaysHere, TaskRef};
use crate::task::local_queue::LocalQueue;
use crate::task::poll;

/// A poll of the set runs so many tasks at most, so that what is polled beside it has its turn.
///
/// tokio's number; a prime, so that it does not beat with loops of the user's own.
const TASKS_PER_TURN: usize = 61;

thread_local! {
    /// The set in which [`spawn_local`] spawns.
    static CURRENT: RefCell<Option<Rc<Inner>>> = const { RefCell::new(None) };
    /// How many polls of sets are on the stack.
    static TURNS: Cell<u32> = const { Cell::new(0) };
}

pub(crate) struct Inner {
    queue: Arc<LocalQueue>,
    members: RefCell<Members>,
}

/// The tasks of a set whose futures are there.
#[derive(Default)]
struct Members {
    tasks: Vec<Option<TaskRef>>,
    /// Places that are empty.
    free: Vec<usize>,
}

impl Members {
    fn reserve(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.tasks.push(None);
            self.tasks.len() - 1
        })
    }

    fn strike_off(&mut self, place: usize) -> Option<TaskRef> {
        self.free.push(place);
        self.tasks[place].take()
    }

    fn is_empty(&self) -> bool {
        self.free.len() == self.tasks.len()
    }
}

pin_project! {
    /// The future of a task of a set.
    struct Member<F> {
        #[pin]
        future: F,
        // Dropped after the future, whose destructor is still code of the task.
        membership: Membership,
    }
}

/// A place in a set, as long as this lives.
struct Membership {
    set: Rc<Inner>,
    queue: RuntimeId,
    place: usize,
}

impl<F: Future> Future for Member<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

impl<F> StaysHere for Member<F> {
    fn queue(&self) -> RuntimeId {
        self.membership.queue
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let task = self.set.members.borrow_mut().strike_off(self.place);
        drop(task);
    }
}

/// Spawns a task that stays on this thread, in the set that is running or was entered.
///
/// Its future need not be `Send`. Else it is a task like any other: it takes over the context of
/// this place, and has a life of its own.
///
/// # Panics
/// Outside a [`LocalSet`] and a [`LocalRuntime`](crate::runtime::LocalRuntime).
///
/// # Hooks
/// As [`spawn`](crate::spawn()).
///
/// # Examples
/// ```
/// use std::rc::Rc;
/// use forebear::task::{LocalSet, spawn_local};
///
/// let runtime = forebear::runtime::Runtime::new()?;
/// let set = LocalSet::new();
/// let shared = Rc::new(3);
/// let sum = set.block_on(&runtime, async move {
///     let mine = shared.clone();
///     let task = spawn_local(async move { *mine + 1 });
///     task.await.map(|more| *shared + more)
/// });
/// assert_eq!(sum?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    here().spawn(spawn::birth::<F>(), future)
}

/// Returns the set in which local tasks are spawned here.
#[track_caller]
pub(crate) fn here() -> Rc<Inner> {
    match CURRENT.with_borrow(Option::clone) {
        Some(set) => set,
        None => panic!(
            "there is no set of local tasks here: call this inside `LocalSet::run_until` or \
             `LocalSet::block_on`, after `LocalSet::enter`, or on a `LocalRuntime`"
        ),
    }
}

/// Says whether a set is being polled on this thread.
pub(crate) fn is_running() -> bool {
    TURNS.get() > 0
}

/// Queues a task that was woken, if it belongs to the set that is current on this thread.
pub(crate) fn push_here(task: Runnable) -> Result<(), Runnable> {
    let is_its = |set: &&Rc<Inner>| Some(set.queue.id()) == task.queue();
    let set = CURRENT.try_with(|current| current.borrow().as_ref().filter(is_its).cloned());
    match set {
        Ok(Some(set)) => {
            set.queue.push_woken(task);
            Ok(())
        }
        _ => Err(task),
    }
}

/// Keeps a set the current one of its thread: see [`LocalSet::enter`].
#[must_use = "the set is left when the guard is dropped"]
pub struct LocalEnterGuard {
    outer: Option<Rc<Inner>>,
}

impl Drop for LocalEnterGuard {
    fn drop(&mut self) {
        let outer = self.outer.take();
        let left = CURRENT.try_with(|current| current.replace(outer));
        // The last reference ends a set: not while it is borrowed.
        drop(left);
    }
}

impl fmt::Debug for LocalEnterGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEnterGuard").finish_non_exhaustive()
    }
}

/// A poll of a set is on the stack, until this is dropped.
struct Turn {
    _entered: LocalEnterGuard,
}

impl Drop for Turn {
    fn drop(&mut self) {
        TURNS.set(TURNS.get() - 1);
    }
}

impl Inner {
    fn enter(self: &Rc<Self>) -> LocalEnterGuard {
        LocalEnterGuard { outer: CURRENT.replace(Some(self.clone())) }
    }

    fn turn(self: &Rc<Self>) -> Turn {
        TURNS.set(TURNS.get() + 1);
        Turn { _entered: self.enter() }
    }

    pub(crate) fn spawn<F>(self: &Rc<Self>, birth: Birth, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        // It belongs to the runtime that is current, if there is one; its queue is this one.
        let here = enter::try_with_current(|shared| (shared.id(), shared.birth_time())).ok();
        let (runtime, born) = here.unzip();
        let birth = runtime.into_iter().fold(birth, Birth::runtime);
        let (queue, place) = (self.queue.id(), self.members.borrow_mut().reserve());
        let membership = Membership { set: self.clone(), queue, place };
        let (task, handle) =
            spawn::make_local(Member { future, membership }, birth, born.flatten());
        self.members.borrow_mut().tasks[place] = Some(task.to_ref());
        if let Err(task) = self.queue.push_new(task) {
            poll::refuse(task);
        }
        handle
    }

    /// Runs tasks that are ready, a turn's worth of them.
    fn run_some(&self, cx: &Context<'_>) {
        self.queue.serve(cx.waker());
        for _ in 0..TASKS_PER_TURN {
            let Some(task) = self.queue.take() else { return };
            if let Some(again) = poll::run(task) {
                self.queue.push_woken(again);
            }
        }
        if self.queue.pause() {
            cx.waker().wake_by_ref();
        }
    }

    fn is_empty(&self) -> bool {
        self.members.borrow().is_empty() && self.queue.is_empty()
    }

    /// Cancels all tasks. One that some other thread is just waking is waited for: that thread
    /// will queue it.
    pub(crate) fn end(self: &Rc<Self>) {
        let _entered = self.enter();
        self.queue.close();
        let members: Vec<TaskRef> = self.members.borrow().tasks.iter().flatten().cloned().collect();
        for task in members.iter().filter_map(TaskRef::stop) {
            self.queue.push_woken(task);
        }
        drop(members);
        loop {
            while let Some(task) = self.queue.take() {
                poll::refuse(task);
            }
            if self.members.borrow().is_empty() {
                return;
            }
            self.queue.wait();
        }
    }
}

/// Tasks that stay on the thread that made the set, so that their futures need not be `Send`.
///
/// They run while the set is driven: by [`run_until`](LocalSet::run_until),
/// [`block_on`](LocalSet::block_on), or by awaiting the set itself, which is done when no task is
/// left. Every thread may wake, abort and join them. Dropping the set cancels what is left.
///
/// At most 1024 sets and runtimes are alive in a process.
///
/// # Hooks
/// Its tasks are like any others. They belong to the runtime that was current where they were
/// spawned; their pairs lie inside those of what drives the set. When the set is dropped they end
/// with `destroy(Shutdown)`.
///
/// # Examples
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use forebear::task::LocalSet;
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let count = Rc::new(Cell::new(0));
/// let set = LocalSet::new();
/// for _ in 0..3 {
///     let count = count.clone();
///     set.spawn_local(async move { count.set(count.get() + 1) });
/// }
/// set.await;
/// assert_eq!(count.get(), 3);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct LocalSet {
    /// Counted within the thread, which the set, as its tasks' futures, may not leave.
    inner: Rc<Inner>,
}

impl LocalSet {
    /// Makes an empty set.
    ///
    /// # Panics
    /// When too many sets and runtimes are alive.
    #[track_caller]
    #[must_use]
    pub fn new() -> LocalSet {
        let queue = match LocalQueue::new() {
            Ok(queue) => queue,
            Err(error) => panic!("there can be no more sets of local tasks: {error}"),
        };
        let inner = Rc::new(Inner { queue, members: RefCell::default() });
        LocalSet { inner }
    }

    pub(crate) fn inner(&self) -> &Rc<Inner> {
        &self.inner
    }

    /// Makes the set the one in which [`spawn_local`] spawns on this thread, for as long as the
    /// guard lives.
    pub fn enter(&self) -> LocalEnterGuard {
        self.inner.enter()
    }

    /// Spawns a task in the set: see [`spawn_local`]. It runs when the set is driven.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.inner.spawn(spawn::birth::<F>(), future)
    }

    /// Waits for a future on a runtime, and runs the set meanwhile: see
    /// [`run_until`](LocalSet::run_until).
    ///
    /// # Panics
    /// Inside a task or another `block_on`, whose thread must not block; and if the future does.
    #[track_caller]
    pub fn block_on<F: Future>(&self, runtime: &Runtime, future: F) -> F::Output {
        runtime.block_on_labelled(self.run_until(future), type_name::<F>)
    }

    /// Runs a future, and the tasks of the set meanwhile, until the future is ready. Tasks that are
    /// left then stay in the set.
    ///
    /// # Cancel safety
    /// As safe as `future`. The tasks stay in the set.
    pub fn run_until<F: Future>(&self, future: F) -> RunUntil<'_, F> {
        RunUntil { set: self, future }
    }

    /// Returns the number under which its tasks are queued.
    #[must_use]
    pub fn id(&self) -> RuntimeId {
        self.inner.queue.id()
    }
}

/// Waits until no task is left.
impl Future for LocalSet {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let _turn = self.inner.turn();
        self.inner.run_some(cx);
        if self.inner.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Default for LocalSet {
    #[track_caller]
    fn default() -> LocalSet {
        LocalSet::new()
    }
}

impl Drop for LocalSet {
    fn drop(&mut self) {
        self.inner.end();
    }
}

impl fmt::Debug for LocalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSet").field("id", &self.id()).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`LocalSet::run_until`].
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct RunUntil<'a, F> {
        set: &'a LocalSet,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for RunUntil<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let inner = &this.set.inner;
        let _turn = inner.turn();
        inner.queue.serve(cx.waker());
        if let Poll::Ready(output) = this.future.poll(cx) {
            // What drives the set beside this, if anything, goes on with what is left.
            inner.queue.leave();
            return Poll::Ready(output);
        }
        inner.run_some(cx);
        Poll::Pending
    }
}
