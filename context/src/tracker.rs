//! Keeps the map of everything that is alive: what it is, and why it exists.
//!
//! The tracker is a hook like any user's. `init` inserts and `destroy` removes, so the map is as
//! large as what is alive. Which runtimes are mapped is said per runtime: [`Lineage`].
//!
//! Nothing foreign runs under a lock of the map: what is removed is dropped outside it, and a
//! snapshot copies first and renders later.

use std::hash::{BuildHasher, Hasher};
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use dashmap::DashMap;
use forebear_hooks::{
    AsyncHook, AsyncId, EnableError, Events, Frame, Kind, Probe, Reason, Resource, RuntimeId,
    create_hook,
};

use crate::lineage::{Ancestor, Ancestors};

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

/// What the map knows of a resource.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) label: &'static str,
    pub(crate) location: &'static Location<'static>,
    pub(crate) trigger: Option<AsyncId>,
    pub(crate) birth: Instant,
    pub(crate) probe: Option<Probe>,
    pub(crate) frame: Frame,
    pub(crate) rare: Option<Box<Rare>>,
    pub(crate) runtime: Option<RuntimeId>,
    pub(crate) kind: Kind,
}

/// What few resources have.
#[derive(Clone)]
pub(crate) struct Rare {
    pub(crate) name: Option<String>,
    pub(crate) creator: Option<AsyncId>,
    pub(crate) link: Option<AsyncId>,
}

const _: () = assert!(size_of::<Entry>() <= 104);

impl Entry {
    fn of(resource: &Resource<'_>) -> Entry {
        let trigger = resource.trigger_id();
        let (creator, link) = (resource.creator_id(), resource.link());
        let label = resource.static_label();
        let name = (resource.label() != label).then(|| resource.label().to_owned());
        let is_rare = name.is_some() || creator != trigger || link.is_some();
        Entry {
            label,
            location: resource.location(),
            trigger,
            birth: resource.now(),
            probe: resource.probe(),
            frame: resource.frame().clone(),
            rare: is_rare.then(|| Box::new(Rare { name, creator, link })),
            runtime: resource.runtime(),
            kind: resource.kind(),
        }
    }

    pub(crate) fn label(&self) -> &str {
        let name = self.rare.as_ref().and_then(|rare| rare.name.as_deref());
        name.unwrap_or(self.label)
    }

    pub(crate) fn creator(&self) -> Option<AsyncId> {
        self.rare.as_ref().map_or(self.trigger, |rare| rare.creator)
    }

    pub(crate) fn link(&self) -> Option<AsyncId> {
        self.rare.as_ref().and_then(|rare| rare.link)
    }
}

/// Spreads ids over the map.
///
/// A thread's ids come in blocks of 1024. All of a block goes into one shard, so that threads that
/// work on their own rarely meet; within a shard ids stay next to each other. dashmap takes the
/// shard from the bits below the top seven, and its tables take their tag from the top seven and
/// the place from the lowest.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SpreadIds;

const SHARDS: usize = 64;
const BLOCK_BITS: u32 = 10;
const TAG_BITS: u32 = 7;
/// 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming, 6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

pub(crate) struct IdHasher(u64);

impl BuildHasher for SpreadIds {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher(0)
    }
}

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        // Ids hash as one number; this is for whatever else may come.
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(GOLDEN);
        }
    }

    fn write_u64(&mut self, id: u64) {
        let shard_bits = SHARDS.ilog2();
        let shard = (id >> BLOCK_BITS).wrapping_mul(GOLDEN) >> (u64::BITS - shard_bits);
        let tag = id.wrapping_mul(GOLDEN) >> (u64::BITS - TAG_BITS);
        let place_bits = u64::BITS - TAG_BITS - shard_bits;
        let place = id & ((1 << place_bits) - 1);
        self.0 = tag << (u64::BITS - TAG_BITS) | shard << place_bits | place;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

pub(crate) type Map = DashMap<AsyncId, Entry, SpreadIds>;

/// The hook that keeps the map.
struct Tracker;

static MAP: LazyLock<Map> =
    LazyLock::new(|| DashMap::with_capacity_and_hasher_and_shard_amount(0, SpreadIds, SHARDS));

static ANCESTORS: Mutex<Ancestors> = Mutex::new(Ancestors::new());

/// What was said about runtimes, where it is not the default.
static SAID: RwLock<Vec<(RuntimeId, Lineage)>> = RwLock::new(Vec::new());
/// Whether anything was said at all. Relaxed: a runtime says it before its first resource.
static IS_ANYTHING_SAID: AtomicBool = AtomicBool::new(false);

pub(crate) fn map() -> &'static Map {
    &MAP
}

pub(crate) fn with_ancestors<R>(f: impl FnOnce(&mut Ancestors) -> R) -> R {
    f(&mut ANCESTORS.lock().unwrap_or_else(PoisonError::into_inner))
}

fn lineage_of(runtime: Option<RuntimeId>) -> Lineage {
    if !IS_ANYTHING_SAID.load(Ordering::Relaxed) {
        return Lineage::Full;
    }
    let said = SAID.read().unwrap_or_else(PoisonError::into_inner);
    let known = said.iter().find(|(known, _)| Some(*known) == runtime);
    known.map_or(Lineage::Full, |(_, lineage)| *lineage)
}

impl AsyncHook for Tracker {
    fn events(&self) -> Events {
        Events::INIT | Events::DESTROY
    }

    fn init(&self, resource: &Resource<'_>) {
        if lineage_of(resource.runtime()) != Lineage::Off {
            MAP.insert(resource.id(), Entry::of(resource));
        }
    }

    fn destroy(&self, resource: &Resource<'_>, _reason: Reason) {
        let Some((id, entry)) = MAP.remove(&resource.id()) else { return };
        if resource.is_parent() && lineage_of(resource.runtime()) == Lineage::Full {
            with_ancestors(|ancestors| ancestors.bury(id, Ancestor::of(&entry)));
        }
    }
}

/// Enables the tracker for the life of the process, the first time.
///
/// # Errors
/// When as many hooks are enabled as can be.
pub fn ensure_enabled() -> Result<(), EnableError> {
    static ENABLED: OnceLock<()> = OnceLock::new();
    static ENABLING: Mutex<()> = Mutex::new(());
    if ENABLED.get().is_some() {
        return Ok(());
    }
    let _one = ENABLING.lock().unwrap_or_else(PoisonError::into_inner);
    if ENABLED.get().is_none() {
        create_hook(Tracker).enable()?.detach();
        let _ = ENABLED.set(());
    }
    Ok(())
}

/// Says how much is kept of a runtime's resources. To be called before its first.
pub fn set_lineage(runtime: RuntimeId, lineage: Lineage) {
    let mut said = SAID.write().unwrap_or_else(PoisonError::into_inner);
    said.retain(|(known, _)| *known != runtime);
    if lineage != Lineage::Full {
        said.push((runtime, lineage));
        IS_ANYTHING_SAID.store(true, Ordering::Relaxed);
    }
}

/// Forgets what was said about a runtime, which has ended.
pub fn forget(runtime: RuntimeId) {
    set_lineage(runtime, Lineage::Full);
    if MAP.is_empty() {
        // A burst may have left large tables behind.
        MAP.shrink_to_fit();
    }
}

/// Returns how many resources are in the map.
#[must_use]
pub fn len() -> usize {
    MAP.len()
}

/// Returns how many resources of a runtime are in the map.
#[must_use]
pub fn len_of(runtime: RuntimeId) -> usize {
    MAP.iter().filter(|entry| entry.runtime == Some(runtime)).count()
}
