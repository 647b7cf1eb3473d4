//! Lets tasks that never have to wait take turns: each poll has a budget.
//!
//! A socket that always has something to read would keep its task in one poll for ever, and
//! everybody else out of it. So whoever offers something to await (our sockets, timers and
//! [`JoinHandle`](super::JoinHandle)s) asks [`poll_proceed`] first: it takes a unit of the budget
//! and, when there is none left, says pending and has the task queued behind the others. The budget
//! is full again in the next poll.
//!
//! Channels and locks come from tokio, whose budget belongs to tokio's runtime: a loop over one of
//! them that is always ready has to call [`consume_budget`] or
//! [`yield_now`](super::yield_now) itself.
//!
//! Code that runs in no poll, or in [`unconstrained`], has no limit.
//!
//! ```
//! use forebear::task;
//!
//! # forebear::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let others = task::spawn(async { "had a turn" });
//! let mut sum = 0_u64;
//! while !others.is_finished() {
//!     sum += 1;
//!     task::consume_budget().await;
//! }
//! assert!(sum <= 130);
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::hooks::AsyncId;
use crate::primitive::per_thread;
use crate::task::waker;

/// So many things may be ready in one poll of a task before it has to let others go first.
///
/// tokio's number. A read of a socket takes about a microsecond, so a poll takes a tenth of a
/// millisecond, if it does nothing else.
const BUDGET_UNITS: u32 = 128;

/// What is left in the poll that runs: so many units, or [`Budget::UNLIMITED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Budget(u32);

impl Budget {
    const NONE: Budget = Budget(0);
    const WHOLE: Budget = Budget(BUDGET_UNITS);
    const UNLIMITED: Budget = Budget(u32::MAX);
}

/// What is known of the poll that runs.
#[derive(Clone, Copy)]
struct Now {
    /// The task that is polled, whatever resource inside it is current.
    task: Option<AsyncId>,
    /// Where it lies, which is compared and never followed; with [`YIELDED`] when it has asked to be
    /// polled again. 0 if it is no task.
    place: usize,
    budget: Budget,
}

/// No task has an odd address.
const YIELDED: usize = 1;

per_thread! {
    NOW: Cell<Now> = Cell::new(Now { task: None, place: 0, budget: Budget::UNLIMITED });
}

#[inline]
fn now() -> Now {
    NOW.with(Cell::get)
}

#[inline]
fn change(f: impl FnOnce(&mut Now)) {
    let mut changed = now();
    f(&mut changed);
    NOW.with(|now| now.set(changed));
}

/// A poll runs, until this is dropped.
#[must_use = "the turn ends when the guard is dropped"]
pub(crate) struct Turn {
    outer: Now,
}

/// Begins the poll of a task, with a full budget.
#[inline]
pub(crate) fn turn(task: AsyncId, place: usize) -> Turn {
    enter(Now { task: Some(task), place, budget: Budget::WHOLE })
}

/// Begins the poll of something that is no task.
pub(crate) fn turn_of_root() -> Turn {
    enter(Now { task: None, place: 0, budget: Budget::WHOLE })
}

/// Begins something inside a poll that may take as long as it does.
pub(crate) fn break_from_turns() -> Turn {
    enter(Now { budget: Budget::UNLIMITED, ..now() })
}

#[inline]
fn enter(next: Now) -> Turn {
    Turn { outer: NOW.with(|now| now.replace(next)) }
}

impl Turn {
    /// Says whether the task has asked to be polled again.
    #[inline]
    pub(crate) fn has_yielded(&self) -> bool {
        now().place & YIELDED != 0
    }
}

impl Drop for Turn {
    #[inline]
    fn drop(&mut self) {
        NOW.with(|now| now.set(self.outer));
    }
}

/// Returns the task whose poll runs on this thread.
pub(crate) fn current_task() -> Option<AsyncId> {
    now().task
}

/// Sees to it that whoever is being polled is polled again, when others have had their turn.
///
/// A task of ours tells that to its own poll, which has the right to it and can pass that on to
/// the queue: a wake would take three read-modify-writes of its state.
#[inline]
pub(crate) fn again(cx: &Context<'_>) {
    match waker::task_of(cx.waker()) {
        Some(task) if is_polling(task.addr().get()) => change(|now| now.place |= YIELDED),
        _ => cx.waker().wake_by_ref(),
    }
}

/// Says whether it is the task at this address that this thread polls: then this thread is inside it.
#[inline]
pub(crate) fn is_polling(place: usize) -> bool {
    now().place & !YIELDED == place
}

/// Says whether something may still be ready in the poll that runs.
#[must_use]
pub fn has_budget_remaining() -> bool {
    now().budget != Budget::NONE
}

/// Takes a unit of the budget, for who is about to find out whether something is ready.
///
/// Pending when there is none left: the caller, too, is then pending, and the task is polled again
/// when others have had their turn. If what the caller looks at is not ready, dropping the result
/// gives the unit back; if it is, the caller says so by
/// [`made_progress`](RestoreOnPending::made_progress).
///
/// ```
/// use std::task::{Context, Poll, ready};
/// use forebear::task::coop::poll_proceed;
///
/// fn poll_next(cx: &mut Context<'_>, look: impl FnOnce() -> Poll<u32>) -> Poll<u32> {
///     let proceed = ready!(poll_proceed(cx));
///     let item = ready!(look());
///     proceed.made_progress();
///     Poll::Ready(item)
/// }
/// # let mut cx = Context::from_waker(std::task::Waker::noop());
/// # assert_eq!(poll_next(&mut cx, || Poll::Ready(3)), Poll::Ready(3));
/// ```
#[inline]
pub fn poll_proceed(cx: &mut Context<'_>) -> Poll<RestoreOnPending> {
    let found = now().budget;
    if found == Budget::NONE {
        again(cx);
        return Poll::Pending;
    }
    if found != Budget::UNLIMITED {
        change(|now| now.budget = Budget(found.0 - 1));
    }
    Poll::Ready(RestoreOnPending(Cell::new(Some(found))))
}

/// Gives a unit of the budget back when it is dropped, unless it was used: see [`poll_proceed`].
#[must_use = "dropping it gives the unit back"]
#[derive(Debug)]
pub struct RestoreOnPending(Cell<Option<Budget>>);

impl RestoreOnPending {
    /// Says that something was ready: the unit is used.
    pub fn made_progress(&self) {
        self.0.set(None);
    }
}

impl Drop for RestoreOnPending {
    #[inline]
    fn drop(&mut self) {
        if let Some(found) = self.0.take() {
            change(|now| now.budget = found);
        }
    }
}

/// Lets others go first if this poll has used up its budget, and uses a unit of it otherwise.
///
/// For loops that have much to compute and little to await. Unlike
/// [`yield_now`](super::yield_now) it costs next to nothing most of the time.
///
/// # Cancel safety
/// Safe.
///
/// # Hooks
/// Emits nothing but the pair of the task's next poll, if there is one.
pub fn consume_budget() -> ConsumeBudget {
    ConsumeBudget(())
}

/// The future of [`consume_budget`].
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct ConsumeBudget(());

impl Future for ConsumeBudget {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        poll_proceed(cx).map(|proceed| proceed.made_progress())
    }
}

/// Runs a future without a budget: what it awaits is as ready as it is.
///
/// For code that must not be interrupted in one poll; it can keep everybody else waiting.
///
/// # Cancel safety
/// As safe as `future`.
///
/// # Hooks
/// Emits nothing.
pub fn unconstrained<F>(future: F) -> Unconstrained<F> {
    Unconstrained { future }
}

pin_project! {
    /// The future of [`unconstrained`].
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct Unconstrained<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Unconstrained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _break = break_from_turns();
        self.project().future.poll(cx)
    }
}

/// Lets a foreign future take part: each poll of it uses a unit of the budget, if it is ready.
///
/// # Cancel safety
/// As safe as `future`.
///
/// # Hooks
/// Emits nothing.
pub fn cooperative<F: Future>(future: F) -> Coop<F> {
    Coop { future }
}

pin_project! {
    /// The future of [`cooperative`].
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct Coop<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Coop<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let proceed = ready!(poll_proceed(cx));
        let output = ready!(self.project().future.poll(cx));
        proceed.made_progress();
        Poll::Ready(output)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{
        BUDGET_UNITS, break_from_turns, cooperative, current_task, has_budget_remaining,
        poll_proceed, turn, turn_of_root, unconstrained,
    };
    use crate::hooks::AsyncId;
    use crate::primitive::{AtomicU32, Ordering};
    use std::future::{Future, pending, poll_fn, ready};
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Uses units until there are none, and says how many there were and how often that woke.
    fn use_up() -> (u32, u32) {
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let mut cx = Context::from_waker(&waker);
        let mut used = 0;
        while let Poll::Ready(proceed) = poll_proceed(&mut cx) {
            proceed.made_progress();
            used += 1;
            if used > 1000 {
                break;
            }
        }
        (used, count.0.load(Ordering::Relaxed))
    }

    const ALL: u32 = BUDGET_UNITS;
    const NO_LIMIT: (u32, u32) = (1001, 0);

    fn id(raw: u64) -> AsyncId {
        AsyncId::from_u64(raw).expect("it is not zero")
    }

    #[test]
    fn a_turn_has_so_many_units_and_then_wakes_the_task_again() {
        let _turn = turn_of_root();
        assert_eq!(use_up(), (ALL, 1));
        assert!(!has_budget_remaining());
        assert_eq!(use_up(), (0, 1));
    }

    #[test]
    fn outside_a_turn_there_is_no_limit() {
        assert_eq!(use_up(), NO_LIMIT);
        drop(turn_of_root());
        assert_eq!(use_up(), NO_LIMIT);
        assert!(has_budget_remaining());
    }

    #[test]
    fn what_was_not_ready_gives_its_unit_back() {
        let _turn = turn_of_root();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..1000 {
            assert!(poll_proceed(&mut cx).is_ready());
        }
        let mut never = pin!(cooperative(pending::<()>()));
        for _ in 0..1000 {
            assert!(never.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!(use_up().0, ALL);
    }

    #[test]
    fn a_turn_inside_a_turn_has_its_own_budget_and_task() {
        let _outer = turn(id(1), 0);
        assert!(
            pin!(cooperative(ready(()))).poll(&mut Context::from_waker(Waker::noop())).is_ready()
        );
        {
            let _inner = turn(id(2), 0);
            assert_eq!((use_up().0, current_task()), (ALL, Some(id(2))));
        }
        assert_eq!((use_up().0, current_task()), (ALL - 1, Some(id(1))));
    }

    #[test]
    fn unconstrained_has_no_limit_and_uses_nothing() {
        let _turn = turn(id(1), 0);
        let mut cx = Context::from_waker(Waker::noop());
        let inner = unconstrained(poll_fn(|_| Poll::Ready((use_up(), current_task()))));
        let Poll::Ready((used, task)) = pin!(inner).poll(&mut cx) else { unreachable!() };
        assert_eq!((used, task), (NO_LIMIT, Some(id(1))));
        drop(break_from_turns());
        assert_eq!(use_up().0, ALL);
    }
}
