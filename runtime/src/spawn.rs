//! Turns a future into a task.

use std::any::type_name;
use std::future::Future;
use std::sync::Arc;

#[cfg(any(feature = "fs", feature = "io-std"))]
use crate::blocking::Pushed;
use crate::blocking::{Duty, Job, Pool};
use crate::enter;
use crate::hooks::life::Birth;
use crate::hooks::{CoarseTick, Kind};
use crate::resident::Sort;
use crate::scheduler::Shared;
use crate::task::JoinHandle;
use crate::task::cell::{self, JoinRef, Newborn, Runnable, StaysHere};
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
    let birth = birth::<F>();
    enter::with_current(|shared| spawn_on(shared, birth, future))
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
    let birth = birth::<F>().root();
    enter::with_current(|shared| spawn_on(shared, birth, future))
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
    let birth = blocking_birth::<F>();
    enter::with_current(|shared| spawn_blocking_on(shared, birth, closure))
}

#[track_caller]
#[inline]
pub(crate) fn birth<F>() -> Birth {
    Birth::new(Kind::TASK, type_name::<F>)
}

#[track_caller]
pub(crate) fn blocking_birth<F>() -> Birth {
    Birth::new(Kind::BLOCKING, type_name::<F>)
}

/// Spawns a task: it is allocated, `init` is emitted, a queue gets it.
#[inline(always)]
pub(crate) fn spawn_on<F>(shared: &Arc<Shared>, birth: Birth, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_member(shared, birth, future, enroll)
}

/// Spawns a task of whose watches `enroll` decides, which is told whether it is a root.
#[inline(always)]
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
    let is_root = birth.is_root();
    let made = cell::allocate(future, birth, shared.birth_time(), Sort::Task);
    let (task, handle) = bear(made, is_root, enroll);
    shared.push_new(task);
    handle
}

/// Makes a task that stays on this thread. The caller queues it.
pub(crate) fn make_local<F: Future + StaysHere>(
    future: F,
    birth: Birth,
    born: Option<CoarseTick>,
) -> (Runnable, JoinHandle<F::Output>) {
    let is_root = birth.is_root();
    bear(cell::allocate_local(future, birth, born), is_root, enroll)
}

/// Emits `init`.
#[inline(always)]
fn bear<T>(
    (newborn, join): (Newborn, JoinRef<T>),
    is_root: bool,
    enroll: impl FnOnce(&JoinHandle<T>, bool),
) -> (Runnable, JoinHandle<T>) {
    let handle = JoinHandle::new(newborn.id(), join);
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
    let is_root = birth.is_root();
    let made = cell::allocate(Job::new(closure), birth, shared.birth_time(), Sort::Job);
    let (job, handle) = bear(made, is_root, enroll);
    // A job that is refused has been cancelled, which its handle tells.
    let _pushed = Pool::push(shared, job, Duty::Usual);
    handle
}

/// Runs a closure that blocks, even if the runtime ends before it begins: somebody is told that it
/// will have been done. For the same reason no watch of its creator can abort it.
///
/// `None` if it will not be run, since the runtime is ending already.
#[cfg(any(feature = "fs", feature = "io-std"))]
pub(crate) fn spawn_promised_on<F, R>(
    shared: &Arc<Shared>,
    birth: Birth,
    closure: F,
) -> Option<JoinHandle<R>>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let birth = birth.runtime(shared.id());
    let made = cell::allocate(Job::new(closure), birth, shared.birth_time(), Sort::Promise);
    let (job, handle) = bear(made, false, |_, _| ());
    let pushed = Pool::push(shared, job, Duty::Promised);
    (pushed == Pushed::Accepted).then_some(handle)
}
