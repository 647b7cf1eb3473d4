//! Holds what is fixed when a runtime is built: every knob, once.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::task::{UnhandledPanic, cell};

/// A worker looks at the injector every this many ticks even while its own queue has work, so
/// that a task spawned from outside waits for at most so many polls.
///
/// A prime, so that it does not beat with loops of the user's own.
pub(crate) const INJECT_INTERVAL_TICKS: u32 = 31;

/// A busy worker looks at the driver every this many ticks, if nobody holds it.
pub(crate) const EVENT_INTERVAL_TICKS: u32 = 61;

/// The driver takes at most so many reports from the system at once.
///
/// A guess: 16 KiB of buffer, and rarely full.
pub(crate) const IO_EVENTS_MAX: usize = 1024;

/// More workers than this are surely a mistake in a number.
pub(crate) const WORKERS_MAX: usize = 1024;

/// What runs the tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// The thread that is in `block_on`.
    CurrentThread,
    /// Threads of the runtime's own.
    MultiThread,
}

pub(crate) type Callback = Arc<dyn Fn() + Send + Sync>;

/// How the threads of a runtime are called.
#[derive(Clone)]
pub(crate) enum ThreadName {
    Fixed(String),
    /// Made anew for each thread.
    Made(Arc<dyn Fn() -> String + Send + Sync>),
}

/// Everything the workers need to know that does not change while they run.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) flavor: Flavor,
    pub(crate) workers: usize,
    pub(crate) name: Option<String>,
    pub(crate) thread_name: ThreadName,
    /// In bytes; the system's default if it is not said.
    pub(crate) thread_stack_bytes: Option<usize>,
    pub(crate) blocking_threads_max: usize,
    /// A thread of the blocking pool ends when it had nothing to do for so long.
    pub(crate) thread_keep_alive: Duration,
    pub(crate) inject_interval_ticks: u32,
    pub(crate) event_interval_ticks: u32,
    /// The driver takes so many reports from the system at once.
    pub(crate) io_events_max: usize,
    pub(crate) is_paused_at_start: bool,
    /// Tasks note when they were born.
    pub(crate) is_mapped: bool,
    /// Whether its threads enter the bridge to tokio's runtime, if there is one.
    #[cfg_attr(not(feature = "tokio-bridge"), allow(dead_code, reason = "there is no bridge"))]
    pub(crate) is_bridged: bool,
    pub(crate) unhandled_panic: UnhandledPanic,
    pub(crate) on_thread_start: Option<Callback>,
    pub(crate) on_thread_stop: Option<Callback>,
    pub(crate) on_thread_park: Option<Callback>,
    pub(crate) on_thread_unpark: Option<Callback>,
}

impl Config {
    pub(crate) fn new(flavor: Flavor) -> Config {
        Config {
            flavor,
            workers: 1,
            name: None,
            thread_name: ThreadName::Fixed("forebear-worker".into()),
            thread_stack_bytes: None,
            blocking_threads_max: 512,
            thread_keep_alive: Duration::from_secs(10),
            inject_interval_ticks: INJECT_INTERVAL_TICKS,
            event_interval_ticks: EVENT_INTERVAL_TICKS,
            io_events_max: IO_EVENTS_MAX,
            is_paused_at_start: false,
            is_mapped: false,
            is_bridged: true,
            unhandled_panic: UnhandledPanic::default(),
            on_thread_start: None,
            on_thread_stop: None,
            on_thread_park: None,
            on_thread_unpark: None,
        }
    }

    /// Says to the user that a thread of the runtime begins. A panic there is the panic hook's
    /// business; the thread goes on.
    pub(crate) fn thread_starts(&self) {
        call(self.on_thread_start.as_ref());
    }

    /// Says to the user that a thread of the runtime is about to end.
    pub(crate) fn thread_stops(&self) {
        call(self.on_thread_stop.as_ref());
    }

    /// Says to the user that a worker has nothing to do.
    pub(crate) fn thread_parks(&self) {
        call(self.on_thread_park.as_ref());
    }

    /// Says to the user that a worker goes on.
    pub(crate) fn thread_unparks(&self) {
        call(self.on_thread_unpark.as_ref());
    }

    /// Begins a thread of the runtime.
    pub(crate) fn thread(&self, role: &str) -> std::thread::Builder {
        let name = match &self.thread_name {
            ThreadName::Fixed(name) => name.clone(),
            ThreadName::Made(make) => make(),
        };
        // The system refuses a name with a NUL in it.
        let mut name = name.replace('\0', "");
        if !role.is_empty() {
            name.push('-');
            name.push_str(role);
        }
        let thread = std::thread::Builder::new().name(name);
        match self.thread_stack_bytes {
            Some(bytes) => thread.stack_size(bytes),
            None => thread,
        }
    }
}

fn call(callback: Option<&Callback>) {
    if let Some(callback) = callback {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| callback())) {
            cell::discard(payload);
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("flavor", &self.flavor)
            .field("workers", &self.workers)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
