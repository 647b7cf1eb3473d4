//! Tests the id map: it has what is alive, says why that exists, and lets go of the rest.

use std::sync::Arc;

use forebear_context::inspect::{Label, lineage, snapshot, snapshot_of, tree_of};
use forebear_context::tracker::{self, Lineage};
use forebear_context::{AsyncLocal, flow, testing};
use forebear_hooks::life::{Birth, Life};
use forebear_hooks::{AsyncId, AsyncResource, Kind, LiveState, Reason, RuntimeId, with_trigger};

use crate::support::{finish, resource, runtime};

fn begin(runtime: RuntimeId, label: &'static str) -> Life {
    Life::begin(Birth::new(Kind::TASK, || "code").name(label).runtime(runtime))
}

#[test]
fn the_map_has_what_is_alive_and_is_empty_when_nothing_is() {
    let runtime = runtime();
    assert_eq!(tracker::len_of(runtime), 0);
    let lives: Vec<Life> = (0..5000).map(|_| begin(runtime, "one of many")).collect();
    assert_eq!(tracker::len_of(runtime), 5000);
    assert!(tracker::len() >= 5000);
    let (kept, gone): (Vec<_>, Vec<_>) =
        lives.into_iter().partition(|life| life.id().get() % 2 == 0);
    let kept_count = kept.len();
    std::thread::spawn(move || gone.into_iter().for_each(|life| life.end(Reason::Completed)))
        .join()
        .unwrap();
    assert_eq!(tracker::len_of(runtime), kept_count);
    drop(kept);
    assert_eq!(tracker::len_of(runtime), 0);
    testing::assert_quiescent(runtime);
}

#[test]
fn a_snapshot_says_what_is_known_of_each() {
    let runtime = runtime();
    let maker = begin(runtime, "maker");
    let (cause, origin) = (begin(runtime, "cause"), begin(runtime, "origin"));
    let birth = Birth::new(Kind::TIMER, || "sleep").trigger(cause.id()).link(origin.id());
    let line = line!() - 1;
    let made = maker.run(|_| Life::begin(birth));
    let snapshot = snapshot_of(runtime);
    assert_eq!(snapshot.resources().len(), 4);
    assert!(snapshot.resources().is_sorted_by_key(|info| info.id));
    let info = snapshot.get(made.id()).unwrap();
    assert_eq!((info.kind, info.label.as_str()), (Kind::TIMER, "sleep"));
    assert_eq!((info.location.file().as_str(), info.location.line()), (file!(), line));
    assert_eq!((info.trigger, info.creator), (Some(cause.id()), Some(maker.id())));
    assert_eq!((info.link, info.runtime), (Some(origin.id()), Some(runtime)));
    assert_eq!((info.state, info.is_gone()), (None, false));
    assert!(info.age.is_some());
    let info = snapshot.get(maker.id()).unwrap();
    assert_eq!((info.label.as_str(), info.trigger, info.creator), ("maker", None, None));
    drop(made);
    assert!(snapshot_of(runtime).get(info.id).is_some());
    assert_eq!(snapshot_of(runtime).resources().len(), 3);
}

/// An executor with one task, which it shows.
mod executor {
    use std::sync::{Mutex, OnceLock};

    use forebear_hooks::ledger::{Entrance, Sighting, set_census};
    use forebear_hooks::life::{Birth, Life};
    use forebear_hooks::{Coarse, Kind, LiveState, Probe, RuntimeId};

    pub(super) static STATE: Mutex<LiveState> = Mutex::new(LiveState::Idle);
    static TASK: OnceLock<Life> = OnceLock::new();

    fn show(_place: usize, f: &mut dyn FnMut(&Sighting<'_>)) {
        if let Some(task) = TASK.get() {
            f(&task.sighting(Some(*STATE.lock().unwrap()), Coarse::now()));
        }
    }

    pub(super) fn spawn(runtime: RuntimeId) -> &'static Life {
        assert!(set_census(|_, f| {
            show(0, f);
            None
        }));
        let birth = Birth::new(Kind::TASK, || "shown").runtime(runtime);
        let task = TASK.get_or_init(|| Life::unborn(birth));
        task.born_with_probe(Probe::new(0, show));
        task
    }

    pub(super) fn wait(task: &Life) {
        task.waits(|| Entrance { born: Coarse::now(), probe: Some(Probe::new(0, show)) });
    }
}

#[test]
fn what_a_task_is_doing_is_asked_when_somebody_looks() {
    let runtime = runtime();
    let task = executor::spawn(runtime);
    for (state, glyph) in
        [(LiveState::Idle, '○'), (LiveState::Queued, '◆'), (LiveState::Running, '▶')]
    {
        *executor::STATE.lock().unwrap() = state;
        assert_eq!(snapshot_of(runtime).get(task.id()).unwrap().state, Some(state));
        assert!(tree_of(runtime).to_string().starts_with(glyph));
    }
    // It is known by its id before and after it is in the map, and is counted once.
    for _ in 0..2 {
        assert_eq!(lineage(task.id()).resources()[0].label, "shown");
        assert_eq!((tracker::len_of(runtime), snapshot_of(runtime).resources().len()), (1, 1));
        executor::wait(task);
    }
}

#[test]
fn how_much_is_kept_is_said_per_runtime() {
    let [off, live, full] = [Lineage::Off, Lineage::Live, Lineage::Full].map(|lineage| {
        let runtime = runtime();
        tracker::set_lineage(runtime, lineage);
        runtime
    });
    // Each has a parent that is gone and a child that is not.
    let child = |runtime| {
        let parent = begin(runtime, "parent");
        let child = parent.run(|_| begin(runtime, "child"));
        let parent_id = parent.id();
        parent.end(Reason::Completed);
        (child, parent_id)
    };
    let ancestors = |id: AsyncId| -> Vec<String> {
        lineage(id).resources().iter().map(|info| info.label.to_string()).collect()
    };
    let (in_off, _) = child(off);
    let (in_live, parent_in_live) = child(live);
    let (in_full, parent_in_full) = child(full);
    assert_eq!([off, live, full].map(tracker::len_of), [0, 1, 1]);
    assert_eq!(ancestors(in_off.id()), [""; 0]);
    assert_eq!(ancestors(in_live.id()), ["child"]);
    assert_eq!(ancestors(in_full.id()), ["child", "parent"]);
    let text = lineage(in_live.id()).to_string();
    let unknown = format!("triggered by {parent_in_live}, of which nothing is remembered");
    assert!(text.contains(&unknown), "{text}");
    let text = tree_of(full).to_string();
    assert!(text.starts_with(&format!("† {parent_in_full} task parent ")), "{text}");
    for runtime in [off, live, full] {
        tracker::forget(runtime);
    }
    drop((in_off, in_live, in_full));
    assert_eq!([off, live, full].map(tracker::len_of), [0, 0, 0]);
}

#[test]
fn what_only_caused_others_is_remembered_too() {
    let runtime = runtime();
    let listener = begin(runtime, "listener");
    let accepted = with_trigger(listener.id(), || begin(runtime, "accepted"));
    let listener_id = listener.id();
    listener.end(Reason::Dropped);
    let ancestor = &lineage(accepted.id()).resources()[1].clone();
    assert_eq!((ancestor.id, ancestor.label.as_str()), (listener_id, "listener"));
    assert!(ancestor.is_gone());
}

#[test]
fn an_ancestor_keeps_nobodys_context_alive() {
    static HELD: AsyncLocal<Arc<()>> = AsyncLocal::named("held");
    let (runtime, value) = (runtime(), Arc::new(()));
    let parent = HELD.sync_scope(value.clone(), || begin(runtime, "parent"));
    let child = HELD.sync_exit(|| parent.run(|_| HELD.sync_exit(|| begin(runtime, "child"))));
    assert!(Arc::strong_count(&value) > 1);
    parent.end(Reason::Completed);
    assert_eq!(lineage(child.id()).resources().len(), 2);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn a_timer_that_is_armed_anew_leaves_nothing_behind() {
    let runtime = runtime();
    let mut timer = begin(runtime, "timer");
    for _ in 0..100_000 {
        let next = Birth::new(Kind::TIMER, || "timer").runtime(runtime).trigger(timer.id());
        timer = Life::begin(next);
    }
    assert_eq!(tracker::len_of(runtime), 1);
    assert!(tracker::stats().remembered <= 4096);
    drop(timer);
    assert_eq!(tracker::len_of(runtime), 0);
}

#[test]
fn the_ends_of_resources_race_with_who_looks() {
    let runtime = runtime();
    std::thread::scope(|threads| {
        let workers: Vec<_> = (0..2)
            .map(|_| {
                threads.spawn(|| {
                    for _ in 0..20_000 {
                        let parent = begin(runtime, "parent");
                        let child = parent.run(|_| begin(runtime, "child"));
                        parent.end(Reason::Completed);
                        child.end(Reason::Completed);
                    }
                })
            })
            .collect();
        let mut looks = 0;
        while looks == 0 || workers.iter().any(|worker| !worker.is_finished()) {
            let snapshot = snapshot_of(runtime);
            // Four are alive at a time, but each of the 64 shards is copied at a time of its own.
            assert!(snapshot.resources().len() <= 4 * 64, "{snapshot:?}");
            if let Some(info) = snapshot.resources().last() {
                let _ = lineage(info.id).to_string();
            }
            let _ = tree_of(runtime).to_string();
            looks += 1;
        }
    });
    assert_eq!(tracker::len_of(runtime), 0);
}

/// Makes and ends resources in its destructor.
struct Busy(RuntimeId);

impl Drop for Busy {
    fn drop(&mut self) {
        for _ in 0..2000 {
            begin(self.0, "made in a destructor").end(Reason::Completed);
        }
        assert!(snapshot().get(begin(self.0, "looked up").id()).is_none());
    }
}

#[test]
fn a_destructor_that_runs_because_somebody_looked_may_use_the_map() {
    static BUSY: AsyncLocal<Busy> = AsyncLocal::named("busy").inspectable(|busy| {
        begin(busy.0, "made while it is shown").end(Reason::Completed);
        let _ = snapshot_of(busy.0);
        "busy".to_owned()
    });
    let runtime = runtime();
    let life = BUSY.sync_scope(Busy(runtime), || begin(runtime, "holder"));
    let id = life.id();
    let shown = snapshot_of(runtime).get(id).unwrap().context.clone();
    assert_eq!(*shown, [(Label::constant("busy"), "busy".to_owned())]);
    life.end(Reason::Completed);
    assert_eq!(tracker::len_of(runtime), 0);
}

#[test]
fn a_flow_and_what_is_in_it_leave_the_map() {
    tracker::ensure_enabled();
    let root = resource("root");
    let inside = root.run_in_async_scope(|| {
        finish(flow("request", async {
            let inside = AsyncResource::new(Kind::new("QUERY"));
            let ids = [inside.id(), inside.trigger_id().unwrap()];
            let all = snapshot();
            assert!(ids.iter().all(|id| all.get(*id).is_some()));
            ids
        }))
    });
    let all = snapshot();
    assert!(inside.iter().all(|id| all.get(*id).is_none()));
    assert!(all.get(root.id()).is_some());
}

#[test]
fn creators_are_known_also_of_those_that_are_gone() {
    let runtime = runtime();
    let root = begin(runtime, "root");
    let middle = root.run(|_| begin(runtime, "middle"));
    // Caused by another, created by the one in the middle.
    let cause = begin(runtime, "cause");
    let leaf = middle.run(|_| with_trigger(cause.id(), || begin(runtime, "leaf")));
    let caused = with_trigger(root.id(), || begin(runtime, "caused"));
    let creator_of_other =
        |id| tracker::creators_of_others().into_iter().find(|(of, _)| *of == id).map(|(_, c)| c);
    for (of, creator) in [
        (&root, None),
        (&middle, Some(root.id())),
        (&cause, None),
        (&leaf, Some(middle.id())),
        (&caused, None),
    ] {
        assert_eq!(tracker::creator_of(of.id()), Some(creator), "{of:?}");
        assert_eq!(creator_of_other(of.id()), Some(creator), "{of:?}");
    }
    let (gone, creator) = (middle.id(), root.id());
    middle.end(Reason::Completed);
    assert_eq!(tracker::creator_of(gone), None, "only what is alive is in the map");
    assert_eq!(creator_of_other(gone), Some(Some(creator)), "it is remembered");
    drop((root, cause, leaf, caused));
    testing::assert_quiescent(runtime);
}
