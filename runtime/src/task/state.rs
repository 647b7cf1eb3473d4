//! Owns the word that says what may be done with a task, by whom.
//!
//! # State
//!
//! ```text
//!               1 wake
//!   idle ─────────────────▶ running ──5 finish──▶ complete
//!    ▲                      │  ▲ │
//!    └────────3 rest────────┘  └─┘ 2 start, 4 again (woken while running)
//! ```
//! Running means that somebody has the right to the inside of the task. That is a worker in its
//! poll, or a queue that was given the right together with the task: by its spawner, by a wake, or
//! by a poll that was not to be the last. Who takes it from a queue is inside at once, unless
//! something was said meanwhile.
//!
//! [`abort`](State::abort) and [`stop`](State::stop) go the way of a wake: they mark the task and
//! see to it that it is run once more; whoever runs it then cancels it. So nobody but the one who
//! runs a task is ever inside it.
//!
//! | bits | name          | set by                    | cleared by                          | meaning                            |
//! |------|---------------|---------------------------|-------------------------------------|------------------------------------|
//! | 0    | `NOTIFIED`    | [`State::wake`], [`State::abort`], [`State::stop`] | [`State::start`], [`State::rest`]   | something was said while it ran     |
//! | 1    | `RUNNING`     | birth, [`State::wake`]    | [`State::rest`], [`State::finish`]  | somebody has the right inside      |
//! | 2    | `COMPLETE`    | [`State::finish`]         | never                               | the output is decided              |
//! | 3    | `ABORTED`     | [`State::abort`]          | never                               | its handle gave it up              |
//! | 4    | `STOPPED`     | [`State::stop`]           | never                               | its runtime is ending              |
//! | 5    | `JOINED`      | birth                     | [`State::drop_join`]                | a `JoinHandle` wants the output    |
//! | 6    | `JOIN_WAKER`  | [`State::offer_waker`]    | [`State::recall_waker`], [`State::drop_join`], [`State::finish`] | the join waker is the finisher's |
//! | 7    | `RECALLED`    | [`State::recall_waker`]   | never                               | the join waker was changed once    |
//! | 8    | `RESTED`      | [`State::rest`]           | never                               | it has waited: no queue knows of it |
//! | 9..  | refs          | clone                     | drop                                | pointers to the task               |
//!
//! One reference is the task's own, from birth to completion: so whoever knows that a task is
//! running needs none. The others are those of handles and wakers. A word without
//! references, or of a complete task, is nobody's way to the task: see [`State::try_ref`].
//!
//! # Memory ordering
//!
//! Every transition is a read-modify-write with Acquire and Release, also one that changes
//! nothing: a wake that finds the task notified must still hand what its thread did before to
//! whoever polls the task next. That is the pair of this file: each transition's Release with
//! the Acquire of the one that reads it. Two may do without. A task that is taken from a queue
//! needs no transition if nothing was said: the queue hands on what the one before did. And who finds,
//! by an Acquire load, that a complete task has one reference, its own, is alone with it: all the
//! others were given up with Release, and nobody gets a new one.
//!
//! A reference is added Relaxed (the one it is copied from keeps the task alive) and given up with
//! Release, which pairs with the Acquire of whoever gives up the last.

use std::fmt;

use crate::hooks::Reason;
use crate::primitive::{AtomicUsize, Ordering};

const NOTIFIED: usize = 1;
const RUNNING: usize = 1 << 1;
const COMPLETE: usize = 1 << 2;
const ABORTED: usize = 1 << 3;
const STOPPED: usize = 1 << 4;
const JOINED: usize = 1 << 5;
const JOIN_WAKER: usize = 1 << 6;
const RECALLED: usize = 1 << 7;
const RESTED: usize = 1 << 8;
const FLAGS: usize =
    NOTIFIED | RUNNING | COMPLETE | ABORTED | STOPPED | JOINED | JOIN_WAKER | RECALLED | RESTED;
const REF_ONE: usize = 1 << 9;

// The flags are distinct, and share no bit with the count.
const _: () = assert!(FLAGS.count_ones() == 9 && FLAGS < REF_ONE);

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

    pub(crate) fn is_notified(self) -> bool {
        self.has(NOTIFIED)
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

    /// Says whether it has waited, and has not ended.
    pub(crate) fn is_listed(self) -> bool {
        self.has(RESTED) && !self.is_complete()
    }

    /// Says whether the waker that the handle offered is still with the task, and will be woken.
    pub(crate) fn has_waker(self) -> bool {
        self.has(JOIN_WAKER)
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
        self.without_refs(1)
    }

    fn without_refs(self, count: usize) -> Snapshot {
        Snapshot(self.0 - count * REF_ONE)
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
    /// Push the task to a queue.
    Submit,
    /// Nothing: somebody else already has, or will.
    Seen,
    /// Nothing, and nothing can be done: it is complete, or was doomed before.
    TooLate,
}

/// What the caller of [`State::wake_and_release`] must do next. Its reference is gone.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum WakeByValue {
    /// Push the task to a queue.
    Submit,
    /// Nothing.
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
    /// It waits, and the caller's right to it is gone.
    Idle,
    /// It was woken meanwhile: push it again, with the right to it.
    Again,
    /// It was doomed meanwhile. The caller is still inside: cancel it.
    Cancel(Reason),
}

/// What is left to do for who has made a task complete.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Finish {
    /// Nothing; if that is `Some`, wake the join waker, as it was read before. The task's own
    /// reference is gone; if it was the last, free the task.
    Released { has_waker: bool, is_last: bool },
    /// The join waker was changed once, so what was read before may not be it. Take it from its
    /// place and wake it, then give up the task's own reference.
    Kept,
}

/// What the dropper of a `JoinHandle` must clean up.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum DropJoin {
    /// Nothing: the reference is gone too.
    Released,
    /// Take the waker back, then give up the reference.
    HasWaker,
    /// Drop the output if it was not taken, then give up the reference.
    Complete,
}

impl State {
    /// Of memory without a task in it.
    pub(crate) const DEAD: usize = 0;

    /// The word of memory without a task in it.
    pub(crate) fn dead() -> State {
        State(AtomicUsize::new(State::DEAD))
    }

    /// Birth: running, as a queue will have it with the right to it, and joined. One reference is
    /// the handle's, one its own. What was written to the task before is visible to who sees this.
    #[inline]
    pub(crate) fn be_born(&self) {
        self.0.store(RUNNING | JOINED | (2 * REF_ONE), Ordering::Release);
    }

    /// Birth of a resident that is no task: its own reference is all there is.
    #[inline]
    pub(crate) fn settle(&self) {
        self.0.store(REF_ONE, Ordering::Release);
    }

    /// The end of a resident that is no task. Says whether its own reference was the last.
    #[inline]
    pub(crate) fn unsettle(&self) -> bool {
        self.update(|now| {
            let next = now.without_ref().with(COMPLETE);
            (next, next.refs() == 0)
        })
    }

    #[inline]
    pub(crate) fn load(&self) -> Snapshot {
        Snapshot(self.0.load(Ordering::Acquire))
    }

    #[inline]
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

    /// Transition 1: the task is to be polled again.
    #[inline]
    pub(crate) fn wake(&self) -> Wake {
        self.update(|now| {
            if now.is_complete() {
                (now, Wake::TooLate)
            } else if now.is_running() {
                (now.with(NOTIFIED), Wake::Seen)
            } else {
                (now.with(RUNNING), Wake::Submit)
            }
        })
    }

    /// Transition 1 by somebody who gives up a reference.
    #[inline]
    pub(crate) fn wake_and_release(&self) -> WakeByValue {
        self.update(|now| {
            let next = now.without_ref();
            if now.is_complete() {
                let is_last = next.refs() == 0;
                (next, if is_last { WakeByValue::Free } else { WakeByValue::Released })
            } else if now.is_running() {
                (next.with(NOTIFIED), WakeByValue::Released)
            } else {
                (next.with(RUNNING), WakeByValue::Submit)
            }
        })
    }

    /// Transition 2: the caller, who has taken the task from a queue, begins to poll it.
    #[inline]
    pub(crate) fn start(&self) -> Start {
        let now = self.load();
        debug_assert!(now.is_running(), "start from {now:?}");
        if !now.is_notified() {
            return Start::Poll;
        }
        self.update(|now| {
            let next = now.without(NOTIFIED);
            match now.doom() {
                Some(reason) => (next, Start::Cancel(reason)),
                None => (next, Start::Poll),
            }
        })
    }

    /// Transitions 3 and 4: a poll was not the last.
    #[inline]
    pub(crate) fn rest(&self) -> Rest {
        self.update(|now| {
            debug_assert!(now.is_running(), "rest from {now:?}");
            if let Some(reason) = now.doom() {
                return (now, Rest::Cancel(reason));
            }
            let next = now.with(RESTED);
            if now.is_notified() {
                (next.without(NOTIFIED), Rest::Again)
            } else {
                (next.without(RUNNING), Rest::Idle)
            }
        })
    }

    /// Transition 5: the output is decided and visible to who reads this. `seen` is how the caller
    /// saw the task, and what it has prepared for; if that has changed, the `Err` says how it is. So
    /// many references are `spare`, and given up as well.
    #[inline]
    pub(crate) fn finish(&self, seen: Snapshot, spare: usize) -> Result<Finish, Snapshot> {
        debug_assert!(seen.is_running(), "finish from {seen:?}");
        let complete =
            seen.without(RUNNING | NOTIFIED | JOIN_WAKER).with(COMPLETE).without_refs(spare);
        let is_kept = seen.has_waker() && seen.has(RECALLED);
        let next = if is_kept { complete } else { complete.without_ref() };
        self.0
            .compare_exchange(seen.0, next.0, Ordering::AcqRel, Ordering::Acquire)
            .map_err(Snapshot)?;
        if is_kept {
            return Ok(Finish::Kept);
        }
        Ok(Finish::Released { has_waker: seen.has_waker(), is_last: next.refs() == 0 })
    }

    /// Dooms the task by its handle.
    pub(crate) fn abort(&self) -> Wake {
        self.doom(ABORTED)
    }

    /// Dooms the task because its runtime is ending.
    pub(crate) fn stop(&self) -> Wake {
        self.doom(STOPPED)
    }

    fn doom(&self, why: usize) -> Wake {
        self.update(|now| {
            if now.is_complete() || now.has(why) {
                (now, Wake::TooLate)
            } else {
                // It has to run once more, to be cancelled.
                let verdict = if now.is_running() { Wake::Seen } else { Wake::Submit };
                (now.with(why | NOTIFIED | RUNNING), verdict)
            }
        })
    }

    /// Gives the join waker, which the handle has put in its place, to whoever finishes the task.
    /// `Err` if it is complete: the waker is still the handle's.
    #[inline]
    pub(crate) fn offer_waker(&self) -> Result<(), ()> {
        self.update(|now| {
            debug_assert!(now.is_joined() && !now.has_waker(), "offer_waker from {now:?}");
            if now.is_complete() { (now, Err(())) } else { (now.with(JOIN_WAKER), Ok(())) }
        })
    }

    /// Takes the join waker back, to replace it. `Err` if the task is complete: it is too late.
    pub(crate) fn recall_waker(&self) -> Result<(), ()> {
        self.update(|now| {
            debug_assert!(now.is_joined(), "recall_waker from {now:?}");
            if now.is_complete() {
                (now, Err(()))
            } else {
                // For ever, so that a finisher who has read the waker before notices.
                (now.without(JOIN_WAKER).with(RECALLED), Ok(()))
            }
        })
    }

    /// The `JoinHandle` goes.
    #[inline]
    pub(crate) fn drop_join(&self) -> DropJoin {
        if self.load().is_complete() {
            return DropJoin::Complete;
        }
        self.update(|now| {
            debug_assert!(now.is_joined(), "drop_join from {now:?}");
            let next = now.without(JOINED | JOIN_WAKER);
            if now.is_complete() {
                (now, DropJoin::Complete)
            } else if now.has_waker() {
                (next, DropJoin::HasWaker)
            } else {
                // The task's own reference is left.
                (next.without_ref(), DropJoin::Released)
            }
        })
    }

    #[inline]
    pub(crate) fn add_ref(&self) {
        self.add_refs(1);
    }

    #[inline]
    pub(crate) fn add_refs(&self, count: usize) {
        let before = Snapshot(self.0.fetch_add(count * REF_ONE, Ordering::Relaxed));
        if before.0 > REFS_MAX {
            // Going on would free the task under its pointers.
            std::process::abort();
        }
    }

    /// Adds a reference for somebody who has none, and only knows where tasks lie. `false` if there
    /// is no task, or it is complete.
    pub(crate) fn try_ref(&self) -> bool {
        let add = |now| {
            let is_there = Snapshot(now).refs() > 0 && !Snapshot(now).is_complete();
            is_there.then_some(Snapshot(now).with_ref().0)
        };
        self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, add).is_ok()
    }

    /// Gives up a reference. Says whether it was the last: the caller must free the task.
    #[must_use]
    #[inline]
    pub(crate) fn drop_ref(&self) -> bool {
        let now = self.load();
        if now.is_complete() && now.refs() == 1 {
            return true;
        }
        let before = Snapshot(self.0.fetch_sub(REF_ONE, Ordering::AcqRel));
        debug_assert!(before.refs() >= 1, "drop_ref from {before:?}");
        before.refs() == 1
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = [
            (NOTIFIED, "notified"),
            (RUNNING, "running"),
            (COMPLETE, "complete"),
            (ABORTED, "aborted"),
            (STOPPED, "stopped"),
            (JOINED, "joined"),
            (JOIN_WAKER, "join waker"),
            (RECALLED, "recalled"),
            (RESTED, "rested"),
        ];
        let names = flags.iter().filter(|(flag, _)| self.has(*flag)).map(|(_, name)| name);
        f.debug_set().entries(names).entry(&format_args!("{} refs", self.refs())).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{DropJoin, Finish, State};

    /// Walks a task through `steps` and compares what each said.
    #[track_caller]
    fn check(steps: &str, want: &str) {
        let state = State::dead();
        state.be_born();
        let said: Vec<String> = steps.split(' ').filter_map(|step| take(&state, step)).collect();
        assert_eq!(said.join(" "), want, "after {steps}: {:?}", state.load());
    }

    fn take(state: &State, step: &str) -> Option<String> {
        let last = |is_last: bool| is_last.then(|| "last".into());
        match step {
            "wake" => Some(format!("{:?}", state.wake())),
            "wake_away" => Some(format!("{:?}", state.wake_and_release())),
            "start" => Some(format!("{:?}", state.start())),
            "rest" => Some(format!("{:?}", state.rest())),
            "abort" => Some(format!("{:?}", state.abort())),
            "stop" => Some(format!("{:?}", state.stop())),
            "offer" => Some(format!("{:?}", state.offer_waker())),
            "recall" => Some(format!("{:?}", state.recall_waker())),
            "find" => Some(format!("{}", state.try_ref())),
            "finish" => match state.finish(state.load(), 0).ok()? {
                Finish::Released { has_waker: true, is_last: false } => Some("wakes".into()),
                Finish::Released { is_last, .. } => last(is_last),
                Finish::Kept => Some("keeps".into()),
            },
            "ref" => {
                state.add_ref();
                None
            }
            "unref" => last(state.drop_ref()),
            "unjoin" => match state.drop_join() {
                DropJoin::Released => None,
                left => Some(format!("{left:?}")),
            },
            _ => panic!("no step {step}"),
        }
    }

    #[test]
    fn a_wake_submits_only_an_idle_task() {
        check("wake", "Seen");
        check("start rest wake wake", "Poll Idle Submit Seen");
        check("start wake rest start", "Poll Seen Again Poll");
        check("start finish wake", "Poll TooLate");
        check("start rest ref wake_away start", "Poll Idle Submit Poll");
        check("start ref wake_away rest", "Poll Released Again");
        check("start finish ref wake_away", "Poll Released");
    }

    #[test]
    fn a_wake_that_comes_before_a_poll_is_not_one_more() {
        check("wake start rest", "Seen Poll Idle");
        check("start wake rest start rest", "Poll Seen Again Poll Idle");
    }

    #[test]
    fn a_doomed_task_runs_once_more() {
        check("abort start", "Seen Cancel(Cancelled)");
        check("start abort rest", "Poll Seen Cancel(Cancelled)");
        check("start rest abort abort wake", "Poll Idle Submit TooLate Seen");
        check("start rest stop start", "Poll Idle Submit Cancel(Shutdown)");
        check("stop abort start", "Seen Seen Cancel(Cancelled)");
        check("start finish abort stop", "Poll TooLate TooLate");
    }

    #[test]
    fn the_output_is_left_to_who_comes_last() {
        check("unjoin start finish", "Poll last");
        check("start finish unjoin", "Poll Complete");
        check("offer unjoin", "Ok(()) HasWaker");
        check("offer start finish unjoin", "Ok(()) Poll wakes Complete");
        check("start finish offer", "Poll Err(())");
        check("offer recall offer start finish recall", "Ok(()) Ok(()) Ok(()) Poll keeps Err(())");
    }

    #[test]
    fn the_last_reference_frees() {
        check("start finish unref", "Poll last");
        check("start finish ref unref unref", "Poll last");
        check("start rest wake start unjoin finish", "Poll Idle Submit Poll last");
    }

    #[test]
    fn only_a_task_that_is_alive_is_found() {
        check("find unjoin start finish unref find", "true Poll last false");
        check("start finish find", "Poll false");
        assert!(!State::dead().try_ref());
    }

    #[test]
    fn a_finisher_that_has_seen_something_else_is_told() {
        let state = State::dead();
        state.be_born();
        let _ = state.start();
        let seen = state.load();
        let _ = state.wake();
        let now = state.finish(seen, 0).expect_err("it was woken meanwhile");
        assert!(state.finish(now, 0).is_ok());
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::{DropJoin, Finish, Rest, Start, State, Wake, WakeByValue};
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
        /// The references that are counted and nobody has; Relaxed, as in the note of a resident.
        spare: AtomicUsize,
        /// Whether a waker that was cloned inside is outside.
        left: AtomicUsize,
        /// Whether polls clone wakers at all, which makes a model long.
        clones_wakers: bool,
        /// How often the queue has the task.
        queue: Mutex<usize>,
        seen: Unmodelled<Seen>,
    }

    /// So many references are counted at once.
    const SPARE_BATCH: usize = 1;

    /// What happened, for the checks only.
    #[derive(Default)]
    struct Seen {
        ends: usize,
        frees: usize,
    }

    impl World {
        fn new(clones_wakers: bool) -> Arc<World> {
            let world = World {
                state: State::dead(),
                inside: UnsafeCell::new(()),
                brought: [AtomicUsize::new(0), AtomicUsize::new(0)],
                spare: AtomicUsize::new(0),
                left: AtomicUsize::new(0),
                clones_wakers,
                queue: Mutex::new(1),
                seen: Unmodelled::default(),
            };
            world.inside.with_mut(|_| ());
            world.state.be_born();
            Arc::new(world)
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

        fn drop_ref(&self) {
            if self.state().drop_ref() {
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

        /// As `TaskRef::clone_inside`.
        fn clone_inside(&self) {
            let spare = self.spare.load(Ordering::Relaxed);
            if spare == 0 {
                self.state().add_refs(SPARE_BATCH + 1);
            }
            let left = if spare == 0 { SPARE_BATCH } else { spare - 1 };
            self.spare.store(left, Ordering::Relaxed);
        }

        /// As `TaskRef::drop_inside`.
        fn drop_inside(&self) {
            self.spare.store(self.spare.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }

        /// Clones a waker that stays inside, and one that goes out, instead of the one before.
        fn poll_wakers(&self) {
            self.clone_inside();
            self.drop_inside();
            self.clone_inside();
            if self.left.swap(1, Ordering::Relaxed) == 1 {
                self.drop_inside();
            }
        }

        /// Drops the waker that is outside.
        fn drop_left(&self) {
            if self.left.swap(0, Ordering::Relaxed) == 1 {
                self.drop_ref();
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
            if self.clones_wakers {
                self.poll_wakers();
            }
            self.inside.with_mut(|_| ());
            match self.state().rest() {
                Rest::Idle => {}
                Rest::Again => self.push(),
                Rest::Cancel(_) => self.end(),
            }
        }

        fn end(&self) {
            self.inside.with_mut(|_| ());
            self.seen.lock().unwrap().ends += 1;
            let spare = self.spare.swap(0, Ordering::Relaxed);
            let mut seen = self.state().load();
            loop {
                match self.state().finish(seen, spare) {
                    Err(now) => seen = now,
                    Ok(Finish::Released { is_last: true, .. }) => return self.free(),
                    Ok(Finish::Released { is_last: false, .. }) => return,
                    Ok(Finish::Kept) => unreachable!("nobody recalls a waker here"),
                }
            }
        }

        fn wake_by_ref(&self, waker: usize) {
            self.brought[waker].store(1, Ordering::Relaxed);
            self.submit(self.state().wake());
            self.drop_left();
            self.drop_ref();
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
            self.drop_ref();
        }

        /// As the end of a runtime does: it has no reference, and looks for tasks that have waited.
        fn stop(&self) {
            // Memory of a task may be looked at at any time.
            if !self.state.try_ref() {
                return;
            }
            let stopped =
                if self.state().load().is_listed() { self.state().stop() } else { Wake::Seen };
            self.submit(stopped);
            self.drop_ref();
        }
    }

    fn spawn(world: &Arc<World>, f: fn(&World)) -> JoinHandle<()> {
        let world = world.clone();
        thread::spawn(move || f(&world))
    }

    /// Lets two workers and two `others` loose on a task, whose future has been brought all but
    /// `missing`. So many `refs` are the others'; the handle is gone, so any may be the last.
    fn check(others: [fn(&World); 2], refs: usize, missing: &'static [usize]) {
        loom::model(move || {
            let world = World::new(refs < 2);
            (0..refs).for_each(|_| world.state().add_ref());
            assert_eq!(world.state().drop_join(), DropJoin::Released);
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
            // Whatever still waits is found when the last worker has left.
            world.stop();
            while world.pop() {
                world.run();
            }
            world.drop_left();
            assert_eq!(world.seen.lock().unwrap().ends, 1, "how often it ended");
            assert_eq!(world.seen.lock().unwrap().frees, 1, "how often it was freed");
        });
    }

    #[test]
    fn no_wake_is_lost() {
        loom::model(|| {
            let world = World::new(true);
            (0..WAKERS).for_each(|_| world.state().add_ref());
            assert_eq!(world.state().drop_join(), DropJoin::Released);
            let working = spawn(&world, World::work);
            let others = [
                spawn(&world, |world| world.wake_by_ref(0)),
                spawn(&world, |world| world.wake_by_value(1)),
            ];
            world.work();
            working.join().unwrap();
            others.into_iter().for_each(|thread| thread.join().unwrap());
            while world.pop() {
                world.run();
            }
            world.drop_left();
            assert_eq!(world.seen.lock().unwrap().ends, 1, "how often it ended");
            assert_eq!(world.seen.lock().unwrap().frees, 1, "how often it was freed");
        });
    }

    #[test]
    fn a_task_that_waits_for_ever_ends_once_when_it_is_aborted() {
        check([|world| world.wake_by_value(0), World::abort], 2, &[0, 1]);
    }

    #[test]
    fn a_task_that_waits_for_ever_ends_once_with_its_runtime() {
        check([|world| world.wake_by_value(0), World::stop], 1, &[0, 1]);
    }

    #[test]
    fn a_task_that_becomes_ready_while_it_is_aborted_and_stopped_ends_once() {
        check(
            [
                |world| world.wake_by_ref(0),
                |world| {
                    world.abort();
                    world.stop()
                },
            ],
            2,
            &[0],
        );
    }

    /// The place of the waker holds which one it is, and who owns it may say so. Who finishes reads
    /// it before it is sure, as `Inside::finish` does; the handle leaves a waker, leaves another,
    /// and goes, as in `JoinRef`.
    #[test]
    fn the_join_waker_is_woken_or_taken_back_by_one_side() {
        loom::model(|| {
            let task = Arc::new((State::dead(), AtomicUsize::new(0)));
            task.0.be_born();
            let finishing = thread::spawn({
                let task = task.clone();
                move || {
                    let (state, place) = &*task;
                    let _ = state.start();
                    let mut seen = state.load();
                    loop {
                        let read = place.load(Ordering::Relaxed);
                        match state.finish(seen, 0) {
                            Err(now) => seen = now,
                            Ok(Finish::Released { has_waker, .. }) => {
                                return if has_waker { read } else { 0 };
                            }
                            Ok(Finish::Kept) => return place.load(Ordering::Relaxed),
                        }
                    }
                }
            });
            let (state, place) = &*task;
            // The waker that is with the task by now.
            let mut left = 0;
            for waker in [1, 2] {
                if left != 0 && state.recall_waker().is_err() {
                    break;
                }
                place.store(waker, Ordering::Relaxed);
                if state.offer_waker().is_err() {
                    left = 0;
                    break;
                }
                left = waker;
            }
            let dropped = state.drop_join();
            let woken = finishing.join().unwrap();
            let is_back = dropped == DropJoin::HasWaker;
            assert_eq!(woken, if is_back { 0 } else { left }, "who was woken");
        });
    }
}
