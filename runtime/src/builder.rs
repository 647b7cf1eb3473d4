//! Says what a runtime is to be like.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::config::{Config, Flavor, WORKERS_MAX};
use crate::hooks::{AsyncHook, EnableError, HookBuilder, RuntimeId};
use crate::runtime::{Kept, Runtime};
use crate::task::UnhandledPanic;

/// Builds a runtime.
///
/// ```
/// use forebear::runtime::Builder;
///
/// let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("orders").build()?;
/// let name = runtime.spawn(async { std::thread::current().name().map(str::to_owned) });
/// assert_eq!(runtime.block_on(name).unwrap().as_deref(), Some("orders"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "nothing is made before `build`"]
pub struct Builder {
    config: Config,
    hooks: Vec<EnableHook>,
    pub(crate) facade: crate::facade::Options,
}

type Enabled = Result<Box<dyn std::any::Any + Send + Sync>, EnableError>;
type EnableHook = Box<dyn FnOnce(RuntimeId) -> Enabled + Send>;

impl Builder {
    /// A runtime with threads of its own, one per core unless said otherwise.
    ///
    /// The environment variable `FOREBEAR_WORKER_THREADS` overrides the number of cores.
    pub fn new_multi_thread() -> Builder {
        Builder::new(Flavor::MultiThread)
    }

    /// A runtime whose tasks run on the thread that is in
    /// [`block_on`](crate::runtime::Runtime::block_on), and only then.
    pub fn new_current_thread() -> Builder {
        Builder::new(Flavor::CurrentThread)
    }

    fn new(flavor: Flavor) -> Builder {
        let mut config = Config::new(flavor);
        if flavor == Flavor::MultiThread {
            config.workers = default_workers();
        }
        Builder { config, hooks: Vec::new(), facade: crate::facade::Options::new() }
    }

    /// Sets the number of workers, from 1 to 1024. The current-thread flavour always has one.
    ///
    /// # Panics
    /// If the number is out of range.
    #[track_caller]
    pub fn worker_threads(mut self, workers: usize) -> Builder {
        assert!(
            (1..=WORKERS_MAX).contains(&workers),
            "a runtime has 1 to {WORKERS_MAX} worker threads, not {workers}"
        );
        if self.config.flavor == Flavor::MultiThread {
            self.config.workers = workers;
        }
        self
    }

    /// Sets the name of the worker threads, which the other threads' names begin with.
    pub fn thread_name(mut self, name: impl Into<String>) -> Builder {
        // The system refuses a name with a NUL in it.
        self.config.thread_name = name.into().replace('\0', "");
        self
    }

    /// Sets the stack of each thread, in bytes. Without this it is the system's default for
    /// threads, which `RUST_MIN_STACK` sets.
    pub fn thread_stack_size(mut self, bytes: usize) -> Builder {
        self.config.thread_stack_bytes = Some(bytes);
        self
    }

    /// Sets how many threads there are at most for `spawn_blocking`: 512 without this.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn max_blocking_threads(mut self, threads: usize) -> Builder {
        assert!(threads > 0, "`spawn_blocking` needs at least one thread");
        self.config.blocking_threads_max = threads;
        self
    }

    /// Sets for how long a thread of `spawn_blocking` waits for more to do before it ends: ten
    /// seconds without this.
    pub fn thread_keep_alive(mut self, keep_alive: Duration) -> Builder {
        self.config.thread_keep_alive = keep_alive;
        self
    }

    /// Sets after how many polls a worker looks at what came from outside, even while it has
    /// work of its own: 31 without this.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn global_queue_interval(mut self, polls: u32) -> Builder {
        assert!(polls > 0, "a worker looks at the global queue after at least one poll");
        self.config.inject_interval_ticks = polls;
        self
    }

    /// Sets after how many polls a busy worker looks at sockets and timers: 61 without this.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn event_interval(mut self, polls: u32) -> Builder {
        assert!(polls > 0, "a worker looks at sockets and timers after at least one poll");
        self.config.event_interval_ticks = polls;
        self
    }

    /// Lets the clock stand from the start: see [`time::pause`](crate::time::pause). For the
    /// current-thread flavour only.
    pub fn start_paused(mut self, is_paused: bool) -> Builder {
        self.config.is_paused_at_start = is_paused && self.config.flavor == Flavor::CurrentThread;
        self
    }

    /// Says what happens when a task panics that nobody waits for: a line on standard error names
    /// it, without this.
    pub fn unhandled_panic(mut self, policy: UnhandledPanic) -> Builder {
        self.config.unhandled_panic = policy;
        self
    }

    /// Calls `f` on each thread of the runtime when it begins.
    pub fn on_thread_start(mut self, f: impl Fn() + Send + Sync + 'static) -> Builder {
        self.config.on_thread_start = Some(Arc::new(f));
        self
    }

    /// Calls `f` on each thread of the runtime before it ends.
    pub fn on_thread_stop(mut self, f: impl Fn() + Send + Sync + 'static) -> Builder {
        self.config.on_thread_stop = Some(Arc::new(f));
        self
    }

    /// Does nothing: sockets and timers are always there. For code that was written for tokio.
    pub fn enable_all(self) -> Builder {
        self
    }

    /// Enables a hook for this runtime, from its very first resource until it has ended.
    pub fn hook<H: AsyncHook>(mut self, hook: HookBuilder<H>) -> Builder {
        self.hooks.push(Box::new(move |id| {
            let handle = hook.runtime(id).enable()?;
            Ok(Box::new(handle))
        }));
        self
    }

    /// Makes the runtime.
    ///
    /// # Errors
    /// When the system refuses a thread or a descriptor, or a hook cannot be enabled.
    pub fn build(self) -> io::Result<Runtime> {
        let Builder { mut config, hooks, facade } = self;
        config.is_mapped = facade.is_mapped();
        Runtime::start(config, move |id| {
            let mut kept: Kept = vec![facade.begin(id)];
            for enable in hooks {
                kept.push(enable(id).map_err(io::Error::other)?);
            }
            Ok(kept)
        })
    }
}

fn default_workers() -> usize {
    let said = std::env::var("FOREBEAR_WORKER_THREADS").ok();
    let said = said.and_then(|text| text.parse().ok()).filter(|n| (1..=WORKERS_MAX).contains(n));
    said.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX))
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.config)
            .field("hooks", &self.hooks.len())
            .finish_non_exhaustive()
    }
}
