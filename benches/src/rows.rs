//! Sets up the runtimes that are compared, each with as many threads as it is told.

use std::future::Future;
use std::thread;
use std::time::Duration;

use async_executor::Executor;
use forebear::hooks::{AsyncHook, create_hook};
use forebear::{AsyncLocal, Lineage};

use crate::peer::{Peer, Sure};
use crate::work::Stage;

/// A line of the tables: a runtime, and what is switched on in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// forebear without hooks and without an id map.
    Bare,
    /// forebear as it is without a word in the builder, id map and lineage included, with one
    /// context value set.
    Default,
    /// forebear with five hooks that do nothing, and no id map.
    Hooked,
    /// tokio's multi-thread flavour.
    Tokio,
    /// async-executor, with async-io's timers.
    Smol,
}

impl Row {
    /// All rows, ours first.
    pub const ALL: [Row; 5] = [Row::Bare, Row::Default, Row::Hooked, Row::Tokio, Row::Smol];

    /// Returns the name in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Row::Bare => "bare",
            Row::Default => "default",
            Row::Hooked => "hooked",
            Row::Tokio => "tokio",
            Row::Smol => "async-executor",
        }
    }

    /// Says whether it is somebody else's.
    #[must_use]
    pub fn is_peer(self) -> bool {
        matches!(self, Row::Tokio | Row::Smol)
    }

    /// Starts the runtime. It ends when the stage is dropped.
    #[must_use]
    pub fn start(self, workers: usize) -> Box<dyn Stage> {
        match self {
            Row::Bare => Box::new(Forebear::start(bare(workers), None)),
            Row::Default => Box::new(Forebear::start(builder(workers), Some(REQUEST))),
            Row::Hooked => {
                let mut hooked = bare(workers);
                for _ in 0..HOOKS {
                    hooked.hook(create_hook(Empty));
                }
                Box::new(Forebear::start(hooked, None))
            }
            Row::Tokio => Box::new(Tokio::start(workers)),
            Row::Smol => Box::new(Smol::start(workers)),
        }
    }
}

/// As many as a service with a tracer, metrics and a leak detector has.
const HOOKS: usize = 5;

/// Listens to all five events and does nothing.
struct Empty;

impl AsyncHook for Empty {}

fn builder(workers: usize) -> forebear::runtime::Builder {
    let mut builder = forebear::runtime::Builder::new_multi_thread();
    builder.worker_threads(workers);
    builder
}

fn bare(workers: usize) -> forebear::runtime::Builder {
    let mut builder = builder(workers);
    builder.lineage(Lineage::Off);
    builder
}

/// The context value that the default row sets, and what it is.
static REQUEST_ID: AsyncLocal<u64> = AsyncLocal::named("request_id");
const REQUEST: u64 = 7;

struct Forebear {
    runtime: forebear::runtime::Runtime,
    /// What programs find as their context value.
    request_id: Option<u64>,
}

impl Forebear {
    fn start(mut builder: forebear::runtime::Builder, request_id: Option<u64>) -> Forebear {
        let runtime = builder.build().expect("the system has threads for a bench");
        Forebear { runtime, request_id }
    }
}

impl Peer for Forebear {
    type Join<T: Send + 'static> = Sure<forebear::task::JoinHandle<T>>;

    fn with_context<R>(&self, f: impl FnOnce() -> R) -> R {
        match self.request_id {
            Some(id) => REQUEST_ID.sync_scope(id, f),
            None => f(),
        }
    }

    fn spawn<F>(future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Sure(forebear::spawn(future))
    }

    fn spawn_from_outside<F>(&self, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Sure(self.runtime.spawn(future))
    }

    fn detach<T: Send + 'static>(join: Self::Join<T>) {
        drop(join);
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        forebear::time::sleep(duration)
    }

    fn yield_now() -> impl Future<Output = ()> + Send + 'static {
        forebear::task::yield_now()
    }
}

struct Tokio(tokio::runtime::Runtime);

impl Tokio {
    fn start(workers: usize) -> Tokio {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(workers).enable_time();
        Tokio(builder.build().expect("the system has threads for a bench"))
    }
}

impl Peer for Tokio {
    type Join<T: Send + 'static> = Sure<tokio::task::JoinHandle<T>>;

    fn spawn<F>(future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Sure(tokio::spawn(future))
    }

    fn spawn_from_outside<F>(&self, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Sure(self.0.spawn(future))
    }

    fn detach<T: Send + 'static>(join: Self::Join<T>) {
        drop(join);
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        tokio::time::sleep(duration)
    }

    fn yield_now() -> impl Future<Output = ()> + Send + 'static {
        tokio::task::yield_now()
    }
}

/// The executor of a program that uses async-executor: one, and static.
static EXECUTOR: Executor<'static> = Executor::new();

struct Smol {
    /// Closed to let the threads end.
    stop: async_channel::Sender<()>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Smol {
    fn start(workers: usize) -> Smol {
        let (stop, stopped) = async_channel::bounded::<()>(1);
        let run = |stopped: async_channel::Receiver<()>| {
            move || {
                // It ends with an error, which says that the other end is closed.
                let _ = async_io::block_on(EXECUTOR.run(stopped.recv()));
            }
        };
        let threads = (0..workers).map(|_| thread::spawn(run(stopped.clone()))).collect();
        Smol { stop, threads }
    }
}

impl Drop for Smol {
    fn drop(&mut self) {
        self.stop.close();
        for thread in self.threads.drain(..) {
            thread.join().expect("no thread of a bench fails");
        }
    }
}

impl Peer for Smol {
    type Join<T: Send + 'static> = async_executor::Task<T>;

    fn spawn<F>(future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        EXECUTOR.spawn(future)
    }

    fn spawn_from_outside<F>(&self, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        EXECUTOR.spawn(future)
    }

    fn detach<T: Send + 'static>(join: Self::Join<T>) {
        join.detach();
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        futures_lite::future::block_on(future)
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        let timer = async_io::Timer::after(duration);
        async move {
            timer.await;
        }
    }

    fn yield_now() -> impl Future<Output = ()> + Send + 'static {
        futures_lite::future::yield_now()
    }
}
