//! Tests the checks that other tests stand on: on real lives, and on such as went wrong.

use forebear_context::testing::{Event, assert_quiescent};
use forebear_hooks::life::{Birth, Life};
use forebear_hooks::{AsyncResource, Kind, Outcome, Reason};

use crate::support::{panic_of, record_under, resource, runtime};

#[test]
fn a_recorder_writes_down_what_it_hears() {
    let root = resource("root");
    let recorder = record_under(&root);
    let (task, timer) = root.run_in_async_scope(|| {
        let task = Life::begin(Birth::new(Kind::TASK, || "work"));
        let timer = task.run(|running| {
            let timer = AsyncResource::new(Kind::TIMER);
            let timer_id = timer.id();
            timer.run_in_async_scope(|| timer.resolve());
            timer.emit_destroy();
            running.promise_resolve(Outcome::Ready);
            timer_id
        });
        let task_id = task.id();
        task.end(Reason::Completed);
        (task_id, timer)
    });
    recorder.assert_ended();
    assert_eq!(recorder.ids(), [task, timer]);
    assert_eq!(recorder.ids_of_kind(Kind::TIMER), [timer]);
    assert_eq!(recorder.ids_labelled("work"), [task]);
    assert_eq!(recorder.sequence(task), "init before resolve:Ready after destroy:Completed");
    assert_eq!(recorder.sequence(timer), "init before resolve:Ready after destroy:Completed");
    assert_eq!(recorder.heard().len(), 10);
    assert_eq!(recorder.heard()[0].event, Event::Init { is_replayed: false });
    assert_eq!(recorder.heard()[0].current, Some(root.id()));
    let transcript = recorder.transcript();
    assert!(transcript.contains(&format!("{task} TASK work init  in {}\n", root.id())));
    assert!(transcript.contains(&format!("{timer} TIMER AsyncResource before  in {timer}\n")));
    recorder.clear();
    assert_eq!(recorder.heard(), []);
}

#[test]
fn a_recorder_finds_what_an_executor_forgot() {
    let root = resource("root");
    let recorder = record_under(&root);
    let new = || root.run_in_async_scope(|| Life::begin(Birth::new(Kind::TASK, || "task")));
    drop(new());
    assert_eq!(recorder.check().len(), 2, "{:?}", recorder.check());
    assert!(recorder.check()[0].ends_with("L3: it ended without promise_resolve"));
    assert!(recorder.check()[1].ends_with("L5: TASK does not end with Dropped"));
    recorder.clear();

    let task = new();
    task.promise_resolve(Outcome::Panicked);
    task.end(Reason::Completed);
    assert!(recorder.check()[0].contains("L5: "), "{:?}", recorder.check());
    recorder.clear();

    let task = new();
    task.promise_resolve(Outcome::Ready);
    task.run(|_| ());
    task.end(Reason::Completed);
    assert!(recorder.check()[0].contains("L3: it runs after"), "{:?}", recorder.check());
    recorder.clear();

    let task = new();
    task.promise_resolve(Outcome::Ready);
    recorder.assert_valid();
    assert_eq!(recorder.alive(), [task.id()]);
    let said = panic_of(|| recorder.assert_ended()).unwrap();
    assert!(said.starts_with(&format!("still alive: [{}]", task.id())), "{said}");
}

#[test]
fn a_recorder_may_be_asked_by_the_work_that_it_records() {
    let root = resource("root");
    let recorder = record_under(&root);
    let inside = root.run_in_async_scope(|| AsyncResource::new(Kind::OTHER));
    inside.run_in_async_scope(|| recorder.assert_valid());
}

#[test]
fn what_is_left_of_a_runtime_is_shown_as_a_tree() {
    let (runtime, other) = (runtime(), runtime());
    let begin = |name| Birth::new(Kind::TASK, || "code").name(name).runtime(runtime);
    let left = Life::begin(begin("left behind"));
    let below = left.run(|_| Life::begin(begin("and below")));
    let said = panic_of(|| assert_quiescent(runtime)).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert_eq!(lines[0], format!("2 resources of {runtime:?} are left:"));
    assert!(lines[1].starts_with(&format!("· {} task left behind ", left.id())), "{said}");
    assert!(lines[2].starts_with(&format!("└─ · {} task and below ", below.id())), "{said}");
    assert_quiescent(other);
    drop((left, below));
    assert_quiescent(runtime);
}
