//! Owns a runtime whose tasks may all stay on one thread.

use std::any::type_name;
use std::fmt;
use std::future::Future;
use std::io;
use std::time::Duration;

use crate::builder::Builder;
use crate::handle::{EnterGuard, Handle};
use crate::metrics::RuntimeMetrics;
use crate::runtime::Runtime;
use crate::task::{JoinHandle, LocalSet};

/// A current-thread runtime with a [`LocalSet`] of its own:
/// [`spawn_local`](crate::task::spawn_local) works everywhere on it, and so futures need not be
/// `Send`.
///
/// It stays on the thread that made it. A [`Handle`] of it may go elsewhere, and spawns what is
/// `Send`.
///
/// # Panics
/// Dropping one inside async code panics, as it does for [`Runtime`].
///
/// # Examples
/// ```
/// use std::rc::Rc;
/// use forebear::runtime::LocalRuntime;
/// use forebear::task::spawn_local;
///
/// let runtime = LocalRuntime::new()?;
/// let length = runtime.block_on(async {
///     let text = Rc::new("local".to_owned());
///     spawn_local(async move { text.len() }).await
/// });
/// assert_eq!(length?, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LocalRuntime {
    // Ends first.
    local: Local,
    runtime: Runtime,
}

/// What [`Builder::build_local`] can be told: nothing so far.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LocalOptions {}

/// The set, whose tasks find their runtime also while they are cancelled.
struct Local {
    set: LocalSet,
    handle: Handle,
}

impl Drop for Local {
    fn drop(&mut self) {
        let _entered = self.handle.enter();
        self.set.inner().end();
    }
}

impl LocalRuntime {
    /// Makes a runtime on this thread.
    ///
    /// # Errors
    /// When the system refuses a descriptor.
    pub fn new() -> io::Result<LocalRuntime> {
        Builder::new_current_thread().build_local(LocalOptions::default())
    }

    /// Returns a handle to the runtime.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Spawns a task that stays on this thread: see [`spawn_local`](crate::task::spawn_local).
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let _entered = self.runtime.enter();
        self.local.set.spawn_local(future)
    }

    /// Runs a closure that blocks: see [`spawn_blocking`](crate::task::spawn_blocking).
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, closure: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.runtime.spawn_blocking(closure)
    }

    /// Waits for a future on this thread, and runs the tasks of the runtime meanwhile.
    ///
    /// # Panics
    /// Inside a task or another `block_on`, whose thread must not block; and if the future does.
    ///
    /// # Hooks
    /// Those of [`Runtime::block_on`].
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _entered = self.local.set.enter();
        self.runtime.block_on_labelled(self.local.set.run_until(future), type_name::<F>)
    }

    /// Makes the runtime the current one of this thread for as long as the guard lives.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Ends the runtime: see [`Runtime::shutdown_timeout`].
    pub fn shutdown_timeout(self, timeout: Duration) {
        let LocalRuntime { local, runtime } = self;
        drop(local);
        runtime.shutdown_timeout(timeout);
    }

    /// Ends the runtime and waits for nothing: see [`Runtime::shutdown_background`].
    pub fn shutdown_background(self) {
        let LocalRuntime { local, runtime } = self;
        drop(local);
        runtime.shutdown_background();
    }

    /// Returns what the runtime is doing, in numbers.
    #[must_use]
    pub fn metrics(&self) -> RuntimeMetrics {
        self.runtime.metrics()
    }
}

impl fmt::Debug for LocalRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.runtime.fmt(f)
    }
}

impl Builder {
    /// Makes a runtime that stays on this thread: see [`LocalRuntime`].
    ///
    /// # Errors
    /// When the system refuses a descriptor, or a hook cannot be enabled; and for the multi-thread
    /// flavour.
    pub fn build_local(&mut self, options: LocalOptions) -> io::Result<LocalRuntime> {
        let LocalOptions {} = options;
        if self.is_multi_thread() {
            let what = "a `LocalRuntime` stays on one thread: build it with \
                        `Builder::new_current_thread`";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let runtime = self.build()?;
        let local = Local { set: LocalSet::new(), handle: runtime.handle().clone() };
        Ok(LocalRuntime { local, runtime })
    }
}
