//! Checks what observers find in a program that runs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use forebear::hooks::{Kind, create_hook};
use forebear::observers::{Delays, FanOut, FlightRecorder, KindMetrics, Lives, LongPolls, What};
use forebear::runtime::{Builder, Runtime};
use forebear::task::Builder as Task;
use forebear::time::sleep;
use forebear::{fields, flow, inspect, task};

fn runtime(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).build().unwrap()
}

/// Keeps its thread for so long.
fn spin(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

#[test]
fn what_grows_is_told_from_what_comes_and_goes() {
    let lives = create_hook(Lives::new()).kinds([Kind::TASK]).enable().unwrap();
    runtime(2).block_on(async {
        for _ in 0..10 {
            Task::new().name("short").spawn(async {}).await.unwrap();
        }
        let stays = Task::new().name("stays").spawn(sleep(Duration::from_secs(100)));
        let report = lives.report();
        let of = |label: &str| report.iter().find(|one| one.place.label == label).unwrap();
        assert_eq!((of("stays").made, of("stays").alive()), (1, 1));
        assert_eq!((of("short").made, of("short").alive()), (10, 0));
        assert_eq!(of("short").lifetimes.count(), 10);
        assert_eq!(report[0].place.label, "stays");
        stays.abort();
    });
}

#[test]
fn a_long_poll_is_found_with_its_context_before_and_after_it_ends() {
    inspect::declare_field("longPollAccount");
    let hook = create_hook(LongPolls::new(Duration::from_millis(20)));
    let polls = hook.kinds([Kind::TASK]).enable().unwrap();
    let (enter, entered) = std::sync::mpsc::channel();
    let (leave, left) = std::sync::mpsc::channel::<()>();
    let runtime = runtime(1);
    let blocked = runtime.spawn(async {
        let request = flow("GET /", async {
            fields::set("longPollAccount", 42);
            Task::new().name("short").spawn(async {}).await.unwrap();
            let long = Task::new().name("long").spawn(async move {
                enter.send(()).unwrap();
                left.recv().unwrap();
            });
            long.await.unwrap();
        });
        request.await;
    });
    entered.recv().unwrap();
    let began = Instant::now();
    let mut unfinished = polls.unfinished();
    while unfinished.is_empty() && began.elapsed() < Duration::from_secs(20) {
        std::thread::yield_now();
        unfinished = polls.unfinished();
    }
    let found = unfinished[0].to_string();
    assert!(found.contains("task long") && found.contains("has held its thread"), "{found}");
    assert!(found.contains("longPollAccount=42"), "{found}");
    leave.send(()).unwrap();
    runtime.block_on(blocked).unwrap();
    assert!(polls.unfinished().is_empty());
    let found = polls.found();
    let longest = found.iter().max_by_key(|poll| poll.took).unwrap();
    assert!(longest.is_over && longest.took >= Duration::from_millis(20), "{longest}");
    assert_eq!(longest.place.as_ref().unwrap().label, "long");
    assert!(longest.to_string().contains("longPollAccount=42"), "{longest}");
}

#[test]
fn delays_are_those_between_being_ready_and_running() {
    let delays = create_hook(Delays::new()).kinds([Kind::TASK]).enable().unwrap();
    let runtime = runtime(1);
    let work = runtime.spawn(async {
        // It is ready, and must wait until this one rests.
        let late = Task::new().name("late").spawn(async {
            sleep(Duration::from_millis(1)).await;
        });
        spin(Duration::from_millis(20));
        task::yield_now().await;
        // It waits for a timer; then that fires, and it waits for this one again.
        spin(Duration::from_millis(20));
        late.await.unwrap();
        Task::new()
            .name("restless")
            .spawn(async {
                let mut left = 50;
                poll_fn(move |cx| {
                    left -= 1;
                    cx.waker().wake_by_ref();
                    if left == 0 { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
            })
            .await
            .unwrap();
    });
    runtime.block_on(work).unwrap();
    let report = delays.report();
    let of = |label: &str| report.iter().find(|one| one.place.label == label).unwrap();
    let late = of("late");
    assert!(late.spawn.max() >= Duration::from_millis(20), "{}", late.spawn);
    assert!(late.wake.count() >= 1, "{}", late.wake);
    assert_eq!(of("restless").self_wakes, 50);
    assert_eq!(of("restless").polls, 50);
    assert_eq!(late.self_wakes, 0);
}

#[test]
fn who_has_many_children_is_found_while_it_has_them() {
    let fan_out = create_hook(FanOut::new(100)).kinds([Kind::TASK]).enable().unwrap();
    runtime(2).block_on(async {
        let parent = Task::new().name("parent").spawn(async {
            let child = || Task::new().name("child").spawn(sleep(Duration::from_secs(100)));
            let children: Vec<_> = (0..101).map(|_| child()).collect();
            for child in &children {
                child.abort();
            }
            for child in children {
                assert!(child.await.unwrap_err().is_cancelled());
            }
        });
        let id = parent.id();
        let began = Instant::now();
        let mut found = fan_out.report();
        while found.is_empty() && !parent.is_finished() {
            assert!(began.elapsed() < Duration::from_secs(20));
            found = fan_out.report();
        }
        // On a machine with one core they may all be gone before anybody has looked.
        if let Some(found) = found.first() {
            assert_eq!((found.creator, found.most), (id, 101));
            assert_eq!(found.last.label, "child");
        }
        parent.await.unwrap();
        assert!(fan_out.report().is_empty());
    });
}

#[test]
fn metrics_are_counted_per_kind() {
    let metrics =
        create_hook(KindMetrics::new()).kinds([Kind::TASK, Kind::TIMER]).enable().unwrap();
    runtime(2).block_on(async {
        for _ in 0..3 {
            forebear::spawn(sleep(Duration::from_millis(1))).await.unwrap();
        }
        let stays = forebear::spawn(std::future::pending::<()>());
        let text = metrics.prometheus();
        let has = |line: &str| assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        has("# TYPE forebear_resources_alive gauge");
        has("forebear_resources_made_total{kind=\"TASK\"} 4");
        has("forebear_resources_ended_total{kind=\"TASK\",reason=\"Completed\"} 3");
        has("forebear_resources_alive{kind=\"TASK\"} 1");
        has("forebear_resources_alive{kind=\"TIMER\"} 0");
        has("forebear_life_seconds_count{kind=\"TASK\"} 3");
        has("forebear_life_seconds_bucket{kind=\"TASK\",le=\"+Inf\"} 3");
        stays.abort();
    });
}

#[test]
fn a_flight_recorder_remembers_the_last_events_and_counts_the_others() {
    let recorder = Arc::new(FlightRecorder::with_wakes(64 * 1024));
    let flight = create_hook(recorder.clone()).enable().unwrap();
    runtime(2).block_on(async {
        for _ in 0..10_000 {
            forebear::spawn(async {}).await.unwrap();
        }
        Task::new().name("last").spawn(sleep(Duration::from_millis(1))).await.unwrap();
    });
    drop(flight);
    let recording = recorder.recording();
    assert!(recording.forgotten() > 10_000, "{}", recording.forgotten());
    assert!(recording.moments().len() * 40 <= 80 * 1024, "{}", recording.moments().len());
    assert!(recording.moments().is_sorted_by_key(|moment| moment.at_ns));
    let is_last = |place| recording.place(place).is_some_and(|place| place.label == "last");
    let last: Vec<_> = recording.moments().iter().filter(|moment| is_last(moment.place)).collect();
    assert_eq!(last[0].what, What::Init);
    assert!(matches!(last.last().unwrap().what, What::Destroy(_)));
    let text = recording.to_string();
    assert!(text.contains("task last"), "{text}");
}
