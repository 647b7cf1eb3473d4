//! Knows, per thread, which runtime is at hand, and whether the thread is one of its workers.
//!
//! # Invariants
//! I1. `WORKER` is null or points to the worker of an [`EnterWorker`] that lives further down this
//!     thread's own stack, and with it the worker. Whoever reads the pointer runs above, so the
//!     worker is alive until the reader returns.

#![allow(unsafe_code, reason = "island: a thread-local pointer into the stack")]

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use crate::bridge;
use crate::handle::{Handle, TryCurrentError};
use crate::hooks::RuntimeId;
use crate::scheduler::deputy::{Appointed, Clerk};
use crate::scheduler::{Shared, Target, Worker, lookup};

thread_local! {
    /// Counted within the thread, so that looking at it counts nothing that others count too.
    static HANDLE: RefCell<Option<Rc<Handle>>> = const { RefCell::new(None) };
    /// The number of the runtime in `HANDLE`.
    static CURRENT: Cell<Option<RuntimeId>> = const { Cell::new(None) };
    static WORKER: Cell<*const Worker> = const { Cell::new(ptr::null()) };
    /// What this thread is if it stands in for a worker.
    static DEPUTY: RefCell<Option<Clerk>> = const { RefCell::new(None) };
    /// The runtime for whose blocking pool this thread works.
    static POOL_OF: Cell<Option<RuntimeId>> = const { Cell::new(None) };
    /// The runtime for which this thread runs tasks, all its life.
    static WORKS_FOR: Cell<Option<RuntimeId>> = const { Cell::new(None) };
    /// How many levels of `block_on`, or of a worker's loop, are on the stack.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Makes a runtime the current one of this thread, until it is dropped.
#[must_use = "the runtime is left when the guard is dropped"]
pub(crate) struct EnterHandle {
    outer: Option<Rc<Handle>>,
    _crossing: bridge::Crossing,
}

pub(crate) fn handle(handle: Handle) -> EnterHandle {
    CURRENT.set(Some(handle.id()));
    let crossing = bridge::enter(&handle.shared().config);
    let outer = HANDLE.with(|current| current.borrow_mut().replace(Rc::new(handle)));
    EnterHandle { outer, _crossing: crossing }
}

impl Drop for EnterHandle {
    fn drop(&mut self) {
        let outer = self.outer.take();
        CURRENT.set(outer.as_ref().map(|outer| outer.id()));
        let left = HANDLE.try_with(|current| std::mem::replace(&mut *current.borrow_mut(), outer));
        // The last handle frees a runtime: not while it is borrowed.
        drop(left);
    }
}

/// Returns the runtime that is current, if there is one.
pub(crate) fn current() -> Option<Rc<Handle>> {
    HANDLE.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// Calls `f` with the runtime that is current.
///
/// # Panics
/// If there is none.
#[inline]
#[track_caller]
pub(crate) fn with_current<R>(f: impl FnOnce(&Arc<Shared>) -> R) -> R {
    match try_with_current(f) {
        Ok(result) => result,
        Err(error) => panic!("{error}"),
    }
}

/// Calls `f` with the runtime that is current.
#[inline]
pub(crate) fn try_with_current<R>(f: impl FnOnce(&Arc<Shared>) -> R) -> Result<R, TryCurrentError> {
    // SAFETY: by I1, the worker outlives this call.
    let worker = unsafe { WORKER.get().as_ref() };
    let held;
    let shared = match worker {
        Some(worker) if CURRENT.get() == Some(worker.runtime()) => worker.shared(),
        _ => {
            held = current().ok_or(TryCurrentError::new())?;
            held.shared()
        }
    };
    Ok(f(shared))
}

/// Calls `f` with a runtime, unless that has ended, and with the index of its worker that this thread
/// is, if it is one.
#[inline]
pub(crate) fn with_runtime<R>(
    runtime: RuntimeId,
    f: impl FnOnce(&Shared, Option<usize>) -> R,
) -> Option<R> {
    // SAFETY: by I1, the worker outlives this call.
    let worker = unsafe { WORKER.get().as_ref() };
    let found;
    let (shared, index) = match worker {
        Some(worker) if worker.runtime() == runtime => (&**worker.shared(), Some(worker.index())),
        _ => {
            let Some(Target::Runtime(runtime)) = lookup::find(runtime) else { return None };
            found = runtime;
            (&*found, None)
        }
    };
    Some(f(shared, index))
}

/// Makes this thread a worker, until it is dropped.
#[must_use = "the thread is a worker until the guard is dropped"]
pub(crate) struct EnterWorker<'a> {
    outer: *const Worker,
    worker: PhantomData<&'a Worker>,
}

/// Runs `f` with this thread a worker.
pub(crate) fn worker<R>(worker: &Worker, f: impl FnOnce() -> R) -> R {
    let outer = WORKER.replace(worker);
    // Restored also on unwind: I1.
    let _entered = EnterWorker { outer, worker: PhantomData };
    f()
}

impl Drop for EnterWorker<'_> {
    fn drop(&mut self) {
        WORKER.set(self.outer);
    }
}

/// Calls `f` with the worker that this thread is, if it is one.
#[inline]
pub(crate) fn with_worker<R>(f: impl FnOnce(Option<&Worker>) -> R) -> R {
    // SAFETY: by I1, the worker outlives this call.
    f(unsafe { WORKER.get().as_ref() })
}

/// This thread is no worker, and no code of tasks is on its stack, until this is dropped: it may
/// block.
#[must_use = "the thread may block until the guard is dropped"]
pub(crate) struct Apart {
    worker: *const Worker,
    deputy: Option<Clerk>,
    depth: u32,
}

pub(crate) fn apart() -> Apart {
    Apart {
        worker: WORKER.replace(ptr::null()),
        deputy: DEPUTY.with(|current| current.borrow_mut().take()),
        depth: DEPTH.replace(0),
    }
}

impl Apart {
    /// Lets another thread do what this one would have done.
    pub(crate) fn appoint(&self) -> Option<Appointed> {
        // SAFETY: by I1, which held when the pointer was taken, the worker outlives this value.
        let worker = unsafe { self.worker.as_ref() };
        match (worker, &self.deputy) {
            (Some(worker), _) => {
                worker.vacate();
                worker.clerk().appoint()
            }
            (None, Some(deputy)) => deputy.appoint(),
            (None, None) => None,
        }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        DEPTH.set(self.depth);
        DEPUTY.with(|current| *current.borrow_mut() = self.deputy.take());
        WORKER.set(self.worker);
    }
}

/// Runs `f` on a thread that stands in for a worker.
pub(crate) fn serve_as(deputy: Clerk, f: impl FnOnce()) {
    DEPUTY.with(|current| *current.borrow_mut() = Some(deputy));
    f();
    DEPUTY.with(|current| current.borrow_mut().take());
}

/// Says that this thread works for the blocking pool of a runtime, for the rest of its life.
pub(crate) fn serve_pool_of(runtime: RuntimeId) {
    POOL_OF.set(Some(runtime));
}

/// Says whether this thread works for the blocking pool of a runtime.
pub(crate) fn serves_pool_of(runtime: RuntimeId) -> bool {
    POOL_OF.get() == Some(runtime)
}

/// Says that this thread runs tasks of a runtime, for the rest of its life.
pub(crate) fn work_for(runtime: RuntimeId) {
    WORKS_FOR.set(Some(runtime));
}

/// Says whether this thread runs tasks of a runtime, and so cannot wait for its end.
pub(crate) fn works_for(runtime: RuntimeId) -> bool {
    WORKS_FOR.get() == Some(runtime)
}

/// Says that code of tasks runs above here, which must not block.
#[must_use = "the level ends when the guard is dropped"]
pub(crate) struct Async(());

pub(crate) fn asynchronous() -> Async {
    DEPTH.set(DEPTH.get() + 1);
    Async(())
}

impl Drop for Async {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Says whether code of tasks may be on the stack, which must not block.
pub(crate) fn is_asynchronous() -> bool {
    DEPTH.get() > 0
}
