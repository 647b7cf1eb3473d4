//! Lets a task block the thread that it is on.

use crate::config::Flavor;
use crate::enter;
use crate::task::{coop, local_set};

/// Runs a closure that blocks, on this thread, in the task that is running.
///
/// Another thread takes over what the worker would have done meanwhile: its tasks, its part in
/// looking for work, the driver. Inside the closure it is allowed to block, also by
/// [`Handle::block_on`](crate::runtime::Handle::block_on). The task itself cannot be cancelled while
/// it blocks, and neither can what is polled beside it in one `join!` or `select!` go on.
///
/// For what is short, or can be moved, [`spawn_blocking`](crate::task::spawn_blocking) is cheaper:
/// it keeps its threads.
///
/// Outside a task, and in `spawn_blocking`, the closure is just called.
///
/// # Panics
/// On a current-thread runtime and in a [`LocalSet`](crate::task::LocalSet), whose only thread would
/// do nothing else; and if `f` does.
///
/// # Hooks
/// Emits nothing. The closure runs as code of the task, in its context.
///
/// # Examples
/// ```
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let task = forebear::spawn(async {
///     forebear::task::block_in_place(|| std::fs::read_to_string("Cargo.toml"))
/// });
/// assert!(task.await?.is_ok());
/// # Ok::<(), forebear::task::JoinError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn block_in_place<F, R>(f: F) -> R
where
    F: FnOnce() -> R,
{
    if !enter::is_asynchronous() {
        return f();
    }
    let is_only_thread = enter::with_worker(|worker| {
        worker.map(|worker| worker.shared().config.flavor == Flavor::CurrentThread)
    });
    let is_only_thread = local_set::is_running()
        || is_only_thread.unwrap_or_else(|| {
            enter::current()
                .is_some_and(|handle| handle.shared().config.flavor == Flavor::CurrentThread)
        });
    assert!(
        !is_only_thread,
        "`block_in_place` was called on a current-thread runtime or in a `LocalSet`, which has no \
         other thread to go on with: use `spawn_blocking`, or a runtime of `Builder::new_multi_thread`"
    );
    let apart = enter::apart();
    let _break = coop::break_from_turns();
    let _appointed = apart.appoint();
    f()
}
