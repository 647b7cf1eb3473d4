//! Checks resources, futures and streams from `init` to `destroy`, on an executor of three lines.

use std::collections::HashSet;
use std::future::pending;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use forebear_hooks::life::{Birth, Life};
use forebear_hooks::{
    AsyncResource, Instrumented, Kind, Outcome, Reason, execution_async_id,
    execution_async_resource, hook, instrument, instrument_stream,
};
use futures_core::Stream;

use crate::support::{Drops, Log, alone, panic_of, panic_quietly, poll, resource};

/// Writes the label of the resource whose code drops it.
struct DropsIn(Log);

impl Drop for DropsIn {
    fn drop(&mut self) {
        let label = execution_async_resource(|r| r.map(|r| r.label().to_owned()));
        self.0.write(format_args!("dropped in {}", label.as_deref().unwrap_or("nobody")));
    }
}

enum Step {
    Pending,
    Ready,
    Panic,
}

/// A future, and a stream, that takes one step per poll.
struct Steps {
    steps: std::vec::IntoIter<Step>,
    log: Log,
    _drops: DropsIn,
}

impl Steps {
    fn new<const N: usize>(steps: [Step; N], log: &Log) -> Steps {
        let steps = Vec::from(steps).into_iter();
        Steps { steps, log: log.clone(), _drops: DropsIn(log.clone()) }
    }

    fn step(&mut self) -> Option<Step> {
        self.log.write("poll");
        self.steps.next()
    }
}

impl Future for Steps {
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u32> {
        match self.step() {
            Some(Step::Pending) => Poll::Pending,
            Some(Step::Panic) => panic_quietly("in poll"),
            Some(Step::Ready) | None => Poll::Ready(7),
        }
    }
}

impl Stream for Steps {
    type Item = u32;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u32>> {
        match self.step() {
            Some(Step::Pending) => Poll::Pending,
            Some(Step::Panic) => panic_quietly("in poll"),
            Some(Step::Ready) => Poll::Ready(Some(7)),
            None => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.steps.len()))
    }
}

fn life_of<F: Future>(future: F) -> Pin<Box<Instrumented<F>>> {
    Box::pin(AsyncResource::builder(Kind::FUTURE).name("f").build().instrument(future))
}

#[test]
fn a_future_that_is_ready_lives_whole() {
    let _alone = alone();
    let log = Log::new();
    let _hook = log.hook("x").enable().unwrap();
    let mut future = life_of(Steps::new([Step::Pending, Step::Ready], &log));
    assert_eq!(log.take(), "x.init f");
    assert!(poll(&mut future).is_pending());
    assert_eq!(log.take(), "x.before f, poll, x.after f");
    assert!(future.id().is_some());
    assert_eq!(poll(&mut future), Poll::Ready(7));
    let end = "x.before f, poll, x.resolve f Ready, dropped in f, x.after f, x.destroy f Completed";
    assert_eq!(log.take(), end);
    assert_eq!(future.id(), None);
    drop(future);
    assert_eq!(log.take(), "");
}

#[test]
fn a_future_that_is_dropped_is_cancelled_inside_a_pair() {
    let _alone = alone();
    let log = Log::new();
    let _hook = log.hook("x").enable().unwrap();
    let mut future = life_of(Steps::new([Step::Pending], &log));
    assert!(poll(&mut future).is_pending());
    log.take();
    drop(future);
    assert_eq!(log.take(), "x.before f, dropped in f, x.after f, x.destroy f Cancelled");

    drop(life_of(Steps::new([], &log)));
    assert_eq!(log.take(), "x.init f, x.before f, dropped in f, x.after f, x.destroy f Cancelled");
}

#[test]
fn a_future_that_panics_says_so_when_it_is_dropped() {
    let _alone = alone();
    let log = Log::new();
    let _hook = log.hook("x").enable().unwrap();
    let mut future = life_of(Steps::new([Step::Panic], &log));
    assert_eq!(panic_of(|| assert!(poll(&mut future).is_pending())), Some("in poll"));
    assert_eq!(execution_async_id(), None);
    assert_eq!(log.take(), "x.init f, x.before f, poll, x.after f");
    drop(future);
    assert_eq!(log.take(), "x.before f, dropped in f, x.after f, x.destroy f Panicked");
}

#[test]
fn a_future_that_is_polled_after_its_end_says_what_is_wrong() {
    let _alone = alone();
    let mut future = Box::pin(instrument(async {}));
    assert!(poll(&mut future).is_ready());
    let said = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(&mut future)));
    let said = said.unwrap_err();
    assert_eq!(
        said.downcast_ref::<&str>(),
        Some(&"an instrumented future was polled after it had completed")
    );
}

fn next<S: Stream>(stream: &mut Pin<Box<S>>) -> Poll<Option<S::Item>> {
    stream.as_mut().poll_next(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_stream_has_a_pair_for_each_poll_and_resolves_at_its_end() {
    let _alone = alone();
    let log = Log::new();
    let _hook = log.hook("x").kinds([Kind::STREAM]).enable().unwrap();
    let steps = Steps::new([Step::Pending, Step::Ready], &log);
    let label = std::any::type_name::<Steps>();
    let mut stream = Box::pin(instrument_stream(steps));
    assert_eq!(log.take(), format!("x.init {label}"));
    assert_eq!(stream.size_hint(), (0, Some(2)));
    for want in [Poll::Pending, Poll::Ready(Some(7))] {
        assert_eq!(next(&mut stream), want);
        assert_eq!(log.take(), format!("x.before {label}, poll, x.after {label}"));
    }
    assert!(stream.id().is_some());
    assert_eq!(next(&mut stream), Poll::Ready(None));
    assert_eq!(
        log.take(),
        format!(
            "x.before {label}, poll, x.resolve {label} Ready, dropped in {label}, \
             x.after {label}, x.destroy {label} Completed"
        )
    );
    assert_eq!((next(&mut stream), stream.size_hint()), (Poll::Ready(None), (0, Some(0))));
    drop(stream);
    assert_eq!(log.take(), "");
}

#[test]
fn a_stream_that_is_dropped_or_panics_ends_as_a_future_does() {
    let _alone = alone();
    let log = Log::new();
    let reasons = log.clone();
    let _hook = hook()
        .destroy(move |_, reason| reasons.write(format_args!("{reason:?}")))
        .enable()
        .unwrap();
    let mut stream = Box::pin(instrument_stream(Steps::new([Step::Ready], &log)));
    assert_eq!(next(&mut stream), Poll::Ready(Some(7)));
    drop(stream);
    assert!(log.take().ends_with(", Cancelled"));

    let mut stream = Box::pin(instrument_stream(Steps::new([Step::Panic], &log)));
    assert_eq!(panic_of(|| assert!(next(&mut stream).is_pending())), Some("in poll"));
    drop(stream);
    assert!(log.take().ends_with(", Panicked"));
}

#[test]
fn a_scoped_future_is_polled_and_dropped_as_code_of_the_resource() {
    let _alone = alone();
    let log = Log::new();
    let _hook = log.hook("x").enable().unwrap();
    let a = resource("a");
    let mut scoped = Box::pin(a.scope(Steps::new([Step::Pending, Step::Ready], &log)));
    assert_eq!(log.take(), "x.init a");
    assert!(poll(&mut scoped).is_pending());
    assert_eq!(log.take(), "x.before a, poll, x.after a");
    assert_eq!(poll(&mut scoped), Poll::Ready(7));
    assert_eq!(log.take(), "x.before a, poll, dropped in a, x.after a");
    drop(scoped);
    let mut scoped = Box::pin(a.scope(Steps::new([Step::Pending], &log)));
    assert!(poll(&mut scoped).is_pending());
    log.take();
    drop(scoped);
    assert_eq!(log.take(), "x.before a, dropped in a, x.after a");
    // The resource goes on: a scope is only a part of its life.
    drop(a);
    assert_eq!(log.take(), "x.destroy a Dropped");
}

#[test]
fn a_resource_given_to_a_future_keeps_its_id_and_context() {
    let _alone = alone();
    let log = Log::new();
    let _hook = log.hook("x").enable().unwrap();
    let a = resource("a");
    let id = a.id();
    assert!(a.resolve());
    log.take();
    let mut future = Box::pin(a.instrument(async { execution_async_id() }));
    assert_eq!(poll(&mut future), Poll::Ready(Some(id)));
    // It had resolved before; it does so once.
    assert_eq!(log.take(), "x.before a, x.after a, x.destroy a Completed");
}

#[test]
fn a_panic_goes_through_a_scope_after_its_after() {
    let _alone = alone();
    let log = Log::new();
    let _hook = log.hook("x").enable().unwrap();
    let (a, b) = (resource("a"), resource("b"));
    log.take();
    let carried = panic_of(|| {
        a.run_in_async_scope(|| {
            let _in_a = Drops(log.clone(), "in a");
            b.run_in_async_scope(|| {
                let _in_b = Drops(log.clone(), "in b");
                panic_quietly("through both")
            })
        })
    });
    assert_eq!(carried, Some("through both"));
    assert_eq!(log.take(), "x.before a, x.before b, drop in b, x.after b, drop in a, x.after a");
    a.run_in_async_scope(|| assert_eq!(execution_async_id(), Some(a.id())));
}

#[test]
fn promise_resolve_is_told_once_and_inside_a_pair() {
    let _alone = alone();
    let log = Log::new();
    let _hook = log.hook("x").enable().unwrap();
    let a = resource("a");
    assert!(a.resolve());
    assert!(!a.resolve());
    a.run_in_async_scope(|| assert!(!a.resolve()));
    assert_eq!(
        log.take(),
        "x.init a, x.before a, x.resolve a Ready, x.after a, x.before a, x.after a"
    );
}

#[test]
fn what_is_unborn_emits_nothing() {
    let _alone = alone();
    let log = Log::new();
    let _hook = log.hook("x").enable().unwrap();
    let life = Life::unborn(Birth::new(Kind::TASK, || "task"));
    life.run(|running| running.promise_resolve(Outcome::Ready));
    drop(life);
    assert_eq!(log.take(), "");
    let life = Life::unborn(Birth::new(Kind::TASK, || "task"));
    life.born();
    life.born();
    life.end(Reason::Shutdown);
    assert_eq!(log.take(), "x.init task, x.destroy task Shutdown");
}

#[test]
fn a_probe_is_offered_in_init_and_nowhere_else() {
    use forebear_hooks::{Coarse, LiveState, Probe};

    let _alone = alone();
    let log = Log::new();
    let (init, before) = (log.clone(), log.clone());
    let _hook = hook()
        .init(move |r| {
            let state = r.probe().and_then(|probe| probe.look(|task| task.state())?);
            init.write(format_args!("{state:?}"));
        })
        .before(move |r| before.write(format_args!("{:?}", r.probe().is_some())))
        .enable()
        .unwrap();
    let life = Life::unborn(Birth::new(Kind::TASK, || "task"));
    life.born_with_probe(Probe::new(7, |place, f| {
        let shown = Life::unborn(Birth::new(Kind::TASK, || "shown"));
        if place == 7 {
            f(&shown.sighting(Some(LiveState::Queued), Coarse::now()));
        }
    }));
    life.run(|_| ());
    drop(resource("a"));
    assert_eq!(log.take(), "Some(Queued), false, None");
}

#[test]
fn a_parent_knows_that_it_is_one() {
    let _alone = alone();
    let log = Log::new();
    let is_parent = log.clone();
    let _hook = hook()
        .destroy(move |r, _| is_parent.write(format_args!("{} {}", r.label(), r.is_parent())))
        .enable()
        .unwrap();
    let (a, b, cause) = (resource("a"), resource("b"), resource("cause"));
    let child = a.run_in_async_scope(|| resource("child"));
    let root =
        b.run_in_async_scope(|| AsyncResource::builder(Kind::TASK).name("root").root().build());
    let caused = forebear_hooks::with_trigger(cause.id(), || resource("caused"));
    drop((a, b, cause, child, root, caused));
    assert_eq!(log.take(), "a true, b true, cause false, child false, root false, caused false");
}

#[test]
fn an_emission_reads_the_clock_once_for_all_hooks() {
    let _alone = alone();
    let log = Log::new();
    let timed = || {
        let log = log.clone();
        hook()
            .init(move |r| {
                assert_eq!(r.now(), r.now());
                log.write(format_args!("{:?}", r.now()));
            })
            .enable()
            .unwrap()
    };
    let _hooks = [timed(), timed()];
    drop(resource("a"));
    let heard = log.take();
    let half = heard.len() / 2;
    assert_eq!(heard[..half - 1], heard[half + 1..]);
}

#[test]
fn ids_are_unique_across_threads_and_lives() {
    let _alone = alone();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                let mut ids = Vec::new();
                for _ in 0..3_000 {
                    let a = resource("a");
                    ids.push(a.id());
                    a.emit_destroy();
                    ids.extend(instrument(pending::<()>()).id());
                }
                ids
            })
        })
        .collect();
    let ids: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert_eq!(ids.len(), 24_000);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
}
