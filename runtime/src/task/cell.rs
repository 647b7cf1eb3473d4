//! Erases the type of the future: a header, a future or its output, and a table of functions.
//!
//! Everything that touches the inside of a task goes through a value that proves the right to:
//! [`Inside`] is the right of whoever runs it, [`Runnable`] that of a queue to hand it out, and a
//! [`TaskRef`] only keeps it in memory.
//!
//! # Invariants
//! I1. `resident` is the first field of the header, and `header` of every `Cell`, and they are
//!     `repr(C)`: a pointer to one is a pointer to the others. A resident of sort `Task` or `Job` is
//!     in a cell, and the `vtable` was made for the type of that very cell.
//! I2. A `TaskRef` owns one of the references that the state counts. The cell is freed by who gives
//!     up the last; one is the task's own, until it is complete.
//! I3. A `Runnable` exists at most once per task, and only while the state says `RUNNING`: so the
//!     task is not complete. It is made at birth, by a wake that the state asks
//!     to submit, and by who gives up an `Inside` to a queue.
//! I4. An `Inside` exists at most once per task, not beside a `Runnable`, and only while the state
//!     says `RUNNING`. It is made of a `Runnable`, and taken by `rest`, `hold` and `finish`. Before
//!     birth, the spawner is alone with the task: a [`Newborn`].
//! I5. `life` is run and ended, and `stage` is touched, by the holder of the `Inside` only, but that
//!     the stage of a complete task belongs to its `JoinHandle`. The stage holds the future until `poll` or
//!     `cancel` have put the output in its place, and is empty when that was taken or dropped.
//! I6. What is in `join_waker` belongs to the handle, and to the finisher if the state said
//!     `JOIN_WAKER` when the task became complete.
//! I7. A cell stays where it was allocated, and its future leaves the stage only by being dropped
//!     there.
//! I8. What the `note` says is to spare are references that the state counts, and that nobody has.
//!     It belongs to the holder of the `Inside`, and to the code that this polls, on its thread.

#![allow(unsafe_code, reason = "island: the layout of a task")]

use std::alloc::Layout;
use std::any::Any;
use std::cell::UnsafeCell;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop, offset_of};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use crate::hooks::ledger::Entrance;
use crate::hooks::life::{Birth, Life, Running};
use crate::hooks::{AsyncId, CoarseTick, Outcome, Probe, Reason, RuntimeId};
#[cfg(feature = "context")]
use crate::hooks::{Coarse, ledger::Sighting};
use crate::primitive::{AtomicPtr, Ordering};
use crate::resident::memory::{self, Class};
use crate::resident::{self, Body, Resident, Sort};
use crate::task::coop;
use crate::task::error::JoinError;
use crate::task::state::{DropJoin, Finish, Rest, Snapshot, Start, State, Wake, WakeByValue};
use crate::task::waker::{Borrowed, ThinWaker};

/// The part of a task that does not depend on its future. Its size is a multiple of what anything
/// in a block is aligned to: so every stage is just behind it.
#[repr(C)]
pub(crate) struct Header {
    resident: Resident,
    more: More,
}

/// What other residents do not have.
struct More {
    vtable: &'static Vtable,
    /// A [`ThinWaker`] turned raw, or null. Relaxed: the state hands it over.
    join_waker: AtomicPtr<()>,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Header>() == 96);

#[repr(C)]
struct Cell<F: Future> {
    header: Header,
    stage: UnsafeCell<Stage<F>>,
}

/// Which of the two it is, or neither, is told by I5.
union Stage<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<Result<F::Output, JoinError>>,
}

/// What depends on the type of the future. Each function's pointer is to a cell of that type.
struct Vtable {
    poll: unsafe fn(NonNull<Header>, &mut Context<'_>, &Running<'_>) -> Poll<Outcome>,
    cancel: unsafe fn(NonNull<Header>, AsyncId),
    drop_output: unsafe fn(NonNull<Header>),
    /// Reads in which queue it waits, if it stays on its thread: that of its runtime else.
    local_queue: Option<unsafe fn(NonNull<Header>) -> RuntimeId>,
    class: Class,
}

impl Vtable {
    const fn of<F: Future>() -> Vtable {
        Vtable {
            poll: poll::<F>,
            cancel: cancel::<F>,
            drop_output: drop_output::<F>,
            local_queue: None,
            class: match class_of::<F>() {
                Some(class) => class,
                // Such a cell is never made: see `allocate`.
                None => Class::of_nothing(),
            },
        }
    }

    const fn of_local<F: Future + StaysHere>() -> Vtable {
        Vtable { local_queue: Some(local_queue_of::<F>), ..Vtable::of::<F>() }
    }
}

/// The future of a task that stays on its thread.
pub(crate) trait StaysHere {
    /// Returns the number of the queue in which it waits.
    fn queue(&self) -> RuntimeId;
}

impl<F: StaysHere> StaysHere for Pin<Box<F>> {
    fn queue(&self) -> RuntimeId {
        (**self).queue()
    }
}

/// Owns one reference to a task.
#[must_use]
pub(crate) struct TaskRef(NonNull<Header>);

// SAFETY: by I3 to I5 what is not thread-safe in a task is touched by one thread at a time, which
// the transitions of the state hand on; and spawning asks for a future that may change threads, or
// queues it where only one thread runs it: `task/local_queue.rs`.
unsafe impl Send for TaskRef {}
// SAFETY: through a shared reference only what is atomic or never changes can be reached (I5).
unsafe impl Sync for TaskRef {}

/// The right to run a task, as a queue has it. It must not be lost: the task would never end.
#[must_use]
pub(crate) struct Runnable(NonNull<Header>);

// SAFETY: as `TaskRef`, by I3 to I5.
unsafe impl Send for Runnable {}

const fn class_of<F: Future>() -> Option<Class> {
    Class::of(Layout::new::<Cell<F>>())
}

/// A task that only its spawner knows.
#[must_use]
pub(crate) struct Newborn(NonNull<Header>);

/// Makes a task that is not born yet, and the handle for its output.
#[inline(always)]
pub(crate) fn allocate<F: Future>(
    future: F,
    birth: Birth,
    born: Option<CoarseTick>,
    sort: Sort,
) -> (Newborn, JoinRef<F::Output>) {
    // Decided when the program is compiled.
    if class_of::<F>().is_some() {
        allocate_here(future, birth, born, sort, const { &Vtable::of::<F>() })
    } else {
        let vtable = const { &Vtable::of::<Pin<Box<F>>>() };
        allocate_here(Box::pin(future), birth, born, sort, vtable)
    }
}

/// Makes a task that stays on its thread.
pub(crate) fn allocate_local<F: Future + StaysHere>(
    future: F,
    birth: Birth,
    born: Option<CoarseTick>,
) -> (Newborn, JoinRef<F::Output>) {
    if class_of::<F>().is_some() {
        allocate_here(future, birth, born, Sort::Local, const { &Vtable::of_local::<F>() })
    } else {
        let vtable = const { &Vtable::of_local::<Pin<Box<F>>>() };
        allocate_here(Box::pin(future), birth, born, Sort::Local, vtable)
    }
}

#[inline(always)]
fn allocate_here<F: Future>(
    future: F,
    birth: Birth,
    born: Option<CoarseTick>,
    sort: Sort,
    vtable: &'static Vtable,
) -> (Newborn, JoinRef<F::Output>) {
    let (block, slot) = memory::allocate(vtable.class);
    // SAFETY: the block was just allocated for a cell, which by I1 begins with a resident.
    unsafe { resident::make((block, slot), birth, born, sort) };
    // SAFETY: the block was allocated for a cell (I1), and is large enough.
    let place_of_more = unsafe { block.byte_add(offset_of!(Header, more)) };
    let more = More { vtable, join_waker: AtomicPtr::new(ptr::null_mut()) };
    // SAFETY: it is aligned as a header is (I1), and nobody else's.
    unsafe { place_of_more.cast::<More>().write(more) };
    // SAFETY: as before; by I1 it is a pointer to a header.
    unsafe { stage_of::<F>(block.cast()).write(Stage { future: ManuallyDrop::new(future) }) };
    // By I1 a pointer to the cell is one to the header.
    let header = block.cast::<Header>();
    (Newborn(header), JoinRef { task: Some(TaskRef(header)), output: PhantomData })
}

impl Newborn {
    #[inline]
    pub(crate) fn id(&self) -> AsyncId {
        self.body().life.id()
    }

    /// Emits `init`, and lets the task be seen: the last thing before a queue gets it.
    #[inline]
    pub(crate) fn born(self) -> Runnable {
        self.body().life.born_with_probe(probe_of(self.0));
        self.header().resident.state.be_born();
        Runnable(self.0)
    }
}

#[inline]
fn probe_of(header: NonNull<Header>) -> Probe {
    Probe::new(header.addr().get(), resident::show)
}

/// Calls `f` with every task of a runtime's workers that is not complete.
pub(crate) fn each_of(runtime: RuntimeId, mut f: impl FnMut(TaskRef)) {
    resident::each(|guest| {
        let Body { life, sort, .. } = guest.body();
        if *sort == Sort::Task && life.runtime() == Some(runtime) {
            // By I1 it is a task, whose reference is handed on.
            f(TaskRef(guest.into_raw().cast()));
        }
    });
}

/// Calls `f` with every task of the process that is not complete, and with what is seen of it.
#[cfg(feature = "context")]
pub(crate) fn each_task(mut f: impl FnMut(&Sighting<'_>, TaskRef)) {
    resident::each(|guest| {
        if guest.body().sort != Sort::Timer {
            // By I1 it is a task, whose reference is handed on.
            let task = TaskRef(guest.into_raw().cast());
            f(&task.body().life.sighting(None, Coarse::now()), task.clone());
        }
    });
}

/// What all sorts of pointers to a task can do.
trait ToHeader {
    fn header(&self) -> &Header;

    #[inline]
    fn body(&self) -> &Body {
        &self.header().resident.body
    }

    #[inline]
    fn more(&self) -> &More {
        &self.header().more
    }
}

impl ToHeader for TaskRef {
    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: by I2 the cell is alive as long as this reference is.
        unsafe { self.0.as_ref() }
    }
}

impl ToHeader for Newborn {
    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: by I4 the spawner is alone with the task, which is not complete.
        unsafe { self.0.as_ref() }
    }
}

impl ToHeader for Runnable {
    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: by I3 the task is not complete, or it is not born, so it is alive (I2).
        unsafe { self.0.as_ref() }
    }
}

impl Runnable {
    /// Gives up the pointer together with the right it stands for.
    #[inline]
    pub(crate) fn into_raw(self) -> *mut () {
        self.0.as_ptr().cast()
    }

    /// Takes back what [`into_raw`](Runnable::into_raw) gave up; of null, nothing.
    ///
    /// # Safety
    /// - `raw` is null or came from `into_raw`.
    /// - It was not taken back before.
    #[inline]
    pub(crate) unsafe fn from_raw(raw: *mut ()) -> Option<Runnable> {
        NonNull::new(raw.cast()).map(Runnable)
    }

    /// Returns the number of the runtime, or of the set of local tasks, that queues it.
    #[inline]
    pub(crate) fn queue(&self) -> Option<RuntimeId> {
        if self.body().sort == Sort::Local {
            self.local_queue()
        } else {
            self.body().life.runtime()
        }
    }

    #[cold]
    fn local_queue(&self) -> Option<RuntimeId> {
        let read = self.more().vtable.local_queue?;
        // SAFETY: by I3 and I4 the task is not complete and nobody is inside, so by I5 its stage
        // holds the future, which nobody changes; by I1 the function fits the cell.
        Some(unsafe { read(self.0) })
    }

    /// Makes a reference to the task.
    pub(crate) fn to_ref(&self) -> TaskRef {
        self.header().resident.state.add_ref();
        TaskRef(self.0)
    }

    /// Lets the caller inside, if the task is to be polled; if it is doomed, says why.
    #[inline]
    pub(crate) fn start(self) -> (Inside, Option<Reason>) {
        let start = self.header().resident.state.start();
        let inside = Inside(self);
        match start {
            Start::Poll => (inside, None),
            Start::Cancel(reason) => (inside, Some(reason)),
        }
    }
}

impl TaskRef {
    #[inline]
    pub(crate) fn state(&self) -> &State {
        &self.header().resident.state
    }

    /// Gives up the pointer together with the reference it owns.
    #[inline]
    pub(crate) fn into_raw(self) -> NonNull<()> {
        let raw = self.0.cast();
        mem::forget(self);
        raw
    }

    /// Takes back what [`into_raw`](TaskRef::into_raw) gave up.
    ///
    /// # Safety
    /// - `raw` came from `into_raw`.
    /// - The reference it stood for was not taken back before.
    #[inline]
    pub(crate) unsafe fn from_raw(raw: NonNull<()>) -> TaskRef {
        TaskRef(raw.cast())
    }

    /// Transition 1 by somebody who is done with the reference. Returns the task to be queued.
    #[inline]
    pub(crate) fn wake(self) -> Option<Runnable> {
        match self.state().wake_and_release() {
            WakeByValue::Submit => {
                let header = self.0;
                mem::forget(self);
                return Some(Runnable(header));
            }
            WakeByValue::Released => mem::forget(self),
            WakeByValue::Free => self.free_last(),
        }
        None
    }

    /// Transition 1 by somebody who keeps the reference. Returns the task to be queued.
    #[inline]
    pub(crate) fn wake_by_ref(&self) -> Option<Runnable> {
        self.submit(self.state().wake())
    }

    /// Dooms the task by its handle. Returns the task to be queued.
    pub(crate) fn abort(&self) -> Option<Runnable> {
        self.submit(self.state().abort())
    }

    /// Dooms the task because its runtime is ending. Returns the task to be queued.
    pub(crate) fn stop(&self) -> Option<Runnable> {
        self.submit(self.state().stop())
    }

    #[inline]
    fn submit(&self, wake: Wake) -> Option<Runnable> {
        if wake == Wake::Submit { Some(Runnable(self.0)) } else { None }
    }

    /// Frees the task; the count says that this reference was the last.
    #[inline]
    fn free_last(self) {
        let header = self.0;
        mem::forget(self);
        free(header);
    }
}

/// So many references are counted at once, if the one who is inside needs one and has none to spare.
const SPARE_BATCH: u8 = 16;

impl TaskRef {
    /// As `clone`, and cheaper for code that the task itself runs: for that a waker is cloned mostly.
    #[inline]
    pub(crate) fn clone_inside(&self) -> TaskRef {
        if !coop::is_polling(self.0.addr().get()) {
            return self.clone();
        }
        let note = &self.body().note;
        if !note.take_spare() {
            self.state().add_refs(usize::from(SPARE_BATCH) + 1);
            // By I8; there is room, since there was none to spare.
            let _ = note.put_spare(SPARE_BATCH);
        }
        TaskRef(self.0)
    }

    /// As `drop`, and cheaper for code that the task itself runs.
    #[inline]
    pub(crate) fn drop_inside(self) {
        if coop::is_polling(self.0.addr().get()) && self.body().note.put_spare(1) {
            mem::forget(self);
        }
    }
}

impl Clone for TaskRef {
    #[inline]
    fn clone(&self) -> TaskRef {
        self.state().add_ref();
        TaskRef(self.0)
    }
}

impl Drop for TaskRef {
    #[inline]
    fn drop(&mut self) {
        if self.state().drop_ref() {
            free(self.0);
        }
    }
}

/// Frees a task to which nobody has a pointer any more. Its stage is empty.
#[inline]
fn free(header: NonNull<Header>) {
    // SAFETY: by I2 the last reference was given up just now, by this thread.
    unsafe { resident::free(header.cast()) };
}

/// The right of a join handle: to the output, once, and to the join waker.
pub(crate) struct JoinRef<T> {
    /// `None` once the output was taken.
    task: Option<TaskRef>,
    /// The output may be dropped or returned on any thread that has this.
    output: PhantomData<Mutex<T>>,
}

/// What a join handle finds when it looks for the output.
#[must_use]
pub(crate) enum Joined<T> {
    /// The task is not complete, and the waker is with it.
    Waits,
    Output(Result<T, JoinError>),
    /// The output was taken before.
    Taken,
}

impl<T> JoinRef<T> {
    /// Returns the task, if its output was not taken.
    pub(crate) fn task(&self) -> Option<&TaskRef> {
        self.task.as_ref()
    }

    /// Takes the output if the task is complete; else leaves a waker with it.
    #[inline]
    pub(crate) fn join(&mut self, waker: &Waker) -> Joined<T> {
        let Some(task) = &self.task else { return Joined::Taken };
        let state = task.state().load();
        if !state.is_complete() && self.offer(state, waker) {
            return Joined::Waits;
        }
        match self.take_output() {
            Some(output) => Joined::Output(output),
            None => Joined::Taken,
        }
    }

    /// Leaves a waker with the task. Says whether it will be woken: else the task is complete, or its
    /// output was taken.
    pub(crate) fn leave_waker(&mut self, waker: &Waker) -> bool {
        let Some(task) = &self.task else { return false };
        let state = task.state().load();
        !state.is_complete() && self.offer(state, waker)
    }

    /// Returns the output of a task that is complete.
    #[inline]
    pub(crate) fn take_output(&mut self) -> Option<Result<T, JoinError>> {
        let task = self.task.take()?;
        debug_assert!(task.state().load().is_complete(), "the output is taken too early");
        // SAFETY: by I5 the output of a complete task is its handle's, which takes it once.
        Some(unsafe { output_of::<T>(task.0).read() })
    }

    /// Leaves `waker` with the task. Says whether it will be woken: else the task is complete.
    #[inline]
    fn offer(&self, seen: Snapshot, waker: &Waker) -> bool {
        let Some(task) = &self.task else { return false };
        let place = &task.more().join_waker;
        if seen.has_waker() {
            if ThinWaker::is_same(place.load(Ordering::Relaxed), waker) {
                return true;
            }
            if task.state().recall_waker().is_err() {
                return false;
            }
        }
        put_waker(place, Some(ThinWaker::of(waker)));
        let is_left = task.state().offer_waker().is_ok();
        if !is_left {
            put_waker(place, None);
        }
        is_left
    }
}

/// Changes what is in the place of a join waker, which the state says is the handle's (I6).
#[inline]
fn put_waker(place: &AtomicPtr<()>, waker: Option<ThinWaker>) {
    let old = place.load(Ordering::Relaxed);
    place.store(waker.map_or(ptr::null_mut(), ThinWaker::into_raw), Ordering::Relaxed);
    // SAFETY: by I6 it is the handle's, and was taken out just now.
    drop(unsafe { ThinWaker::from_raw(old) });
}

impl<T> Drop for JoinRef<T> {
    #[inline]
    fn drop(&mut self) {
        let Some(task) = self.task.take() else { return };
        match task.state().drop_join() {
            DropJoin::Released => mem::forget(task),
            DropJoin::HasWaker => put_waker(&task.more().join_waker, None),
            DropJoin::Complete => {
                let output = output_of::<T>(task.0);
                // SAFETY: by I5 the output of a complete task is its handle's.
                quietly(|| unsafe { output.drop_in_place() });
            }
        }
    }
}

/// Proof that the holder is the only one inside the task.
#[must_use]
pub(crate) struct Inside(Runnable);

/// How a poll that is not the last ends.
#[must_use]
pub(crate) enum Rested {
    /// It waits.
    Idle,
    /// It was woken meanwhile, and is to be queued.
    Again(Runnable),
    /// It was doomed meanwhile.
    Cancel(Inside, Reason),
}

/// Whether the output is still there when a task is made complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Output {
    Kept,
    /// Nobody could take it any more.
    Dropped,
}

impl Inside {
    #[inline]
    fn state(&self) -> &State {
        &self.0.header().resident.state
    }

    #[inline]
    pub(crate) fn life(&self) -> &Life {
        &self.0.body().life
    }

    /// Ends the life.
    #[inline]
    pub(crate) fn end(&mut self, reason: Reason) {
        // SAFETY: by I5 nobody else is inside, `&mut` shows that nobody borrows anything from here,
        // and the census looks by a sighting.
        unsafe { self.life().end_in_place(reason) };
    }

    /// Says that the task is about to wait.
    #[inline]
    fn waits(&self) {
        let body = self.0.body();
        if let Some(born) = body.born {
            let probe = Some(probe_of(self.0.0));
            body.life.waits(|| Entrance { born: born.into(), probe });
        }
    }

    /// Returns a waker for a poll, in which the task is alive.
    #[inline]
    pub(crate) fn waker(&self) -> Borrowed<'_> {
        Borrowed::of(self.0.0.cast())
    }

    /// Returns where the task lies, which names it for as long as the caller is inside.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        self.0.0.addr().get()
    }

    /// Polls the future. When it is ready or panics: emits `promise_resolve`, drops the future,
    /// keeps the output.
    #[inline]
    pub(crate) fn poll(&self, cx: &mut Context<'_>, running: &Running<'_>) -> Poll<Outcome> {
        self.0.body().note.set_polled(true);
        // SAFETY: by I5 the stage is the holder's; by I1 the function fits the cell.
        unsafe { (self.0.more().vtable.poll)(self.0.0, cx, running) }
    }

    /// Drops the future; the output is that the task was cancelled.
    pub(crate) fn cancel(&self, id: AsyncId) {
        self.0.body().note.set_polled(true);
        // SAFETY: by I5 the stage is the holder's; by I1 the function fits the cell.
        unsafe { (self.0.more().vtable.cancel)(self.0.0, id) };
    }

    /// Drops the output if nobody can take it any more.
    #[inline]
    pub(crate) fn drop_unwanted_output(&self) -> Output {
        if self.state().load().is_joined() {
            return Output::Kept;
        }
        // SAFETY: by I5 the stage is the holder's; by I1 the function fits the cell.
        unsafe { (self.0.more().vtable.drop_output)(self.0.0) };
        Output::Dropped
    }

    /// Transitions 3 and 4.
    #[inline]
    pub(crate) fn rest(self) -> Rested {
        self.waits();
        self.0.body().note.set_polled(false);
        match self.state().rest() {
            Rest::Idle => Rested::Idle,
            Rest::Again => Rested::Again(self.hold()),
            Rest::Cancel(reason) => Rested::Cancel(self, reason),
        }
    }

    /// Leaves the right to run the task to a queue.
    #[inline]
    pub(crate) fn hold(self) -> Runnable {
        self.0.body().note.set_polled(false);
        self.0
    }

    /// Transition 5: publishes the output, wakes the joiner, lets go of the task.
    #[inline]
    pub(crate) fn finish(self, mut output: Output) {
        let mut seen = self.state().load();
        let spare = self.0.body().note.take_spares().into();
        loop {
            if !seen.is_joined() && output == Output::Kept {
                // The handle went and leaves the stage to us.
                output = self.drop_unwanted_output();
            }
            // Read before it is sure whose it is: afterwards the task may be gone.
            let joiner = self.0.more().join_waker.load(Ordering::Relaxed);
            match self.state().finish(seen, spare) {
                Err(now) => seen = now,
                Ok(Finish::Released { has_waker, is_last }) => {
                    if is_last {
                        free(self.0.0);
                    }
                    if has_waker {
                        wake_joiner(joiner);
                    }
                    return;
                }
                Ok(Finish::Kept) => {
                    wake_joiner(self.0.more().join_waker.load(Ordering::Relaxed));
                    drop(TaskRef(self.0.0));
                    return;
                }
            }
        }
    }
}

/// Wakes the join waker of a task that was made complete.
#[inline]
fn wake_joiner(joiner: *mut ()) {
    // SAFETY: by I6 it is the finisher's, which comes here once.
    if let Some(joiner) = unsafe { ThinWaker::from_raw(joiner) } {
        joiner.wake();
    }
}

/// Finds the stage of a cell.
#[inline]
fn stage_of<F: Future>(header: NonNull<Header>) -> NonNull<Stage<F>> {
    debug_assert!(offset_of!(Cell<F>, stage) == size_of::<Header>(), "no block is so aligned");
    // SAFETY: by I1 the header is that of a cell, so the stage is behind it.
    unsafe { header.add(1) }.cast()
}

/// Finds the output in the stage of a cell whose future's output is a `T`.
#[inline]
fn output_of<T>(header: NonNull<Header>) -> NonNull<Result<T, JoinError>> {
    // SAFETY: by I1 the header is that of a cell, so the stage is behind it; the fields of a union
    // begin where the union does.
    unsafe { header.add(1) }.cast()
}

/// Runs a destructor whose panic changes nothing any more: the panic hook has reported it.
pub(crate) fn quietly(destroy: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(destroy)) {
        discard(payload);
    }
}

/// Drops what a panic carried, whose destructor may panic too; after that it leaks.
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(second);
    }
}

unsafe fn poll<F: Future>(
    header: NonNull<Header>,
    cx: &mut Context<'_>,
    running: &Running<'_>,
) -> Poll<Outcome> {
    let stage = stage_of::<F>(header);
    // SAFETY: by I4 and I5 the stage is the caller's, and it holds the future.
    let future = unsafe { &mut *stage.cast::<F>().as_ptr() };
    // SAFETY: by I7 the future stays where it is until it is dropped.
    let future = unsafe { Pin::new_unchecked(future) };
    let polled = catch_unwind(AssertUnwindSafe(|| future.poll(cx)));
    let (outcome, output) = match polled {
        Ok(Poll::Pending) => return Poll::Pending,
        Ok(Poll::Ready(output)) => (Outcome::Ready, Ok(output)),
        Err(payload) => (Outcome::Panicked, Err(JoinError::panicked(running.id(), payload))),
    };
    running.promise_resolve(outcome);
    replace_future::<F>(stage, output);
    Poll::Ready(outcome)
}

unsafe fn cancel<F: Future>(header: NonNull<Header>, id: AsyncId) {
    replace_future::<F>(stage_of(header), Err(JoinError::cancelled(id)));
}

/// Drops the future and puts an output in its place. For who is inside.
#[inline]
fn replace_future<F: Future>(stage: NonNull<Stage<F>>, output: Result<F::Output, JoinError>) {
    if mem::needs_drop::<F>() {
        let future = stage.cast::<F>();
        // SAFETY: by I5 the stage is the caller's, and it holds the future.
        quietly(|| unsafe { future.drop_in_place() });
    }
    // SAFETY: by I5 the stage is the caller's, and it is empty now.
    unsafe { stage.write(Stage { output: ManuallyDrop::new(output) }) };
}

unsafe fn local_queue_of<F: Future + StaysHere>(header: NonNull<Header>) -> RuntimeId {
    let future = stage_of::<F>(header).cast::<F>();
    // SAFETY: the caller says that (by I5) the stage holds the future, and nobody changes it.
    unsafe { future.as_ref() }.queue()
}

unsafe fn drop_output<F: Future>(header: NonNull<Header>) {
    let output = output_of::<F::Output>(header);
    // SAFETY: by I5 the stage is the caller's, and it holds the output.
    quietly(|| unsafe { output.drop_in_place() });
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{JoinRef, Joined, Runnable, Sort, allocate, each_of};
    use crate::hooks::life::Birth;
    use crate::hooks::{Kind, RuntimeId};
    use crate::primitive::Mutex;
    use crate::task::poll;
    use std::future::{Future, pending, poll_fn};
    use std::sync::Arc;
    use std::task::{Poll, Waker};

    /// One that no runtime has: what is woken is cancelled by `schedule`. Each test has its own.
    fn nobody(number: u32) -> RuntimeId {
        RuntimeId::from_u32(u32::MAX - number).expect("no runtime has this number")
    }

    fn spawn<F: Future>(future: F, runtime: RuntimeId) -> (Runnable, JoinRef<F::Output>) {
        let birth = Birth::new(Kind::TASK, || "test").runtime(runtime);
        let (newborn, join) = allocate(future, birth, None, Sort::Task);
        (newborn.born(), join)
    }

    fn count(runtime: RuntimeId) -> usize {
        let mut count = 0;
        each_of(runtime, |_| count += 1);
        count
    }

    #[test]
    fn an_output_is_taken_or_dropped_with_the_handle() {
        for is_taken in [true, false] {
            let held = Arc::new(());
            let output = held.clone();
            let (task, mut join) = spawn(async move { output }, nobody(0));
            assert!(matches!(join.join(Waker::noop()), Joined::Waits));
            poll::run_blocking(task);
            if is_taken {
                assert!(matches!(join.join(Waker::noop()), Joined::Output(Ok(_))));
                assert!(matches!(join.join(Waker::noop()), Joined::Taken));
            }
            drop(join);
            assert_eq!(Arc::strong_count(&held), 1);
        }
    }

    #[test]
    fn a_future_too_large_for_a_block_or_aligned_too_much_is_a_task_like_any() {
        #[repr(align(64))]
        struct Aligned(u8);
        let (large, aligned) = ([7_u8; 5000], Aligned(8));
        let held = Arc::new(());
        let mine = held.clone();
        let future = async move {
            crate::task::yield_now().await;
            drop(mine);
            assert_eq!(std::ptr::from_ref(&aligned).addr() % 64, 0);
            (large[4999], aligned.0)
        };
        let (task, mut join) = spawn(future, nobody(1));
        let task = poll::run(task).expect("it yields once");
        assert!(poll::run(task).is_none());
        assert!(matches!(join.join(Waker::noop()), Joined::Output(Ok((7, 8)))));
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn a_task_is_found_until_it_ends() {
        let runtime = nobody(2);
        let held = Arc::new(());
        let mine = held.clone();
        let mut kept: Vec<Waker> = Vec::new();
        let future = poll_fn(move |cx| {
            let _ = &mine;
            kept.push(cx.waker().clone());
            cx.waker().wake_by_ref();
            if kept.len() < 3 { Poll::Pending } else { Poll::Ready(std::mem::take(&mut kept)) }
        });
        let (task, mut join) = spawn(future, runtime);
        let mut task = Some(task);
        for _ in 0..3 {
            assert_eq!(count(runtime), 1);
            task = task.and_then(poll::run);
        }
        assert!(task.is_none());
        assert_eq!(count(runtime), 0);
        let Joined::Output(Ok(wakers)) = join.join(Waker::noop()) else { panic!("it is complete") };
        assert_eq!(Arc::strong_count(&held), 1, "the future is dropped before the task is freed");
        drop(join);
        wakers.into_iter().for_each(Waker::wake);
    }

    #[test]
    fn a_task_that_waits_is_cancelled_when_its_runtime_stops_it() {
        let runtime = nobody(3);
        let (task, mut join) = spawn(pending::<()>(), runtime);
        assert!(matches!(join.join(Waker::noop()), Joined::Waits));
        assert!(poll::run(task).is_none());
        let mut stopped = Vec::new();
        each_of(runtime, |task| stopped.extend(task.stop()));
        assert_eq!(stopped.len(), 1);
        assert!(stopped.into_iter().filter_map(poll::run).next().is_none());
        assert_eq!(count(runtime), 0);
        let Joined::Output(Err(error)) = join.join(Waker::noop()) else { panic!("it is complete") };
        assert!(error.is_cancelled());
    }

    #[test]
    fn a_task_that_everybody_forgets_stays_until_its_runtime_ends() {
        let held = Arc::new(());
        let kept = Arc::new(Mutex::new(None));
        let (mine, keep) = (held.clone(), kept.clone());
        let future = poll_fn(move |cx| {
            let _ = &mine;
            *keep.lock() = Some(cx.waker().clone());
            Poll::<()>::Pending
        });
        let (task, join) = spawn(future, nobody(4));
        assert!(poll::run(task).is_none());
        drop(join);
        assert_eq!((Arc::strong_count(&held), count(nobody(4))), (2, 1));
        let waker = kept.lock().take();
        // Its runtime is not there, so whoever wakes it ends it.
        waker.expect("the future was polled").wake();
        assert_eq!((Arc::strong_count(&held), count(nobody(4))), (1, 0));
    }

    #[test]
    fn a_waker_that_was_left_is_woken_though_another_was_before() {
        struct Count(Mutex<usize>);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                *self.0.lock() += 1;
            }
        }
        let joiners = [0, 1, 2].map(|_| Arc::new(Count(Mutex::new(0))));
        let (task, mut join) = spawn(async {}, nobody(5));
        for joiner in &joiners {
            assert!(matches!(join.join(&Waker::from(joiner.clone())), Joined::Waits));
        }
        assert!(poll::run(task).is_none());
        assert_eq!(joiners.each_ref().map(|joiner| *joiner.0.lock()), [0, 0, 1]);
        assert_eq!(joiners.each_ref().map(Arc::strong_count), [1, 1, 1]);
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::{JoinRef, Joined, Runnable, Sort, allocate};
    use crate::hooks::life::Birth;
    use crate::hooks::{Kind, RuntimeId};
    use crate::primitive::{AtomicUsize, Ordering::Relaxed};
    use crate::task::poll;
    use loom::cell::UnsafeCell;
    use loom::thread;
    use std::sync::Arc;
    use std::task::{Wake, Waker};

    /// Loom reports its maker and its dropper, if nothing orders them.
    struct Output {
        touched: UnsafeCell<()>,
        drops: Arc<AtomicUsize>,
    }

    impl Output {
        fn new(drops: Arc<AtomicUsize>) -> Output {
            let touched = UnsafeCell::new(());
            touched.with_mut(|_| ());
            Output { touched, drops }
        }
    }

    impl Drop for Output {
        fn drop(&mut self) {
            self.touched.with_mut(|_| ());
            self.drops.fetch_add(1, Relaxed);
        }
    }

    /// Who waits. Loom reports its maker and who wakes it, if nothing orders them.
    struct Joiner {
        touched: UnsafeCell<()>,
        wakes: AtomicUsize,
    }

    // SAFETY: I5 is what is modelled here: nothing is behind the cell, and loom reports two threads that touch it at once.
    unsafe impl Sync for Joiner {}

    impl Joiner {
        fn new() -> Arc<Joiner> {
            let touched = UnsafeCell::new(());
            touched.with_mut(|_| ());
            Arc::new(Joiner { touched, wakes: AtomicUsize::new(0) })
        }

        fn wakes(&self) -> usize {
            self.wakes.load(Relaxed)
        }
    }

    impl Wake for Joiner {
        fn wake(self: Arc<Self>) {
            self.touched.with_mut(|_| ());
            self.wakes.fetch_add(1, Relaxed);
        }
    }

    fn spawn(drops: &Arc<AtomicUsize>) -> (Runnable, JoinRef<Output>) {
        let runtime = RuntimeId::from_u32(1).expect("1 is a number of a runtime");
        let birth = Birth::new(Kind::TASK, || "model").runtime(runtime);
        let drops = drops.clone();
        let future = async { Output::new(drops) };
        let (newborn, join) = allocate(future, birth, None, Sort::Task);
        (newborn.born(), join)
    }

    /// Lets one thread run a task while `join` does something with its handle, which may come back
    /// and then has the output. Whoever drops or takes that, it is done once.
    fn check(join: fn(JoinRef<Output>, &Arc<Joiner>) -> Option<JoinRef<Output>>) {
        loom::model(move || {
            let drops = Arc::new(AtomicUsize::new(0));
            let joiner = Joiner::new();
            let (task, handle) = spawn(&drops);
            // Nothing may be left to be dropped only when the task is freed.
            let kept = handle.task().cloned();
            let running = thread::spawn(move || poll::run_blocking(task));
            let handle = join(handle, &joiner);
            running.join().unwrap();
            if let Some(mut handle) = handle {
                assert_eq!(joiner.wakes(), 1, "who waits is woken once");
                assert!(matches!(handle.join(Waker::noop()), Joined::Output(Ok(_))));
                assert!(matches!(handle.join(Waker::noop()), Joined::Taken));
            }
            assert_eq!(drops.load(Relaxed), 1, "how often the output was dropped");
            assert_eq!(Arc::strong_count(&joiner), 1, "no waker is left");
            drop(kept);
        });
    }

    /// As a `JoinHandle` does when it is polled. Says whether it has to wait.
    fn poll_join(join: &mut JoinRef<Output>, joiner: &Arc<Joiner>) -> bool {
        match join.join(&Waker::from(joiner.clone())) {
            Joined::Waits => true,
            Joined::Output(_) => false,
            Joined::Taken => panic!("nobody took the output"),
        }
    }

    #[test]
    fn who_waits_is_woken_or_has_the_output() {
        check(|mut join, joiner| poll_join(&mut join, joiner).then_some(join));
    }

    #[test]
    fn who_looks_again_and_again_finds_the_whole_output() {
        check(|mut join, joiner| {
            // Each time with a waker of its own, so that the one before is recalled.
            for _ in 0..2 {
                if !poll_join(&mut join, &Joiner::new()) {
                    return None;
                }
                thread::yield_now();
            }
            poll_join(&mut join, joiner).then_some(join)
        });
    }

    #[test]
    fn who_waits_with_another_waker_is_woken_by_that() {
        check(|mut join, joiner| {
            let first = Joiner::new();
            if !poll_join(&mut join, &first) || !poll_join(&mut join, joiner) {
                return None;
            }
            assert_eq!(first.wakes(), 0);
            Some(join)
        });
    }

    #[test]
    fn a_handle_that_goes_leaves_the_output_to_one_side() {
        check(|join, _| {
            drop(join);
            None
        });
    }

    #[test]
    fn a_handle_that_goes_takes_its_waker_along_or_it_is_woken() {
        check(|mut join, joiner| {
            poll_join(&mut join, joiner);
            drop(join);
            None
        });
    }
}
