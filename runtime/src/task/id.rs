//! Tells a task which one it is.

use crate::hooks::AsyncId;
use crate::task::coop;

/// Returns the id of the task that runs this code.
///
/// Inside a flow, or another resource that lives in a task, it is the task's all the same: what is
/// innermost is told by [`execution_async_id`](crate::hooks::execution_async_id).
///
/// # Panics
/// Outside a task, also in `block_on`: see [`try_id`].
///
/// # Examples
/// ```
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let task = forebear::spawn(async { forebear::task::id() });
/// let id = task.id();
/// assert_eq!(task.await?, id);
/// # Ok::<(), forebear::task::JoinError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
#[must_use]
pub fn id() -> AsyncId {
    match try_id() {
        Some(id) => id,
        None => panic!(
            "this code is run by no task: `spawn` it, or ask `task::try_id`; `block_on` is a \
             resource of its own, whose id `hooks::execution_async_id` tells"
        ),
    }
}

/// Returns the id of the task that runs this code, `None` outside a task. See [`id`].
#[must_use]
pub fn try_id() -> Option<AsyncId> {
    coop::current_task()
}
