//! Begins a watch with what is alive in the id map.

use std::sync::Arc;

use super::{Shard, Watch, strike_off};
use crate::facade;
use crate::task::AbortHandle;

/// Enrolls what is alive of a family, when the watch was counted before. Returns how many there are.
///
/// `look` returns the members as far as they are in the id map. It is asked again until it finds
/// nobody new, because a member that was not enrolled yet may have created others meanwhile.
pub(crate) fn seed(watch: &Arc<Watch>, look: impl Fn() -> Vec<AbortHandle>) -> usize {
    let mut count = 0;
    loop {
        let mut is_settled = true;
        for task in look() {
            let id = task.id();
            if !watch.enroll(id, Some(task)) {
                continue;
            }
            Shard::of(id).with(|map| {
                let others = map.get(&id).into_iter().flat_map(|watches| watches.iter());
                let watches = others.cloned().chain([watch.clone()]).collect();
                map.insert(id, watches);
            });
            (count, is_settled) = (count + 1, false);
            // It may have been struck off before it was enrolled: then nobody else would do it.
            if !facade::is_alive(id) {
                strike_off(id);
            }
        }
        if is_settled {
            return count;
        }
    }
}
