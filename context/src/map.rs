//! Keeps what is known of each living resource, by id, in a map that grows and shrinks with them.
//!
//! The tracker inserts and removes; the inspector copies.
//!
//! # Invariants
//! M1. Nothing foreign runs under the lock of a shard: what comes out is dropped by the caller, and
//!     values are rendered after they were copied. The one exception is a [`Probe`], which is
//!     cloned there; it is a counted pointer of an executor.
//! M2. An entry keeps the context of a resource for no longer than the resource lives.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher};
use std::panic::Location;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dashmap::{DashMap, SharedValue};
use forebear_hooks::{AsyncId, Frame, Kind, Probe, Resource, RuntimeId};

/// Ages count from here: a number of nanoseconds takes half of the room of an `Instant`.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What the map knows of a resource.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) trigger: Option<AsyncId>,
    pub(crate) location: &'static Location<'static>,
    pub(crate) frame: Frame,
    pub(crate) probe: Option<Probe>,
    /// Names its code. It is called by who wants to read it: that is seldom.
    code_name: fn() -> &'static str,
    /// Since [`START`]: enough for 584 years.
    born_ns: u64,
    rare: Option<Box<Rare>>,
    pub(crate) runtime: Option<RuntimeId>,
    pub(crate) kind: Kind,
    /// It was stated to be the trigger of something that it did not create.
    pub(crate) is_cause: bool,
}

/// What few resources have.
#[derive(Clone)]
struct Rare {
    name: Option<Cow<'static, str>>,
    creator: Option<AsyncId>,
    link: Option<AsyncId>,
}

// With its id it is 88 bytes; a table of them is between 7/16 and 7/8 full.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Entry>() == 80);

impl Entry {
    pub(crate) fn of(resource: &Resource<'_>) -> Entry {
        let (trigger, creator, link) =
            (resource.trigger_id(), resource.creator_id(), resource.link());
        let is_rare = creator != trigger || link.is_some() || resource.is_named();
        Entry {
            trigger,
            location: resource.location(),
            frame: resource.frame().clone(),
            probe: resource.probe(),
            code_name: resource.code_name(),
            born_ns: since_start(resource.now()),
            rare: is_rare.then(|| Box::new(Rare { name: name_of(resource), creator, link })),
            runtime: resource.runtime(),
            kind: resource.kind(),
            is_cause: false,
        }
    }

    /// Returns its name, else the name of its code.
    pub(crate) fn label(&self) -> Cow<'static, str> {
        match self.rare.as_ref().and_then(|rare| rare.name.as_ref()) {
            Some(name) => name.clone(),
            None => short_name((self.code_name)()).into(),
        }
    }

    pub(crate) fn creator(&self) -> Option<AsyncId> {
        self.rare.as_ref().map_or(self.trigger, |rare| rare.creator)
    }

    pub(crate) fn link(&self) -> Option<AsyncId> {
        self.rare.as_ref().and_then(|rare| rare.link)
    }

    pub(crate) fn age(&self, now: Instant) -> Duration {
        Duration::from_nanos(since_start(now).saturating_sub(self.born_ns))
    }
}

fn since_start(time: Instant) -> u64 {
    let since = time.saturating_duration_since(*START);
    since.as_secs().saturating_mul(1_000_000_000).saturating_add(since.subsec_nanos().into())
}

/// Returns its name, without copying one that is a constant.
fn name_of(resource: &Resource<'_>) -> Option<Cow<'static, str>> {
    if !resource.is_named() {
        return None;
    }
    let (name, constant) = (resource.label(), resource.static_label());
    let is_constant = std::ptr::eq(name, constant);
    Some(if is_constant { constant.into() } else { name.to_owned().into() })
}

/// Takes off the name of a type what only a compiler needs: `orders::ship::{{closure}}` is
/// `orders::ship`, and so is the same future in a scope or a flow of ours.
fn short_name(mut name: &'static str) -> &'static str {
    loop {
        let inner = name.strip_suffix("::{{closure}}").or_else(|| wrapped_in_ours(name));
        match inner {
            Some(shorter) => name = shorter,
            None => return name,
        }
    }
}

fn wrapped_in_ours(name: &'static str) -> Option<&'static str> {
    let (wrapper, inner) = name.strip_suffix('>')?.split_once('<')?;
    // A comma would mean more than one parameter, or one that is no future.
    (wrapper.starts_with("forebear") && !inner.contains(',')).then_some(inner)
}

/// Spreads ids over the map.
///
/// A thread's ids come in blocks of 1024. All of a block goes into one shard, so that threads that
/// work on their own rarely meet; within a shard, ids lie next to each other. dashmap takes the
/// shard from the bits below the top seven; its tables take their tag from the top seven and the
/// place from the lowest. With neighbours in neighbouring places, 100,000 living resources cost a
/// third of what they cost when scattered: the tables are walked as memory likes it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SpreadIds;

/// The number of shards: a thread is in one of them for 1024 resources.
const SHARDS: usize = 64;
const SHARD_BITS: u32 = SHARDS.ilog2();
const BLOCK_BITS: u32 = 10;
const TAG_BITS: u32 = 7;
const PLACE_BITS: u32 = u64::BITS - TAG_BITS - SHARD_BITS;
/// 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming, 6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn spread(id: u64) -> u64 {
    let from_zero = id.wrapping_sub(1);
    let block = from_zero >> BLOCK_BITS;
    let shard = block & (SHARDS as u64 - 1);
    // The bits that choose the shard are the same for all that it holds: they tell no places apart.
    let in_block = from_zero & ((1 << BLOCK_BITS) - 1);
    let place = (block >> SHARD_BITS) << BLOCK_BITS | in_block;
    let tag = id.wrapping_mul(GOLDEN) >> (u64::BITS - TAG_BITS);
    tag << (u64::BITS - TAG_BITS) | shard << PLACE_BITS | place & ((1 << PLACE_BITS) - 1)
}

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
        self.0 = spread(id);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A shard keeps room for so many resources, however few are left: some 40 KiB. Below that it is
/// not worth growing again.
const SHARD_KEPT_MAX: usize = 448;

/// A shard that is less full than one in this many gives memory back.
const SHARD_SLACK: usize = 8;

/// What is alive, by id.
pub(crate) struct Map {
    entries: DashMap<AsyncId, Entry, SpreadIds>,
}

impl Map {
    pub(crate) fn new() -> Map {
        Map { entries: DashMap::with_hasher_and_shard_amount(SpreadIds, SHARDS) }
    }

    /// Inserts an id that was never in the map.
    pub(crate) fn insert(&self, id: AsyncId, entry: Entry) {
        let hash = spread(id.get());
        let shard = &self.entries.shards()[self.shard_of(hash)];
        // Ids are unique, so there is nothing to look for first.
        shard.write().insert(hash, (id, SharedValue::new(entry)), |(id, _)| spread(id.get()));
    }

    /// Takes an entry out. A shard that a burst has left nearly empty gets smaller: each time to
    /// half of what is allowed, so that it costs little per resource that left.
    pub(crate) fn remove(&self, id: AsyncId) -> Option<Entry> {
        let hash = spread(id.get());
        let shard = &self.entries.shards()[self.shard_of(hash)];
        let mut shard = shard.write();
        let (_, entry) = shard.remove_entry(hash, |(known, _)| *known == id)?;
        let room = shard.capacity();
        if room > SHARD_KEPT_MAX && shard.len() < room / SHARD_SLACK {
            let kept = (room / SHARD_SLACK * 2).max(SHARD_KEPT_MAX);
            shard.shrink_to(kept, |(id, _)| spread(id.get()));
        }
        Some(entry.into_inner())
    }

    // The hash has as many bits as dashmap wants, or more of which it takes the lower.
    #[allow(clippy::cast_possible_truncation, reason = "on 32 bits ids of far blocks share shards")]
    fn shard_of(&self, hash: u64) -> usize {
        self.entries.determine_shard(hash as usize)
    }

    /// Notes that something which it did not create has this id as its trigger.
    pub(crate) fn mark_cause(&self, id: AsyncId) {
        if let Some(mut entry) = self.entries.get_mut(&id) {
            entry.is_cause = true;
        }
    }

    pub(crate) fn get(&self, id: AsyncId) -> Option<Entry> {
        self.entries.get(&id).map(|entry| entry.clone())
    }

    /// Returns what created a resource, `None` if that is not in the map.
    pub(crate) fn creator_of(&self, id: AsyncId) -> Option<Option<AsyncId>> {
        self.entries.get(&id).map(|entry| entry.creator())
    }

    /// Copies what created what, shard by shard, and the probes.
    pub(crate) fn creators(&self) -> Vec<(AsyncId, Option<AsyncId>, Option<Probe>)> {
        let entries = self.entries.iter();
        entries.map(|entry| (*entry.key(), entry.creator(), entry.probe.clone())).collect()
    }

    /// Copies what is wanted, shard by shard: no two of them are held at once.
    pub(crate) fn copy(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<(AsyncId, Entry)> {
        let entries = self.entries.iter().filter(|entry| wanted(entry));
        entries.map(|entry| (*entry.key(), entry.clone())).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Entry) -> bool) -> usize {
        self.entries.iter().filter(|entry| wanted(entry)).count()
    }

    /// Gives the room back that is not needed now, also what a shard usually keeps.
    pub(crate) fn give_room_back(&self) {
        self.entries.shrink_to_fit();
    }

    /// Returns for how many entries there is room.
    pub(crate) fn room(&self) -> usize {
        self.entries.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Map, SHARD_KEPT_MAX, SHARDS, short_name, spread, wrapped_in_ours};
    use forebear_hooks::{AsyncId, Kind, execution_async_resource, life};

    fn entry() -> Entry {
        let life = life::Life::begin(life::Birth::new(Kind::TIMER, || "sleep"));
        life.run(|_| execution_async_resource(|r| r.map(Entry::of))).unwrap()
    }

    fn ids(range: std::ops::Range<u64>) -> impl Iterator<Item = AsyncId> {
        range.filter_map(AsyncId::from_u64)
    }

    #[test]
    fn a_block_of_ids_shares_a_shard_and_the_next_block_has_another() {
        let map = Map::new();
        let shard = |id: u64| map.shard_of(spread(id));
        for block in 0..200_u64 {
            let first = block * 1024 + 1;
            assert!((first..first + 1024).all(|id| shard(id) == shard(first)), "block {block}");
            assert_eq!(shard(first), block as usize % SHARDS);
        }
    }

    #[test]
    fn ids_of_one_shard_have_places_of_their_own() {
        let place = |id: u64| spread(id) & 0xffff;
        let of_one_shard = (0..64_u64).flat_map(|nth| {
            let first = nth * 64 * 1024 + 1;
            first..first + 1024
        });
        let mut places: Vec<u64> = of_one_shard.map(place).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 64 * 1024);
    }

    #[test]
    fn what_is_removed_is_gone_and_what_is_not_stays() {
        let map = Map::new();
        for id in ids(1..5001) {
            map.insert(id, entry());
        }
        assert_eq!(map.len(), 5000);
        for id in ids(1..5001).filter(|id| id.get() % 3 != 0) {
            assert!(map.remove(id).is_some());
            assert!(map.remove(id).is_none());
        }
        assert_eq!(map.len(), 1666);
        assert!(ids(1..5001).all(|id| map.get(id).is_some() == (id.get() % 3 == 0)));
    }

    #[test]
    fn a_burst_gives_its_room_back() {
        let map = Map::new();
        let last = 64 * 1024 * 4 + 1;
        for id in ids(1..last) {
            map.insert(id, entry());
        }
        assert!(map.room() >= 64 * 1024 * 4);
        for id in ids(1..last) {
            map.remove(id);
        }
        assert_eq!(map.len(), 0);
        assert!(map.room() <= SHARDS * SHARD_KEPT_MAX, "room for {} is left", map.room());
        map.give_room_back();
        assert_eq!(map.room(), 0);
    }

    #[test]
    fn names_of_code_lose_what_only_a_compiler_needs() {
        assert_eq!(short_name("orders::ship"), "orders::ship");
        assert_eq!(short_name("orders::ship::{{closure}}::{{closure}}"), "orders::ship");
        assert_eq!(
            short_name("forebear_context::scope::Scope<orders::ship::{{closure}}>"),
            "orders::ship"
        );
        assert_eq!(
            short_name(
                "forebear_context::flow::Flow<forebear_context::scope::Scope<a::b::{{closure}}>>"
            ),
            "a::b"
        );
        assert_eq!(short_name("theirs::Scope<a::b>"), "theirs::Scope<a::b>");
        assert_eq!(wrapped_in_ours("forebear::X<a, b>"), None);
    }
}
