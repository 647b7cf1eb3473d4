//! Lets libraries that insist on tokio's own runtime run on this one.
//!
//! A library that calls the real `tokio::spawn`, or makes a real `tokio::net::TcpStream` or
//! `tokio::time::Sleep`, panics outside of tokio's runtime. With the feature `tokio-bridge` there is
//! one: a runtime of tokio's with a single thread, begun with the first runtime of ours, which all
//! threads of ours have entered. So what such a library awaits is woken by tokio's driver, and goes
//! on in our task, with its context.
//!
//! Nothing has to be called:
//!
//! ```toml
//! [dependencies]
//! tokio = { package = "forebear", version = "0.1", features = ["full", "tokio-bridge"] }
//! ```
//!
//! # What escapes
//! What a library gives to `tokio::spawn` or `tokio::task::spawn_blocking` itself runs on the
//! bridge's threads: connections of a client's pool, say. It is no resource: no hook hears of it, the
//! tree does not show it, it has no context, it shares one thread with all others of its sort, and it
//! does not end with our runtime. The sockets and timers of tokio are no resources either, whoever
//! awaits them. [`escaped_tasks`] says how many such tasks there are. A library that takes an
//! executor (hyper's, tonic's) is better given ours: see the feature `hyper`.
//!
//! # Cost
//! One thread, which sleeps unless such a library is used, and three descriptors per process.

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::runtime::{Builder, EnterGuard, Runtime};

use crate::config::Config;

/// One for all runtimes of ours: a guard that outlives what it borrows could not be kept by a thread.
static BRIDGE: OnceLock<Runtime> = OnceLock::new();

/// Whoever makes the bridge holds this: one is enough.
static MAKING: Mutex<()> = Mutex::new(());

/// The thread has entered the bridge, until this is dropped.
pub(crate) struct Crossing {
    _entered: Option<EnterGuard<'static>>,
}

/// Makes the bridge, unless it is there or not wanted.
pub(crate) fn begin(config: &Config) -> io::Result<()> {
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if config.is_bridged && BRIDGE.get().is_none() {
        let bridge = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("forebear-bridge")
            .enable_all()
            .build()?;
        // Nobody else makes one now.
        let _ = BRIDGE.set(bridge);
    }
    Ok(())
}

/// Enters the bridge, for a runtime that wants it.
pub(crate) fn enter(config: &Config) -> Crossing {
    let bridge = if config.is_bridged { BRIDGE.get() } else { None };
    Crossing { _entered: bridge.map(Runtime::enter) }
}

/// Returns how many tasks there are that were given to the real `tokio::spawn` and have not ended.
///
/// They are no resources of ours: see [the module](self).
///
/// # Examples
/// ```
/// use forebear::interop::tokio_bridge::escaped_tasks;
/// use forebear::runtime::Runtime;
///
/// assert_eq!(escaped_tasks(), 0);
/// let runtime = Runtime::new()?;
/// runtime.block_on(async {
///     // What a library would do.
///     let task = real_tokio::spawn(std::future::pending::<()>());
///     assert_eq!(escaped_tasks(), 1);
///     task.abort();
/// });
/// # use tokio as real_tokio;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn escaped_tasks() -> usize {
    BRIDGE.get().map_or(0, |bridge| bridge.metrics().num_alive_tasks())
}
