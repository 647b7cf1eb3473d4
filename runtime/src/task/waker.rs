//! Makes wakers of tasks: a pointer and a table, so that cloning one allocates nothing.
//!
//! # Invariants
//! I1. The data of a waker with our table is a `TaskRef` turned raw, and the waker owns that
//!     reference; but a waker in a [`Borrowed`] owns none.
//! I2. A raw [`ThinWaker`] is a `TaskRef` turned raw, or, with the lowest bit set, which no aligned
//!     pointer has, a `Box<Waker>` turned raw.

#![allow(unsafe_code, reason = "island: the table of a waker")]

use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::scheduler;
use crate::task::cell::{self, TaskRef};

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// Turns a reference into a waker.
#[inline]
fn of(task: NonNull<()>) -> Waker {
    // SAFETY: the table's functions take exactly such data (I1), and a task is `Send` and `Sync`.
    unsafe { Waker::new(task.as_ptr().cast_const(), &TABLE) }
}

/// A waker that owns no reference: for the time of a poll, in which the task is alive anyway.
pub(crate) struct Borrowed<'a>(ManuallyDrop<Waker>, PhantomData<&'a ()>);

impl Borrowed<'_> {
    /// Makes one from the pointer to a task that outlives it.
    #[inline]
    pub(crate) fn of<'a>(task: NonNull<()>) -> Borrowed<'a> {
        Borrowed(ManuallyDrop::new(of(task)), PhantomData)
    }
}

impl Deref for Borrowed<'_> {
    type Target = Waker;

    #[inline]
    fn deref(&self) -> &Waker {
        &self.0
    }
}

/// Returns which task a waker wakes, as an address that names it for as long as the waker is
/// there; `None` if it is not a waker of ours.
#[inline]
pub(crate) fn task_of(waker: &Waker) -> Option<NonNull<()>> {
    let is_ours = std::ptr::eq(waker.vtable(), &raw const TABLE);
    if is_ours { NonNull::new(waker.data().cast_mut()) } else { None }
}

/// Borrows the task behind the data of one of our wakers.
///
/// # Safety
/// - `data` is the data of a waker with our table.
/// - That waker outlives the result.
#[inline]
unsafe fn borrow(data: *const ()) -> ManuallyDrop<TaskRef> {
    // SAFETY: by I1 it came from `into_raw`, which never gives null.
    let raw = unsafe { NonNull::new_unchecked(data.cast_mut()) };
    // SAFETY: by I1; the reference stays the waker's, because the result is never dropped.
    ManuallyDrop::new(unsafe { TaskRef::from_raw(raw) })
}

/// A waker in one word: a task of ours as it is, anything else in a box.
#[derive(Debug)]
pub(crate) struct ThinWaker(NonNull<()>);

const BOXED: usize = 1;

impl ThinWaker {
    #[inline]
    pub(crate) fn of(waker: &Waker) -> ThinWaker {
        match task_of(waker) {
            Some(task) => {
                // SAFETY: I1: it has our table, and is borrowed for as long.
                let task = unsafe { borrow(task.as_ptr()) };
                ThinWaker(task.clone_inside().into_raw())
            }
            None => ThinWaker::boxed(waker.clone()),
        }
    }

    #[cold]
    fn boxed(waker: Waker) -> ThinWaker {
        let boxed = NonNull::from(Box::leak(Box::new(waker))).cast::<()>();
        ThinWaker(boxed.map_addr(|address| address | BOXED))
    }

    #[inline]
    pub(crate) fn into_raw(self) -> *mut () {
        let raw = self.0.as_ptr();
        mem::forget(self);
        raw
    }

    /// Takes back what [`into_raw`](ThinWaker::into_raw) gave up; of null, nothing.
    ///
    /// # Safety
    /// - `raw` is null or came from `into_raw`.
    /// - It was not taken back before.
    #[inline]
    pub(crate) unsafe fn from_raw(raw: *mut ()) -> Option<ThinWaker> {
        NonNull::new(raw).map(ThinWaker)
    }

    /// Says whether a raw one, which may belong to another thread or be gone, was made of a waker
    /// of this task. Of a foreign waker that cannot be said.
    #[inline]
    pub(crate) fn is_same(raw: *mut (), waker: &Waker) -> bool {
        task_of(waker).is_some_and(|task| task.as_ptr() == raw)
    }

    fn as_boxed(&self) -> Option<NonNull<Waker>> {
        let address = self.0.addr().get();
        let place = self.0.as_ptr().map_addr(|address| address & !BOXED);
        if address & BOXED == 0 { None } else { NonNull::new(place.cast()) }
    }

    #[inline]
    pub(crate) fn wake(self) {
        if self.as_boxed().is_some() {
            return self.wake_boxed();
        }
        let raw = self.0;
        mem::forget(self);
        // SAFETY: by I2 it is a task, whose reference is given up here.
        if let Some(task) = unsafe { TaskRef::from_raw(raw) }.wake() {
            scheduler::schedule(task);
        }
    }

    #[cold]
    fn wake_boxed(self) {
        let boxed = self.as_boxed();
        mem::forget(self);
        if let Some(boxed) = boxed {
            // SAFETY: by I2 it came from a box, which is taken back here.
            let waker = unsafe { Box::from_raw(boxed.as_ptr()) };
            wake_foreign(*waker);
        }
    }
}

impl Drop for ThinWaker {
    fn drop(&mut self) {
        match self.as_boxed() {
            Some(boxed) => {
                // SAFETY: by I2 it came from a box, which is taken back here.
                let waker = unsafe { Box::from_raw(boxed.as_ptr()) };
                drop_foreign(Some(*waker));
            }
            // SAFETY: by I2 it is a task, whose reference is given up here.
            None => unsafe { TaskRef::from_raw(self.0) }.drop_inside(),
        }
    }
}

/// Reads the states of tasks that are about to be woken: all at once they come from memory sooner
/// than one after the other, where each wake waits for its own.
pub(crate) fn fetch(wakers: &[Waker]) {
    let mut seen = 0;
    for task in wakers.iter().filter_map(task_of) {
        // SAFETY: I1: the waker has our table, and is borrowed for as long.
        let task = unsafe { borrow(task.as_ptr()) };
        seen ^= usize::from(task.state().load().is_complete());
    }
    std::hint::black_box(seen);
}

/// Wakes somebody whose code is perhaps not ours and may panic.
pub(crate) fn wake_foreign(waker: Waker) {
    if task_of(&waker).is_some() {
        return waker.wake();
    }
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        cell::discard(payload);
    }
}

/// Drops a waker whose code is perhaps not ours and may panic.
pub(crate) fn drop_foreign(waker: Option<Waker>) {
    let Some(waker) = waker else { return };
    if task_of(&waker).is_some() {
        return drop(waker);
    }
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(waker))) {
        cell::discard(payload);
    }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: by I1: the caller has a waker with our table.
    let task = unsafe { borrow(data) };
    mem::forget(task.clone_inside());
    RawWaker::new(data, &TABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: by I1: the caller gives up a waker with our table.
    let task = unsafe { borrow(data) };
    if let Some(task) = ManuallyDrop::into_inner(task).wake() {
        scheduler::schedule(task);
    }
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: by I1: the caller has a waker with our table.
    let task = unsafe { borrow(data) };
    if let Some(task) = task.wake_by_ref() {
        scheduler::schedule(task);
    }
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: by I1: the caller gives up a waker with our table.
    ManuallyDrop::into_inner(unsafe { borrow(data) }).drop_inside();
}
