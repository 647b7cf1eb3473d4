//! Runs a row, and checks everything that the table and the invariants say about it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use forebear::hooks::{AsyncId, Kind};
use forebear::task::{AbortHandle, JoinError, JoinHandle};
use forebear::testing::{Event, Recorder, assert_quiescent};

use crate::leaf::{CONTEXT, Director, OWNER, Output, Stage, panic_as_planned};
use crate::listeners::Listeners;
use crate::machine::Machine;
use crate::pattern::is_match;
use crate::subject;
use crate::table::{Ending, Hooks, Subject, Threads, Told};

#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) subject: Subject,
    pub(crate) ending: Ending,
    pub(crate) threads: Threads,
    pub(crate) hooks: Hooks,
    pub(crate) told: Told,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { subject, ending, threads, hooks, .. } = self;
        write!(f, "{subject:?} × {ending:?} × {threads:?} × hooks {hooks:?}")
    }
}

/// How the owner ended, for who joined it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Output,
    Panic,
    Cancelled,
    /// Nobody could join it.
    Unseen,
}

/// Runs a row and panics if something is wrong with it.
pub(crate) fn check(row: Row) {
    let Row { subject, ending, told, .. } = row;
    let mut machine = Machine::new(subject, row.threads, row.hooks);
    let runtime = machine.handle().id();
    let listeners = Listeners::enable(row.hooks, runtime);
    let (stage, director) = Stage::new(ending, listeners.truth().cloned());

    let value = Arc::new(());
    let is_made_outside = ending == Ending::AbortedBeforeFirstPoll;
    let is_held = is_made_outside || (subject == Subject::Blocking && waits(ending));
    if is_held {
        machine.hold();
    } else {
        machine.release();
    }
    let spawn = || subject::spawn(subject, &stage, machine.handle());
    let in_context = || CONTEXT.sync_scope(value.clone(), spawn);
    let handle = if is_made_outside {
        // What is made outside the owner belongs to the runtime all the same.
        machine.handle().block_on(std::future::poll_fn(|_| Poll::Ready(in_context())))
    } else {
        in_context()
    };
    let owner = handle.id();

    let end = act(row, handle, &stage, &director, &mut machine);
    // A joiner that has its output has everything of the task behind it.
    assert_eq!(Arc::strong_count(&value), 1, "the frame is not released");
    if let Some(truth) = listeners.truth() {
        let events = truth.sequence(owner);
        assert!(
            is_match(&told.owner.to_string(), &events),
            "{OWNER}: want {}, got {events}",
            told.owner
        );
    }
    machine.end();

    assert_eq!(end, wanted_end(ending, &told), "what the joiner got");
    check_seen(row, owner, &stage);
    assert_quiescent(runtime);
    let owned = owned(row, &stage, &listeners);
    if let Some(truth) = listeners.truth() {
        truth.assert_ended();
        check_owned(&told, &owned, truth);
        check_ends(owner, &owned, truth);
    }
    let ids: Vec<AsyncId> = owned.iter().map(|(_, id)| *id).collect();
    listeners.finish(owner, &ids, is_made_outside);
}

/// Says whether a blocking job has to wait for its turn, because something happens before it.
fn waits(ending: Ending) -> bool {
    !matches!(ending, Ending::Ready | Ending::PanicsInPoll | Ending::AbortedDuringPoll)
}

/// Does to the owner what the ending asks for, and waits for its end.
fn act(
    row: Row,
    handle: JoinHandle<Output>,
    stage: &Stage,
    director: &Director,
    machine: &mut Machine,
) -> End {
    let is_blocking = row.subject == Subject::Blocking;
    // A job that waits for its turn is let go where a task that waits is woken.
    let wake = |machine: &mut Machine, waker: Option<Waker>| {
        stage.let_end();
        match waker {
            Some(waker) => waker.wake(),
            None => machine.release(),
        }
    };
    let wait = || (!is_blocking).then(|| director.wait());
    match row.ending {
        Ending::PanicsInDrop if is_blocking => {
            handle.abort();
            machine.release();
            join(handle)
        }
        Ending::Ready | Ending::PanicsInPoll | Ending::PanicsInDrop => join(handle),
        Ending::AbortedBeforeFirstPoll => {
            handle.abort();
            machine.release();
            join(handle)
        }
        Ending::AbortedBetweenPolls => {
            let waker = director.wait();
            until(|| !is_running(&handle));
            handle.abort();
            drop(waker);
            join(handle)
        }
        Ending::AbortedDuringPoll => {
            drop(director.wait());
            assert!(is_running(&handle), "{handle:?}");
            handle.abort();
            director.give_word();
            join(handle)
        }
        Ending::PendingThenReady | Ending::WakerLeaked => {
            let waker = wait();
            wake(machine, waker);
            join(handle)
        }
        Ending::HandleDropped | Ending::PanicsInDropOfOutput => {
            let waker = wait();
            let end = handle.abort_handle();
            drop(handle);
            wake(machine, waker);
            until_finished(&end)
        }
        Ending::HandleLeaked => {
            let waker = wait();
            let end = handle.abort_handle();
            std::mem::forget(handle);
            wake(machine, waker);
            until_finished(&end)
        }
        Ending::PanicsInWakerOfJoiner => {
            let waker = wait();
            let mut handle = handle;
            let panics = Waker::from(Arc::new(Panics));
            let polled = Pin::new(&mut handle).poll(&mut Context::from_waker(&panics));
            assert!(polled.is_pending());
            wake(machine, waker);
            until(|| handle.is_finished());
            join(handle)
        }
        Ending::RuntimeDropped => {
            let waker = wait();
            machine.end();
            if !is_blocking {
                assert!(handle.is_finished(), "{handle:?}");
            }
            drop(waker);
            join(handle)
        }
    }
}

/// Says whether somebody is inside the task, which only its `Debug` tells.
fn is_running(handle: &JoinHandle<Output>) -> bool {
    format!("{handle:?}").contains("running")
}

/// A waker that panics.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic_as_planned();
    }
}

/// Waits until something is so, which nothing tells.
fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        thread::yield_now();
    }
}

fn until_finished(end: &AbortHandle) -> End {
    until(|| end.is_finished());
    End::Unseen
}

/// Waits for a task on a thread that no runtime knows.
fn join(mut handle: JoinHandle<Output>) -> End {
    struct Unpark(thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let result: Result<Output, JoinError> = loop {
        match Pin::new(&mut handle).poll(&mut cx) {
            Poll::Ready(result) => break result,
            Poll::Pending => thread::park(),
        }
    };
    match result {
        Ok(_) => End::Output,
        Err(error) if error.is_panic() => End::Panic,
        Err(_) => End::Cancelled,
    }
}

/// What `promise_resolve` says is what the joiner gets.
fn wanted_end(ending: Ending, told: &Told) -> End {
    let unseen = [Ending::HandleDropped, Ending::HandleLeaked, Ending::PanicsInDropOfOutput];
    let told = told.owner.to_string();
    if unseen.contains(&ending) {
        End::Unseen
    } else if told.contains("resolve:Ready") {
        End::Output
    } else if told.contains("resolve:Panicked") {
        End::Panic
    } else {
        End::Cancelled
    }
}

/// L6, with or without a hook: current and context are right wherever the row's code was.
fn check_seen(row: Row, owner: AsyncId, stage: &Stage) {
    let owned = stage.owned();
    let seen = stage.seen();
    assert!(seen.iter().any(|seen| seen.place == "drop"), "the leaf is not dropped: {seen:?}");
    assert_eq!(
        seen.iter().any(|seen| seen.place == "drop of the output"),
        [Ending::HandleDropped, Ending::PanicsInDropOfOutput].contains(&row.ending)
    );
    for seen in seen {
        let named = owned.iter().find(|(name, _)| *name == seen.whose).map(|(_, id)| *id);
        let whose = if seen.whose == OWNER { Some(owner) } else { named };
        assert!(whose.is_some(), "{} is not known", seen.whose);
        assert_eq!(seen.current, whose, "L6: current in {seen:?}");
        assert!(seen.has_context, "L6: context in {seen:?}");
        // A closure drops what it holds itself, before it returns.
        let is_resolved_first = match seen.whose {
            OWNER => row.subject != Subject::Blocking,
            whose => whose == "flow",
        };
        if let (Some(heard), true, "drop") = (&seen.heard, is_resolved_first, seen.place) {
            let last = heard.rsplit(' ').next();
            assert!(last.is_some_and(|last| last.starts_with("resolve:")), "dropped after {heard}");
        }
    }
}

/// Returns the resources of the row by their names.
fn owned(row: Row, stage: &Stage, listeners: &Listeners) -> Vec<(&'static str, AsyncId)> {
    let mut owned = stage.owned();
    // A timeout does not say which timer it has.
    if let (Subject::Timeout, Some(truth)) = (row.subject, listeners.truth()) {
        owned.extend(truth.ids_of_kind(Kind::TIMER).into_iter().map(|id| ("timer", id)));
    }
    owned
}

fn check_owned(told: &Told, owned: &[(&'static str, AsyncId)], truth: &Recorder) {
    let names: Vec<&str> = owned.iter().map(|(name, _)| *name).collect();
    let wanted: Vec<&str> = told.owned.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, wanted, "what the owner owned");
    for ((name, pattern), (_, id)) in told.owned.iter().zip(owned) {
        let events = truth.sequence(*id);
        assert!(is_match(pattern, &events), "{name}: want {pattern}, got {events}");
    }
}

/// L6 in `destroy`: current is whatever surrounds the end, which for the owner is nothing, and for
/// what it owned the owner.
fn check_ends(owner: AsyncId, owned: &[(&'static str, AsyncId)], truth: &Recorder) {
    for heard in truth.heard() {
        if !matches!(heard.event, Event::Destroy(_)) {
            continue;
        }
        if heard.id == owner {
            assert_eq!(heard.current, None, "current in destroy of the owner");
        }
        if let Some((name, _)) = owned.iter().find(|(_, id)| *id == heard.id) {
            assert_eq!(heard.current, Some(owner), "current in destroy of {name}");
        }
    }
}
