//! Turns a future into a task.

use std::any::type_name;
use std::future::Future;
use std::sync::Arc;

use crate::blocking::{Job, Pool};
use crate::enter;
use crate::hooks::Kind;
use crate::hooks::life::Birth;
use crate::resident::Sort;
use crate::scheduler::Shared;
use crate::task::JoinHandle;
use crate::task::cell;

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

/// The one way a task comes into being: it is allocated, `init` is emitted, a queue gets it.
#[inline(always)]
pub(crate) fn spawn_on<F>(shared: &Arc<Shared>, birth: Birth, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let birth = birth.runtime(shared.id());
    let (newborn, join) = cell::allocate(future, birth, shared.birth_time(), Sort::Task);
    let id = newborn.id();
    shared.push_new(newborn.born());
    JoinHandle::new(id, join)
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
    let (birth, job) = (birth.runtime(shared.id()), Job::new(closure));
    let (newborn, join) = cell::allocate(job, birth, shared.birth_time(), Sort::Job);
    let id = newborn.id();
    Pool::push(shared, newborn.born());
    JoinHandle::new(id, join)
}
