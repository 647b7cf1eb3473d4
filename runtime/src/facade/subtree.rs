//! Aborts a subtree, and waits for one: a resource with all that it created, and that they created.
//!
//! What is alive at the beginning is found by looking at all tasks, what comes later by watching.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::hooks::AsyncId;
use crate::task::family::{self, Watch};

/// Aborts all tasks of a subtree, and returns how many it has found.
///
/// These are the resource itself, if it is a task, and the tasks and blocking jobs that it created,
/// or that something created which it created; creators are aborted before what they created, so
/// that none goes on because what it waits for was cancelled. From now on what such a task creates is aborted
/// before it begins, until all of them have ended. What is spawned by
/// [`spawn_root`](crate::spawn_root()) belongs to no subtree but its own.
///
/// Across a resource that is no task, or is gone, it finds as far as the id map reaches: nothing if
/// the lineage of the runtime is [`Off`](crate::Lineage::Off), and across what is gone what
/// [`Lineage::Full`](crate::Lineage::Full) remembers.
///
/// # Hooks
/// The tasks end as after [`AbortHandle::abort`](crate::task::AbortHandle::abort).
///
/// # Examples
/// ```
/// use forebear::task::{abort_subtree, join_subtree};
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let parent = forebear::spawn(async {
///     forebear::spawn(std::future::pending::<()>());
///     std::future::pending::<()>().await
/// });
/// let id = parent.id();
/// # while forebear::inspect::tree().to_string().matches("task ").count() < 2 {
/// #     forebear::task::yield_now().await;
/// # }
/// assert_eq!(abort_subtree(id), 2);
/// join_subtree(id).await;
/// assert!(parent.await.unwrap_err().is_cancelled());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[expect(clippy::must_use_candidate, reason = "it is called for what it does")]
pub fn abort_subtree(root: AsyncId) -> usize {
    let watch = family::watch_of(root);
    family::seed(&watch, root);
    watch.doom()
}

/// Waits until no task of a subtree is alive: see [`abort_subtree`] for which they are.
///
/// # Panics
/// Polling it panics in a task that belongs to the subtree, and would wait for itself.
///
/// # Cancel safety
/// Safe: dropping it changes nothing.
///
/// # Hooks
/// Emits nothing. By the time it returns, the tasks have emitted all their events.
pub fn join_subtree(root: AsyncId) -> JoinSubtree {
    let watch = family::watch_of(root);
    family::seed(&watch, root);
    JoinSubtree { root, watch }
}

/// The future of [`join_subtree`].
#[must_use = "futures do nothing unless polled"]
pub struct JoinSubtree {
    root: AsyncId,
    watch: Arc<Watch>,
}

impl Future for JoinSubtree {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.watch.poll_empty(cx)
    }
}

impl fmt::Debug for JoinSubtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSubtree")
            .field("root", &self.root)
            .field("alive", &self.watch.len())
            .finish()
    }
}
