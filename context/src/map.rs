//! Keeps what is known of each living resource, by id, in a map that grows and shrinks with them.
//!
//! The tracker inserts and removes; the inspector copies.
//!
//! # Invariants
//! M1. Nothing foreign runs under the lock of a shard: what comes out is dropped by the caller, and
//!     values are rendered after they were copied. The one exception is a [`Probe`], which an
//!     executor has made.
//! M2. An entry keeps the context of a resource for no longer than the resource lives.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher};
use std::panic::Location;
use std::time::Duration;

use dashmap::{DashMap, SharedValue};
use forebear_hooks::ledger::{Entrance, Sighting};
use forebear_hooks::{AsyncId, Coarse, Facts, Frame, Kind, LiveState, Probe, Resource, RuntimeId};

use crate::quiet::quietly;

/// What the map knows of a task: where to look. The rest is there.
#[derive(Clone, Copy)]
pub(crate) struct Task {
    probe: Probe,
    /// It was stated to be the trigger of something that it did not create.
    is_cause: bool,
}

/// What the map knows of any other resource.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) trigger: Option<AsyncId>,
    pub(crate) location: &'static Location<'static>,
    pub(crate) frame: Frame,
    /// Names its code. It is called by who wants to read it: that is seldom.
    code_name: fn() -> &'static str,
    born: Coarse,
    rare: Option<Box<Rare>>,
    pub(crate) runtime: Option<RuntimeId>,
    pub(crate) kind: Kind,
    /// It was stated to be the trigger of something that it did not create.
    is_cause: bool,
}

/// A copy of what is known of a resource, and what it was doing just then, if it was a task.
pub(crate) struct Seen {
    pub(crate) entry: Entry,
    pub(crate) state: Option<LiveState>,
    pub(crate) wakers: Option<u32>,
}

impl Seen {
    /// Of a resident; `None` if it has just ended.
    pub(crate) fn resident(resident: &Sighting<'_>) -> Option<Seen> {
        let entry = Entry::of(resident, resident.frame()?, resident.born());
        Some(Seen { entry, state: resident.state(), wakers: resident.wakers() })
    }

    fn other(entry: &Entry) -> Seen {
        Seen { entry: entry.clone(), state: None, wakers: None }
    }
}

/// What few resources have.
#[derive(Clone)]
struct Rare {
    name: Option<Cow<'static, str>>,
    creator: Option<AsyncId>,
    link: Option<AsyncId>,
}

// With its id it is 64 bytes; a table of them is between 7/16 and 7/8 full.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Entry>() == 56 && size_of::<Task>() == 24);

impl Entry {
    pub(crate) fn of(resource: &Facts<'_>, frame: Frame, born: Coarse) -> Entry {
        let (trigger, creator, link) =
            (resource.trigger_id(), resource.creator_id(), resource.link());
        let is_rare = creator != trigger || link.is_some() || resource.is_named();
        Entry {
            trigger,
            location: resource.location(),
            frame,
            code_name: resource.code_name(),
            born,
            rare: is_rare.then(|| Box::new(Rare { name: name_of(resource), creator, link })),
            runtime: resource.runtime(),
            kind: resource.kind(),
            is_cause: false,
        }
    }

    /// Returns its name, else the name of its code.
    pub(crate) fn label(&self) -> Cow<'static, str> {
        label_of(self.rare.as_ref().and_then(|rare| rare.name.as_ref()), self.code_name)
    }

    pub(crate) fn creator(&self) -> Option<AsyncId> {
        self.rare.as_ref().map_or(self.trigger, |rare| rare.creator)
    }

    pub(crate) fn link(&self) -> Option<AsyncId> {
        self.rare.as_ref().and_then(|rare| rare.link)
    }

    pub(crate) fn age(&self, now: Coarse) -> Duration {
        now.since(self.born)
    }
}

/// Returns the name of a resource, else the name of its code.
pub(crate) fn label_of(
    name: Option<&Cow<'static, str>>,
    code_name: fn() -> &'static str,
) -> Cow<'static, str> {
    name.cloned().unwrap_or_else(|| short_name(code_name()).into())
}

/// Returns its name, without copying one that is a constant.
pub(crate) fn name_of(resource: &Facts<'_>) -> Option<Cow<'static, str>> {
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

/// A shard keeps room for so many resources, however few are left: some 40 KiB at most. Below that
/// it is not worth growing again.
const SHARD_KEPT_MAX: usize = 448;

/// A shard that is less full than one in this many gives memory back.
const SHARD_SLACK: usize = 8;

/// What lasts and is alive, by id. Tasks lie where their executor finds them, so of them there is
/// less to keep.
pub(crate) struct Map {
    tasks: Shards<Task>,
    others: Shards<Entry>,
}

impl Map {
    pub(crate) fn new() -> Map {
        Map { tasks: Shards::new(), others: Shards::new() }
    }

    /// Enters a resource that was never in the map.
    pub(crate) fn enter(&self, resource: &Resource<'_>, entrance: &Entrance) {
        match entrance.probe {
            Some(probe) => self.tasks.insert(resource.id(), Task { probe, is_cause: false }),
            None => {
                let entry = Entry::of(resource, resource.frame().clone(), entrance.born);
                self.others.insert(resource.id(), entry);
            }
        }
    }

    /// Takes a resource out. Says whether it was stated to be the trigger of something that it did
    /// not create.
    pub(crate) fn leave(&self, resource: &Resource<'_>) -> bool {
        let id = resource.id();
        if resource.kind() == Kind::TASK {
            if let Some(task) = self.tasks.remove(id) {
                return task.is_cause;
            }
        }
        let Some(entry) = self.others.remove(id) else { return false };
        let is_cause = entry.is_cause;
        // Perhaps the last reference to values with destructors: it goes here, under no lock.
        quietly(|| drop(entry));
        is_cause
    }

    /// Notes that something which it did not create has this id as its trigger.
    pub(crate) fn mark_cause(&self, id: AsyncId) {
        if let Some(mut task) = self.tasks.0.get_mut(&id) {
            task.is_cause = true;
        } else if let Some(mut entry) = self.others.0.get_mut(&id) {
            entry.is_cause = true;
        }
    }

    pub(crate) fn get(&self, id: AsyncId) -> Option<Seen> {
        // Under the lock, because only as long as a task is in the map it is known to be there.
        let task = self.tasks.0.get(&id).and_then(|task| task.probe.look(Seen::resident)).flatten();
        task.or_else(|| self.others.0.get(&id).map(|entry| Seen::other(&entry)))
    }

    /// Returns what created a resource, `None` if that is not in the map.
    pub(crate) fn creator_of(&self, id: AsyncId) -> Option<Option<AsyncId>> {
        let look = |task: &Task| task.probe.look(|task| task.creator_id());
        let task = self.tasks.0.get(&id).and_then(|task| look(&task));
        task.or_else(|| self.others.0.get(&id).map(|entry| entry.creator()))
    }

    /// Copies what created what, of what is no task.
    pub(crate) fn creators_of_others(&self) -> Vec<(AsyncId, Option<AsyncId>)> {
        self.others.0.iter().map(|entry| (*entry.key(), entry.creator())).collect()
    }

    /// Copies what is wanted and is no task, shard by shard: no two of them are held at once.
    pub(crate) fn copy_others(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<(AsyncId, Seen)> {
        let entries = self.others.0.iter().filter(|entry| wanted(entry));
        entries.map(|entry| (*entry.key(), Seen::other(&entry))).collect()
    }

    pub(crate) fn count_others(&self, wanted: impl Fn(&Entry) -> bool) -> usize {
        self.others.0.iter().filter(|entry| wanted(entry)).count()
    }

    pub(crate) fn len(&self) -> usize {
        self.tasks.0.len() + self.others.0.len()
    }

    /// Gives the room back that is not needed now, also what a shard usually keeps.
    pub(crate) fn give_room_back(&self) {
        self.tasks.0.shrink_to_fit();
        self.others.0.shrink_to_fit();
    }

    /// Returns for how many entries there is room.
    pub(crate) fn room(&self) -> usize {
        self.tasks.0.capacity() + self.others.0.capacity()
    }
}

/// Something by id, in a map that grows and shrinks.
struct Shards<V>(DashMap<AsyncId, V, SpreadIds>);

impl<V> Shards<V> {
    fn new() -> Shards<V> {
        Shards(DashMap::with_hasher_and_shard_amount(SpreadIds, SHARDS))
    }

    /// Inserts an id that was never in the map.
    fn insert(&self, id: AsyncId, value: V) {
        let hash = spread(id.get());
        let shard = &self.0.shards()[self.shard_of(hash)];
        // Ids are unique, so there is nothing to look for first.
        shard.write().insert(hash, (id, SharedValue::new(value)), |(id, _)| spread(id.get()));
    }

    /// Takes a value out. A shard that a burst has left nearly empty gets smaller: each time to half
    /// of what is allowed, so that it costs little per resource that left.
    fn remove(&self, id: AsyncId) -> Option<V> {
        let hash = spread(id.get());
        let shard = &self.0.shards()[self.shard_of(hash)];
        let mut shard = shard.write();
        let (_, value) = shard.remove_entry(hash, |(known, _)| *known == id)?;
        let room = shard.capacity();
        if room > SHARD_KEPT_MAX && shard.len() < room / SHARD_SLACK {
            let kept = (room / SHARD_SLACK * 2).max(SHARD_KEPT_MAX);
            shard.shrink_to(kept, |(id, _)| spread(id.get()));
        }
        Some(value.into_inner())
    }

    // The hash has as many bits as dashmap wants, or more of which it takes the lower.
    #[allow(clippy::cast_possible_truncation, reason = "on 32 bits ids of far blocks share shards")]
    fn shard_of(&self, hash: u64) -> usize {
        self.0.determine_shard(hash as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, SHARD_KEPT_MAX, SHARDS, Shards, short_name, spread, wrapped_in_ours};
    use forebear_hooks::{AsyncId, Coarse, Frame, Kind, life};

    fn entry() -> Entry {
        let life = life::Life::begin(life::Birth::new(Kind::TIMER, || "sleep"));
        Entry::of(&life.resource(), Frame::empty(), Coarse::now())
    }

    fn ids(range: std::ops::Range<u64>) -> impl Iterator<Item = AsyncId> {
        range.filter_map(AsyncId::from_u64)
    }

    #[test]
    fn a_block_of_ids_shares_a_shard_and_the_next_block_has_another() {
        let map = Shards::<Entry>::new();
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
        let map = Shards::new();
        for id in ids(1..5001) {
            map.insert(id, entry());
        }
        assert_eq!(map.0.len(), 5000);
        for id in ids(1..5001).filter(|id| id.get() % 3 != 0) {
            assert!(map.remove(id).is_some());
            assert!(map.remove(id).is_none());
        }
        assert_eq!(map.0.len(), 1666);
        assert!(ids(1..5001).all(|id| map.0.contains_key(&id) == (id.get() % 3 == 0)));
    }

    #[test]
    fn a_burst_gives_its_room_back() {
        let map = Shards::new();
        let last = 64 * 1024 * 4 + 1;
        for id in ids(1..last) {
            map.insert(id, entry());
        }
        assert!(map.0.capacity() >= 64 * 1024 * 4);
        for id in ids(1..last) {
            map.remove(id);
        }
        assert_eq!(map.0.len(), 0);
        assert!(
            map.0.capacity() <= SHARDS * SHARD_KEPT_MAX,
            "room for {} is left",
            map.0.capacity()
        );
        map.0.shrink_to_fit();
        assert_eq!(map.0.capacity(), 0);
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
