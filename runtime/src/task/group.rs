//! Gathers tasks with all that descends from them.

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;

use crate::enter;
use crate::handle::Handle;
use crate::hooks::life::Birth;
use crate::scheduler::Shared;
use crate::spawn;
use crate::task::JoinHandle;
use crate::task::family::{self, Watch};

/// Tasks that belong together, with everything that they spawn, and that is spawned by what they
/// spawned: to wait until nothing of it is left, or to abort all of it.
///
/// A task is a member if the group has spawned it, or if code of a member has. Who creates it
/// decides, not who waits for it; [`spawn_root`](crate::spawn_root()) makes a task that is no
/// member. Outputs and panics go where they always go, to the `JoinHandle`s.
///
/// Dropping the group aborts its members. While no group exists, tasks pay nothing for it.
///
/// # Hooks
/// Emits nothing itself. The tasks are what they would be without it.
///
/// # Examples
/// ```
/// use forebear::task::TaskGroup;
/// use forebear::time::{Duration, sleep};
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let order = TaskGroup::new();
/// order.spawn(async {
///     // Nobody waits for these two, but the group does.
///     forebear::spawn(sleep(Duration::from_millis(1)));
///     forebear::spawn(sleep(Duration::from_millis(2)));
/// });
/// order.join().await;
/// assert!(order.is_empty());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TaskGroup {
    watch: Arc<Watch>,
    is_detached: bool,
}

impl TaskGroup {
    /// Makes a group without members.
    #[must_use]
    pub fn new() -> TaskGroup {
        TaskGroup { watch: Watch::new(), is_detached: false }
    }

    /// Spawns a member: see [`spawn`](crate::spawn()).
    ///
    /// If the group was aborted, it is aborted before it begins.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let birth = spawn::birth::<F>();
        enter::with_current(|shared| self.spawn_birth(shared, birth, future))
    }

    /// Spawns a member on a runtime.
    #[track_caller]
    pub fn spawn_on<F>(&self, future: F, handle: &Handle) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_birth(handle.shared(), spawn::birth::<F>(), future)
    }

    /// Runs a closure that blocks, as a member: see
    /// [`spawn_blocking`](crate::task::spawn_blocking).
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, closure: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let birth = spawn::blocking_birth::<F>();
        let enroll = |handle: &JoinHandle<R>, is_root: bool| {
            family::enroll_in(&self.watch, handle.abort_handle(), is_root);
        };
        enter::with_current(|shared| spawn::spawn_blocking_member(shared, birth, closure, enroll))
    }

    fn spawn_birth<F>(&self, shared: &Arc<Shared>, birth: Birth, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn::spawn_member(shared, birth, future, |handle, is_root| {
            family::enroll_in(&self.watch, handle.abort_handle(), is_root);
        })
    }

    /// Returns how many members are alive.
    #[must_use]
    pub fn len(&self) -> usize {
        self.watch.len()
    }

    /// Says whether no member is alive.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Aborts all members, and those that come from now on before they begin. Returns how many are
    /// alive.
    #[expect(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn abort(&self) -> usize {
        self.watch.doom()
    }

    /// Says whether the group was aborted.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.watch.is_doomed()
    }

    /// Waits until no member is alive. Members may spawn others meanwhile.
    ///
    /// # Panics
    /// In a task that is a member, which would wait for itself.
    ///
    /// # Cancel safety
    /// Safe: dropping it changes nothing.
    ///
    /// # Hooks
    /// By the time it returns, the members have emitted all their events.
    pub async fn join(&self) {
        poll_fn(|cx| self.watch.poll_empty(cx)).await;
    }

    /// Lets the members go on without the group.
    pub fn detach(mut self) {
        self.is_detached = true;
    }
}

impl Default for TaskGroup {
    fn default() -> TaskGroup {
        TaskGroup::new()
    }
}

impl Drop for TaskGroup {
    fn drop(&mut self) {
        if !self.is_detached {
            self.abort();
        }
    }
}

impl fmt::Debug for TaskGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup")
            .field("len", &self.len())
            .field("is_aborted", &self.is_aborted())
            .finish()
    }
}
