//! Owns the threads of a runtime, and ends them.

use std::any::type_name;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{self, AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use crate::bridge;
use crate::config::{Config, Flavor};
use crate::enter;
use crate::hooks::life::{Birth, Life};
use crate::hooks::{Kind, Outcome, RuntimeId};
use crate::park::Parker;
use crate::primitive::{AtomicBool, Mutex, Ordering};
use crate::resident::memory;
use crate::scheduler::monitor::Monitor;
use crate::scheduler::{self, Shared, Worker};
use crate::task::{JoinHandle, cell, coop, unhandled};

pub use crate::builder::Builder;
pub use crate::driver::reactor::is_rt_shutdown_err;
pub use crate::handle::{EnterGuard, Handle, RuntimeFlavor, TryCurrentError};
pub use crate::hooks::RuntimeId as Id;
pub use crate::local_runtime::{LocalOptions, LocalRuntime};
pub use crate::metrics::{RuntimeMetrics, worker_index};
pub use crate::task::UnhandledPanic;

/// Runs tasks. Dropping it ends them all, and waits for what blocks.
///
/// # Panics
/// Dropping one inside async code panics, because it would block; move it out with
/// [`shutdown_background`](Runtime::shutdown_background), or let the outermost code own it.
///
/// # Hooks
/// Its end emits, for every task, `promise_resolve(Cancelled)` within a pair and
/// `destroy(Shutdown)`.
///
/// # Examples
/// ```
/// let runtime = forebear::runtime::Runtime::new()?;
/// assert_eq!(runtime.block_on(async { 1 + 1 }), 2);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Runtime {
    handle: Handle,
    threads: Vec<thread::JoinHandle<()>>,
    /// The worker of the current-thread flavour, when nobody has borrowed it.
    core: Option<Arc<Core>>,
    has_ended: bool,
    /// What is to be dropped when the runtime has ended. Each of its threads, too, keeps it while it
    /// runs, because some may be left behind.
    _kept: Arc<Kept>,
}

/// Hooks that were enabled with the runtime, and what the facade asks to keep.
pub(crate) type Kept = Vec<Box<dyn std::any::Any + Send + Sync>>;

struct Core {
    worker: Mutex<Option<Box<Worker>>>,
    /// Those who wait to borrow it.
    waiting: Mutex<Vec<Arc<RootWaker>>>,
}

impl Runtime {
    /// Makes a runtime with one worker per core.
    ///
    /// # Errors
    /// When the system refuses a thread or a descriptor.
    pub fn new() -> io::Result<Runtime> {
        Builder::new_multi_thread().build()
    }

    pub(crate) fn start(
        config: Config,
        kept: impl FnOnce(RuntimeId) -> io::Result<Kept>,
    ) -> io::Result<Runtime> {
        let flavor = config.flavor;
        bridge::begin(&config)?;
        let (shared, locals) = scheduler::new(config)?;
        let kept = Arc::new(kept(shared.id())?);
        shared.blocking.keep(kept.clone());
        let mut workers = locals
            .into_iter()
            .enumerate()
            .map(|(index, local)| Worker::new(shared.clone(), index, local));
        let handle = Handle::new(shared.clone());
        let mut runtime = Runtime {
            handle,
            threads: Vec::new(),
            core: None,
            has_ended: false,
            _kept: kept.clone(),
        };
        if flavor == Flavor::CurrentThread {
            let worker = Mutex::new(workers.next().map(Box::new));
            runtime.core = Some(Arc::new(Core { worker, waiting: Mutex::default() }));
            return Ok(runtime);
        }
        // If a thread cannot be had, dropping `runtime` would wait for workers that never were.
        let workers: Vec<Worker> = workers.collect();
        let has_monitor = workers.len() > 1;
        let mut waiting = workers.into_iter();
        while let Some(worker) = waiting.next() {
            match start_worker(&shared, worker, kept.clone()) {
                Ok(thread) => runtime.threads.push(thread),
                Err(error) => {
                    shared.begin_ending();
                    // The one that failed, and those that were not tried.
                    for _ in 0..=waiting.len() {
                        let _ = shared.ending.leave();
                    }
                    return Err(error);
                }
            }
        }
        if has_monitor {
            let theirs = shared.clone();
            let monitor = shared.config.thread("monitor").spawn(move || Monitor::run(&theirs))?;
            runtime.threads.push(monitor);
        }
        Ok(runtime)
    }

    /// Returns a handle to the runtime.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Returns the runtime's number, for hooks that follow one runtime only.
    #[must_use]
    pub fn id(&self) -> RuntimeId {
        self.handle.id()
    }

    /// Makes the runtime the current one of this thread for as long as the guard lives.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// Spawns a task: see [`spawn`](crate::spawn()).
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// Runs a closure that blocks: see [`spawn_blocking`](crate::task::spawn_blocking).
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, closure: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.handle.spawn_blocking(closure)
    }

    /// Waits for a future on this thread, with the runtime current.
    ///
    /// The current-thread flavour runs its tasks meanwhile, and only then. On the multi-thread
    /// flavour this thread is no worker: what the future spawns is run by the workers.
    ///
    /// # Panics
    /// Inside a task or another `block_on`, whose thread must not block; and if the future does.
    ///
    /// # Hooks
    /// The future is a resource of kind `BLOCK_ON`: `init` at entry, a pair around every poll,
    /// `promise_resolve` once, `destroy` at return or unwind.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.block_on_labelled(future, type_name::<F>)
    }

    /// Waits for a future that is only a wrapper, and has the name of what it wraps.
    #[track_caller]
    pub(crate) fn block_on_labelled<F: Future>(&self, future: F, label: Label) -> F::Output {
        match &self.core {
            None => block_on_parked(self.handle.shared(), future, label),
            Some(core) => core.block_on(self.handle.shared(), future, label),
        }
    }

    /// Returns what the runtime is doing, in numbers.
    #[must_use]
    pub fn metrics(&self) -> RuntimeMetrics {
        self.handle.metrics()
    }

    /// Ends the runtime, and waits for its threads for at most so long. Jobs of the blocking pool
    /// that run longer are left behind; their events come when they end.
    pub fn shutdown_timeout(mut self, timeout: Duration) {
        self.end(Wait::AtMost(timeout));
    }

    /// Ends the runtime and waits for nothing. It may be called inside async code.
    pub fn shutdown_background(mut self) {
        self.end(Wait::No);
    }

    fn end(&mut self, wait: Wait) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        let shared = self.handle.shared().clone();
        shared.begin_ending();
        if let Some(core) = self.core.take() {
            core.drain(&shared);
        }
        // A task that ends its runtime in `block_in_place` cannot wait for itself.
        let wait = if enter::works_for(shared.id()) { Wait::No } else { wait };
        let until = match wait {
            Wait::No => return,
            Wait::AtMost(timeout) => Instant::now().checked_add(timeout),
            Wait::Forever => None,
        };
        for thread in self.threads.drain(..) {
            if !join_until(thread, until) {
                return;
            }
        }
        // A job of the pool that ends its runtime cannot wait for itself.
        if !enter::serves_pool_of(shared.id()) {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            shared.blocking.wait(left);
        }
        memory::give_back();
    }
}

/// How long the end of a runtime waits.
#[derive(Clone, Copy)]
enum Wait {
    No,
    AtMost(Duration),
    Forever,
}

/// Waits for a thread. A worker that panicked has said so; there is nothing more to say.
fn join_until(thread: thread::JoinHandle<()>, until: Option<Instant>) -> bool {
    let Some(until) = until else {
        let _ = thread.join();
        return true;
    };
    while !thread.is_finished() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        // std has no timed join. Only `shutdown_timeout` comes here, and only while a thread is
        // held up by foreign code.
        thread::park_timeout(left.min(Duration::from_millis(1)));
    }
    let _ = thread.join();
    true
}

fn start_worker(
    shared: &Arc<Shared>,
    worker: Worker,
    kept: Arc<Kept>,
) -> io::Result<thread::JoinHandle<()>> {
    let theirs = shared.clone();
    let worker = Mutex::new(Some(worker));
    shared.config.thread("").spawn(move || {
        let _handle = enter::handle(Handle::new(theirs.clone()));
        enter::work_for(theirs.id());
        theirs.config.thread_starts();
        if let Some(worker) = worker.lock().take() {
            worker.run();
        }
        theirs.config.thread_stops();
        drop(kept);
    })
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        if enter::is_asynchronous() {
            self.end(Wait::No);
            if !thread::panicking() {
                panic!(
                    "a runtime was dropped inside async code, where waiting for its threads would \
                     block a worker: call `shutdown_background` instead, or drop it outside"
                );
            }
            return;
        }
        self.end(Wait::Forever);
    }
}

// No user code runs under our locks, so a panic leaves nothing half done.
impl UnwindSafe for Runtime {}
impl RefUnwindSafe for Runtime {}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("id", &self.id())
            .field("config", &self.handle.shared().config)
            .finish_non_exhaustive()
    }
}

/// Wakes the thread that is in `block_on`.
struct RootWaker {
    is_woken: AtomicBool,
    parker: Parker,
    /// The current-thread runtime whose worker may sleep on behalf of the thread, if it is one.
    worker_of: Option<Arc<Shared>>,
}

impl RootWaker {
    fn new(worker_of: Option<Arc<Shared>>) -> Arc<RootWaker> {
        Arc::new(RootWaker { is_woken: AtomicBool::new(true), parker: Parker::new(), worker_of })
    }

    /// Acquire pairs with the Release in `wake_by_ref`, whose thread has something to show.
    fn take(&self) -> bool {
        self.is_woken.load(Ordering::Relaxed) && self.is_woken.swap(false, Ordering::Acquire)
    }
}

impl Wake for RootWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A swap, so that who takes several wakes at once sees what each of them has to show.
        self.is_woken.swap(true, Ordering::Release);
        let _ = self.parker.unpark();
        if let Some(shared) = &self.worker_of {
            shared.unpark(0);
        }
    }
}

#[track_caller]
fn forbid_blocking() {
    assert!(
        !enter::is_asynchronous(),
        "`block_on` was called inside async code, where it would block a worker: `.await` the \
         future instead, or move the call into `spawn_blocking`"
    );
}

/// Gives the name of a future's code.
type Label = fn() -> &'static str;

/// A future that is waited for, and its life.
struct Root<'a, F: Future> {
    life: Option<Life>,
    future: Pin<&'a mut Option<F>>,
    /// The runtime is current until the life has ended.
    _handle: enter::EnterHandle,
}

impl<'a, F: Future> Root<'a, F> {
    /// Begins to wait, on a thread that may block.
    #[track_caller]
    fn begin(shared: &Arc<Shared>, future: Pin<&'a mut Option<F>>, label: Label) -> Root<'a, F> {
        forbid_blocking();
        let birth = Birth::new(Kind::BLOCK_ON, label).runtime(shared.id());
        let handle = enter::handle(Handle::new(shared.clone()));
        Root { life: Some(Life::begin(birth)), future, _handle: handle }
    }

    /// Polls the future as code of its resource. A panic of it goes through when it has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(life) = &self.life else {
            unreachable!("block_on polls until its future is done")
        };
        let _async = enter::asynchronous();
        let _turn = coop::turn_of_root();
        let future = &mut self.future;
        let (outcome, result) = life.run(|running| {
            let polled = catch_unwind(AssertUnwindSafe(|| match future.as_mut().as_pin_mut() {
                Some(future) => future.poll(cx),
                None => Poll::Pending,
            }));
            let (outcome, result) = match polled {
                Ok(Poll::Pending) => return (None, Ok(Poll::Pending)),
                Ok(ready) => (Outcome::Ready, Ok(ready)),
                Err(payload) => {
                    unhandled::hint(&life.resource(), &*payload);
                    (Outcome::Panicked, Err(payload))
                }
            };
            running.promise_resolve(outcome);
            // What was said is final: a panic of the destructor changes it no more.
            cell::quietly(|| future.set(None));
            (Some(outcome), result)
        });
        if let (Some(outcome), Some(life)) = (outcome, self.life.take_if(|_| outcome.is_some())) {
            life.end(outcome.into());
        }
        result.unwrap_or_else(|payload| panic::resume_unwind(payload))
    }
}

/// Waits for a future; others run the tasks.
#[track_caller]
pub(crate) fn block_on_parked<F: Future>(
    shared: &Arc<Shared>,
    future: F,
    label: Label,
) -> F::Output {
    let future = pin!(Some(future));
    let mut root = Root::begin(shared, future, label);
    let waker = RootWaker::new(None);
    let as_waker = Waker::from(waker.clone());
    let mut cx = Context::from_waker(&as_waker);
    loop {
        if waker.take() {
            if let Poll::Ready(output) = root.poll(&mut cx) {
                return output;
            }
        } else {
            crate::hooks::life::rest();
            waker.parker.park();
        }
    }
}

impl Core {
    /// Waits for a future. Whoever has the worker runs the tasks; the others only poll their own
    /// future, until they get it.
    #[track_caller]
    fn block_on<F: Future>(&self, shared: &Arc<Shared>, future: F, label: Label) -> F::Output {
        let future = pin!(Some(future));
        let mut root = Root::begin(shared, future, label);
        let waker = RootWaker::new(Some(shared.clone()));
        let as_waker = Waker::from(waker.clone());
        let mut cx = Context::from_waker(&as_waker);
        let mut poll_root = || if waker.take() { root.poll(&mut cx) } else { Poll::Pending };
        loop {
            if let Some(borrowed) = self.borrow() {
                return borrowed.run_until(&mut poll_root);
            }
            self.wait_for_worker(&waker);
            // It may have been given back between the two.
            if self.worker.lock().is_some() {
                continue;
            }
            if let Poll::Ready(output) = poll_root() {
                return output;
            }
            crate::hooks::life::rest();
            waker.parker.park();
        }
    }

    fn wait_for_worker(&self, waker: &Arc<RootWaker>) {
        let mut waiting = self.waiting.lock();
        if !waiting.iter().any(|known| Arc::ptr_eq(known, waker)) {
            waiting.push(waker.clone());
        }
    }

    fn borrow(&self) -> Option<Borrowed<'_>> {
        let worker = self.worker.lock().take()?;
        Some(Borrowed { core: self, worker: Some(worker) })
    }

    /// Cancels all tasks, on this thread.
    fn drain(&self, shared: &Arc<Shared>) {
        let _handle = enter::handle(Handle::new(shared.clone()));
        if let Some(borrowed) = self.borrow() {
            borrowed.drain_runtime();
        }
    }
}

/// The worker of a current-thread runtime, given back when this is dropped.
struct Borrowed<'a> {
    core: &'a Core,
    worker: Option<Box<Worker>>,
}

impl Borrowed<'_> {
    fn run_until<R>(&self, root: impl FnMut() -> Poll<R>) -> R {
        let Some(worker) = &self.worker else { unreachable!("it is given back by drop only") };
        enter::worker(worker, || {
            let _async = enter::asynchronous();
            worker.run_until(root)
        })
    }

    fn drain_runtime(&self) {
        let Some(worker) = &self.worker else { return };
        enter::worker(worker, || {
            let _async = enter::asynchronous();
            worker.drain_runtime();
        });
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            *self.core.worker.lock() = Some(worker);
        }
        let waiting = std::mem::take(&mut *self.core.waiting.lock());
        for waker in waiting {
            let _ = waker.parker.unpark();
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::RootWaker;
    use crate::primitive::{AtomicUsize, Ordering};
    use loom::thread;
    use std::sync::Arc;
    use std::task::Wake;

    #[test]
    fn block_on_sees_what_each_of_two_wakes_has_to_show() {
        loom::model(|| {
            let waker = RootWaker::new(None);
            let brought = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
            let waking = [0, 1].map(|what| {
                let (waker, brought) = (waker.clone(), brought.clone());
                thread::spawn(move || {
                    brought[what].store(1, Ordering::Relaxed);
                    waker.wake_by_ref();
                })
            });
            // A future that is polled only when it was woken, and ready when it sees both.
            loop {
                let is_ready = || brought.iter().all(|it| it.load(Ordering::Relaxed) == 1);
                if !waker.take() {
                    waker.parker.park();
                } else if is_ready() {
                    break;
                }
            }
            waking.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }
}
