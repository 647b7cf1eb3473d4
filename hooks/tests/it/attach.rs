//! Checks hooks that come late and want everything: `init` is told again, once, and first.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use forebear_hooks::{
    Kind, Reason, hook,
    life::{Birth, Life},
};

use crate::support::{Log, alone, resource};

#[test]
fn what_existed_is_told_from_a_replayed_init_with_its_next_event() {
    let _alone = alone();
    let log = Log::new();
    let [run, resolved, ended, idle] = ["run", "resolved", "ended", "idle"].map(resource);
    let hook = log.hook("x").attach_existing().enable().unwrap();
    assert_eq!(log.take(), "");
    run.run_in_async_scope(|| ());
    assert_eq!(log.take(), "x.replay run, x.before run, x.after run");
    run.run_in_async_scope(|| ());
    assert_eq!(log.take(), "x.before run, x.after run");
    resolved.resolve();
    assert_eq!(
        log.take(),
        "x.replay resolved, x.before resolved, x.resolve resolved Ready, x.after resolved"
    );
    ended.emit_destroy();
    assert_eq!(log.take(), "x.replay ended, x.destroy ended Completed");
    drop((run, resolved));
    assert_eq!(log.take(), "x.destroy run Dropped, x.destroy resolved Dropped");
    // What is born from now on is told as to any hook.
    drop(resource("new"));
    assert_eq!(log.take(), "x.init new, x.destroy new Dropped");
    drop(hook);
    drop(idle);
    assert_eq!(log.take(), "");
}

#[test]
fn attaching_inside_a_pair_begins_with_the_next_event() {
    let _alone = alone();
    let log = Log::new();
    let a = resource("a");
    let mut late = None;
    a.run_in_async_scope(|| late = Some(log.hook("x").attach_existing().enable().unwrap()));
    assert_eq!(log.take(), "");
    drop(a);
    assert_eq!(log.take(), "x.replay a, x.destroy a Dropped");
}

#[test]
fn a_second_late_hook_gets_a_replay_of_its_own_and_others_do_not() {
    let _alone = alone();
    let log = Log::new();
    let a = resource("a");
    let _ordinary = log.hook("o").enable().unwrap();
    let _first = log.hook("1").attach_existing().enable().unwrap();
    a.run_in_async_scope(|| ());
    assert_eq!(log.take(), "1.replay a, 1.before a, 1.after a");
    let _second = log.hook("2").attach_existing().enable().unwrap();
    a.run_in_async_scope(|| ());
    assert_eq!(log.take(), "1.before a, 2.replay a, 2.before a, 2.after a, 1.after a");
}

#[test]
fn filters_of_kind_and_runtime_go_with_attaching() {
    let _alone = alone();
    let log = Log::new();
    let timer = Life::begin(Birth::new(Kind::TIMER, || "timer"));
    let task = Life::begin(Birth::new(Kind::TASK, || "task"));
    let _hook = log.hook("x").kinds([Kind::TIMER]).attach_existing().enable().unwrap();
    task.run(|_| ());
    timer.run(|_| ());
    assert_eq!(log.take(), "x.replay timer, x.before timer, x.after timer");
    task.end(Reason::Completed);
    timer.end(Reason::Completed);
    assert_eq!(log.take(), "x.destroy timer Completed");
}

#[test]
fn what_is_not_born_yet_is_not_told_of() {
    let _alone = alone();
    let log = Log::new();
    let life = Life::unborn(Birth::new(Kind::TASK, || "task"));
    let _late = log.hook("late").attach_existing().enable().unwrap();
    life.run(|_| ());
    life.born();
    // It was conceived before the hook came, so it begins with the next event.
    assert_eq!(log.take(), "");
    life.end(Reason::Completed);
    assert_eq!(log.take(), "late.replay task, late.destroy task Completed");
}

#[test]
fn the_thread_that_comes_while_init_is_replayed_does_not_deliver() {
    let _alone = alone();
    let log = Log::new();
    let a = resource("a");
    let (in_replay, replay_began) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = std::sync::Mutex::new(may_go_on);
    let logs = || log.clone();
    let (init, before, after) = (logs(), logs(), logs());
    let _late = hook()
        .attach_existing()
        .init(move |r| {
            in_replay.send(()).unwrap();
            // A second replay would wait here in vain.
            may_go_on.lock().unwrap().recv_timeout(Duration::from_secs(10)).unwrap();
            init.write(format_args!("replay {}", r.is_replayed()));
        })
        .before(move |_| before.write("before"))
        .after(move |_| after.write("after"))
        .enable()
        .unwrap();
    thread::scope(|scope| {
        scope.spawn(|| a.run_in_async_scope(|| ()));
        replay_began.recv().unwrap();
        a.run_in_async_scope(|| log.write("run beside the replay"));
        go_on.send(()).unwrap();
    });
    assert_eq!(log.take(), "run beside the replay, replay true, before, after");
    a.run_in_async_scope(|| ());
    assert_eq!(log.take(), "before, after");
}
