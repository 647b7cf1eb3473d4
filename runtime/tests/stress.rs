//! Hurries: many threads do at once what is hard to get right at once.
//!
//! What can go wrong here is a task that is lost, ended twice or never, or a runtime that does not
//! end: mostly a test that hangs. Nothing waits for a time and hopes; what is repeated is repeated
//! to meet many interleavings. The same tests run under the sanitizers.

#![allow(clippy::unwrap_used, reason = "a test says by panicking that it failed")]

use std::future::{Future, pending, poll_fn};
use std::panic::{self, AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, Once, PoisonError, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use forebear::runtime::{Builder, Handle, Runtime};
use forebear::task::{JoinHandle, UnhandledPanic, spawn_blocking, yield_now};
use forebear::time::{Duration, Instant, sleep};

/// Far more workers than the cores of a small machine: they are interrupted anywhere.
const WORKERS: usize = 8;

const OUTSIDERS: usize = 3;

fn builder() -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(WORKERS).unhandled_panic(UnhandledPanic::Ignore);
    builder
}

fn multi_thread() -> Runtime {
    builder().build().unwrap()
}

/// Counts what is made and what is dropped.
#[derive(Clone, Default)]
struct Count(Arc<(AtomicUsize, AtomicUsize)>);

impl Count {
    fn one(&self) -> Counted {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        Counted(self.clone())
    }

    fn made(&self) -> usize {
        self.0.0.load(Ordering::Relaxed)
    }

    #[track_caller]
    fn assert_all_dropped(&self) {
        assert_eq!(self.0.1.load(Ordering::Relaxed), self.made(), "dropped, of those made");
    }
}

struct Counted(Count);

impl Drop for Counted {
    fn drop(&mut self) {
        (self.0.0).1.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs `f` on several threads at once, which begin together.
fn outside<R: Send>(f: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let gate = Barrier::new(OUTSIDERS);
    let run = |number| {
        gate.wait();
        f(number)
    };
    let run = &run;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..OUTSIDERS).map(|n| scope.spawn(move || run(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

async fn yield_times(times: usize) {
    for _ in 0..times {
        yield_now().await;
    }
}

/// Lets what was planned to panic do so in silence.
fn silence_planned_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !info.payload().is::<Planned>() {
                hook(info);
            }
        }));
    });
}

struct Planned;

#[test]
fn a_storm_of_spawns_from_outside_runs_every_task() {
    let runtime = multi_thread();
    let count = Count::default();
    let handles = outside(|number| {
        let spawn = |n| {
            let counted = count.one();
            runtime.spawn(async move {
                yield_times((n + number) % 3).await;
                drop(counted);
                n
            })
        };
        (0..2000).map(spawn).collect::<Vec<_>>()
    });
    runtime.block_on(async {
        for handles in handles {
            for (n, handle) in handles.into_iter().enumerate() {
                assert_eq!(handle.await.unwrap(), n);
            }
        }
    });
    count.assert_all_dropped();
}

#[test]
fn tasks_that_spawn_tasks_are_all_run() {
    fn tree(depth: usize) -> Pin<Box<dyn Future<Output = usize> + Send>> {
        Box::pin(async move {
            if depth == 0 {
                return 1;
            }
            let branches = [(); 3].map(|()| forebear::spawn(tree(depth - 1)));
            let mut leaves = 0;
            for branch in branches {
                leaves += branch.await.unwrap();
            }
            leaves
        })
    }
    let runtime = multi_thread();
    let leaves = outside(|_| runtime.block_on(runtime.spawn(tree(6))).unwrap());
    assert_eq!(leaves, [729; OUTSIDERS]);
}

#[test]
fn a_storm_of_aborts_ends_every_task_once_in_whatever_state() {
    let runtime = multi_thread();
    let count = Count::default();
    for _ in 0..20 {
        let spawn = |n: usize| {
            let counted = count.one();
            runtime.spawn(async move {
                let _counted = counted;
                match n % 4 {
                    0 => {}
                    1 => yield_times(n % 7).await,
                    2 => pending().await,
                    _ => sleep(Duration::from_micros(100)).await,
                }
            })
        };
        let tasks: Vec<JoinHandle<()>> = (0..200).map(spawn).collect();
        outside(|number| {
            for task in tasks.iter().skip(number) {
                task.abort();
            }
        });
        runtime.block_on(async {
            for (n, task) in tasks.into_iter().enumerate() {
                match task.await {
                    Ok(()) => assert_ne!(n % 4, 2, "what waits for ever was aborted"),
                    Err(error) => assert!(error.is_cancelled()),
                }
            }
        });
    }
    count.assert_all_dropped();
}

/// Is pending for ever, and gives its waker away each time it is polled.
struct GivesWakers {
    wakers: Arc<Mutex<Vec<Waker>>>,
    _counted: Counted,
}

impl Future for GivesWakers {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner).push(cx.waker().clone());
        Poll::Pending
    }
}

#[test]
fn a_runtime_ends_while_others_wake_and_spawn() {
    for round in 0..10 {
        let runtime = multi_thread();
        let handle = runtime.handle().clone();
        let count = Count::default();
        let wakers = Arc::new(Mutex::new(Vec::new()));
        for _ in 0..50 {
            let wakers = wakers.clone();
            runtime.spawn(GivesWakers { wakers, _counted: count.one() });
        }
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let waking = scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let taken = std::mem::take(&mut *wakers.lock().unwrap());
                    for (n, waker) in taken.into_iter().enumerate() {
                        if n % 2 == 0 {
                            waker.wake();
                        } else {
                            waker.wake_by_ref();
                        }
                    }
                }
            });
            let spawning = scope.spawn(|| {
                let mut last = None;
                while !is_over.load(Ordering::Relaxed) {
                    let counted = count.one();
                    last = Some(handle.spawn(async move {
                        let _counted = counted;
                        pending::<()>().await;
                    }));
                    thread::yield_now();
                }
                last
            });
            // On some rounds the end comes at once, on others in the midst.
            for _ in 0..round {
                thread::yield_now();
            }
            drop(runtime);
            is_over.store(true, Ordering::Relaxed);
            waking.join().unwrap();
            if let Some(last) = spawning.join().unwrap() {
                assert!(last.is_finished());
                assert!(handle.block_on(last).unwrap_err().is_cancelled());
            }
        });
        count.assert_all_dropped();
    }
}

#[test]
fn wakers_and_handles_that_outlive_the_runtime_are_harmless() {
    // Kept for good, and yet not lost: a leak checker can reach them.
    static KEPT: Mutex<Vec<JoinHandle<usize>>> = Mutex::new(Vec::new());
    let count = Count::default();
    let wakers = Arc::new(Mutex::new(Vec::new()));
    let runtime = multi_thread();
    let handles: Vec<_> = (0..100)
        .map(|n| {
            KEPT.lock().unwrap().push(runtime.spawn(async move { n }));
            let wakers = wakers.clone();
            runtime.spawn(GivesWakers { wakers, _counted: count.one() })
        })
        .collect();
    runtime.block_on(poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if wakers.lock().unwrap().len() == 100 { Poll::Ready(()) } else { Poll::Pending }
    }));
    drop(runtime);
    count.assert_all_dropped();
    // Another runtime may have the place of the first.
    let other = multi_thread();
    let wakers = wakers.lock().unwrap();
    outside(|_| wakers.iter().for_each(Waker::wake_by_ref));
    outside(|_| wakers.iter().cloned().for_each(Waker::wake));
    for handle in handles {
        assert!(other.block_on(handle).unwrap_err().is_cancelled());
    }
}

/// Spawns when it is dropped, so many times over.
struct SpawnsAtDrop {
    times: usize,
    count: Count,
    _counted: Counted,
}

impl SpawnsAtDrop {
    fn new(times: usize, count: &Count) -> SpawnsAtDrop {
        SpawnsAtDrop { times, count: count.clone(), _counted: count.one() }
    }

    async fn wait(self) {
        pending::<()>().await;
        drop(self);
    }
}

impl Drop for SpawnsAtDrop {
    fn drop(&mut self) {
        if self.times > 0 {
            let again = SpawnsAtDrop::new(self.times - 1, &self.count);
            drop(Handle::current().spawn(again.wait()));
            let again = SpawnsAtDrop::new(self.times - 1, &self.count);
            drop(spawn_blocking(move || drop(again)));
        }
    }
}

#[test]
fn destructors_spawn_while_the_runtime_ends() {
    let current_thread = || Builder::new_current_thread().build().unwrap();
    for make in [multi_thread, current_thread] {
        for round in 0..20 {
            let count = Count::default();
            let runtime = make();
            for _ in 0..10 {
                runtime.spawn(SpawnsAtDrop::new(4, &count).wait());
            }
            runtime.block_on(yield_times(round));
            drop(runtime);
            count.assert_all_dropped();
            assert_eq!(count.made(), 10 * 31);
        }
    }
}

/// Spawns when it is woken.
struct SpawnsAtWake {
    handle: Handle,
    spawned: Mutex<Option<JoinHandle<()>>>,
}

impl Wake for SpawnsAtWake {
    fn wake(self: Arc<Self>) {
        *self.spawned.lock().unwrap() = Some(self.handle.spawn(pending()));
    }
}

#[test]
fn what_is_spawned_by_those_who_are_told_of_the_end_ends_too() {
    let current_thread = || Builder::new_current_thread().build().unwrap();
    for make in [multi_thread, current_thread] {
        let runtime = make();
        let (handle, spawned) = (runtime.handle().clone(), Mutex::new(None));
        let spawner = Arc::new(SpawnsAtWake { handle, spawned });
        let waker = Waker::from(spawner.clone());
        let hour = {
            let _entered = runtime.enter();
            let mut hour = Box::pin(sleep(Duration::from_secs(3600)));
            assert!(hour.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            hour
        };
        drop(runtime);
        let spawned = spawner.spawned.lock().unwrap().take();
        assert!(spawned.is_some_and(|task| task.is_finished()));
        drop(hour);
    }
}

/// Panics when it is dropped.
struct PanicsAtDrop(Option<Counted>);

impl Drop for PanicsAtDrop {
    fn drop(&mut self) {
        drop(self.0.take());
        // A second panic while one unwinds would end the process.
        if !thread::panicking() {
            panic_any(Planned);
        }
    }
}

impl Wake for PanicsAtDrop {
    fn wake(self: Arc<Self>) {
        panic_any(Planned);
    }
}

#[test]
fn panics_anywhere_in_a_task_harm_nobody_else() {
    silence_planned_panics();
    let runtime = multi_thread();
    let count = Count::default();
    outside(|_| {
        for n in 0..200 {
            let guard = PanicsAtDrop(Some(count.one()));
            let task = runtime.spawn(async move {
                yield_times(n % 3).await;
                match n % 4 {
                    0 => panic_any(Planned),
                    1 => drop(guard),
                    2 => return Some(guard),
                    _ => pending().await,
                }
                None
            });
            let waker = Waker::from(Arc::new(PanicsAtDrop(Some(count.one()))));
            let mut task = Box::pin(task);
            let polled = task.as_mut().poll(&mut Context::from_waker(&waker));
            if n % 4 == 3 {
                task.abort();
            }
            // Whatever of this has a destructor that panics, panics.
            for drop_it in [
                Box::new(move || drop(polled)) as Box<dyn FnOnce()>,
                Box::new(move || drop(waker)),
                Box::new(move || drop(task)),
            ] {
                let _ = catch_unwind(AssertUnwindSafe(drop_it));
            }
        }
    });
    assert_eq!(runtime.block_on(runtime.spawn(async { 7 })).unwrap(), 7);
    drop(runtime);
    count.assert_all_dropped();
}

#[test]
fn threads_take_turns_in_block_on_of_a_current_thread_runtime() {
    let runtime = Builder::new_current_thread().build().unwrap();
    for round in 0..100 {
        let sums = outside(|number| {
            runtime.block_on(async {
                let tasks: Vec<_> = (0..10)
                    .map(|n| {
                        forebear::spawn(async move {
                            yield_times((n + round) % 5).await;
                            if n == 0 {
                                sleep(Duration::from_micros(10)).await;
                            }
                            n + number
                        })
                    })
                    .collect();
                let mut sum = 0;
                for task in tasks {
                    sum += task.await.unwrap();
                }
                sum
            })
        });
        assert_eq!(sums, [45, 55, 65]);
    }
}

#[test]
fn no_job_is_lost_while_threads_of_the_pool_come_and_go() {
    for (threads, keep_alive) in [(1, 0), (1, 20), (2, 5), (3, 50)] {
        let runtime = builder()
            .max_blocking_threads(threads)
            .thread_keep_alive(Duration::from_micros(keep_alive))
            // The thread is no longer there for the next job, but not yet gone.
            .on_thread_stop(thread::yield_now)
            .build()
            .unwrap();
        let count = Count::default();
        outside(|number| {
            for n in 0..60 {
                let counted = count.one();
                let job = runtime.spawn_blocking(move || {
                    drop(counted);
                    n
                });
                assert_eq!(runtime.block_on(job).unwrap(), n);
                (0..(n * number) % 40).for_each(|_| thread::yield_now());
            }
        });
        drop(runtime);
        count.assert_all_dropped();
    }
}

#[test]
fn a_job_that_comes_while_the_only_thread_of_the_pool_leaves_is_run() {
    let (leave, is_leaving) = mpsc::channel();
    let (let_go, may_go) = mpsc::channel::<()>();
    let may_go = Mutex::new(may_go);
    let runtime = Builder::new_current_thread()
        .max_blocking_threads(1)
        .thread_keep_alive(Duration::ZERO)
        .on_thread_stop(move || {
            let _ = leave.send(());
            assert!(may_go.lock().unwrap().recv().is_err(), "the other end goes");
        })
        .build()
        .unwrap();
    runtime.block_on(runtime.spawn_blocking(|| ())).unwrap();
    is_leaving.recv().unwrap();
    assert_eq!(runtime.block_on(runtime.spawn_blocking(|| 7)).unwrap(), 7);
    drop(let_go);
}

#[test]
fn the_end_of_a_runtime_does_not_wait_for_threads_that_wait_for_jobs() {
    for round in 0..150 {
        let hour = Duration::from_secs(3600);
        let runtime = Builder::new_current_thread().thread_keep_alive(hour).build().unwrap();
        let count = Count::default();
        let jobs: Vec<_> = (0..3)
            .map(|_| {
                let counted = count.one();
                runtime.spawn_blocking(move || drop(counted))
            })
            .collect();
        for _ in 0..round % 20 {
            thread::yield_now();
        }
        drop(runtime);
        count.assert_all_dropped();
        for job in jobs {
            assert!(job.is_finished());
        }
    }
}

#[test]
fn jobs_that_wait_for_a_timer_do_not_outlast_its_runtime() {
    for round in 0..20 {
        let runtime = multi_thread();
        let (begun, has_begun) = mpsc::channel();
        let job = runtime.spawn_blocking(move || {
            begun.send(()).unwrap();
            // That its runtime is gone is a panic where it waits.
            let waited = catch_unwind(|| {
                Handle::current().block_on(async { sleep(Duration::from_secs(3600)).await });
            });
            assert!(waited.is_err());
        });
        has_begun.recv().unwrap();
        for _ in 0..round {
            thread::yield_now();
        }
        drop(runtime);
        assert!(job.is_finished());
    }
}

#[test]
fn timers_of_other_threads_fire_and_are_dropped_anywhere() {
    let runtime = multi_thread();
    let (give, taken) = mpsc::channel();
    let give = Mutex::new(give);
    outside(|number| {
        let give = give.lock().unwrap().clone();
        for n in 0..150u64 {
            let wait = Duration::from_micros((n * 37 + number as u64 * 11) % 300);
            let start = Instant::now();
            runtime.block_on(async { sleep(wait).await });
            assert!(start.elapsed() >= wait);
            // One that is registered here, and dropped by a worker.
            let _entered = runtime.enter();
            let mut dropped = Box::pin(sleep(Duration::from_secs(3600)));
            assert!(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            give.send(runtime.spawn(async move { drop(dropped) })).unwrap();
        }
    });
    drop(give);
    runtime.block_on(async {
        for task in taken {
            task.await.unwrap();
        }
    });
}

/// Between two timers all workers sleep, and the monitor looks at the driver now and then.
#[test]
fn an_idle_runtime_does_not_miss_a_timer() {
    let runtime = multi_thread();
    for n in 0..400 {
        let task = runtime.spawn(async move {
            let wait = Duration::from_micros(n * 61 % 2000);
            let start = Instant::now();
            sleep(wait).await;
            assert!(start.elapsed() >= wait);
        });
        runtime.block_on(task).unwrap();
    }
}

#[test]
fn what_a_stuck_worker_has_made_ready_is_run_by_others() {
    let runtime = multi_thread();
    for many in 1..6 {
        let stuck = runtime.spawn(async move {
            let (done, is_done) = mpsc::channel();
            for _ in 0..many {
                let done = done.clone();
                forebear::spawn(async move {
                    yield_now().await;
                    done.send(()).unwrap();
                });
            }
            // As no task should: it holds up its worker until the others have run.
            (0..many).for_each(|_| is_done.recv().unwrap());
        });
        runtime.block_on(stuck).unwrap();
    }
}
