//! Waits for a task, or gives it up.

use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use crate::hooks::AsyncId;
use crate::scheduler;
use crate::task::cell::{JoinRef, Joined, TaskRef};
use crate::task::coop;
use crate::task::error::JoinError;

/// Waits for the output of a task.
///
/// Dropping it detaches the task, which goes on running.
///
/// # Errors
/// Its output is a [`JoinError`] if the task panicked, was aborted, or ended with its runtime.
///
/// # Panics
/// If it is polled after it has returned the output.
///
/// # Cancel safety
/// Safe: it may be awaited by `&mut`, again and again.
///
/// # Hooks
/// Emits nothing itself. By the time it returns, the task has emitted all its events.
///
/// # Examples
/// ```
/// let runtime = forebear::runtime::Runtime::new()?;
/// let handle = runtime.spawn(async { 6 * 7 });
/// assert_eq!(runtime.block_on(handle)?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct JoinHandle<T> {
    id: AsyncId,
    join: JoinRef<T>,
}

impl<T> JoinHandle<T> {
    pub(crate) fn new(id: AsyncId, join: JoinRef<T>) -> JoinHandle<T> {
        JoinHandle { id, join }
    }

    /// Returns the task's id.
    #[must_use]
    pub fn id(&self) -> AsyncId {
        self.id
    }

    /// Gives the task up: its future is dropped the next time it would run, on a worker.
    ///
    /// A task that is complete, or completes in the poll that is running, is not affected. A
    /// closure given to `spawn_blocking` can be aborted only before it has started.
    pub fn abort(&self) {
        abort(self.join.task());
    }

    /// Returns something that can give the task up, and does not keep its output.
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle { id: self.id, task: self.join.task().cloned() }
    }

    /// Says whether the task is complete.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        is_finished(self.join.task())
    }
}

impl<T> Unpin for JoinHandle<T> {}

// No user code runs under our locks, so a panic leaves nothing half done.
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let proceed = ready!(coop::poll_proceed(cx));
        let output = ready!(self.poll_output(cx));
        proceed.made_progress();
        Poll::Ready(output)
    }
}

impl<T> JoinHandle<T> {
    /// Returns the output if the task is complete and nobody has taken it.
    pub(crate) fn take_output(&mut self) -> Option<Result<T, JoinError>> {
        if self.is_finished() { self.join.take_output() } else { None }
    }

    /// Leaves a waker with the task. Says whether it will be woken: else the task is complete.
    pub(crate) fn leave_waker(&mut self, waker: &Waker) -> bool {
        self.join.leave_waker(waker)
    }

    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        match self.join.join(cx.waker()) {
            Joined::Waits => Poll::Pending,
            Joined::Output(output) => Poll::Ready(output),
            Joined::Taken => panic!("a JoinHandle was polled after it had returned the output"),
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.join.task().map(|task| task.state().load());
        f.debug_struct("JoinHandle").field("id", &self.id).field("state", &state).finish()
    }
}

/// Gives a task up: see [`JoinHandle::abort`].
#[derive(Clone)]
pub struct AbortHandle {
    id: AsyncId,
    /// `None` if the output was taken before.
    task: Option<TaskRef>,
}

impl AbortHandle {
    #[cfg(feature = "context")]
    pub(crate) fn new(id: AsyncId, task: TaskRef) -> AbortHandle {
        AbortHandle { id, task: Some(task) }
    }

    /// Returns the task's id.
    #[must_use]
    pub fn id(&self) -> AsyncId {
        self.id
    }

    /// Gives the task up: see [`JoinHandle::abort`].
    pub fn abort(&self) {
        abort(self.task.as_ref());
    }

    /// Says whether the task is complete.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        is_finished(self.task.as_ref())
    }
}

// No user code runs under our locks, so a panic leaves nothing half done.
impl UnwindSafe for AbortHandle {}
impl RefUnwindSafe for AbortHandle {}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.task.as_ref().map(|task| task.state().load());
        f.debug_struct("AbortHandle").field("id", &self.id).field("state", &state).finish()
    }
}

fn abort(task: Option<&TaskRef>) {
    if let Some(task) = task.and_then(TaskRef::abort) {
        scheduler::schedule(task);
    }
}

fn is_finished(task: Option<&TaskRef>) -> bool {
    task.is_none_or(|task| task.state().load().is_complete())
}
