//! Says more about a task before it is spawned.

use std::borrow::Cow;
use std::future::Future;
use std::panic::Location;

use crate::enter;
use crate::handle::Handle;
use crate::hooks::life::Birth;
use crate::hooks::{AsyncId, Frame};
use crate::spawn::{self, spawn_blocking_on, spawn_on};
use crate::task::{JoinHandle, LocalSet, local_set};

/// Spawns tasks of which more is said than their future.
///
/// ```
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let shipping = forebear::task::Builder::new().name("ship order").spawn(async { "shipped" });
/// assert_eq!(shipping.await?, "shipped");
/// # Ok::<(), forebear::task::JoinError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is spawned before `spawn`"]
#[derive(Clone, Debug, Default)]
pub struct Builder {
    name: Option<Cow<'static, str>>,
    trigger: Option<AsyncId>,
    context: Option<Frame>,
    is_root: bool,
    is_flow_root: bool,
}

impl Builder {
    /// Begins with nothing said.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Gives the task a name, which is its label in trees.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// Says what caused the task, if that is not what is running.
    pub fn trigger(mut self, trigger: AsyncId) -> Builder {
        self.trigger = Some(trigger);
        self
    }

    /// Gives the task this context instead of the one of this place.
    pub fn context(mut self, context: Frame) -> Builder {
        self.context = Some(context);
        self
    }

    /// Lets the task descend from nobody: see [`spawn_root`](crate::spawn_root).
    pub fn root(mut self) -> Builder {
        self.is_root = true;
        self
    }

    /// Declares that a unit of work begins with the task: sampling hooks draw here.
    pub fn flow_root(mut self) -> Builder {
        self.is_flow_root = true;
        self
    }

    /// Spawns the task on the current runtime: see [`spawn`](crate::spawn()).
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let birth = self.say(spawn::birth::<F>().location(Location::caller()));
        enter::with_current(|shared| spawn_on(shared, birth, future))
    }

    /// Spawns the task on a runtime.
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let birth = self.say(spawn::birth::<F>().location(Location::caller()));
        spawn_on(handle.shared(), birth, future)
    }

    /// Spawns a task that stays on this thread: see [`spawn_local`](crate::task::spawn_local).
    ///
    /// # Panics
    /// Outside a [`LocalSet`] and a [`LocalRuntime`](crate::runtime::LocalRuntime).
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        local_set::here().spawn(self.say(spawn::birth::<F>().location(Location::caller())), future)
    }

    /// Spawns a task in a set: see [`LocalSet::spawn_local`].
    #[track_caller]
    pub fn spawn_local_on<F>(self, future: F, set: &LocalSet) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        set.inner().spawn(self.say(spawn::birth::<F>().location(Location::caller())), future)
    }

    /// Runs a closure that blocks: see [`spawn_blocking`](crate::task::spawn_blocking).
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_blocking<F, R>(self, closure: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let birth = self.say(spawn::blocking_birth::<F>().location(Location::caller()));
        enter::with_current(|shared| spawn_blocking_on(shared, birth, closure))
    }

    /// Runs a closure that blocks, on a thread of a runtime.
    #[track_caller]
    pub fn spawn_blocking_on<F, R>(self, closure: F, handle: &Handle) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let birth = self.say(spawn::blocking_birth::<F>().location(Location::caller()));
        spawn_blocking_on(handle.shared(), birth, closure)
    }

    fn say(self, mut birth: Birth) -> Birth {
        if self.is_root {
            birth = birth.root();
        }
        if self.is_flow_root {
            birth = birth.flow_root();
        }
        if let Some(name) = self.name {
            birth = birth.name(name);
        }
        if let Some(trigger) = self.trigger {
            birth = birth.trigger(trigger);
        }
        if let Some(context) = self.context {
            birth = birth.frame(context);
        }
        birth
    }
}
