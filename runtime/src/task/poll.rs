//! Runs a task: the only place that does, hence the only place that says so.
//!
//! The order of a task's last moments is the point of this file, so it is written once:
//! `before` → last poll → `promise_resolve` → future dropped → an unwanted output dropped →
//! `after` → `destroy` → context released → output published, joiner woken. A joiner that has the
//! output has every event of the task behind it.

use std::task::{Context, Poll};

use crate::hooks::{Outcome, Reason};
use crate::task::cell::{Inside, Output, Rested, Runnable};
use crate::task::{coop, family, unhandled};

/// Polls a task once. Returns it if it is to be queued again.
#[inline]
pub(crate) fn run(task: Runnable) -> Option<Runnable> {
    let (inside, doom) = task.start();
    if let Some(reason) = doom {
        cancel(inside, reason);
        return None;
    }
    let turn = coop::turn(inside.life().id(), inside.address());
    let polled = poll(&inside);
    let has_yielded = turn.has_yielded();
    drop(turn);
    match polled {
        Poll::Ready((outcome, output)) => complete(inside, outcome.into(), output),
        Poll::Pending if has_yielded => return Some(inside.hold()),
        Poll::Pending => return rest(inside),
    }
    None
}

/// Runs a job of the blocking pool, which is never pending.
pub(crate) fn run_blocking(task: Runnable) {
    let (inside, doom) = task.start();
    match doom {
        Some(reason) => cancel(inside, reason),
        None => match in_turn(&inside, poll) {
            Poll::Ready((outcome, output)) => complete(inside, outcome.into(), output),
            Poll::Pending => unreachable!("a closure was not run to its end"),
        },
    }
}

/// Cancels a task that waits in a queue, or that no queue has accepted.
pub(crate) fn refuse(task: Runnable) {
    let (inside, doom) = task.start();
    cancel(inside, doom.unwrap_or(Reason::Shutdown));
}

#[inline]
fn poll(inside: &Inside) -> Poll<(Outcome, Output)> {
    let waker = inside.waker();
    let mut cx = Context::from_waker(&waker);
    inside.life().run(|running| {
        inside.poll(&mut cx, running).map(|outcome| {
            let output = inside.drop_unwanted_output();
            if (outcome, output) == (Outcome::Panicked, Output::Dropped) {
                unhandled::handle(&inside.life().resource());
            }
            (outcome, output)
        })
    })
}

#[inline]
fn rest(inside: Inside) -> Option<Runnable> {
    match inside.rest() {
        Rested::Idle => None,
        Rested::Again(task) => Some(task),
        Rested::Cancel(inside, reason) => {
            cancel(inside, reason);
            None
        }
    }
}

#[cold]
fn cancel(inside: Inside, reason: Reason) {
    let output = in_turn(&inside, |inside| {
        inside.life().run(|running| {
            running.promise_resolve(Outcome::Cancelled);
            inside.cancel(running.id());
            inside.drop_unwanted_output()
        })
    });
    complete(inside, reason, output);
}

#[inline]
fn complete(mut inside: Inside, reason: Reason, output: Output) {
    let id = inside.life().id();
    inside.end(reason);
    inside.finish(output);
    if family::is_any_watched() {
        family::strike_off(id);
    }
}

/// Runs code of the task that is not to be told whether it yielded.
fn in_turn<R>(inside: &Inside, f: impl FnOnce(&Inside) -> R) -> R {
    let _turn = coop::turn(inside.life().id(), inside.address());
    f(inside)
}
