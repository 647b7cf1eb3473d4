//! Erases the type of the future: one allocation, a header and a stage, and a table of functions.
//!
//! Everything that touches the inside of a task goes through a value that proves the right to:
//! [`Inside`] is the right of whoever runs it, [`TaskRef`] only keeps it alive.
//!
//! # Invariants
//! I1. `header` is the first field of every `Cell`, and `Cell` is `repr(C)`: a pointer to one is a
//!     pointer to the other. The header's `vtable` was made for the type of that very cell.
//! I2. A `TaskRef` owns one of the references that the state counts; the cell is freed by who
//!     gives up the last.
//! I3. An `Inside` exists once per task and only while the state says `RUNNING`: it is made by
//!     `start`, which sets that, and taken by `rest` and `finish`, which clear it. Before `start`,
//!     the spawner is alone with the task: a [`Newborn`].
//! I4. `life`, `stage` and `place` are touched by the holder of the `Inside` only, but that the
//!     stage of a complete task belongs to its `JoinHandle`, or to the dropper of that.
//! I5. `join_waker` belongs to the handle, and to the finisher if the state said `JOIN_WAKER` when
//!     the task became complete.
//! I6. A cell stays where it was allocated, and its future leaves the stage only by being dropped
//!     there.

#![allow(unsafe_code, reason = "island: the layout of a task")]

use std::any::Any;
use std::cell::UnsafeCell;
use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use crate::hooks::life::{Life, Running};
use crate::hooks::{AsyncId, LiveState, Outcome, Probe, Reason, RuntimeId};
use crate::task::error::JoinError;
use crate::task::state::{Rest, Start, State, Wake, WakeByValue};
use crate::task::waker;

/// The part of a task that does not depend on its future.
pub(crate) struct Header {
    life: UnsafeCell<Option<Life>>,
    state: State,
    vtable: &'static Vtable,
    /// Where it stands in the list of live tasks, once it is there.
    place: UnsafeCell<Option<Place>>,
    runtime: RuntimeId,
    join_waker: UnsafeCell<Option<Waker>>,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Header>() <= 112);

/// A place in the list of live tasks of one worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) list: u32,
    /// The index plus one, so that the absence of a place costs nothing.
    pub(crate) entry: NonZeroU32,
}

#[repr(C)]
struct Cell<F: Future> {
    header: Header,
    stage: UnsafeCell<Stage<F>>,
}

enum Stage<F: Future> {
    Future(F),
    Output(Result<F::Output, JoinError>),
    Empty,
}

/// What depends on the type of the future. Each function's pointer is to a cell of that type.
struct Vtable {
    poll: unsafe fn(NonNull<Header>, &mut Context<'_>, &Running<'_>) -> Poll<Outcome>,
    cancel: unsafe fn(NonNull<Header>, AsyncId),
    drop_output: unsafe fn(NonNull<Header>),
    /// Moves the output to where the second pointer points: an `Option<Result<T, JoinError>>`.
    take_output: unsafe fn(NonNull<Header>, *mut ()),
    free: unsafe fn(NonNull<Header>),
}

trait HasVtable {
    const VTABLE: Vtable;
}

impl<F: Future> HasVtable for Cell<F> {
    const VTABLE: Vtable = Vtable {
        poll: poll::<F>,
        cancel: cancel::<F>,
        drop_output: drop_output::<F>,
        take_output: take_output::<F>,
        free: free::<F>,
    };
}

/// Owns one reference to a task.
#[must_use]
pub(crate) struct TaskRef(NonNull<Header>);

// SAFETY: by I3 and I4 what is not thread-safe in a task is touched by one thread at a time, which
// the transitions of the state hand on; and spawning asks for a future that may change threads, or
// queues it where only one thread runs it: `task/local_queue.rs`.
unsafe impl Send for TaskRef {}
// SAFETY: through a shared reference only the state can be reached, which is atomic (I4).
unsafe impl Sync for TaskRef {}

/// A task that only its spawner knows. Its reference is the one of the queue that will hold it.
#[must_use]
pub(crate) struct Newborn(TaskRef);

/// Allocates a task, whose life must not have begun. The second reference is the join handle's.
pub(crate) fn allocate<F: Future>(
    future: F,
    life: Life,
    runtime: RuntimeId,
) -> (Newborn, JoinRef<F::Output>) {
    let header = Header {
        life: UnsafeCell::new(Some(life)),
        state: State::new(),
        vtable: const { &<Cell<F> as HasVtable>::VTABLE },
        place: UnsafeCell::new(None),
        runtime,
        join_waker: UnsafeCell::new(None),
    };
    let cell = Box::new(Cell { header, stage: UnsafeCell::new(Stage::Future(future)) });
    // By I1 a pointer to the cell is one to the header.
    let header = NonNull::from(Box::leak(cell)).cast::<Header>();
    let handle = JoinRef { task: TaskRef(header), output: PhantomData };
    (Newborn(TaskRef(header)), handle)
}

impl Newborn {
    /// Emits `init`: the last thing before a queue can see the task.
    pub(crate) fn born(self) -> TaskRef {
        {
            // SAFETY: by I3 the spawner is alone with the task.
            let life = unsafe { &*self.0.header().life.get() };
            if let Some(life) = life {
                life.born_with_probe(&|| self.0.probe());
            }
        }
        self.0
    }
}

impl TaskRef {
    fn header(&self) -> &Header {
        // SAFETY: by I2 the cell is alive as long as this reference is.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn state(&self) -> &State {
        &self.header().state
    }

    pub(crate) fn runtime(&self) -> RuntimeId {
        self.header().runtime
    }

    /// Gives up the pointer together with the reference it owns.
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
    pub(crate) unsafe fn from_raw(raw: NonNull<()>) -> TaskRef {
        TaskRef(raw.cast())
    }

    /// Lets the caller inside, if the task is to be polled; if it is doomed, says why.
    pub(crate) fn start(self) -> (Inside, Option<Reason>) {
        let start = self.state().start();
        let inside = Inside(self);
        match start {
            Start::Poll => (inside, None),
            Start::Cancel(reason) => (inside, Some(reason)),
        }
    }

    /// Transition 1 by somebody who is done with the reference. Returns it to be queued.
    pub(crate) fn wake(self) -> Option<TaskRef> {
        match self.state().wake_and_release() {
            WakeByValue::Submit => return Some(self),
            WakeByValue::Released => mem::forget(self),
            WakeByValue::Free => self.free_last(),
        }
        None
    }

    fn probe(&self) -> Probe {
        Probe::new(waker::of(self.clone()), read_probe)
    }

    /// Gives up several references to the same task at once.
    fn drop_with(self, list: Option<TaskRef>) {
        let refs = if list.is_some() { 2 } else { 1 };
        mem::forget(list);
        if self.state().drop_refs(refs) {
            self.free_last();
        } else {
            mem::forget(self);
        }
    }

    /// Frees the task; the count says that this reference was the last.
    fn free_last(self) {
        let free = self.header().vtable.free;
        let header = self.0;
        mem::forget(self);
        // SAFETY: by I2 nobody else has a reference; by I1 the function fits the cell.
        unsafe { free(header) };
    }

    /// Transition 1 by somebody who keeps the reference. Returns one to be queued.
    pub(crate) fn wake_by_ref(&self) -> Option<TaskRef> {
        self.submit(self.state().wake())
    }

    /// Dooms the task by its handle. Returns a reference to be queued.
    pub(crate) fn abort(&self) -> Option<TaskRef> {
        self.submit(self.state().abort())
    }

    /// Dooms the task because its runtime is ending. Returns a reference to be queued.
    pub(crate) fn stop(&self) -> Option<TaskRef> {
        self.submit(self.state().stop())
    }

    /// Makes the reference that a transition has just counted.
    fn submit(&self, wake: Wake) -> Option<TaskRef> {
        // Lazily: a pointer that was not counted must not be made, because it would be dropped.
        (wake == Wake::Submit).then(|| TaskRef(self.0))
    }

    /// Makes another pointer that owns no reference.
    ///
    /// # Safety
    /// - The result is never dropped.
    /// - It does not outlive `self`.
    pub(crate) unsafe fn uncounted(&self) -> TaskRef {
        TaskRef(self.0)
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> TaskRef {
        self.state().add_ref();
        TaskRef(self.0)
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        if self.state().drop_refs(1) {
            // SAFETY: by I2 nobody frees the cell before this thread, which gave up the last
            // reference.
            let free = unsafe { self.0.as_ref() }.vtable.free;
            // SAFETY: by I2 nobody else has a reference; by I1 the function fits the cell.
            unsafe { free(self.0) };
        }
    }
}

fn read_probe(waker: &Waker) -> LiveState {
    let Some(state) = waker::state_of(waker) else { return LiveState::Idle };
    if state.is_running() {
        LiveState::Running
    } else if state.is_queued() {
        LiveState::Queued
    } else {
        LiveState::Idle
    }
}

/// The right of a join handle: to the output, once, and to the join waker.
pub(crate) struct JoinRef<T> {
    task: TaskRef,
    /// The output may be dropped or returned on any thread that has this.
    output: PhantomData<Mutex<T>>,
}

impl<T> JoinRef<T> {
    pub(crate) fn task(&self) -> &TaskRef {
        &self.task
    }

    /// Returns the output if the task is complete, `None` also if it was taken before.
    pub(crate) fn take_output(&mut self) -> Option<Result<T, JoinError>> {
        if !self.task.state().load().is_complete() {
            return None;
        }
        let mut output: Option<Result<T, JoinError>> = None;
        let out = ptr::from_mut(&mut output).cast();
        // SAFETY: by I4 the stage of a complete task is its handle's, and `&mut` shows that this
        // is the only one; `allocate` made the handle for this type of output (I1).
        unsafe { (self.task.header().vtable.take_output)(self.task.0, out) };
        output
    }

    /// Leaves `waker` with the task. Says whether it will be woken: else the task is complete.
    pub(crate) fn leave_waker(&mut self, waker: &Waker) -> bool {
        let state = self.task.state();
        if state.has_waker() && state.recall_waker().is_err() {
            return false;
        }
        if !self.has_kept(waker) {
            self.put_waker(Some(waker.clone()));
        }
        let is_left = state.offer_waker().is_ok();
        if !is_left {
            self.put_waker(None);
        }
        is_left
    }

    /// Says whether the waker in its place, which the state says is the handle's (I5), would do.
    fn has_kept(&self, waker: &Waker) -> bool {
        // SAFETY: by I5, and `JoinRef` exists once per task.
        let kept = unsafe { &*self.task.header().join_waker.get() };
        kept.as_ref().is_some_and(|kept| kept.will_wake(waker))
    }

    /// Puts a waker into its place, which the state says is the handle's (I5).
    fn put_waker(&self, waker: Option<Waker>) {
        // SAFETY: by I5, and `JoinRef` exists once per task.
        let place = unsafe { &mut *self.task.header().join_waker.get() };
        let old = mem::replace(place, waker);
        waker::drop_foreign(old);
    }
}

impl<T> Drop for JoinRef<T> {
    fn drop(&mut self) {
        let left = self.task.state().drop_join();
        if left.has_waker {
            self.put_waker(None);
        }
        if left.has_output {
            // SAFETY: by I4 the stage of a complete task is its handle's; by I1 the function fits.
            unsafe { (self.task.header().vtable.drop_output)(self.task.0) };
        }
    }
}

/// Proof that the holder is the only one inside the task. It also owns a reference.
#[must_use]
pub(crate) struct Inside(TaskRef);

/// How a poll that is not the last ends.
#[must_use]
pub(crate) enum Rested {
    /// It waits.
    Idle,
    /// It was woken meanwhile, and is to be queued.
    Again(TaskRef),
    /// It was doomed meanwhile.
    Cancel(Inside, Reason),
}

impl Inside {
    pub(crate) fn task(&self) -> &TaskRef {
        &self.0
    }

    pub(crate) fn life(&self) -> Option<&Life> {
        // SAFETY: by I4 it is the holder's; it is taken only by `take_life`, which needs `&mut`.
        unsafe { (*self.0.header().life.get()).as_ref() }
    }

    /// Takes the life, to end it.
    pub(crate) fn take_life(&mut self) -> Option<Life> {
        // SAFETY: by I4 it is the holder's, and `&mut` shows that nobody borrows it from here.
        unsafe { (*self.0.header().life.get()).take() }
    }

    pub(crate) fn place(&self) -> Option<Place> {
        // SAFETY: by I4 it is the holder's.
        unsafe { *self.0.header().place.get() }
    }

    /// Polls the future. When it is ready or panics: emits `promise_resolve`, drops the future,
    /// keeps the output.
    pub(crate) fn poll(&self, cx: &mut Context<'_>, running: &Running<'_>) -> Poll<Outcome> {
        // SAFETY: by I4 the stage is the holder's; by I1 the function fits the cell.
        unsafe { (self.0.header().vtable.poll)(self.0.0, cx, running) }
    }

    /// Drops the future; the output is that the task was cancelled.
    pub(crate) fn cancel(&self, id: AsyncId) {
        // SAFETY: by I4 the stage is the holder's; by I1 the function fits the cell.
        unsafe { (self.0.header().vtable.cancel)(self.0.0, id) };
    }

    /// Drops the output if nobody can take it any more. Says whether that is so.
    pub(crate) fn drop_unwanted_output(&self) -> bool {
        let is_unwanted = !self.0.state().load().is_joined();
        if is_unwanted {
            // SAFETY: by I4 the stage is the holder's; by I1 the function fits the cell.
            unsafe { (self.0.header().vtable.drop_output)(self.0.0) };
        }
        is_unwanted
    }

    /// Transitions 3 and 4. The first time, `enlist` enters the task into a list, with a reference
    /// of the list's own; it gives the reference back if the list is closed.
    pub(crate) fn rest(self, enlist: impl FnOnce(TaskRef) -> Result<Place, TaskRef>) -> Rested {
        let is_first = self.place().is_none();
        if is_first {
            // The transition below counts the list's reference; until then this one keeps the
            // task, because only its completer, which is us, takes it off the list.
            match enlist(TaskRef(self.0.0)) {
                // SAFETY: by I4 it is the holder's.
                Ok(place) => unsafe { *self.0.header().place.get() = Some(place) },
                Err(uncounted) => {
                    mem::forget(uncounted);
                    return Rested::Cancel(self, Reason::Shutdown);
                }
            }
        }
        match self.0.state().rest(is_first) {
            Rest::Idle => {
                mem::forget(self.0);
                Rested::Idle
            }
            Rest::Again => Rested::Again(self.0),
            Rest::Cancel(reason) => Rested::Cancel(self, reason),
        }
    }

    /// Transition 5: publishes the output, wakes the joiner, lets go of the task.
    ///
    /// `listed` is the reference that the list of live tasks held.
    pub(crate) fn finish(self, listed: Option<TaskRef>) {
        let finish = self.0.state().finish();
        if finish.is_unwanted {
            // SAFETY: by I4: the join handle went before the task was complete and leaves the
            // stage to the finisher; by I1 the function fits the cell.
            unsafe { (self.0.header().vtable.drop_output)(self.0.0) };
        }
        if finish.has_waker {
            // SAFETY: by I5 it is the finisher's.
            let joiner = unsafe { (*self.0.header().join_waker.get()).take() };
            if let Some(joiner) = joiner {
                waker::wake_foreign(joiner);
            }
        }
        self.0.drop_with(listed);
    }
}

/// # Safety
/// - `header` points to a `Cell<F>`, and the caller has the right to its stage.
/// - The result is used only while that right lasts.
unsafe fn stage<'a, F: Future>(header: NonNull<Header>) -> &'a mut Stage<F> {
    // SAFETY: the caller has the right (I4), and by I1 it is that cell.
    let cell = unsafe { header.cast::<Cell<F>>().as_ref() };
    // SAFETY: by I4 nobody else looks at the stage.
    unsafe { &mut *cell.stage.get() }
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

/// Empties the stage, also when the destructor of what it holds panics.
fn empty<F: Future>(stage: &mut Stage<F>) {
    // The assignment writes the new value on unwind too.
    quietly(|| *stage = Stage::Empty);
}

unsafe fn poll<F: Future>(
    header: NonNull<Header>,
    cx: &mut Context<'_>,
    running: &Running<'_>,
) -> Poll<Outcome> {
    // SAFETY: by I3 and I4 the caller, who is inside, has the right to the stage.
    let stage = unsafe { stage::<F>(header) };
    let Stage::Future(future) = stage else {
        unreachable!("a task was polled after it was complete");
    };
    // SAFETY: by I6 the future stays where it is until it is dropped.
    let future = unsafe { Pin::new_unchecked(future) };
    let polled = catch_unwind(AssertUnwindSafe(|| future.poll(cx)));
    let (outcome, output) = match polled {
        Ok(Poll::Pending) => return Poll::Pending,
        Ok(Poll::Ready(output)) => (Outcome::Ready, Ok(output)),
        Err(payload) => (Outcome::Panicked, Err(JoinError::panicked(running.id(), payload))),
    };
    running.promise_resolve(outcome);
    empty(stage);
    *stage = Stage::Output(output);
    Poll::Ready(outcome)
}

unsafe fn cancel<F: Future>(header: NonNull<Header>, id: AsyncId) {
    // SAFETY: by I3 and I4 the caller, who is inside, has the right to the stage.
    let stage = unsafe { stage::<F>(header) };
    empty(stage);
    *stage = Stage::Output(Err(JoinError::cancelled(id)));
}

unsafe fn drop_output<F: Future>(header: NonNull<Header>) {
    // SAFETY: by I4 the caller has the right to the stage.
    empty(unsafe { stage::<F>(header) });
}

unsafe fn take_output<F: Future>(header: NonNull<Header>, out: *mut ()) {
    // SAFETY: by I4 the caller has the right to the stage.
    let stage = unsafe { stage::<F>(header) };
    if let Stage::Output(output) = mem::replace(stage, Stage::Empty) {
        // SAFETY: the caller says that `out` points to such an option; the type fits by I1.
        unsafe { *out.cast::<Option<Result<F::Output, JoinError>>>() = Some(output) };
    }
}

unsafe fn free<F: Future>(header: NonNull<Header>) {
    // SAFETY: by I1 it is that cell, made by a `Box` of it, and the caller has the last reference.
    let cell = unsafe { Box::from_raw(header.cast::<Cell<F>>().as_ptr()) };
    quietly(|| drop(cell));
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{JoinRef, TaskRef, allocate};
    use crate::hooks::life::{Birth, Life};
    use crate::hooks::{Kind, RuntimeId};
    use crate::primitive::Mutex;
    use crate::task::owned::Owned;
    use crate::task::poll;
    use std::future::{Future, pending, poll_fn};
    use std::sync::Arc;
    use std::task::{Poll, Waker};

    // Without a runtime, so that Miri can run them: it knows neither epoll nor timerfd. What is
    // woken is dropped by `schedule`, because no runtime has the number.
    fn spawn<F: Future>(future: F) -> (TaskRef, JoinRef<F::Output>) {
        let life = Life::unborn(Birth::new(Kind::TASK, || "test"));
        let runtime = RuntimeId::from_u32(u32::MAX).expect("no runtime has this number");
        let (newborn, join) = allocate(future, life, runtime);
        (newborn.born(), join)
    }

    #[test]
    fn an_output_is_taken_or_dropped_with_the_handle() {
        for is_taken in [true, false] {
            let held = Arc::new(());
            let output = held.clone();
            let (task, mut join) = spawn(async move { output });
            assert!(join.take_output().is_none());
            poll::run_blocking(task);
            if is_taken {
                assert!(join.take_output().is_some_and(|output| output.is_ok()));
            }
            drop(join);
            assert_eq!(Arc::strong_count(&held), 1);
        }
    }

    #[test]
    fn a_task_that_waits_is_listed_until_it_ends() {
        let owned = Owned::new(1);
        let held = Arc::new(());
        let mine = held.clone();
        let mut kept: Vec<Waker> = Vec::new();
        let (task, mut join) = spawn(poll_fn(move |cx| {
            let _ = &mine;
            kept.push(cx.waker().clone());
            cx.waker().wake_by_ref();
            if kept.len() < 3 { Poll::Pending } else { Poll::Ready(std::mem::take(&mut kept)) }
        }));
        let mut task = Some(task);
        for listed in [1, 1, 0] {
            task = task.and_then(|task| poll::run(task, &owned, 0));
            assert_eq!(owned.len(), listed);
        }
        assert!(task.is_none());
        let wakers = join.take_output().expect("it is complete").expect("nothing failed");
        assert_eq!(Arc::strong_count(&held), 1, "the future is dropped before the task is freed");
        drop(join);
        wakers.into_iter().for_each(Waker::wake);
    }

    #[test]
    fn a_task_that_waits_is_cancelled_with_its_list() {
        let owned = Owned::new(1);
        let (task, mut join) = spawn(pending::<()>());
        assert!(join.leave_waker(Waker::noop()));
        assert!(poll::run(task, &owned, 0).is_none());
        assert_eq!(owned.len(), 1);
        for task in owned.stop_all() {
            assert!(poll::run(task, &owned, 0).is_none());
        }
        assert!(owned.is_empty());
        let output = join.take_output().expect("it is complete");
        assert!(output.is_err_and(|error| error.is_cancelled()));
    }

    #[test]
    fn a_task_that_everybody_forgets_is_freed_with_its_last_waker() {
        let owned = Owned::new(1);
        let held = Arc::new(());
        let kept = Arc::new(Mutex::new(None));
        let (mine, keep) = (held.clone(), kept.clone());
        let (task, join) = spawn(poll_fn(move |cx| {
            let _ = &mine;
            *keep.lock() = Some(cx.waker().clone());
            Poll::<()>::Pending
        }));
        assert!(poll::run(task, &owned, 0).is_none());
        drop(join);
        drop(owned);
        assert_eq!(Arc::strong_count(&held), 2);
        let waker = kept.lock().take();
        waker.expect("the future was polled").wake();
        assert_eq!(Arc::strong_count(&held), 1);
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::{JoinRef, TaskRef, allocate};
    use crate::hooks::life::{Birth, Life};
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

    fn spawn(drops: &Arc<AtomicUsize>) -> (TaskRef, JoinRef<Output>) {
        let life = Life::unborn(Birth::new(Kind::TASK, || "model"));
        let runtime = RuntimeId::from_u32(1).expect("1 is a number of a runtime");
        let drops = drops.clone();
        let (newborn, join) = allocate(async { Output::new(drops) }, life, runtime);
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
            let kept = task.clone();
            let running = thread::spawn(move || poll::run_blocking(task));
            let handle = join(handle, &joiner);
            running.join().unwrap();
            if let Some(mut handle) = handle {
                assert_eq!(joiner.wakes(), 1, "who waits is woken once");
                assert!(handle.take_output().expect("the task is complete").is_ok());
                assert!(handle.take_output().is_none());
            }
            assert_eq!(drops.load(Relaxed), 1, "how often the output was dropped");
            assert_eq!(Arc::strong_count(&joiner), 1, "no waker is left");
            drop(kept);
        });
    }

    /// As a `JoinHandle` does when it is polled. Says whether it has to wait.
    fn poll_join(join: &mut JoinRef<Output>, joiner: &Arc<Joiner>) -> bool {
        let is_left = join.leave_waker(&Waker::from(joiner.clone()));
        if !is_left {
            assert!(join.take_output().is_some(), "the task is complete");
        }
        is_left
    }

    #[test]
    fn who_waits_is_woken_or_has_the_output() {
        check(|mut join, joiner| poll_join(&mut join, joiner).then_some(join));
    }

    #[test]
    fn who_looks_again_and_again_finds_the_whole_output() {
        check(|mut join, _| {
            while join.take_output().is_none() {
                thread::yield_now();
            }
            None
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
