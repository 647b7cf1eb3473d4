//! Runs a task: the only place that does, hence the only place that says so.
//!
//! The order of a task's last moments is the point of this file, so it is written once:
//! `before` → last poll → `promise_resolve` → future dropped → an unwanted output dropped →
//! `after` → `destroy` → context released → output published, joiner woken. A joiner that has the
//! output has every event of the task behind it.

use std::task::{Context, Poll};

use crate::hooks::{Outcome, Reason};
use crate::task::cell::{Inside, Rested, TaskRef};
use crate::task::owned::Owned;
use crate::task::unhandled;
use crate::task::waker::Borrowed;
use crate::task::{coop, family};

/// Polls a task once. Returns it if it is to be queued again.
///
/// `worker` says into whose list of `owned` it goes if it has to wait.
pub(crate) fn run(task: TaskRef, owned: &Owned, worker: usize) -> Option<TaskRef> {
    let (inside, doom) = task.start();
    if let Some(reason) = doom {
        cancel(inside, reason, Some(owned));
        return None;
    }
    match poll(&inside) {
        Poll::Ready(outcome) => complete(inside, outcome.into(), Some(owned)),
        Poll::Pending => return rest(inside, owned, worker),
    }
    None
}

/// Runs a job of the blocking pool, which is never pending.
pub(crate) fn run_blocking(task: TaskRef) {
    let (inside, doom) = task.start();
    match doom {
        Some(reason) => cancel(inside, reason, None),
        None => match poll(&inside) {
            Poll::Ready(outcome) => complete(inside, outcome.into(), None),
            Poll::Pending => unreachable!("a closure was not run to its end"),
        },
    }
}

/// Cancels a task that waits in a queue, or that no queue has accepted.
pub(crate) fn refuse(task: TaskRef, owned: Option<&Owned>) {
    let (inside, doom) = task.start();
    cancel(inside, doom.unwrap_or(Reason::Shutdown), owned);
}

fn poll(inside: &Inside) -> Poll<Outcome> {
    let Some(life) = inside.life() else { unreachable!("a task was run after its end") };
    let waker = Borrowed::from(inside.task());
    let mut cx = Context::from_waker(&waker);
    let _turn = coop::turn(Some(life.id()));
    life.run(|running| {
        let polled = inside.poll(&mut cx, running);
        let is_unwanted = polled.is_ready() && inside.drop_unwanted_output();
        if is_unwanted && polled == Poll::Ready(Outcome::Panicked) {
            unhandled::handle(&life.resource());
        }
        polled
    })
}

fn rest(inside: Inside, owned: &Owned, worker: usize) -> Option<TaskRef> {
    match inside.rest(|task| owned.insert(worker, task)) {
        Rested::Idle => None,
        Rested::Again(task) => Some(task),
        Rested::Cancel(inside, reason) => {
            cancel(inside, reason, Some(owned));
            None
        }
    }
}

fn cancel(inside: Inside, reason: Reason, owned: Option<&Owned>) {
    if let Some(life) = inside.life() {
        let _turn = coop::turn(Some(life.id()));
        life.run(|running| {
            running.promise_resolve(Outcome::Cancelled);
            inside.cancel(running.id());
            inside.drop_unwanted_output();
        });
    }
    complete(inside, reason, owned);
}

fn complete(mut inside: Inside, reason: Reason, owned: Option<&Owned>) {
    let mut id = None;
    if let Some(life) = inside.take_life() {
        id = Some(life.id());
        life.end(reason);
    }
    let listed = inside.place().and_then(|place| owned.and_then(|owned| owned.remove(place)));
    inside.finish(listed);
    if let Some(id) = id.filter(|_| family::is_any_watched()) {
        family::strike_off(id);
    }
}
