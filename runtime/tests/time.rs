//! Checks timers by a clock that stands, so that no test waits and none hopes.

#![allow(clippy::unwrap_used, reason = "a test says by panicking that it failed")]

use forebear::runtime::{Builder, Runtime};
use forebear::time::{
    Duration, Instant, MissedTickBehavior, advance, interval, pause, resume, sleep, timeout,
};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn paused() -> Runtime {
    Builder::new_current_thread().start_paused(true).build().unwrap()
}

#[test]
fn a_clock_that_stands_moves_to_the_next_timer_by_itself() {
    let begun = std::time::Instant::now();
    paused().block_on(async {
        let start = Instant::now();
        let long = forebear::spawn(async move {
            sleep(3 * HOUR).await;
            start.elapsed()
        });
        sleep(HOUR).await;
        assert!(start.elapsed() >= HOUR && start.elapsed() < 2 * HOUR);
        assert!(long.await.unwrap() >= 3 * HOUR);
    });
    assert!(begun.elapsed() < HOUR);
}

#[test]
fn a_clock_that_stands_waits_for_what_blocks() {
    paused().block_on(async {
        let start = Instant::now();
        let job = forebear::task::spawn_blocking(std::thread::yield_now);
        let limited = timeout(HOUR, job).await;
        assert!(limited.is_ok(), "the timeout overtook a job that was running");
        assert!(start.elapsed() < HOUR);
    });
}

#[test]
fn advance_fires_what_is_due_and_nothing_else() {
    paused().block_on(async {
        let soon = forebear::spawn(sleep(HOUR));
        let late = forebear::spawn(sleep(3 * HOUR));
        forebear::task::yield_now().await;
        advance(2 * HOUR).await;
        forebear::task::yield_now().await;
        assert!(soon.is_finished());
        assert!(!late.is_finished());
    });
}

#[test]
fn pause_and_resume_say_when_they_are_misused() {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        pause();
        let stands = Instant::now();
        assert_eq!(Instant::now(), stands);
        resume();
        assert!(Instant::now() >= stands);
    });
    let message = |f: fn()| {
        let told = std::panic::catch_unwind(|| runtime.block_on(async { f() })).unwrap_err();
        told.downcast_ref::<&str>().map(|text| (*text).to_owned()).unwrap()
    };
    assert!(message(resume).contains("goes already"));
    let multi = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let told = std::panic::catch_unwind(|| multi.block_on(async { pause() })).unwrap_err();
    assert!(told.downcast_ref::<&str>().unwrap().contains("new_current_thread"));
}

#[test]
fn a_future_that_is_ready_wins_over_its_deadline() {
    paused().block_on(async {
        assert_eq!(timeout(Duration::ZERO, async { 7 }).await, Ok(7));
        assert!(timeout(HOUR, std::future::pending::<()>()).await.is_err());
    });
}

/// Returns when ticks came, in hours since the beginning, if the second was consumed 2.5 late.
fn ticks(behavior: MissedTickBehavior) -> Vec<u64> {
    paused().block_on(async {
        let start = Instant::now();
        let mut ticks = interval(HOUR);
        ticks.set_missed_tick_behavior(behavior);
        ticks.tick().await;
        advance(HOUR * 7 / 2).await;
        let mut seen = Vec::new();
        for _ in 0..4 {
            ticks.tick().await;
            seen.push(start.elapsed().as_secs() / 1800);
        }
        seen
    })
}

#[test]
fn missed_ticks_are_made_up_for_as_was_said() {
    // In half hours.
    assert_eq!(ticks(MissedTickBehavior::Burst), [7, 7, 7, 8]);
    assert_eq!(ticks(MissedTickBehavior::Delay), [7, 9, 11, 13]);
    assert_eq!(ticks(MissedTickBehavior::Skip), [7, 8, 10, 12]);
}

#[test]
fn a_reset_after_the_end_is_a_new_timer_with_the_old_as_its_trigger() {
    paused().block_on(async {
        let mut sleep = std::pin::pin!(sleep(HOUR));
        let first = sleep.id();
        sleep.as_mut().reset(Instant::now() + 2 * HOUR);
        assert_eq!(sleep.id(), first, "it had not elapsed");
        sleep.as_mut().await;
        sleep.as_mut().reset(Instant::now() + HOUR);
        assert_ne!(sleep.id(), first);
        sleep.await;
    });
}
