//! Waits for points in time as a program does that was written for tokio: what it may name, and what
//! it may rely on. The clock stands, so that no test waits.
//!
//! The same file is a test of the package `forebear-tests`, where `tokio` is tokio.

#![allow(clippy::unwrap_used, reason = "a test says by panicking that it failed")]

use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tokio::runtime::Builder;
use tokio::task;
use tokio::time::error::Elapsed;
use tokio::time::{
    self, Duration, Instant, Interval, MissedTickBehavior, Sleep, Timeout, advance, interval,
    interval_at, pause, resume, sleep, sleep_until, timeout, timeout_at,
};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Polls a future once, and drops it if it is not ready.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn is_free<T: Send + Sync>() {}

#[test]
fn types_may_go_where_tokios_may() {
    is_free::<(Instant, Interval, Sleep, Timeout<std::future::Ready<()>>, Elapsed)>();
    let unpin: fn() = || {
        fn is_unpin<T: Unpin>() {}
        is_unpin::<Interval>();
    };
    unpin();
}

#[tokio::test(start_paused = true)]
async fn the_clock_moves_when_there_is_nothing_else_to_do() {
    let start = Instant::now();
    sleep(Duration::from_secs(3600)).await;
    let slept = start.elapsed();
    assert!(slept >= Duration::from_secs(3600) && slept < Duration::from_secs(3601), "{slept:?}");
    sleep_until(start + Duration::from_secs(2 * 3600)).await;
    assert!(start.elapsed() >= Duration::from_secs(7200));
    sleep(Duration::ZERO).await;
    // What is to be never is put so far ahead that nobody sees it.
    assert!(poll_once(sleep(Duration::MAX)).is_pending());
}

#[tokio::test(start_paused = true)]
async fn the_clock_is_moved() {
    let start = Instant::now();
    let mut timer = pin!(sleep(ms(10)));
    assert!(poll_once(timer.as_mut()).is_pending());
    advance(ms(9)).await;
    assert!(poll_once(timer.as_mut()).is_pending() && !timer.is_elapsed());
    advance(ms(2)).await;
    assert!(poll_once(timer.as_mut()).is_ready() && timer.is_elapsed());
    assert_eq!(start.elapsed(), ms(11));
    resume();
    pause();
    advance(ms(5)).await;
    assert!(start.elapsed() >= ms(16));
}

#[test]
fn the_clock_stops_where_it_may() {
    let build = |builder: &mut Builder| builder.enable_all().build().unwrap();
    let one = build(&mut Builder::new_current_thread());
    one.block_on(async {
        assert!(catch_unwind(resume).is_err(), "it goes already");
        pause();
        assert!(catch_unwind(pause).is_err(), "it stands already");
        resume();
        assert!(catch_unwind(AssertUnwindSafe(|| poll_once(advance(ms(1))))).is_err());
    });
    let many = build(Builder::new_multi_thread().worker_threads(1));
    assert!(many.block_on(async { catch_unwind(pause).is_err() }), "it has several threads");
    assert!(catch_unwind(|| drop(sleep(ms(1)))).is_err(), "there is no runtime");
}

#[tokio::test(start_paused = true)]
async fn a_sleep_is_put_off() {
    let start = Instant::now();
    let mut timer = pin!(sleep(ms(10)));
    assert_eq!(timer.deadline(), start + ms(10));
    assert!(poll_once(timer.as_mut()).is_pending());
    timer.as_mut().reset(start + ms(30));
    assert_eq!((timer.deadline(), timer.is_elapsed()), (start + ms(30), false));
    timer.as_mut().await;
    assert!(start.elapsed() >= ms(30) && start.elapsed() < ms(40));
    // Once it has elapsed, too.
    timer.as_mut().reset(Instant::now() + ms(10));
    timer.await;
    assert!(start.elapsed() >= ms(40));
}

#[tokio::test(start_paused = true)]
async fn futures_are_limited() {
    let start = Instant::now();
    assert_eq!(timeout(ms(5), ready(7)).await, Ok(7));
    let elapsed: Elapsed = timeout(ms(5), pending::<()>()).await.unwrap_err();
    assert_eq!(elapsed.to_string(), "deadline has elapsed");
    assert_eq!(std::io::Error::from(elapsed).kind(), std::io::ErrorKind::TimedOut);
    assert!(start.elapsed() >= ms(5));
    assert!(timeout_at(start + ms(20), pending::<()>()).await.is_err());
    assert!(start.elapsed() >= ms(20));
    // What is ready at the deadline has won.
    assert_eq!(timeout(Duration::ZERO, ready(7)).await, Ok(7));
    assert!(timeout_at(start, pending::<()>()).await.is_err());
    let mut limited = timeout(ms(5), ready(1));
    assert_eq!(limited.get_mut().await, 1);
    let limited = timeout(ms(5), ready(2));
    let _inner: &std::future::Ready<i32> = limited.get_ref();
    assert_eq!(limited.into_inner().await, 2);
    // Anything that can become a future may be limited.
    struct Order;
    impl IntoFuture for Order {
        type Output = u8;
        type IntoFuture = std::future::Ready<u8>;
        fn into_future(self) -> std::future::Ready<u8> {
            ready(9)
        }
    }
    assert_eq!(timeout(ms(1), Order).await, Ok(9));
    assert_eq!(timeout(Duration::MAX, ready(3)).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn ticks_come_one_after_the_other() {
    let start = Instant::now();
    let mut ticks = interval(ms(10));
    assert_eq!((ticks.period(), ticks.missed_tick_behavior()), (ms(10), MissedTickBehavior::Burst));
    for number in 0..3 {
        assert_eq!(ticks.tick().await, start + ms(10) * number);
    }
    assert_eq!(poll_fn(|cx| ticks.poll_tick(cx)).await, start + ms(30));
    let mut later = interval_at(start + ms(100), ms(5));
    assert_eq!(later.tick().await, start + ms(100));
    assert_eq!(later.tick().await, start + ms(105));
    assert!(catch_unwind(|| interval(Duration::ZERO)).is_err());
}

#[tokio::test(start_paused = true)]
async fn missed_ticks_are_made_up_for_as_was_said() {
    for (behavior, late_ms, due_ms) in [
        // Half a period late, and two and a half periods.
        (MissedTickBehavior::Burst, 50, [100, 200, 300, 400]),
        (MissedTickBehavior::Burst, 250, [100, 200, 300, 400]),
        (MissedTickBehavior::Delay, 50, [100, 250, 350, 450]),
        (MissedTickBehavior::Delay, 250, [100, 450, 550, 650]),
        (MissedTickBehavior::Skip, 50, [100, 200, 300, 400]),
        (MissedTickBehavior::Skip, 250, [100, 400, 500, 600]),
        // So little is no delay.
        (MissedTickBehavior::Delay, 4, [100, 200, 300, 400]),
    ] {
        let start = Instant::now();
        let mut ticks = interval(ms(100));
        ticks.set_missed_tick_behavior(behavior);
        assert_eq!(ticks.tick().await, start);
        advance(ms(100 + late_ms)).await;
        for due in due_ms {
            let tick = ticks.tick().await;
            assert_eq!(tick - start, ms(due), "{behavior:?}, {late_ms} ms late");
        }
    }
    assert_eq!(MissedTickBehavior::default(), MissedTickBehavior::Burst);
}

#[tokio::test(start_paused = true)]
async fn ticks_are_put_off() {
    let mut ticks = interval(ms(100));
    ticks.tick().await;
    advance(ms(50)).await;
    let now = Instant::now();
    ticks.reset();
    assert_eq!(ticks.tick().await, now + ms(100));
    let now = Instant::now();
    ticks.reset_after(ms(7));
    assert_eq!(ticks.tick().await, now + ms(7));
    assert_eq!(ticks.tick().await, now + ms(107));
    let now = Instant::now();
    ticks.reset_immediately();
    assert_eq!(ticks.tick().await, now);
    ticks.reset_at(now + ms(3));
    assert_eq!(ticks.tick().await, now + ms(3));
    assert_eq!(ticks.tick().await, now + ms(103));
}

#[test]
fn instants_are_reckoned_with() {
    let std = std::time::Instant::now();
    let instant = Instant::from_std(std);
    assert_eq!((instant.into_std(), std::time::Instant::from(instant)), (std, std));
    assert_eq!(Instant::from(std), instant);
    let later = instant + ms(5);
    assert_eq!((later - instant, later - ms(5)), (ms(5), instant));
    assert_eq!(later.duration_since(instant), ms(5));
    assert_eq!(instant.duration_since(later), Duration::ZERO);
    assert_eq!(instant.checked_duration_since(later), None);
    assert_eq!(instant.saturating_duration_since(later), Duration::ZERO);
    assert_eq!(instant.checked_add(ms(5)), Some(later));
    assert_eq!(later.checked_sub(ms(5)), Some(instant));
    assert_eq!(instant.checked_add(Duration::MAX), None);
    let mut moved = instant;
    moved += ms(6);
    moved -= ms(1);
    assert_eq!(moved, later);
    assert!(instant < later && instant.elapsed() < Duration::from_secs(3600));
}

#[tokio::test(start_paused = true)]
async fn what_is_due_first_comes_first() {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    for wait in [30, 10, 20, 40, 5] {
        let sender = sender.clone();
        tokio::spawn(async move {
            time::sleep(ms(wait)).await;
            sender.send(wait).unwrap();
        });
    }
    drop(sender);
    let mut order = Vec::new();
    while let Some(wait) = receiver.recv().await {
        order.push(wait);
    }
    assert_eq!(order, [5, 10, 20, 30, 40]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_stands_waits_for_what_blocks() {
    let start = Instant::now();
    let blocked = task::spawn_blocking(|| std::thread::sleep(ms(3)));
    let done = timeout(Duration::from_secs(3600), blocked).await;
    assert!(done.is_ok() && start.elapsed() < Duration::from_secs(3600));
}
