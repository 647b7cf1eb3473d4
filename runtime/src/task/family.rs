//! Watches families: tasks with all that descends from them, as long as somebody asked for it.
//!
//! A watch has members. What the code of a member creates is a member, too: it follows the creator,
//! and a root has none. Where the creator is a resource that lives inside a task, such as a flow,
//! the facade says what created that; where it does not know, it is the task that is polled.
//!
//! While nobody watches, this costs a load when a task is spawned and one when it ends.
//!
//! # Invariants
//! F1. A task is enrolled between its `init` and the moment when a queue gets it, by its spawner,
//!     and struck off after its `destroy`, by whoever completes it.
//! F2. A member that is not struck off yet is in `INDEX`, and in each watch that it names there.
//!
//! # Memory ordering
//!
//! `WATCHES` is Relaxed. A member's own children are enrolled because what brought the member to
//! its thread brought the count, too.
//!
//! Somebody who seeds a watch with what is alive counts the watch, passes the heavy side of
//! `asymmetric.rs`, and then looks for tasks; who spawns lets the new task be seen, passes the light side
//! in [`is_any_watched`], and then reads the count. So either the seeder sees the task, or its
//! spawner the watch. Of one that ends: that the seeder found it not complete was a
//! read-modify-write of its state, whose Release pairs with the Acquire of the one that completes
//! it; who completes it reads the count after that.

#[cfg(feature = "context")]
mod seed; // what is alive when a watch begins

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::asymmetric;
use crate::facade;
use crate::hooks::{AsyncId, execution_async_id};
use crate::primitive::Mutex;
use crate::task::waker::{drop_foreign, wake_foreign};
use crate::task::{AbortHandle, coop};

#[cfg(feature = "context")]
pub(crate) use seed::{seed, watch_of};

/// How many watches there are. On std's atomics even under loom, which has no static ones.
static WATCHES: AtomicUsize = AtomicUsize::new(0);

/// Of which watches a task is a member.
static INDEX: [Shard; SHARDS] = [const { Shard::new() }; SHARDS];

/// Threads number their tasks in blocks, so that different threads mostly use different shards.
const SHARDS: usize = 64;

/// Ids of one block are in one shard.
const BLOCK_IDS: u64 = 1024;

/// So many resources may lie between a task and the one that its creator lives in.
const DEPTH_MAX: usize = 64;

type Watches = Arc<[Arc<Watch>]>;

struct Shard(std::sync::Mutex<Option<HashMap<AsyncId, Watches>>>);

impl Shard {
    const fn new() -> Shard {
        Shard(std::sync::Mutex::new(None))
    }

    fn of(id: AsyncId) -> &'static Shard {
        #[allow(clippy::cast_possible_truncation, reason = "the remainder is small")]
        let index = (id.get() / BLOCK_IDS % SHARDS as u64) as usize;
        &INDEX[index]
    }

    /// Calls `f` under the lock. `f` runs no foreign code.
    fn with<R>(&self, f: impl FnOnce(&mut HashMap<AsyncId, Watches>) -> R) -> R {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let result = f(map.get_or_insert_default());
        if map.as_ref().is_some_and(HashMap::is_empty) {
            *map = None;
        }
        result
    }
}

fn watches_of(id: AsyncId) -> Option<Watches> {
    Shard::of(id).with(|map| map.get(&id).cloned())
}

/// Somebody wants to know about a family, or has doomed it.
pub(crate) struct Watch {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The members that are alive.
    members: HashMap<AsyncId, Member>,
    /// How many members there ever were.
    enrolled: u64,
    is_doomed: bool,
    waiting: Vec<Waker>,
}

struct Member {
    /// How many were enrolled before. Creators come before what they create.
    place: u64,
    handle: AbortHandle,
}

impl Watch {
    pub(crate) fn new() -> Arc<Watch> {
        WATCHES.fetch_add(1, Ordering::Relaxed);
        Arc::new(Watch { inner: Mutex::default() })
    }

    /// Says how many members are alive.
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().members.len()
    }

    pub(crate) fn is_doomed(&self) -> bool {
        self.inner.lock().is_doomed
    }

    /// Aborts all members, and those that will be. Returns how many there are.
    ///
    /// Creators go first: one that waits for what it created should not see that cancelled, and go
    /// on as if it had failed.
    pub(crate) fn doom(&self) -> usize {
        let mut inner = self.inner.lock();
        inner.is_doomed = true;
        let members = inner.members.values();
        let mut members: Vec<(u64, AbortHandle)> =
            members.map(|member| (member.place, member.handle.clone())).collect();
        drop(inner);
        members.sort_unstable_by_key(|(place, _)| *place);
        members.iter().for_each(|(_, member)| member.abort());
        members.len()
    }

    /// Waits until no member is alive.
    ///
    /// # Panics
    /// If the task that waits is a member.
    pub(crate) fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Cloned and dropped outside of the lock: it is foreign code.
        let waker = cx.waker().clone();
        let mut inner = self.inner.lock();
        let waits_for_itself =
            coop::current_task().is_some_and(|me| inner.members.contains_key(&me));
        let is_empty = inner.members.is_empty();
        let left = if is_empty || waits_for_itself {
            Some(waker)
        } else {
            let known = inner.waiting.iter_mut().find(|known| known.will_wake(&waker));
            match known {
                Some(known) => Some(std::mem::replace(known, waker)),
                None => {
                    inner.waiting.push(waker);
                    None
                }
            }
        };
        drop(inner);
        drop_foreign(left);
        assert!(
            !waits_for_itself,
            "a task waits for the end of a family to which it belongs, and so for itself: wait \
             outside, or `spawn_root` what waits"
        );
        if is_empty { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Takes a member in. Says whether it was none before.
    fn enroll(&self, handle: AbortHandle) -> bool {
        let mut inner = self.inner.lock();
        let is_doomed = inner.is_doomed;
        let place = inner.enrolled;
        let spot = inner.members.entry(handle.id());
        let is_new = matches!(spot, Entry::Vacant(_));
        spot.or_insert_with(|| Member { place, handle: handle.clone() });
        inner.enrolled += u64::from(is_new);
        drop(inner);
        if is_doomed {
            handle.abort();
        }
        is_new
    }

    fn strike_off(&self, id: AsyncId) {
        let mut inner = self.inner.lock();
        let left = inner.members.remove(&id);
        let waiting = match inner.members.is_empty() {
            true => std::mem::take(&mut inner.waiting),
            false => Vec::new(),
        };
        drop(inner);
        drop(left);
        waiting.into_iter().for_each(wake_foreign);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Says whether anybody watches anything.
#[inline]
pub(crate) fn is_any_watched() -> bool {
    asymmetric::light();
    WATCHES.load(Ordering::Relaxed) > 0
}

/// Enrolls a task with the watches of its creator. Its spawner calls this between its `init` and
/// the moment when a queue gets it.
#[cold]
pub(crate) fn enroll(task: AbortHandle) {
    let Some(watches) = inherited() else { return };
    enroll_with(&watches, task);
}

/// Returns the watches of what is running.
fn inherited() -> Option<Watches> {
    let mut creator = execution_async_id()?;
    for _ in 0..DEPTH_MAX {
        let watches = watches_of(creator);
        if watches.is_some() {
            return watches;
        }
        match facade::creator_of(creator) {
            Some(Some(earlier)) => creator = earlier,
            Some(None) => return None,
            None => break,
        }
    }
    watches_of(coop::current_task()?)
}

/// Enrolls a task with one more watch than those of its creator.
pub(crate) fn enroll_in(watch: &Arc<Watch>, task: AbortHandle, is_root: bool) {
    if let Some(inherited) = inherited().filter(|_| !is_root) {
        enroll_with(&inherited, task.clone());
    }
    enroll_with(std::slice::from_ref(watch), task);
}

fn enroll_with(watches: &[Arc<Watch>], task: AbortHandle) {
    let id = task.id();
    index(id, watches);
    for watch in watches {
        watch.enroll(task.clone());
    }
}

/// Notes that a task is a member of these watches, too: somebody else may just have noted others.
fn index(id: AsyncId, watches: &[Arc<Watch>]) {
    Shard::of(id).with(|map| {
        let known = map.get(&id).map_or(&[][..], |known| known);
        let is_new = |watch: &&Arc<Watch>| !known.iter().any(|known| Arc::ptr_eq(known, watch));
        let all = known.iter().chain(watches.iter().filter(is_new)).cloned().collect();
        map.insert(id, all);
    });
}

/// Strikes a task off that has ended.
#[cold]
pub(crate) fn strike_off(id: AsyncId) {
    let watches = Shard::of(id).with(|map| map.remove(&id));
    for watch in watches.iter().flat_map(|watches| watches.iter()) {
        watch.strike_off(id);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{is_any_watched, watches_of};
    use crate::runtime::Runtime;
    use crate::task::{TaskGroup, yield_now};

    #[test]
    fn nobody_watches_any_more_when_the_last_member_has_ended() -> std::io::Result<()> {
        Runtime::new()?.block_on(async {
            assert!(!is_any_watched());
            let group = TaskGroup::new();
            let spawns = std::future::poll_fn(|_| {
                std::task::Poll::Ready(crate::spawn(std::future::pending::<()>()))
            });
            let member = group.spawn(spawns);
            assert!(is_any_watched());
            let child = member.await.map_err(std::io::Error::other)?;
            group.detach();
            assert!(watches_of(child.id()).is_some(), "who descends from it is a member still");
            child.abort();
            assert!(child.await.is_err());
            // Whoever completes the last lets go of the watch after it has told the joiner.
            while is_any_watched() {
                yield_now().await;
            }
            Ok(())
        })
    }
}
