//! Keeps the map of everything that is alive: what it is, and why it exists.
//!
//! The tracker is the ledger of the ground floor: what lasts is entered in the map and taken out at
//! its end, so the map is as large as what is alive and waits. A task that has not waited yet is not
//! in it; who looks finds it by a census. Which runtimes are mapped is said per runtime: [`Lineage`].
//!
//! # Memory ordering
//!
//! What is said about runtimes is Relaxed: a runtime says what it wants before its first resource,
//! and what brings that resource to another thread brings this too.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, Ordering};

use forebear_hooks::ledger::{Entrance, Ledger, set_ledger};
use forebear_hooks::{AsyncId, Resource, RuntimeId};

use crate::inspect;
use crate::lineage::{Ancestor, Ancestors};
use crate::map::Map;

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

/// The ledger that keeps the map.
struct Tracker;

static MAP: LazyLock<Map> = LazyLock::new(Map::new);

static ANCESTORS: Ancestors = Ancestors::new();

pub(crate) fn map() -> &'static Map {
    &MAP
}

pub(crate) fn ancestors() -> &'static Ancestors {
    &ANCESTORS
}

/// What was said about runtimes, by their numbers modulo [`PLACES`]: the default is 0.
static SAID: [AtomicU8; PLACES] = [const { AtomicU8::new(0) }; PLACES];

/// Of forebear's runtimes so many can be alive at once, whose numbers differ modulo this. An executor
/// that numbers its runtimes in another way says the same about those that share a place.
const PLACES: usize = 1024;

fn said(runtime: RuntimeId) -> &'static AtomicU8 {
    &SAID[runtime.get() as usize % PLACES]
}

fn lineage_of(runtime: Option<RuntimeId>) -> Lineage {
    match runtime.map_or(0, |runtime| said(runtime).load(Ordering::Relaxed)) {
        OFF => Lineage::Off,
        LIVE => Lineage::Live,
        _ => Lineage::Full,
    }
}

const FULL: u8 = 0;
const LIVE: u8 = 1;
const OFF: u8 = 2;

impl Ledger for Tracker {
    fn enter(&self, resource: &Resource<'_>, entrance: &Entrance) -> bool {
        if lineage_of(resource.runtime()) == Lineage::Off {
            return false;
        }
        MAP.enter(resource, entrance);
        if resource.trigger_id() != resource.creator_id() {
            // A creator notes by itself that it is one; of this the trigger does not know.
            if let Some(trigger) = resource.trigger_id() {
                MAP.mark_cause(trigger);
            }
        }
        true
    }

    fn leave(&self, resource: &Resource<'_>, was_entered: bool) {
        let is_cause = was_entered && MAP.leave(resource);
        let has_descendants = resource.is_parent() || is_cause;
        if has_descendants && lineage_of(resource.runtime()) == Lineage::Full {
            ANCESTORS.bury(Ancestor::of(resource));
        }
    }
}

/// Says whether the resources of a runtime are mapped.
pub(crate) fn keeps(runtime: Option<RuntimeId>) -> bool {
    lineage_of(runtime) != Lineage::Off
}

/// Keeps the map for the life of the process, from the first call on.
pub fn ensure_enabled() {
    // Said again it changes nothing.
    let _ = set_ledger(&Tracker);
}

/// Says how much is kept of a runtime's resources. To be called before its first.
pub fn set_lineage(runtime: RuntimeId, lineage: Lineage) {
    let said_now = match lineage {
        Lineage::Off => OFF,
        Lineage::Live => LIVE,
        Lineage::Full => FULL,
    };
    said(runtime).store(said_now, Ordering::Relaxed);
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

/// Returns what created a resource: `None` if it is not in the map, `Some(None)` if nothing did.
#[must_use]
pub fn creator_of(id: AsyncId) -> Option<Option<AsyncId>> {
    MAP.creator_of(id)
}

/// Returns what created what: of what is in the map and no task, and of what is gone, as far as
/// [`Lineage::Full`] remembers. Of the latter triggers are known only: they are the creators unless
/// something else was stated.
///
/// For an executor that knows of its own tasks and timers who created them, and has looked there
/// first.
#[must_use]
pub fn creators_of_others() -> Vec<(AsyncId, Option<AsyncId>)> {
    // First what is alive: what ends meanwhile is then among the ancestors.
    let alive = MAP.creators_of_others();
    let mut all = ANCESTORS.triggers();
    all.extend(alive);
    all
}

/// Returns how many resources are in the map: what is alive, without the tasks that have not waited
/// yet.
#[must_use]
pub fn len() -> usize {
    MAP.len()
}

/// Returns how many resources of a runtime are alive, as far as they are mapped.
#[must_use]
pub fn len_of(runtime: RuntimeId) -> usize {
    inspect::count_alive(|of| of == Some(runtime))
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
