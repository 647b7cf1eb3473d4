//! Makes wakers of tasks: a pointer and a table, so that cloning one allocates nothing.
//!
//! # Invariants
//! I1. The data of a waker with our table is a `TaskRef` turned raw, and the waker owns that
//!     reference; but a waker in a [`Borrowed`] owns none.

#![allow(unsafe_code, reason = "island: the table of a waker")]

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::scheduler;
use crate::task::cell::{self, TaskRef};
use crate::task::state::Snapshot;

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// Turns a reference into a waker.
pub(crate) fn of(task: TaskRef) -> Waker {
    let data = task.into_raw().as_ptr().cast_const();
    // SAFETY: the table's functions take exactly such data (I1), and a task is `Send` and `Sync`.
    unsafe { Waker::new(data, &TABLE) }
}

/// A waker that owns no reference: for the time of a poll, in which the task is alive anyway.
pub(crate) struct Borrowed<'a>(ManuallyDrop<Waker>, PhantomData<&'a TaskRef>);

impl Borrowed<'_> {
    pub(crate) fn from(task: &TaskRef) -> Borrowed<'_> {
        // SAFETY: I1: by `ManuallyDrop` it is never dropped, and the lifetime binds it to `task`.
        let copy = unsafe { task.uncounted() };
        Borrowed(ManuallyDrop::new(of(copy)), PhantomData)
    }
}

impl Deref for Borrowed<'_> {
    type Target = Waker;

    fn deref(&self) -> &Waker {
        &self.0
    }
}

/// Borrows the task behind the data of one of our wakers.
///
/// # Safety
/// - `data` is the data of a waker with our table.
/// - That waker outlives the result.
unsafe fn borrow(data: *const ()) -> ManuallyDrop<TaskRef> {
    // SAFETY: by I1 it came from `into_raw`, which never gives null.
    let raw = unsafe { NonNull::new_unchecked(data.cast_mut()) };
    // SAFETY: by I1; the reference stays the waker's, because the result is never dropped.
    ManuallyDrop::new(unsafe { TaskRef::from_raw(raw) })
}

/// Returns what the task of this waker is doing, `None` if it is not a waker of ours.
pub(crate) fn state_of(waker: &Waker) -> Option<Snapshot> {
    if !std::ptr::eq(waker.vtable(), &raw const TABLE) {
        return None;
    }
    // SAFETY: I1: it has our table, and it is borrowed for as long.
    let task = unsafe { borrow(waker.data()) };
    Some(task.state().load())
}

/// Returns the task of this waker, `None` if it is not a waker of ours.
#[cfg(feature = "context")]
pub(crate) fn task_of(waker: &Waker) -> Option<TaskRef> {
    if !std::ptr::eq(waker.vtable(), &raw const TABLE) {
        return None;
    }
    // SAFETY: I1: it has our table, and it is borrowed for as long.
    let task = unsafe { borrow(waker.data()) };
    Some(TaskRef::clone(&task))
}

/// Wakes somebody whose code is not ours and may panic.
pub(crate) fn wake_foreign(waker: Waker) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        cell::discard(payload);
    }
}

/// Drops a waker whose code is not ours and may panic.
pub(crate) fn drop_foreign(waker: Option<Waker>) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(waker))) {
        cell::discard(payload);
    }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: by I1: the caller has a waker with our table.
    let task = unsafe { borrow(data) };
    task.state().add_ref();
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
    drop(ManuallyDrop::into_inner(unsafe { borrow(data) }));
}
