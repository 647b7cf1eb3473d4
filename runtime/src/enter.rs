//! Knows, per thread, which runtime is at hand, and whether the thread is one of its workers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::handle::Handle;
use crate::hooks::RuntimeId;
use crate::scheduler::Worker;
use crate::scheduler::deputy::{Appointed, Clerk};

thread_local! {
    /// Counted within the thread, so that looking at it counts nothing that others count too.
    static HANDLE: RefCell<Option<Rc<Handle>>> = const { RefCell::new(None) };
    static WORKER: RefCell<Option<Rc<Worker>>> = const { RefCell::new(None) };
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
}

pub(crate) fn handle(handle: Handle) -> EnterHandle {
    EnterHandle { outer: HANDLE.with(|current| current.borrow_mut().replace(Rc::new(handle))) }
}

impl Drop for EnterHandle {
    fn drop(&mut self) {
        let outer = self.outer.take();
        let left = HANDLE.try_with(|current| std::mem::replace(&mut *current.borrow_mut(), outer));
        // The last handle frees a runtime: not while it is borrowed.
        drop(left);
    }
}

/// Returns the runtime that is current, if there is one.
#[inline]
pub(crate) fn current() -> Option<Rc<Handle>> {
    HANDLE.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// Makes this thread a worker, until it is dropped.
#[must_use = "the thread is a worker until the guard is dropped"]
pub(crate) struct EnterWorker {
    outer: Option<Rc<Worker>>,
}

pub(crate) fn worker(worker: Rc<Worker>) -> EnterWorker {
    EnterWorker { outer: WORKER.with(|current| current.borrow_mut().replace(worker)) }
}

impl Drop for EnterWorker {
    fn drop(&mut self) {
        let outer = self.outer.take();
        let left = WORKER.try_with(|current| std::mem::replace(&mut *current.borrow_mut(), outer));
        drop(left);
    }
}

/// Calls `f` with the worker that this thread is, if it is one. `f` calls no foreign code.
#[inline]
pub(crate) fn with_worker<R>(f: impl FnOnce(Option<&Worker>) -> R) -> R {
    let mut f = Some(f);
    let done = WORKER.try_with(|current| {
        let current = current.borrow();
        f.take().map(|f| f(current.as_deref()))
    });
    match (done, f) {
        (Ok(Some(result)), _) => result,
        (_, Some(f)) => f(None),
        (_, None) => unreachable!("f is called in one of the two places"),
    }
}

/// This thread is no worker, and no code of tasks is on its stack, until this is dropped: it may
/// block.
#[must_use = "the thread may block until the guard is dropped"]
pub(crate) struct Apart {
    worker: Option<Rc<Worker>>,
    deputy: Option<Clerk>,
    depth: u32,
}

pub(crate) fn apart() -> Apart {
    Apart {
        worker: WORKER.with(|current| current.borrow_mut().take()),
        deputy: DEPUTY.with(|current| current.borrow_mut().take()),
        depth: DEPTH.replace(0),
    }
}

impl Apart {
    /// Lets another thread do what this one would have done.
    pub(crate) fn appoint(&self) -> Option<Appointed> {
        match (&self.worker, &self.deputy) {
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
        WORKER.with(|current| *current.borrow_mut() = self.worker.take());
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
