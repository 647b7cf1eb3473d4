//! Begins a watch with what is alive.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Watch, index, strike_off};
use crate::asymmetric;
use crate::facade;
use crate::hooks::AsyncId;
use crate::task::{AbortHandle, cell};

/// The watches of subtrees, by their roots, as far as anything of them is alive.
static SUBTREES: Mutex<Vec<(AsyncId, Weak<Watch>)>> = Mutex::new(Vec::new());

/// Returns the watch of a subtree. It is one as long as a member is alive, or somebody has it: what
/// has ended since is forgotten, but what it created is still a member.
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
/// It looks again until all that it finds are members: one that was not enrolled yet may have
/// created others meanwhile. None of them should be aborted before, since nobody knows whose creator
/// one was that is gone.
pub(crate) fn seed(watch: &Arc<Watch>, root: AsyncId) {
    // From here on, who spawns what a look does not find sees that there is a watch.
    asymmetric::heavy();
    let mut is_settled = false;
    while !is_settled {
        is_settled = true;
        for task in members(root) {
            let id = task.id();
            if !watch.enroll(task.clone()) {
                continue;
            }
            index(id, std::slice::from_ref(watch));
            if task.is_finished() {
                // It may have been struck off before it was indexed: then nobody else would do it.
                strike_off(id);
            } else {
                is_settled = false;
            }
        }
    }
}

/// Finds the tasks that are alive of a resource and all that it created, and that they created:
/// creators first.
///
/// Across what is gone it finds as far as the facade remembers.
fn members(root: AsyncId) -> Vec<AbortHandle> {
    let mut tasks = Vec::new();
    cell::each_task(|seen, task| {
        tasks.push((seen.creator_id(), AbortHandle::new(seen.id(), task)));
    });
    // After the tasks: what ends meanwhile is then known to be gone.
    let mut creators: HashMap<AsyncId, Option<AsyncId>> =
        facade::creators_of_others().into_iter().collect();
    creators.extend(tasks.iter().map(|(creator, task)| (task.id(), *creator)));
    let mut family = Family { creators, verdicts: HashMap::from([(root, Some(0))]) };
    let mut members: Vec<(u32, AbortHandle)> = tasks
        .into_iter()
        .filter_map(|(_, task)| Some((family.generation_of(task.id())?, task)))
        .collect();
    members.sort_by_key(|(generation, _)| *generation);
    members.into_iter().map(|(_, task)| task).collect()
}

/// Says who descends from one resource.
struct Family {
    creators: HashMap<AsyncId, Option<AsyncId>>,
    /// What was found out: how many creators lie between, if it descends.
    verdicts: HashMap<AsyncId, Option<u32>>,
}

impl Family {
    /// Returns how many generations after the root it was created, if it descends from it.
    fn generation_of(&mut self, id: AsyncId) -> Option<u32> {
        let mut path = Vec::new();
        let mut at = Some(id);
        let found = loop {
            let Some(here) = at else { break None };
            if let Some(known) = self.verdicts.get(&here) {
                break *known;
            }
            // Until it is known otherwise: a cycle of stated triggers must not hold us up.
            self.verdicts.insert(here, None);
            path.push(here);
            at = self.creators.get(&here).copied().flatten();
        };
        let generations = (1..).map(|below| found.map(|above| above + below));
        self.verdicts.extend(path.into_iter().rev().zip(generations));
        self.verdicts.get(&id).copied().flatten()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Family;
    use crate::hooks::AsyncId;
    use std::collections::HashMap;

    #[test]
    fn who_descends_is_found_across_others_by_generation_and_cycles_end() {
        let id = |raw: u64| AsyncId::from_u64(raw).expect("it is not zero");
        // 1 created 2, which created 3; 4 and 5 are each other's; nobody created 6.
        let creators = [(2, Some(1)), (3, Some(2)), (4, Some(5)), (5, Some(4)), (6, None)];
        let creators = creators.map(|(of, creator)| (id(of), creator.map(id)));
        let verdicts = HashMap::from([(id(1), Some(0))]);
        let mut family = Family { creators: HashMap::from(creators), verdicts };
        let found = [3, 2, 4, 5, 6, 7].map(|raw| family.generation_of(id(raw)));
        assert_eq!(found, [Some(2), Some(1), None, None, None, None]);
        assert_eq!(family.generation_of(id(3)), Some(2), "asked again it says the same");
    }
}
