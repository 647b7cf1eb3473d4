//! Remembers, per thread, whose code is on the stack and which frame is current there.
//!
//! Every poll, callback and scope of ours runs inside [`run`], which puts a [`Scope`] on its own
//! stack frame and lets the thread-local `TOP` point to it for exactly as long as the closure it
//! calls. Scopes nest, so the pointers form a stack that is the call stack.
//!
//! # Invariants
//! I1. `TOP` is null or points to a `Scope` further down this thread's own stack. `run` sets it,
//!     and restores what it found before its `Scope` goes, on return and on unwind. Whoever reads
//!     `TOP` runs above that `Scope`, so it is alive until the reader returns.
//! I2. A `Scope` is only read through `&`; what changes in it is in `Cell`s, so that no borrow of
//!     it is ever in the way of foreign code.
//! I3. `TELLING` is to a [`Telling`] what `TOP` is to a `Scope`, and [`tell`] sets and restores it.

#![allow(unsafe_code, reason = "island: a thread-local pointer into the stack")]

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;
use std::rc::Rc;

use crate::frame::{EMPTY, Frame};
use crate::id::AsyncId;
use crate::record::Record;
use crate::resource::Resource;
use crate::sync::per_thread;

/// One level of the stack of running resources.
struct Scope<'a> {
    record: Option<&'a Record>,
    frame: &'a Frame,
    /// What [`with_trigger`] said.
    trigger: Option<AsyncId>,
    /// The frames that were entered in this scope and not left, innermost first.
    entered: Cell<Option<Rc<EnteredFrame>>>,
}

struct EnteredFrame {
    frame: Frame,
    token: u64,
    /// Its guard is gone, but a guard that was entered later is not.
    is_left: Cell<bool>,
    below: Option<Rc<EnteredFrame>>,
}

impl Drop for EnteredFrame {
    /// Frees those below one after another: a chain of forgotten guards may be longer than the
    /// stack is deep.
    fn drop(&mut self) {
        let mut below = self.below.take();
        while let Some(mut last) = below.and_then(Rc::into_inner) {
            below = last.below.take();
        }
    }
}

per_thread! {
    TOP: Cell<*const Scope<'static>> = Cell::new(ptr::null());
    /// What was entered on this thread outside any scope.
    BASE: Cell<Option<Rc<EnteredFrame>>> = Cell::new(None);
    NEXT_TOKEN: Cell<u64> = Cell::new(0);
    /// The innermost emission on the stack.
    TELLING: Cell<*const Telling<'static>> = Cell::new(ptr::null());
}

/// Restores the outer scope, on return and on unwind.
struct Restore(*const Scope<'static>);

impl Drop for Restore {
    #[inline]
    fn drop(&mut self) {
        TOP.with(|top| top.set(self.0));
    }
}

#[inline]
fn run<R>(
    record: Option<&Record>,
    frame: &Frame,
    trigger: Option<AsyncId>,
    f: impl FnOnce() -> R,
) -> R {
    let scope = Scope { record, frame, trigger, entered: Cell::new(None) };
    // Declared after `scope`, hence dropped before it: what was entered is freed when it can no
    // longer be seen, and destructors of values find the outer scope.
    let _restore = Restore(TOP.with(|top| top.replace(ptr::from_ref(&scope).cast())));
    f()
}

/// Runs `f` as code of `record`.
#[inline]
pub(crate) fn run_as<R>(record: &Record, f: impl FnOnce() -> R) -> R {
    run(Some(record), record.frame.get(), None, f)
}

/// Runs `f` as code of the same resource, in another frame.
#[inline]
pub(crate) fn run_in_frame<R>(frame: &Frame, f: impl FnOnce() -> R) -> R {
    with_top(|top| run(top.and_then(|top| top.record), frame, top.and_then(|top| top.trigger), f))
}

#[inline]
fn with_top<R>(f: impl FnOnce(Option<&Scope<'_>>) -> R) -> R {
    let top = TOP.with(Cell::get);
    // SAFETY: by I1 the pointer is null or its scope lives until this call returns, and by I2
    // nobody has it mutably.
    f(unsafe { top.as_ref() })
}

/// What a new resource finds.
pub(crate) struct Here<'a> {
    /// What is running, if anything is.
    pub(crate) record: Option<&'a Record>,
    /// What [`with_trigger`] said.
    pub(crate) trigger: Option<AsyncId>,
    pub(crate) frame: &'a Frame,
}

/// Something that is made of what it finds. A trait and not a closure, because only of a function
/// with a name can be said that it is to be compiled into the place that calls it, as this should
/// be: it is done for every resource.
pub(crate) trait MadeHere: Sized {
    type Made;

    fn make(self, here: Here<'_>) -> Self::Made;
}

/// Lets something be made of what is here.
#[inline(always)]
pub(crate) fn make_here<M: MadeHere>(made: M) -> M::Made {
    let top = TOP.with(Cell::get);
    // SAFETY: as in `with_top`, by I1.
    let top = unsafe { top.as_ref() };
    // Held until it is made, which may drop the guard.
    let entered;
    let (record, trigger, frame) = match top {
        Some(top) if !has_entered(&top.entered) => (top.record, top.trigger, top.frame),
        _ => {
            entered = innermost_entered(top);
            let outer =
                top.map_or((None, None, &EMPTY), |top| (top.record, top.trigger, top.frame));
            (outer.0, outer.1, entered.as_ref().map_or(outer.2, |entered| &entered.frame))
        }
    };
    made.make(Here { record, trigger, frame })
}

/// Calls `f` with the record whose code is on the stack.
#[inline]
pub(crate) fn with_record<R>(f: impl FnOnce(Option<&Record>) -> R) -> R {
    with_top(|top| f(top.and_then(|top| top.record)))
}

/// Says whether code of `record` is innermost on the stack.
#[inline]
pub(crate) fn is_running(record: &Record) -> bool {
    with_record(|current| current.is_some_and(|current| ptr::eq(current, record)))
}

#[inline]
fn has_entered(cell: &Cell<Option<Rc<EnteredFrame>>>) -> bool {
    // SAFETY: by I1 and I2 the cell is this thread's own, and nothing that could change it runs
    // meanwhile.
    unsafe { &*cell.as_ptr() }.is_some()
}

fn peek(cell: &Cell<Option<Rc<EnteredFrame>>>) -> Option<Rc<EnteredFrame>> {
    let innermost = cell.take();
    let copy = innermost.clone();
    cell.set(innermost);
    copy
}

fn with_entered<R>(f: impl FnOnce(&Cell<Option<Rc<EnteredFrame>>>) -> R) -> Option<R> {
    with_top(|top| match top {
        Some(top) => Some(f(&top.entered)),
        // A thread that is ending has lost its base.
        None => BASE.try_with(f).ok(),
    })
}

/// Calls `f` with the frame that is current.
#[inline]
pub(crate) fn with_frame<R>(f: impl FnOnce(&Frame) -> R) -> R {
    with_top(|top| match top {
        Some(top) if !has_entered(&top.entered) => f(top.frame),
        _ => with_entered_frame(top, f),
    })
}

#[cold]
fn innermost_entered(top: Option<&Scope<'_>>) -> Option<Rc<EnteredFrame>> {
    match top {
        Some(top) => peek(&top.entered),
        // A thread that is ending has lost its base.
        None => BASE.try_with(peek).ok().flatten(),
    }
}

#[cold]
fn with_entered_frame<R>(top: Option<&Scope<'_>>, f: impl FnOnce(&Frame) -> R) -> R {
    match (innermost_entered(top), top) {
        // Held by `entered` while `f` runs, so that `f` may drop the guard.
        (Some(entered), _) => f(&entered.frame),
        (None, Some(top)) => f(top.frame),
        (None, None) => f(&EMPTY),
    }
}

/// Keeps a frame current until it is dropped, or until the scope it was entered in ends.
///
/// Dropped in another scope, or forgotten, it does nothing: the end of a scope restores what the
/// scope found. Guards of one scope that are dropped out of order take effect when the inner ones
/// are gone.
#[must_use = "the frame is left when the guard is dropped"]
#[derive(Debug)]
pub struct Entered {
    token: u64,
    /// It means something on its own thread only.
    not_send: PhantomData<*const ()>,
}

pub(crate) fn enter(frame: Frame) -> Entered {
    let token = NEXT_TOKEN.with(|next| next.replace(next.get() + 1));
    with_entered(|cell| {
        let below = cell.take();
        let is_left = Cell::new(false);
        cell.set(Some(Rc::new(EnteredFrame { frame, token, is_left, below })));
    });
    Entered { token, not_send: PhantomData }
}

impl Entered {
    /// Says whether dropping it now would do something: it was not left, and the scope it was
    /// entered in is the one that is running.
    #[must_use]
    pub fn is_here(&self) -> bool {
        with_entered(|cell| find(peek(cell).as_deref(), self.token).is_some()).unwrap_or(false)
    }
}

fn find(mut entry: Option<&EnteredFrame>, token: u64) -> Option<&EnteredFrame> {
    while let Some(here) = entry {
        if here.token == token {
            return Some(here);
        }
        entry = here.below.as_deref();
    }
    None
}

impl Drop for Entered {
    fn drop(&mut self) {
        let token = self.token;
        // The frames that end here; their values are dropped when nothing of ours is borrowed.
        let _ended = with_entered(|cell| {
            let innermost = cell.take();
            if let Some(mine) = find(innermost.as_deref(), token) {
                mine.is_left.set(true);
            }
            let mut rest = innermost.clone();
            while let Some(entry) = rest.take_if(|entry| entry.is_left.get()) {
                rest.clone_from(&entry.below);
            }
            cell.set(rest);
            innermost
        });
    }
}

/// One level of the stack of emissions.
struct Telling<'a> {
    /// The epoch of the hook whose callback is on the stack, else 0.
    hook: &'a Cell<u32>,
    outer: *const Telling<'static>,
}

/// Restores the outer emission, on return and on unwind.
struct Told(*const Telling<'static>);

impl Drop for Told {
    #[inline]
    fn drop(&mut self) {
        TELLING.with(|telling| telling.set(self.0));
    }
}

/// Runs `f`, in which hooks are called: `hook` says which one, by its epoch. What is created
/// meanwhile is hidden from that hook.
#[inline]
pub(crate) fn tell<R>(hook: &Cell<u32>, f: impl FnOnce() -> R) -> R {
    let telling = Telling { hook, outer: TELLING.with(Cell::get) };
    let _told = Told(TELLING.with(|top| top.replace(ptr::from_ref(&telling).cast())));
    f()
}

/// Says whether hooks are being called on this thread.
#[inline]
pub(crate) fn is_telling() -> bool {
    !TELLING.with(Cell::get).is_null()
}

/// Says whether a callback of the hook with this epoch is on the stack.
pub(crate) fn is_called(epoch: u32) -> bool {
    let mut telling = TELLING.with(Cell::get);
    // SAFETY: by I3 the pointer is null or what it points to lives until this call returns.
    while let Some(level) = unsafe { telling.as_ref() } {
        if level.hook.get() == epoch {
            return true;
        }
        telling = level.outer;
    }
    false
}

/// Returns the id of the resource whose code is running, `None` outside all of them.
///
/// It is exact whether or not a hook is enabled.
#[must_use]
pub fn execution_async_id() -> Option<AsyncId> {
    with_record(|record| record.map(|record| record.id))
}

/// Returns the id of the resource that caused the one whose code is running, `None` if nothing did
/// or nothing is running.
#[must_use]
pub fn trigger_async_id() -> Option<AsyncId> {
    with_record(|record| record.and_then(|record| record.trigger))
}

/// Calls `f` with the resource whose code is running, `None` outside all of them.
pub fn execution_async_resource<R>(f: impl FnOnce(Option<&Resource<'_>>) -> R) -> R {
    with_record(|record| match record {
        Some(record) => f(Some(&Resource::plain(record))),
        None => f(None),
    })
}

/// Runs `f`; what it creates has `trigger` as its trigger, unless more is said about it.
///
/// The creator, and with it context, stays the resource whose code is running. Code of other
/// resources that `f` polls is not affected.
///
/// ```
/// use forebear_hooks::{AsyncResource, Kind, with_trigger};
///
/// let listener = AsyncResource::new(Kind::TCP_LISTENER);
/// let accepted = with_trigger(listener.id(), || AsyncResource::new(Kind::TCP_STREAM));
/// assert_eq!(accepted.trigger_id(), Some(listener.id()));
/// ```
pub fn with_trigger<R>(trigger: AsyncId, f: impl FnOnce() -> R) -> R {
    with_frame(|frame| with_record(|record| run(record, frame, Some(trigger), f)))
}
