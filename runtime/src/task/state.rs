//! Owns the one word that says what may be done with a task, by whom.
//!
//! # State
//!
//! ```text
//!            1 wake            2 start
//!   idle ───────────▶ queued ───────────▶ running ──5 finish──▶ complete
//!    ▲                  ▲                 │  │
//!    └────3 rest────────┼─────────────────┘  │
//!                       └──────4 rest────────┘  (woken while running)
//! ```
//! A task is born queued. [`abort`](State::abort) and [`stop`](State::stop) go the way of a wake:
//! they mark the task and see to it that it is run once more; whoever runs it then cancels it.
//! So nobody but the one who runs a task is ever inside it.
//!
//! | bits | name          | set by                    | cleared by                          | meaning                            |
//! |------|---------------|---------------------------|-------------------------------------|------------------------------------|
//! | 0    | `QUEUED`      | [`State::wake`], birth    | [`State::start`]                    | a queue holds, or will hold, it    |
//! | 1    | `RUNNING`     | [`State::start`]          | [`State::rest`], [`State::finish`]  | somebody is inside it              |
//! | 2    | `COMPLETE`    | [`State::finish`]         | never                               | the output is decided              |
//! | 3    | `ABORTED`     | [`State::abort`]          | never                               | its handle gave it up              |
//! | 4    | `STOPPED`     | [`State::stop`]           | never                               | its runtime is ending              |
//! | 5    | `JOINED`      | birth                     | [`State::drop_join`]                | a `JoinHandle` wants the output    |
//! | 6    | `JOIN_WAKER`  | [`State::offer_waker`]    | [`State::recall_waker`], [`State::drop_join`] | the join waker is the finisher's |
//! | 7..  | refs          | clone                     | drop                                | pointers to the task               |
//!
//! # Memory ordering
//!
//! Every transition is a read-modify-write with Acquire and Release, also one that changes
//! nothing: a wake that finds the task queued must still hand what its thread did before to
//! whoever starts the task next. That is the pair of this file: each transition's Release with
//! the Acquire of the one that reads it. A reference is added Relaxed (the one it is copied from
//! keeps the task alive) and given up with Release, which pairs with the Acquire of whoever gives
//! up the last.

use std::fmt;

use crate::hooks::Reason;
use crate::primitive::{AtomicUsize, Ordering};

const QUEUED: usize = 1;
const RUNNING: usize = 1 << 1;
const COMPLETE: usize = 1 << 2;
const ABORTED: usize = 1 << 3;
const STOPPED: usize = 1 << 4;
const JOINED: usize = 1 << 5;
const JOIN_WAKER: usize = 1 << 6;
const FLAGS: usize = QUEUED | RUNNING | COMPLETE | ABORTED | STOPPED | JOINED | JOIN_WAKER;
const REF_ONE: usize = 1 << 7;

// The flags are distinct, and share no bit with the count.
const _: () = assert!(FLAGS.count_ones() == 7 && FLAGS < REF_ONE);

/// More pointers than this to one task are a leak that would soon overflow the count.
const REFS_MAX: usize = usize::MAX / 2;

pub(crate) struct State(AtomicUsize);

/// The word at one moment. The only thing that knows the masks.
#[derive(Clone, Copy)]
pub(crate) struct Snapshot(usize);

impl Snapshot {
    fn has(self, flag: usize) -> bool {
        self.0 & flag != 0
    }

    pub(crate) fn is_queued(self) -> bool {
        self.has(QUEUED)
    }

    pub(crate) fn is_running(self) -> bool {
        self.has(RUNNING)
    }

    pub(crate) fn is_complete(self) -> bool {
        self.has(COMPLETE)
    }

    pub(crate) fn is_joined(self) -> bool {
        self.has(JOINED)
    }

    fn refs(self) -> usize {
        self.0 / REF_ONE
    }

    fn with(self, flags: usize) -> Snapshot {
        Snapshot(self.0 | flags)
    }

    fn without(self, flags: usize) -> Snapshot {
        Snapshot(self.0 & !flags)
    }

    fn with_ref(self) -> Snapshot {
        Snapshot(self.0 + REF_ONE)
    }

    fn without_ref(self) -> Snapshot {
        Snapshot(self.0 - REF_ONE)
    }

    /// Why the task is to be cancelled, if it is. What its own handle said comes first.
    fn doom(self) -> Option<Reason> {
        if self.has(ABORTED) {
            Some(Reason::Cancelled)
        } else if self.has(STOPPED) {
            Some(Reason::Shutdown)
        } else {
            None
        }
    }
}

/// What the caller of [`State::wake`], [`State::abort`] or [`State::stop`] must do next.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Wake {
    /// Push the task to a queue, with a reference that belongs to the queue.
    Submit,
    /// Nothing: somebody else already has, or will.
    Seen,
    /// Nothing, and nothing can be done: it is complete, or was doomed before.
    TooLate,
}

/// What the caller of [`State::wake_and_release`] must do next.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum WakeByValue {
    /// Push the task to a queue; the caller's reference is the queue's now.
    Submit,
    /// Nothing; the caller's reference is gone.
    Released,
    /// Free the task: the caller's reference was the last.
    Free,
}

/// How a poll begins.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Start {
    /// Poll it.
    Poll,
    /// Cancel it.
    Cancel(Reason),
}

/// How a poll that is not the last ends.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Rest {
    /// It waits; the caller's reference is gone.
    Idle,
    /// It was woken meanwhile: push it again, with the caller's reference.
    Again,
    /// It was doomed meanwhile. The caller is still inside: cancel it.
    Cancel(Reason),
}

/// What a task leaves behind when it is complete.
#[must_use]
pub(crate) struct Finish {
    /// Nobody will take the output: drop it.
    pub(crate) is_unwanted: bool,
    /// The join waker is the caller's to take.
    pub(crate) has_waker: bool,
}

/// What the dropper of a `JoinHandle` must clean up.
#[must_use]
pub(crate) struct DropJoin {
    pub(crate) has_output: bool,
    pub(crate) has_waker: bool,
}

impl State {
    /// A task is born queued and joined, with two references: the queue's and the handle's.
    pub(crate) fn new() -> State {
        State(AtomicUsize::new(QUEUED | JOINED | (2 * REF_ONE)))
    }

    pub(crate) fn load(&self) -> Snapshot {
        Snapshot(self.0.load(Ordering::Acquire))
    }

    fn update<R>(&self, f: impl Fn(Snapshot) -> (Snapshot, R)) -> R {
        let mut now = Snapshot(self.0.load(Ordering::Relaxed));
        loop {
            let (next, verdict) = f(now);
            let swapped =
                self.0.compare_exchange_weak(now.0, next.0, Ordering::AcqRel, Ordering::Relaxed);
            match swapped {
                Ok(_) => return verdict,
                Err(found) => now = Snapshot(found),
            }
        }
    }

    /// Transition 1: the task is to be polled again. With [`Wake::Submit`] comes a reference.
    pub(crate) fn wake(&self) -> Wake {
        self.update(|now| {
            if now.is_complete() {
                (now, Wake::TooLate)
            } else if now.is_queued() {
                (now, Wake::Seen)
            } else if now.is_running() {
                (now.with(QUEUED), Wake::Seen)
            } else {
                (now.with(QUEUED).with_ref(), Wake::Submit)
            }
        })
    }

    /// Transition 1 by somebody who gives up a reference.
    pub(crate) fn wake_and_release(&self) -> WakeByValue {
        self.update(|now| {
            if !now.is_complete() && !now.is_queued() && !now.is_running() {
                return (now.with(QUEUED), WakeByValue::Submit);
            }
            let next = now.without_ref();
            if next.refs() == 0 {
                (next, WakeByValue::Free)
            } else if now.is_complete() {
                (next, WakeByValue::Released)
            } else {
                (next.with(QUEUED), WakeByValue::Released)
            }
        })
    }

    /// Transition 2: the caller becomes the only one inside the task.
    pub(crate) fn start(&self) -> Start {
        self.update(|now| {
            debug_assert!(now.is_queued() && !now.is_running(), "start from {now:?}");
            let next = now.without(QUEUED).with(RUNNING);
            match now.doom() {
                Some(reason) => (next, Start::Cancel(reason)),
                None => (next, Start::Poll),
            }
        })
    }

    /// Transitions 3 and 4: a poll was not the last. `is_first` says that the task was entered
    /// into its worker's list just now: the caller's reference has become the list's.
    pub(crate) fn rest(&self, is_first: bool) -> Rest {
        self.update(|now| {
            debug_assert!(now.is_running(), "rest from {now:?}");
            if let Some(reason) = now.doom() {
                // The caller keeps a reference beside the list's.
                return (if is_first { now.with_ref() } else { now }, Rest::Cancel(reason));
            }
            let next = now.without(RUNNING);
            match (now.is_queued(), is_first) {
                (true, true) => (next.with_ref(), Rest::Again),
                (true, false) => (next, Rest::Again),
                (false, true) => (next, Rest::Idle),
                // The list has a reference too, so this one is not the last.
                (false, false) => (next.without_ref(), Rest::Idle),
            }
        })
    }

    /// Transition 5: the output is decided and visible to who reads this.
    pub(crate) fn finish(&self) -> Finish {
        self.update(|now| {
            debug_assert!(now.is_running(), "finish from {now:?}");
            let finish = Finish { is_unwanted: !now.is_joined(), has_waker: now.has(JOIN_WAKER) };
            (now.without(RUNNING | QUEUED).with(COMPLETE), finish)
        })
    }

    /// Dooms the task by its handle. With [`Wake::Submit`] comes a reference.
    pub(crate) fn abort(&self) -> Wake {
        self.doom(ABORTED)
    }

    /// Dooms the task because its runtime is ending. With [`Wake::Submit`] comes a reference.
    pub(crate) fn stop(&self) -> Wake {
        self.doom(STOPPED)
    }

    fn doom(&self, why: usize) -> Wake {
        self.update(|now| {
            if now.is_complete() || now.has(why) {
                (now, Wake::TooLate)
            } else if now.is_queued() || now.is_running() {
                // It has to run once more, to be cancelled.
                (now.with(why | QUEUED), Wake::Seen)
            } else {
                (now.with(why | QUEUED).with_ref(), Wake::Submit)
            }
        })
    }

    /// Gives the join waker, which the handle has put in its place, to whoever finishes the task.
    /// `Err` if it is complete: the waker is still the handle's.
    pub(crate) fn offer_waker(&self) -> Result<(), ()> {
        self.update(|now| {
            debug_assert!(now.is_joined() && !now.has(JOIN_WAKER), "offer_waker from {now:?}");
            if now.is_complete() { (now, Err(())) } else { (now.with(JOIN_WAKER), Ok(())) }
        })
    }

    /// Takes the join waker back, to replace it. `Err` if the task is complete: it is too late.
    pub(crate) fn recall_waker(&self) -> Result<(), ()> {
        self.update(|now| {
            debug_assert!(now.is_joined(), "recall_waker from {now:?}");
            if now.is_complete() { (now, Err(())) } else { (now.without(JOIN_WAKER), Ok(())) }
        })
    }

    /// Says whether the waker that the handle offered is still with the task.
    pub(crate) fn has_waker(&self) -> bool {
        self.load().has(JOIN_WAKER)
    }

    /// The `JoinHandle` goes. Its reference is given up separately.
    pub(crate) fn drop_join(&self) -> DropJoin {
        self.update(|now| {
            debug_assert!(now.is_joined(), "drop_join from {now:?}");
            if now.is_complete() {
                // What there is belongs to the finisher, but for the output.
                (now.without(JOINED), DropJoin { has_output: true, has_waker: false })
            } else {
                let has_waker = now.has(JOIN_WAKER);
                (now.without(JOINED | JOIN_WAKER), DropJoin { has_output: false, has_waker })
            }
        })
    }

    pub(crate) fn add_ref(&self) {
        let before = Snapshot(self.0.fetch_add(REF_ONE, Ordering::Relaxed));
        if before.0 > REFS_MAX {
            // Going on would free the task under its pointers.
            std::process::abort();
        }
    }

    /// Says whether the reference was the last: the caller must free the task.
    #[must_use]
    pub(crate) fn drop_refs(&self, n: usize) -> bool {
        let before = Snapshot(self.0.fetch_sub(n * REF_ONE, Ordering::AcqRel));
        debug_assert!(before.refs() >= n, "drop_refs from {before:?}");
        before.refs() == n
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = [
            (QUEUED, "queued"),
            (RUNNING, "running"),
            (COMPLETE, "complete"),
            (ABORTED, "aborted"),
            (STOPPED, "stopped"),
            (JOINED, "joined"),
            (JOIN_WAKER, "join waker"),
        ];
        let names = flags.iter().filter(|(flag, _)| self.has(*flag)).map(|(_, name)| name);
        f.debug_set().entries(names).entry(&format_args!("{} refs", self.refs())).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::State;

    /// Walks a task through `steps` and compares what each said.
    #[track_caller]
    fn check(steps: &str, want: &str) {
        let state = State::new();
        let said: Vec<String> = steps.split(' ').filter_map(|step| take(&state, step)).collect();
        assert_eq!(said.join(" "), want, "after {steps}: {:?}", state.load());
    }

    fn take(state: &State, step: &str) -> Option<String> {
        match step {
            "wake" => Some(format!("{:?}", state.wake())),
            "wake_away" => Some(format!("{:?}", state.wake_and_release())),
            "start" => Some(format!("{:?}", state.start())),
            "enlist" => Some(format!("{:?}", state.rest(true))),
            "rest" => Some(format!("{:?}", state.rest(false))),
            "abort" => Some(format!("{:?}", state.abort())),
            "stop" => Some(format!("{:?}", state.stop())),
            "offer" => Some(format!("{:?}", state.offer_waker())),
            "recall" => Some(format!("{:?}", state.recall_waker())),
            "finish" => {
                let finish = state.finish();
                finish.has_waker.then(|| "wakes".into())
            }
            "ref" => {
                state.add_ref();
                None
            }
            "unref" => state.drop_refs(1).then(|| "last".into()),
            "unjoin" => {
                let left = state.drop_join();
                Some(format!("output={} waker={}", left.has_output, left.has_waker))
            }
            _ => panic!("no step {step}"),
        }
    }

    #[test]
    fn a_wake_submits_only_an_idle_task() {
        check("wake", "Seen");
        check("start enlist wake wake", "Poll Idle Submit Seen");
        check("start wake enlist", "Poll Seen Again");
        check("start finish wake", "Poll TooLate");
        check("start enlist ref wake_away start", "Poll Idle Submit Poll");
        check("start ref wake_away rest", "Poll Released Again");
    }

    #[test]
    fn a_doomed_task_runs_once_more() {
        check("abort start", "Seen Cancel(Cancelled)");
        check("start abort enlist", "Poll Seen Cancel(Cancelled)");
        check("start enlist abort abort wake", "Poll Idle Submit TooLate Seen");
        check("start enlist stop start", "Poll Idle Submit Cancel(Shutdown)");
        check("stop abort start", "Seen Seen Cancel(Cancelled)");
        check("start finish abort stop", "Poll TooLate TooLate");
    }

    #[test]
    fn the_output_is_dropped_by_who_comes_last() {
        check("unjoin start finish", "output=false waker=false Poll");
        check("start finish unjoin", "Poll output=true waker=false");
        check("offer unjoin", "Ok(()) output=false waker=true");
        check("offer start finish unjoin", "Ok(()) Poll wakes output=true waker=false");
        check("start finish offer", "Poll Err(())");
        check("offer recall offer start finish recall", "Ok(()) Ok(()) Ok(()) Poll wakes Err(())");
    }

    #[test]
    fn the_last_reference_frees() {
        check("start finish unref unref", "Poll last");
        check("start enlist wake start finish unref unref unref", "Poll Idle Submit Poll last");
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::{Rest, Start, State, Wake, WakeByValue};
    use crate::primitive::{AtomicUsize, Mutex, Ordering};
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread::{self, JoinHandle};
    use std::sync::Mutex as Unmodelled;

    const WAKERS: usize = 2;

    /// A task with everything around it that its state decides about. Its future is ready when it
    /// has seen what each waker brings.
    struct World {
        state: State,
        /// Touched by who is inside, and by who frees: loom reports two at once.
        inside: UnsafeCell<()>,
        /// Relaxed: it is the state that must make it visible.
        brought: [AtomicUsize; WAKERS],
        /// How often the queue has the task.
        queue: Mutex<usize>,
        list: Mutex<List>,
        seen: Unmodelled<Seen>,
    }

    #[derive(Default)]
    struct List {
        has_task: bool,
        is_closed: bool,
    }

    /// What happened, for the checks only.
    #[derive(Default)]
    struct Seen {
        is_listed: bool,
        ends: usize,
        frees: usize,
    }

    impl World {
        fn new() -> Arc<World> {
            Arc::new(World {
                state: State::new(),
                inside: UnsafeCell::new(()),
                brought: [AtomicUsize::new(0), AtomicUsize::new(0)],
                queue: Mutex::new(1),
                list: Mutex::default(),
                seen: Unmodelled::default(),
            })
        }

        /// Only who has a reference may look at the state.
        fn state(&self) -> &State {
            assert_eq!(self.seen.lock().unwrap().frees, 0, "a task was used that is freed");
            &self.state
        }

        fn push(&self) {
            let mut queue = self.queue.lock();
            assert_eq!(*queue, 0, "a task is queued twice");
            *queue += 1;
        }

        fn pop(&self) -> bool {
            std::mem::replace(&mut *self.queue.lock(), 0) > 0
        }

        fn drop_refs(&self, n: usize) {
            if self.state().drop_refs(n) {
                self.free();
            }
        }

        fn free(&self) {
            self.inside.with_mut(|_| ());
            self.seen.lock().unwrap().frees += 1;
        }

        fn submit(&self, wake: Wake) {
            if wake == Wake::Submit {
                self.push();
            }
        }

        fn work(&self) {
            for _ in 0..2 {
                if self.pop() {
                    self.run();
                }
            }
        }

        fn run(&self) {
            let start = self.state().start();
            self.inside.with_mut(|_| ());
            let is_ready = || self.brought.iter().all(|it| it.load(Ordering::Relaxed) == 1);
            if start != Start::Poll || is_ready() {
                return self.end();
            }
            self.inside.with_mut(|_| ());
            let is_first = !self.seen.lock().unwrap().is_listed;
            if is_first {
                let mut list = self.list.lock();
                if list.is_closed {
                    drop(list);
                    return self.end();
                }
                list.has_task = true;
                self.seen.lock().unwrap().is_listed = true;
            }
            match self.state().rest(is_first) {
                Rest::Idle => {}
                Rest::Again => self.push(),
                Rest::Cancel(_) => self.end(),
            }
        }

        fn end(&self) {
            self.inside.with_mut(|_| ());
            self.seen.lock().unwrap().ends += 1;
            let was_listed = std::mem::take(&mut self.list.lock().has_task);
            let _ = self.state().finish();
            self.drop_refs(if was_listed { 2 } else { 1 });
        }

        fn wake_by_ref(&self, waker: usize) {
            self.brought[waker].store(1, Ordering::Relaxed);
            self.submit(self.state().wake());
            self.drop_refs(1);
        }

        fn wake_by_value(&self, waker: usize) {
            self.brought[waker].store(1, Ordering::Relaxed);
            match self.state().wake_and_release() {
                WakeByValue::Submit => self.push(),
                WakeByValue::Released => {}
                WakeByValue::Free => self.free(),
            }
        }

        fn abort(&self) {
            self.submit(self.state().abort());
            self.drop_refs(1);
        }

        fn abort_and_stop(&self) {
            self.submit(self.state().abort());
            self.stop();
        }

        fn stop(&self) {
            let mut list = self.list.lock();
            list.is_closed = true;
            let stopped = if list.has_task { self.state().stop() } else { Wake::Seen };
            drop(list);
            self.submit(stopped);
            self.drop_refs(1);
        }
    }

    fn spawn(world: &Arc<World>, f: fn(&World)) -> JoinHandle<()> {
        let world = world.clone();
        thread::spawn(move || f(&world))
    }

    /// Lets two workers and two `others` loose on a task, whose future has been brought all but
    /// `missing`. Each of the others has a reference; the handle is gone, so any may be the last.
    fn check(others: [fn(&World); 2], missing: &'static [usize]) {
        loom::model(move || {
            let world = World::new();
            others.iter().for_each(|_| world.state().add_ref());
            world.drop_refs(1);
            for waker in (0..WAKERS).filter(|waker| !missing.contains(waker)) {
                world.brought[waker].store(1, Ordering::Relaxed);
            }
            let working = spawn(&world, World::work);
            let others = others.map(|other| spawn(&world, other));
            world.work();
            working.join().unwrap();
            others.into_iter().for_each(|thread| thread.join().unwrap());
            while world.pop() {
                world.run();
            }
            assert_eq!(world.seen.lock().unwrap().ends, 1, "how often it ended");
            assert_eq!(world.seen.lock().unwrap().frees, 1, "how often it was freed");
            assert!(!world.list.lock().has_task);
        });
    }

    #[test]
    fn no_wake_is_lost() {
        check([|world| world.wake_by_ref(0), |world| world.wake_by_value(1)], &[0, 1]);
    }

    #[test]
    fn a_task_that_waits_for_ever_ends_once_when_it_is_aborted() {
        check([|world| world.wake_by_value(0), World::abort], &[0, 1]);
    }

    #[test]
    fn a_task_that_waits_for_ever_ends_once_with_its_runtime() {
        check([|world| world.wake_by_value(0), World::stop], &[0, 1]);
    }

    #[test]
    fn a_task_that_becomes_ready_while_it_is_aborted_and_stopped_ends_once() {
        check([|world| world.wake_by_ref(0), World::abort_and_stop], &[0]);
    }

    /// The handle does as in `JoinRef::leave_waker`, twice, and goes.
    #[test]
    fn the_place_of_the_join_waker_is_touched_by_one_side_at_a_time() {
        loom::model(|| {
            let task = Arc::new((State::new(), UnsafeCell::new(())));
            let finishing = thread::spawn({
                let task = task.clone();
                move || {
                    let _ = task.0.start();
                    if task.0.finish().has_waker {
                        task.1.with_mut(|_| ());
                    }
                }
            });
            let (state, place) = &*task;
            for _ in 0..2 {
                if state.has_waker() && state.recall_waker().is_err() {
                    break;
                }
                place.with_mut(|_| ());
                if state.offer_waker().is_err() {
                    place.with_mut(|_| ());
                    break;
                }
            }
            if state.drop_join().has_waker {
                place.with_mut(|_| ());
            }
            finishing.join().unwrap();
        });
    }
}
