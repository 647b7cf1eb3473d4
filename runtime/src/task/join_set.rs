//! Gathers tasks whose outputs are all of one type, to take them as they come.
//!
//! With each task in the set a waker is left that notes in a queue that this one is complete; so a
//! set of many tasks looks only at those that are.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};

use crate::handle::Handle;
use crate::hooks::AsyncId;
use crate::primitive::Mutex;
use crate::spawn;
use crate::task::waker::{drop_foreign, wake_foreign};
use crate::task::{self, AbortHandle, JoinError, JoinHandle, LocalSet, coop};

/// Tasks that belong together: their outputs are taken in the order in which they complete, and
/// what is left is aborted with the set.
///
/// # Hooks
/// Emits nothing itself. The tasks are what they would be without it.
///
/// # Examples
/// ```
/// use forebear::task::JoinSet;
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let mut squares: JoinSet<u32> = (1..4).map(|n| async move { n * n }).collect();
/// let mut sum = 0;
/// while let Some(square) = squares.join_next().await {
///     sum += square?;
/// }
/// assert_eq!(sum, 14);
/// # Ok::<(), forebear::task::JoinError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct JoinSet<T> {
    entries: Entries<T>,
    ready: Arc<Ready>,
}

struct Entries<T> {
    slots: Vec<Option<JoinHandle<T>>>,
    free: Vec<usize>,
}

/// Which slots are to be looked at.
#[derive(Default)]
struct Ready {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    queue: VecDeque<usize>,
    joiner: Option<Waker>,
}

/// The waker that is left with the task in a slot. It may be late: then the slot is empty, or has
/// another task, and is looked at in vain.
struct Tell {
    slot: usize,
    ready: Arc<Ready>,
}

impl Wake for Tell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut inner = self.ready.inner.lock();
        inner.queue.push_back(self.slot);
        let joiner = inner.joiner.take();
        drop(inner);
        if let Some(joiner) = joiner {
            wake_foreign(joiner);
        }
    }
}

impl Ready {
    fn take(&self) -> Option<usize> {
        self.inner.lock().queue.pop_front()
    }

    /// Returns a slot to look at; if there is none, `waker` will be woken for the next.
    fn take_or_wait(&self, waker: &Waker) -> Option<usize> {
        if let Some(slot) = self.take() {
            return Some(slot);
        }
        // Cloned and dropped outside of the lock: it is foreign code.
        let waker = waker.clone();
        let mut inner = self.inner.lock();
        let slot = inner.queue.pop_front();
        let left = if slot.is_none() { inner.joiner.replace(waker) } else { Some(waker) };
        drop(inner);
        drop_foreign(left);
        slot
    }
}

impl<T> Entries<T> {
    fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Returns the slot that the next task gets.
    fn next_slot(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        })
    }

    /// Returns the output of the task in a slot, if there is one that is complete, and removes it.
    fn take(&mut self, slot: usize) -> Option<(AsyncId, Result<T, JoinError>)> {
        let handle = self.slots[slot].as_mut()?;
        let output = handle.take_output()?;
        let id = handle.id();
        self.slots[slot] = None;
        self.free.push(slot);
        if self.len() == 0 {
            // What a burst has left behind is given back.
            *self = Entries { slots: Vec::new(), free: Vec::new() };
        }
        Some((id, output))
    }

    fn all(&self) -> impl Iterator<Item = &JoinHandle<T>> {
        self.slots.iter().flatten()
    }
}

impl<T> JoinSet<T> {
    /// Makes an empty set.
    #[must_use]
    pub fn new() -> JoinSet<T> {
        JoinSet { entries: Entries { slots: Vec::new(), free: Vec::new() }, ready: Arc::default() }
    }

    /// Returns how many tasks are in the set, complete or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Says whether no task is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: 'static> JoinSet<T> {
    /// Says more about a task that is to be spawned in the set.
    ///
    /// ```
    /// # use forebear::task::JoinSet;
    /// # forebear::runtime::Runtime::new()?.block_on(async {
    /// let mut set = JoinSet::new();
    /// set.build_task().name("ship order").spawn(async { "shipped" });
    /// assert_eq!(set.join_all().await, ["shipped"]);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn build_task(&mut self) -> Builder<'_, T> {
        Builder { builder: task::Builder::new(), set: self }
    }

    /// Spawns a task in the set: see [`spawn`](crate::spawn()).
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.insert(spawn::spawn(future))
    }

    /// Spawns a task in the set, on a runtime.
    #[track_caller]
    pub fn spawn_on<F>(&mut self, future: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.insert(handle.spawn(future))
    }

    /// Spawns a task that stays on this thread: see [`spawn_local`](crate::task::spawn_local).
    ///
    /// # Panics
    /// Outside a [`LocalSet`] and a [`LocalRuntime`](crate::runtime::LocalRuntime).
    #[track_caller]
    pub fn spawn_local<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.insert(task::spawn_local(future))
    }

    /// Spawns a task in a set of local tasks: see [`LocalSet::spawn_local`].
    #[track_caller]
    pub fn spawn_local_on<F>(&mut self, future: F, local_set: &LocalSet) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.insert(local_set.spawn_local(future))
    }

    /// Runs a closure that blocks: see [`spawn_blocking`](crate::task::spawn_blocking).
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, closure: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.insert(spawn::spawn_blocking(closure))
    }

    /// Runs a closure that blocks, on a thread of a runtime.
    #[track_caller]
    pub fn spawn_blocking_on<F>(&mut self, closure: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.insert(handle.spawn_blocking(closure))
    }

    pub(crate) fn insert(&mut self, mut handle: JoinHandle<T>) -> AbortHandle {
        let abort = handle.abort_handle();
        let slot = self.entries.next_slot();
        let waker = Waker::from(Arc::new(Tell { slot, ready: self.ready.clone() }));
        let will_tell = handle.leave_waker(&waker);
        self.entries.slots[slot] = Some(handle);
        if !will_tell {
            // It is complete already.
            waker.wake();
        }
        abort
    }

    /// Waits until one of the tasks is complete, and removes it from the set. `None` if the set is
    /// empty.
    ///
    /// # Errors
    /// The output is a [`JoinError`] if the task panicked or was cancelled.
    ///
    /// # Cancel safety
    /// Safe: no output is lost.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// Waits as [`join_next`](JoinSet::join_next) does, and says which task it was; of one that
    /// failed the error says it.
    ///
    /// # Errors
    /// The output is a [`JoinError`] if the task panicked or was cancelled.
    ///
    /// # Cancel safety
    /// Safe: no output is lost.
    pub async fn join_next_with_id(&mut self) -> Option<Result<(AsyncId, T), JoinError>> {
        poll_fn(|cx| self.poll_join_next_with_id(cx)).await
    }

    /// Removes a task that is complete from the set, without waiting. `None` if there is none.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.try_join().map(|(_, output)| output)
    }

    /// Removes a task as [`try_join_next`](JoinSet::try_join_next) does, and says which it was.
    pub fn try_join_next_with_id(&mut self) -> Option<Result<(AsyncId, T), JoinError>> {
        self.try_join().map(|(id, output)| output.map(|output| (id, output)))
    }

    fn try_join(&mut self) -> Option<(AsyncId, Result<T, JoinError>)> {
        while let Some(slot) = self.ready.take() {
            let taken = self.look(slot);
            if taken.is_some() {
                return taken;
            }
        }
        None
    }

    /// Looks at a slot, which may be one of those that were given back.
    fn look(&mut self, slot: usize) -> Option<(AsyncId, Result<T, JoinError>)> {
        if slot < self.entries.slots.len() { self.entries.take(slot) } else { None }
    }

    /// Aborts all tasks, and waits until each of them is complete.
    ///
    /// # Cancel safety
    /// Safe: the tasks are aborted at its first poll; those it has not waited for stay in the set.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Waits for all tasks, and returns their outputs in the order in which they completed.
    ///
    /// # Panics
    /// With the panic of the first task that panicked, or when one was cancelled. The others are
    /// then aborted.
    pub async fn join_all(mut self) -> Vec<T> {
        let mut outputs = Vec::with_capacity(self.len());
        while let Some(output) = self.join_next().await {
            match output.map_err(JoinError::try_into_panic) {
                Ok(output) => outputs.push(output),
                Err(Ok(payload)) => std::panic::resume_unwind(payload),
                Err(Err(error)) => panic!("`join_all` needs every output: {error}"),
            }
        }
        outputs
    }

    /// Aborts all tasks. They stay in the set, to be joined as cancelled.
    pub fn abort_all(&mut self) {
        self.entries.all().for_each(JoinHandle::abort);
    }

    /// Removes all tasks from the set; they go on running.
    pub fn detach_all(&mut self) {
        let Entries { slots, .. } =
            std::mem::replace(&mut self.entries, Entries { slots: Vec::new(), free: Vec::new() });
        drop(slots);
    }

    /// Takes what [`join_next`](JoinSet::join_next) waits for. Whoever polled last is woken.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_join(cx).map(|joined| joined.map(|(_, output)| output))
    }

    /// Takes what [`join_next_with_id`](JoinSet::join_next_with_id) waits for.
    pub fn poll_join_next_with_id(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(AsyncId, T), JoinError>>> {
        let joined = ready!(self.poll_join(cx));
        Poll::Ready(joined.map(|(id, output)| output.map(|output| (id, output))))
    }

    fn poll_join(&mut self, cx: &mut Context<'_>) -> Poll<Option<(AsyncId, Result<T, JoinError>)>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        let proceed = ready!(coop::poll_proceed(cx));
        while let Some(slot) = self.ready.take_or_wait(cx.waker()) {
            let taken = self.look(slot);
            if taken.is_some() {
                proceed.made_progress();
                return Poll::Ready(taken);
            }
        }
        Poll::Pending
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.entries.all().for_each(JoinHandle::abort);
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> JoinSet<T> {
        JoinSet::new()
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish()
    }
}

/// Spawns each of the futures.
///
/// # Panics
/// Outside a runtime.
impl<T, F> FromIterator<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> JoinSet<T> {
        let mut set = JoinSet::new();
        for future in futures {
            set.spawn(future);
        }
        set
    }
}

/// Spawns each of the futures.
///
/// # Panics
/// Outside a runtime.
impl<T, F> Extend<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    #[track_caller]
    fn extend<I: IntoIterator<Item = F>>(&mut self, futures: I) {
        for future in futures {
            self.spawn(future);
        }
    }
}

/// Spawns a task in a set, of which more is said than its future: see [`JoinSet::build_task`].
#[must_use = "nothing is spawned before `spawn`"]
#[derive(Debug)]
pub struct Builder<'a, T> {
    builder: task::Builder,
    set: &'a mut JoinSet<T>,
}

impl<'a, T: 'static> Builder<'a, T> {
    /// Gives the task a name: see [`task::Builder::name`].
    pub fn name(self, name: impl Into<Cow<'static, str>>) -> Builder<'a, T> {
        Builder { builder: self.builder.name(name), ..self }
    }

    /// Spawns the task: see [`JoinSet::spawn`].
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.set.insert(self.builder.spawn(future))
    }

    /// Spawns the task on a runtime: see [`JoinSet::spawn_on`].
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.set.insert(self.builder.spawn_on(future, handle))
    }

    /// Spawns a task that stays on this thread: see [`JoinSet::spawn_local`].
    ///
    /// # Panics
    /// Outside a [`LocalSet`] and a [`LocalRuntime`](crate::runtime::LocalRuntime).
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.set.insert(self.builder.spawn_local(future))
    }

    /// Spawns a task in a set of local tasks: see [`JoinSet::spawn_local_on`].
    #[track_caller]
    pub fn spawn_local_on<F>(self, future: F, local_set: &LocalSet) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.set.insert(self.builder.spawn_local_on(future, local_set))
    }

    /// Runs a closure that blocks: see [`JoinSet::spawn_blocking`].
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_blocking<F>(self, closure: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.set.insert(self.builder.spawn_blocking(closure))
    }

    /// Runs a closure that blocks, on a thread of a runtime: see [`JoinSet::spawn_blocking_on`].
    #[track_caller]
    pub fn spawn_blocking_on<F>(self, closure: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.set.insert(self.builder.spawn_blocking_on(closure, handle))
    }
}
