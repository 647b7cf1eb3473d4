//! Says what a runtime is to be like.
//!
//! Its methods take and return `&mut Builder`, as tokio's do, so that a program may say what it
//! wants in one chain or in several statements.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::config::{Config, Flavor, ThreadName, WORKERS_MAX};
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
    #[must_use = "nothing is made before `build`"]
    pub fn new_multi_thread() -> Builder {
        Builder::new(Flavor::MultiThread)
    }

    /// A runtime whose tasks run on the thread that is in
    /// [`block_on`](crate::runtime::Runtime::block_on), and only then.
    #[must_use = "nothing is made before `build`"]
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
    pub fn worker_threads(&mut self, workers: usize) -> &mut Builder {
        assert!(
            (1..=WORKERS_MAX).contains(&workers),
            "a runtime has 1 to {WORKERS_MAX} worker threads, not {workers}"
        );
        if self.config.flavor == Flavor::MultiThread {
            self.config.workers = workers;
        }
        self
    }

    /// Names the runtime: see [`Handle::name`](crate::runtime::Handle::name).
    pub fn name(&mut self, name: impl Into<String>) -> &mut Builder {
        self.config.name = Some(name.into());
        self
    }

    /// Sets the name of the worker threads, which the other threads' names begin with.
    pub fn thread_name(&mut self, name: impl Into<String>) -> &mut Builder {
        self.config.thread_name = ThreadName::Fixed(name.into());
        self
    }

    /// Names each thread by what `f` returns when the thread is made. The names of threads that are
    /// not workers go on with what they do.
    pub fn thread_name_fn<F>(&mut self, f: F) -> &mut Builder
    where
        F: Fn() -> String + Send + Sync + 'static,
    {
        self.config.thread_name = ThreadName::Made(Arc::new(f));
        self
    }

    /// Sets the stack of each thread, in bytes. Without this it is the system's default for
    /// threads, which `RUST_MIN_STACK` sets.
    pub fn thread_stack_size(&mut self, bytes: usize) -> &mut Builder {
        self.config.thread_stack_bytes = Some(bytes);
        self
    }

    /// Sets how many threads there are at most for `spawn_blocking`: 512 without this.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn max_blocking_threads(&mut self, threads: usize) -> &mut Builder {
        assert!(threads > 0, "`spawn_blocking` needs at least one thread");
        self.config.blocking_threads_max = threads;
        self
    }

    /// Sets for how long a thread of `spawn_blocking` waits for more to do before it ends: ten
    /// seconds without this.
    pub fn thread_keep_alive(&mut self, keep_alive: Duration) -> &mut Builder {
        self.config.thread_keep_alive = keep_alive;
        self
    }

    /// Sets after how many polls a worker looks at what came from outside, even while it has
    /// work of its own: 31 without this.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn global_queue_interval(&mut self, polls: u32) -> &mut Builder {
        assert!(polls > 0, "a worker looks at the global queue after at least one poll");
        self.config.inject_interval_ticks = polls;
        self
    }

    /// Sets after how many polls a busy worker looks at sockets and timers: 61 without this.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn event_interval(&mut self, polls: u32) -> &mut Builder {
        assert!(polls > 0, "a worker looks at sockets and timers after at least one poll");
        self.config.event_interval_ticks = polls;
        self
    }

    /// Lets the clock stand from the start: see [`time::pause`](crate::time::pause). For the
    /// current-thread flavour only.
    pub fn start_paused(&mut self, is_paused: bool) -> &mut Builder {
        self.config.is_paused_at_start = is_paused && self.config.flavor == Flavor::CurrentThread;
        self
    }

    /// Says what happens when a task panics that nobody waits for: a line on standard error names
    /// it, without this.
    pub fn unhandled_panic(&mut self, policy: UnhandledPanic) -> &mut Builder {
        self.config.unhandled_panic = policy;
        self
    }

    /// Calls `f` on each thread of the runtime when it begins.
    pub fn on_thread_start(&mut self, f: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.config.on_thread_start = Some(Arc::new(f));
        self
    }

    /// Calls `f` on each thread of the runtime before it ends.
    pub fn on_thread_stop(&mut self, f: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.config.on_thread_stop = Some(Arc::new(f));
        self
    }

    /// Calls `f` on a worker that has nothing to do, before it goes to sleep. It is code of no
    /// task; what it spawns is run before the worker sleeps.
    pub fn on_thread_park(&mut self, f: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.config.on_thread_park = Some(Arc::new(f));
        self
    }

    /// Calls `f` on a worker that was about to sleep, or slept, when it goes on.
    pub fn on_thread_unpark(&mut self, f: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.config.on_thread_unpark = Some(Arc::new(f));
        self
    }

    /// Sets how many reports the driver takes from the system at once: 1024 without this.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn max_io_events_per_tick(&mut self, events: usize) -> &mut Builder {
        assert!(events > 0, "the driver takes at least one report at once");
        self.config.io_events_max = events;
        self
    }

    /// Does nothing: a busy worker takes as many reports at once as an idle one. For code that was
    /// written for tokio.
    pub fn max_io_events_per_busy_tick(&mut self, _events: usize) -> &mut Builder {
        self
    }

    /// Does nothing: sockets and timers are always there. For code that was written for tokio.
    pub fn enable_all(&mut self) -> &mut Builder {
        self
    }

    /// Does nothing: sockets are always there. For code that was written for tokio.
    pub fn enable_io(&mut self) -> &mut Builder {
        self
    }

    /// Does nothing: timers are always there. For code that was written for tokio.
    pub fn enable_time(&mut self) -> &mut Builder {
        self
    }

    /// Says whether the threads of the runtime enter the bridge to tokio's own runtime: they do
    /// without this. See [`interop::tokio_bridge`](crate::interop::tokio_bridge).
    #[cfg(feature = "tokio-bridge")]
    pub fn tokio_bridge(&mut self, is_entered: bool) -> &mut Builder {
        self.config.is_bridged = is_entered;
        self
    }

    /// Enables a hook for the runtime that is built next, from its very first resource until it
    /// has ended.
    pub fn hook<H: AsyncHook>(&mut self, hook: HookBuilder<H>) -> &mut Builder {
        self.hooks.push(Box::new(move |id| {
            let handle = hook.runtime(id).enable()?;
            Ok(Box::new(handle))
        }));
        self
    }

    pub(crate) fn is_multi_thread(&self) -> bool {
        self.config.flavor == Flavor::MultiThread
    }

    /// Makes the runtime.
    ///
    /// Called again, it makes another runtime like it, but without the hooks, which are the first
    /// one's.
    ///
    /// # Errors
    /// When the system refuses a thread or a descriptor, or a hook cannot be enabled.
    pub fn build(&mut self) -> io::Result<Runtime> {
        let hooks = std::mem::take(&mut self.hooks);
        let (mut config, facade) = (self.config.clone(), self.facade.clone());
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
