//! Turns a future into a task.

use std::any::type_name;
use std::future::Future;
use std::sync::Arc;

use crate::blocking::{Job, Pool};
use crate::handle::Handle;
use crate::hooks::life::{Birth, Life};
use crate::hooks::{Kind, RuntimeId};
use crate::scheduler::Shared;
use crate::task::JoinHandle;
use crate::task::cell::{self, TaskRef};
use crate::task::family;

/// Spawns a task on the current runtime.
///
/// The task takes over the context of this place and runs even if nobody waits for it. Its label
/// is the name of the future's type; [`task::Builder`](crate::task::Builder) gives it another.
///
/// # Panics
/// Outside a runtime.
///
/// # Hooks
/// `init` here, before any worker can see the task; a pair around every poll; `promise_resolve`
/// once; `destroy` when it can never run again.
///
/// # Examples
/// ```
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let sum = forebear::spawn(async { 2 + 3 });
/// assert_eq!(sum.await?, 5);
/// # Ok::<(), forebear::task::JoinError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_on(Handle::here().shared(), birth::<F>(), future)
}

/// Spawns a task that descends from nobody: it starts with an empty context, without creator and
/// trigger, and with a link to what is running.
///
/// For work that goes on after the request it was found in: a connection of a pool, a background
/// loop. It keeps nobody's context alive.
///
/// # Panics
/// Outside a runtime.
///
/// # Hooks
/// As [`spawn`]; sampling hooks draw here.
#[track_caller]
pub fn spawn_root<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_on(Handle::here().shared(), birth::<F>().root(), future)
}

/// Runs a closure that blocks on a thread where it may.
///
/// It takes over the context of this place. There are at most 512 such threads (see
/// [`Builder::max_blocking_threads`](crate::runtime::Builder::max_blocking_threads)); what comes
/// beyond that waits.
///
/// # Panics
/// Outside a runtime.
///
/// # Cancel safety
/// Once the closure has started, nothing stops it: `abort` and dropping the handle do not.
///
/// # Hooks
/// `init` here; a pair around the closure on the pool's thread (around its drop, if it never
/// starts); `promise_resolve` and `destroy` once.
///
/// # Examples
/// ```
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let text = forebear::task::spawn_blocking(|| std::fs::read_to_string("Cargo.toml"));
/// assert!(text.await?.is_ok());
/// # Ok::<(), forebear::task::JoinError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn spawn_blocking<F, R>(closure: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    spawn_blocking_on(Handle::here().shared(), blocking_birth::<F>(), closure)
}

#[track_caller]
pub(crate) fn birth<F>() -> Birth {
    Birth::new(Kind::TASK, type_name::<F>)
}

#[track_caller]
pub(crate) fn blocking_birth<F>() -> Birth {
    Birth::new(Kind::BLOCKING, type_name::<F>)
}

/// Spawns a task: it is allocated, `init` is emitted, a queue gets it.
pub(crate) fn spawn_on<F>(shared: &Arc<Shared>, birth: Birth, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_member(shared, birth, future, enroll)
}

/// Spawns a task of whose watches `enroll` decides, which is told whether it is a root.
pub(crate) fn spawn_member<F>(
    shared: &Arc<Shared>,
    birth: Birth,
    future: F,
    enroll: impl FnOnce(&JoinHandle<F::Output>, bool),
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let birth = birth.runtime(shared.id());
    let (task, handle) = make(future, birth, shared.id(), enroll);
    shared.push_new(task);
    handle
}

/// Makes a task that is polled on this thread only, and belongs to the queue with this number. The
/// caller queues it there.
pub(crate) fn make_local<F>(
    future: F,
    birth: Birth,
    queue: RuntimeId,
) -> (TaskRef, JoinHandle<F::Output>)
where
    F: Future + 'static,
    F::Output: 'static,
{
    make(future, birth, queue, enroll)
}

/// Allocates a task and emits `init`.
fn make<F: Future>(
    future: F,
    birth: Birth,
    queue: RuntimeId,
    enroll: impl FnOnce(&JoinHandle<F::Output>, bool),
) -> (TaskRef, JoinHandle<F::Output>) {
    let is_root = birth.is_root();
    let life = Life::unborn(birth);
    let id = life.id();
    let (newborn, join) = cell::allocate(future, life, queue);
    let handle = JoinHandle::new(id, join);
    let task = newborn.born();
    enroll(&handle, is_root);
    (task, handle)
}

/// Enrolls a new task with the watches of its creator.
#[inline]
fn enroll<T>(handle: &JoinHandle<T>, is_root: bool) {
    if family::is_any_watched() && !is_root {
        family::enroll(handle.abort_handle());
    }
}

pub(crate) fn spawn_blocking_on<F, R>(
    shared: &Arc<Shared>,
    birth: Birth,
    closure: F,
) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    spawn_blocking_member(shared, birth, closure, enroll)
}

/// Runs a closure that blocks, of whose watches `enroll` decides.
pub(crate) fn spawn_blocking_member<F, R>(
    shared: &Arc<Shared>,
    birth: Birth,
    closure: F,
    enroll: impl FnOnce(&JoinHandle<R>, bool),
) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let birth = birth.runtime(shared.id());
    let (job, handle) = make(Job::new(closure), birth, shared.id(), enroll);
    Pool::push(shared, job);
    handle
}
