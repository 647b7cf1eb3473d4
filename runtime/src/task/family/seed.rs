//! Begins a watch with what is alive in the id map.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Watch, index, strike_off};
use crate::facade;
use crate::hooks::AsyncId;
use crate::task::AbortHandle;

/// The watches of subtrees, by their roots, as far as anything of them is alive.
static SUBTREES: Mutex<Vec<(AsyncId, Weak<Watch>)>> = Mutex::new(Vec::new());

/// Returns the watch of a subtree. It is one as long as a member is alive, or somebody has it: what
/// has ended since is forgotten by the map, but what it created is still a member.
pub(crate) fn watch_of(root: AsyncId) -> Arc<Watch> {
    let mut subtrees = SUBTREES.lock().unwrap_or_else(PoisonError::into_inner);
    let mut found = None;
    subtrees.retain(|(id, watch)| match watch.upgrade() {
        Some(watch) => {
            if *id == root {
                found = Some(watch);
            }
            true
        }
        None => false,
    });
    found.unwrap_or_else(|| {
        let watch = Watch::new();
        subtrees.push((root, Arc::downgrade(&watch)));
        watch
    })
}

/// Enrolls what is alive of a family, when the watch was counted before.
///
/// `look` returns the members as far as they are in the id map. It is asked again until all that it
/// finds are members: one that was not enrolled yet may have created others meanwhile. None of them
/// should be aborted before, since the map forgets whose creator one was that is gone.
pub(crate) fn seed(watch: &Arc<Watch>, look: impl Fn() -> Vec<AbortHandle>) {
    let mut is_settled = false;
    while !is_settled {
        is_settled = true;
        for task in look() {
            let id = task.id();
            if !watch.enroll(id, Some(task)) {
                continue;
            }
            index(id, std::slice::from_ref(watch));
            if facade::is_alive(id) {
                is_settled = false;
            } else {
                // It may have been struck off before it was indexed: then nobody else would do it.
                strike_off(id);
            }
        }
    }
}
