//! Keeps the map of everything that is alive: what it is, and why it exists.
//!
//! The tracker is a hook like any user's. `init` inserts and `destroy` removes, so the map is as
//! large as what is alive. Which runtimes are mapped is said per runtime: [`Lineage`].
//!
//! # Memory ordering
//!
//! `IS_ANYTHING_SAID` is Relaxed: a runtime says what it wants before its first resource, and what
//! brings that resource to another thread brings this too.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError, RwLock};

use forebear_hooks::{
    AsyncHook, AsyncId, EnableError, Events, Fault, HookHandle, Probe, Reason, Resource, RuntimeId,
    create_hook,
};

use crate::lineage::{Ancestor, Ancestors};
use crate::map::{Entry, Map};

/// How much of the lineage of a runtime's resources is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lineage {
    /// Nothing: the runtime's resources are not in the map.
    Off,
    /// What is alive.
    Live,
    /// What is alive, and what it descends from, as far as a bounded memory reaches.
    #[default]
    Full,
}

/// The hook that keeps the map.
struct Tracker;

static MAP: LazyLock<Map> = LazyLock::new(Map::new);

static ANCESTORS: Ancestors = Ancestors::new();

static ENABLED: OnceLock<HookHandle<Tracker>> = OnceLock::new();

/// What was said about runtimes, where it is not the default.
static SAID: LazyLock<RwLock<HashMap<u32, Lineage>>> = LazyLock::new(RwLock::default);
static IS_ANYTHING_SAID: AtomicBool = AtomicBool::new(false);

pub(crate) fn map() -> &'static Map {
    &MAP
}

pub(crate) fn ancestors() -> &'static Ancestors {
    &ANCESTORS
}

fn lineage_of(runtime: Option<RuntimeId>) -> Lineage {
    if !IS_ANYTHING_SAID.load(Ordering::Relaxed) {
        return Lineage::Full;
    }
    let Some(runtime) = runtime else { return Lineage::Full };
    let said = SAID.read().unwrap_or_else(PoisonError::into_inner);
    said.get(&runtime.get()).copied().unwrap_or_default()
}

impl AsyncHook for Tracker {
    fn events(&self) -> Events {
        Events::INIT | Events::DESTROY
    }

    fn init(&self, resource: &Resource<'_>) {
        if lineage_of(resource.runtime()) == Lineage::Off {
            return;
        }
        MAP.insert(resource.id(), Entry::of(resource));
        if resource.trigger_id() != resource.creator_id() {
            // A creator notes by itself that it is one; of this the trigger does not know.
            if let Some(trigger) = resource.trigger_id() {
                MAP.mark_cause(trigger);
            }
        }
    }

    fn destroy(&self, resource: &Resource<'_>, _reason: Reason) {
        let Some(entry) = MAP.remove(resource.id()) else { return };
        let has_descendants = resource.is_parent() || entry.is_cause;
        if has_descendants && lineage_of(resource.runtime()) == Lineage::Full {
            ANCESTORS.bury(Ancestor::of(resource.id(), &entry));
        }
        // Perhaps the last reference to values with destructors: it goes here, under no lock.
        drop(entry);
    }
}

/// Enables the tracker for the life of the process, the first time.
///
/// # Errors
/// When as many hooks are enabled as can be; it may be tried again.
pub fn ensure_enabled() -> Result<(), EnableError> {
    static ENABLING: Mutex<()> = Mutex::new(());
    if ENABLED.get().is_some() {
        return Ok(());
    }
    let _one = ENABLING.lock().unwrap_or_else(PoisonError::into_inner);
    if ENABLED.get().is_none() {
        let _ = ENABLED.set(create_hook(Tracker).enable()?);
    }
    Ok(())
}

/// Says whether the map is being kept.
#[must_use]
pub fn is_enabled() -> bool {
    ENABLED.get().is_some_and(|tracker| tracker.fault().is_none())
}

/// Says why the map is not kept any more, if it is not: a hook that panics is disabled, and the
/// tracker is a hook.
#[must_use]
pub fn fault() -> Option<&'static Fault> {
    ENABLED.get().and_then(HookHandle::fault)
}

/// Says how much is kept of a runtime's resources. To be called before its first.
pub fn set_lineage(runtime: RuntimeId, lineage: Lineage) {
    let mut said = SAID.write().unwrap_or_else(PoisonError::into_inner);
    if lineage == Lineage::default() {
        said.remove(&runtime.get());
    } else {
        said.insert(runtime.get(), lineage);
    }
    IS_ANYTHING_SAID.store(!said.is_empty(), Ordering::Relaxed);
}

/// Forgets what was said about a runtime, which has ended.
pub fn forget(runtime: RuntimeId) {
    set_lineage(runtime, Lineage::default());
    if MAP.len() == 0 {
        MAP.give_room_back();
    }
}

/// Gives back the room that the map keeps for what it held lately. For an executor that has
/// nothing else to do: what comes next has to make the room again.
pub fn give_room_back() {
    MAP.give_room_back();
}

/// Says whether a resource is in the map.
#[must_use]
pub fn is_alive(id: AsyncId) -> bool {
    MAP.creator_of(id).is_some()
}

/// Returns what created a resource: `None` if it is not in the map, `Some(None)` if nothing did.
#[must_use]
pub fn creator_of(id: AsyncId) -> Option<Option<AsyncId>> {
    MAP.creator_of(id)
}

/// Returns what is in the map of a resource and all that it created, and that they created.
///
/// Across what is gone it finds as far as [`Lineage::Full`] remembers, which knows triggers only:
/// they are the creators unless something else was stated.
#[must_use]
pub fn descendants(root: AsyncId) -> Vec<(AsyncId, Option<Probe>)> {
    // First what is alive: what ends meanwhile is then among the ancestors.
    let alive = MAP.creators();
    let mut creators: HashMap<AsyncId, Option<AsyncId>> = HashMap::with_capacity(alive.len());
    creators.extend(ANCESTORS.triggers());
    creators.extend(alive.iter().map(|(id, creator, _)| (*id, *creator)));
    let mut verdicts = HashMap::from([(root, true)]);
    let mut path = Vec::new();
    let mut descends = |id: AsyncId| {
        let mut at = Some(id);
        let verdict = loop {
            let Some(here) = at else { break false };
            if let Some(known) = verdicts.get(&here) {
                break *known;
            }
            // Until it is known otherwise: a cycle of stated triggers must not hold us up.
            verdicts.insert(here, false);
            path.push(here);
            at = creators.get(&here).copied().flatten();
        };
        verdicts.extend(path.drain(..).map(|id| (id, verdict)));
        verdict
    };
    let wanted = alive.into_iter().filter(|(id, _, _)| descends(*id));
    wanted.map(|(id, _, probe)| (id, probe)).collect()
}

/// Returns how many resources are in the map.
#[must_use]
pub fn len() -> usize {
    MAP.len()
}

/// Returns how many resources of a runtime are in the map.
#[must_use]
pub fn len_of(runtime: RuntimeId) -> usize {
    MAP.count(|entry| entry.runtime == Some(runtime))
}

/// How large the map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// So many resources are alive.
    pub alive: usize,
    /// For so many there is room; it shrinks again after a burst.
    pub room: usize,
    /// So many ancestors that are gone are remembered, at most 4096.
    pub remembered: usize,
    /// So many were forgotten to make room for others.
    pub forgotten: u64,
}

/// Returns how large the map is.
#[must_use]
pub fn stats() -> Stats {
    Stats {
        alive: MAP.len(),
        room: MAP.room(),
        remembered: ANCESTORS.len(),
        forgotten: ANCESTORS.forgotten(),
    }
}
