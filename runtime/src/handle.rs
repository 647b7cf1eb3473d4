//! Reaches a runtime from anywhere.

use std::any::type_name;
use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use crate::config::Flavor;
use crate::enter;
use crate::hooks::RuntimeId;
use crate::metrics::RuntimeMetrics;
use crate::runtime;
use crate::scheduler::Shared;
use crate::spawn;
use crate::task::JoinHandle;

/// A reference to a runtime. It does not keep the runtime from ending.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// What runs the tasks of a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuntimeFlavor {
    /// The thread that is in `block_on`.
    CurrentThread,
    /// Threads of the runtime's own.
    MultiThread,
}

/// There is no runtime here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryCurrentError(());

impl TryCurrentError {
    pub(crate) fn new() -> TryCurrentError {
        TryCurrentError(())
    }

    /// Says whether no runtime is current on the thread, which is always the cause.
    #[must_use]
    pub fn is_missing_context(&self) -> bool {
        true
    }

    /// Says whether the thread is ending and has lost its runtime already. Never: it is then said
    /// to have none.
    #[must_use]
    pub fn is_thread_local_destroyed(&self) -> bool {
        false
    }
}

impl fmt::Display for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "there is no forebear runtime on this thread: call this from a task, inside \
             `block_on`, or after `Runtime::enter` or `Handle::enter`",
        )
    }
}

impl std::error::Error for TryCurrentError {}

/// Makes a runtime the current one of its thread, until it is dropped.
#[must_use = "the runtime is left when the guard is dropped"]
pub struct EnterGuard<'a> {
    _entered: enter::EnterHandle,
    handle: std::marker::PhantomData<&'a Handle>,
}

impl fmt::Debug for EnterGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnterGuard").finish_non_exhaustive()
    }
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Handle {
        Handle { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Returns the runtime that this code runs in.
    ///
    /// # Panics
    /// Outside a runtime. [`try_current`](Handle::try_current) does not.
    #[track_caller]
    #[must_use]
    pub fn current() -> Handle {
        match Handle::try_current() {
            Ok(handle) => handle,
            Err(error) => panic!("{error}"),
        }
    }

    /// Returns the runtime that this code runs in.
    ///
    /// # Errors
    /// Outside a runtime; the error says what to do.
    pub fn try_current() -> Result<Handle, TryCurrentError> {
        enter::current().map(|handle| Handle::clone(&handle)).ok_or(TryCurrentError::new())
    }

    /// Makes the runtime the current one of this thread for as long as the guard lives.
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard { _entered: enter::handle(self.clone()), handle: std::marker::PhantomData }
    }

    /// Returns the runtime's number, for hooks that follow one runtime only.
    #[must_use]
    pub fn id(&self) -> RuntimeId {
        self.shared.id()
    }

    /// Returns the name that the builder was given.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.shared.config.name.as_deref()
    }

    /// Says what runs the tasks.
    ///
    /// ```
    /// use forebear::runtime::{Builder, RuntimeFlavor};
    ///
    /// let runtime = Builder::new_current_thread().build()?;
    /// assert_eq!(runtime.handle().runtime_flavor(), RuntimeFlavor::CurrentThread);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn runtime_flavor(&self) -> RuntimeFlavor {
        match self.shared.config.flavor {
            Flavor::CurrentThread => RuntimeFlavor::CurrentThread,
            Flavor::MultiThread => RuntimeFlavor::MultiThread,
        }
    }

    /// Spawns a task: see [`spawn`](crate::spawn()).
    ///
    /// If the runtime has ended, the task is cancelled at once.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn::spawn_on(&self.shared, spawn::birth::<F>(), future)
    }

    /// Spawns a task that descends from nobody: see [`spawn_root`](crate::spawn_root).
    #[track_caller]
    pub fn spawn_root<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn::spawn_on(&self.shared, spawn::birth::<F>().root(), future)
    }

    /// Runs a closure that blocks: see [`spawn_blocking`](crate::task::spawn_blocking).
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, closure: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        spawn::spawn_blocking_on(&self.shared, spawn::blocking_birth::<F>(), closure)
    }

    /// Waits for a future on this thread, with the runtime current.
    ///
    /// On the current-thread flavour this does not run the runtime's tasks; that is what
    /// [`Runtime::block_on`](crate::runtime::Runtime::block_on) does.
    ///
    /// # Panics
    /// Inside a task or another `block_on`, whose thread must not block; and if the future does.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        runtime::block_on_parked(&self.shared, future, type_name::<F>)
    }

    /// Returns what the runtime is doing, in numbers.
    #[must_use]
    pub fn metrics(&self) -> RuntimeMetrics {
        RuntimeMetrics::new(self.shared.clone())
    }
}

// No user code runs under our locks, so a panic leaves nothing half done.
impl UnwindSafe for Handle {}
impl RefUnwindSafe for Handle {}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("id", &self.id())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}
