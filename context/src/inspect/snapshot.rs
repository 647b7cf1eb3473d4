//! Copies what is alive, as plain data.
//!
//! Nobody is stopped or polled for that. What is copied under a lock of ours is a few hundred
//! resources at a time; texts are made afterwards.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use forebear_hooks::ledger::{continue_census, take_census};
use forebear_hooks::waits::{Until, Wait, take_wait_census};
use forebear_hooks::{AsyncId, Coarse, Frame, LiveState, RuntimeId};

use crate::fields;
use crate::inspect::context::Declarations;
use crate::inspect::counts::AllCounts;
use crate::inspect::label::Label;
use crate::inspect::resource::{ResourceInfo, WaitsFor};
use crate::lineage::Ancestor;
use crate::map::{Seen, SpreadIds};
use crate::quiet::quietly;
use crate::tracker;

/// Triggers that a snapshot lacks are followed so far: those that are gone, and those of other
/// runtimes.
const ABSENT_MAX_DEPTH: usize = 16;

/// A chunk has about so many resources.
const CHUNK_RESOURCES: usize = 1024;

/// What was alive at one time.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    resources: Vec<ResourceInfo>,
    ancestors: Vec<ResourceInfo>,
}

impl Snapshot {
    /// Makes one of data: of several snapshots, say, or of chunks. What is gone becomes an ancestor
    /// if something descends from it.
    #[must_use]
    pub fn of(resources: Vec<ResourceInfo>) -> Snapshot {
        let (gone, alive): (Vec<_>, Vec<_>) =
            resources.into_iter().partition(ResourceInfo::is_gone);
        Snapshot::among(sorted(alive), sorted(gone))
    }

    /// Takes of those that are not part of it what its resources descend from.
    fn among(resources: Vec<ResourceInfo>, others: Vec<ResourceInfo>) -> Snapshot {
        let mut wanted: Vec<AsyncId> = resources.iter().filter_map(|r| r.trigger).collect();
        let mut is_taken = vec![false; others.len()];
        for _ in 0..ABSENT_MAX_DEPTH {
            wanted.sort_unstable();
            wanted.dedup();
            let absent = wanted.iter().filter(|id| find(&resources, **id).is_none());
            let mut found: Vec<usize> = absent.filter_map(|id| find(&others, *id)).collect();
            found.retain(|place| !std::mem::replace(&mut is_taken[*place], true));
            wanted = found.iter().filter_map(|place| others[*place].trigger).collect();
        }
        let others = others.into_iter().zip(is_taken).filter(|(_, is_taken)| *is_taken);
        let ancestors = others.map(|(resource, _)| resource).collect();
        Snapshot { resources, ancestors }
    }

    /// Returns the resources that were alive, by id.
    #[must_use]
    pub fn resources(&self) -> &[ResourceInfo] {
        &self.resources
    }

    /// Returns what they descend from and is not among them, by id: what is gone, as far as it is
    /// remembered, and what belongs to another runtime. It goes back sixteen steps.
    #[must_use]
    pub fn ancestors(&self) -> &[ResourceInfo] {
        &self.ancestors
    }

    /// Returns a resource that was alive.
    #[must_use]
    pub fn get(&self, id: AsyncId) -> Option<&ResourceInfo> {
        find(&self.resources, id).map(|place| &self.resources[place])
    }

    /// Returns the resources together with their ancestors, by id.
    pub(super) fn into_all(self) -> Vec<ResourceInfo> {
        let Snapshot { mut resources, ancestors } = self;
        if !ancestors.is_empty() {
            resources.extend(ancestors);
            resources.sort_by_key(|resource| resource.id);
        }
        resources
    }
}

fn sorted(mut resources: Vec<ResourceInfo>) -> Vec<ResourceInfo> {
    resources.sort_by_key(|resource| resource.id);
    resources.dedup_by_key(|resource| resource.id);
    resources
}

fn find(sorted: &[ResourceInfo], id: AsyncId) -> Option<usize> {
    sorted.binary_search_by_key(&id, |resource| resource.id).ok()
}

/// Copies what is alive in the process.
///
/// Nobody is stopped for that, and the parts of the map are copied one after the other: of two
/// short lives that followed each other, both may be in it.
///
/// It takes about 200 bytes per resource; [`chunks`] shows a million of them in little memory.
#[must_use]
pub fn snapshot() -> Snapshot {
    let (gone, alive) = copy_all();
    Snapshot::among(alive, gone)
}

/// Copies what is alive in a runtime.
#[must_use]
pub fn snapshot_of(runtime: RuntimeId) -> Snapshot {
    let (gone, alive) = copy_all();
    let (wanted, mut others): (Vec<_>, Vec<_>) =
        alive.into_iter().partition(|resource| resource.runtime == Some(runtime));
    others.extend(gone);
    Snapshot::among(wanted, sorted(others))
}

fn copy_all() -> (Vec<ResourceInfo>, Vec<ResourceInfo>) {
    let mut chunks = chunks();
    let mut alive = Vec::new();
    let mut gone = Vec::new();
    for chunk in &mut chunks {
        for resource in chunk {
            let part = if resource.is_gone() { &mut gone } else { &mut alive };
            part.push(resource);
        }
    }
    (sorted(gone), sorted(alive))
}

/// Copies what is alive in the process, about a thousand resources at a time, and then what is gone
/// and remembered as an ancestor.
///
/// Between two chunks nothing is held, so whoever takes them may be as slow as they like. What comes
/// into being meanwhile may be among them or not, and what ends meanwhile, too. Until all are taken
/// it keeps 60 bytes per resource that somebody waits for, and what is no task and no timer.
///
/// ```
/// use forebear_context::inspect;
/// use forebear_hooks::{AsyncResource, Kind};
///
/// forebear_context::tracker::ensure_enabled();
/// let query = AsyncResource::new(Kind::new("DB_QUERY"));
/// let is_there = |chunk: Vec<inspect::ResourceInfo>| chunk.iter().any(|r| r.id == query.id());
/// assert!(inspect::chunks().any(is_there));
/// ```
#[must_use]
pub fn chunks() -> Chunks {
    Chunks { view: View::new(Waits::now()), rest: Rest::Residents(0) }
}

/// An iterator over what is alive: see [`chunks`].
pub struct Chunks {
    view: View,
    rest: Rest,
}

/// What is still to be copied.
enum Rest {
    /// Tasks and timers, from a place in memory on.
    Residents(usize),
    Others(std::vec::IntoIter<(AsyncId, Seen)>),
    Nothing,
}

impl Iterator for Chunks {
    type Item = Vec<ResourceInfo>;

    fn next(&mut self) -> Option<Vec<ResourceInfo>> {
        loop {
            let (chunk, rest) = match std::mem::replace(&mut self.rest, Rest::Nothing) {
                Rest::Residents(from) => {
                    let (seen, rest) = residents(from);
                    // Copied when the residents are done, so that it is not kept for long.
                    let others = || tracker::map().copy_others(|_| true).into_iter();
                    let rest = rest.map_or_else(|| Rest::Others(others()), Rest::Residents);
                    (self.view.infos(seen), rest)
                }
                Rest::Others(mut others) => {
                    let seen: Vec<_> = others.by_ref().take(CHUNK_RESOURCES).collect();
                    if seen.is_empty() {
                        (gone(), Rest::Nothing)
                    } else {
                        (self.view.infos(seen), Rest::Others(others))
                    }
                }
                Rest::Nothing => return None,
            };
            self.rest = rest;
            if !chunk.is_empty() {
                return Some(chunk);
            }
        }
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").finish_non_exhaustive()
    }
}

/// Copies tasks and timers, from where their executor keeps them: about as many as make a chunk.
/// Returns also where to go on.
fn residents(mut from: usize) -> (Vec<(AsyncId, Seen)>, Option<usize>) {
    let mut residents = Vec::new();
    while residents.len() < CHUNK_RESOURCES {
        let rest = continue_census(from, |resident| {
            let is_kept = tracker::keeps(resident.runtime());
            let seen = if is_kept { Seen::resident(resident) } else { None };
            residents.extend(seen.map(|seen| (resident.id(), seen)));
        });
        match rest {
            Some(place) => from = place,
            None => return (residents, None),
        }
    }
    (residents, Some(from))
}

/// Shows each resource of the process that holds a context.
pub(crate) fn for_each_context(mut f: impl FnMut(ResourceInfo)) {
    let mut view = View::new(Waits::default());
    let mut show = |(id, seen): (AsyncId, Seen)| {
        if !seen.entry.frame.is_empty() {
            f(view.info(id, seen));
        }
    };
    let mut from = Some(0);
    while let Some(place) = from {
        let (seen, rest) = residents(place);
        seen.into_iter().for_each(&mut show);
        from = rest;
    }
    let others = tracker::map().copy_others(|entry| !entry.frame.is_empty());
    others.into_iter().for_each(show);
}

fn gone() -> Vec<ResourceInfo> {
    tracker::ancestors().copy().values().map(info_of_gone).collect()
}

/// Counts what is alive in runtimes that are wanted.
pub(crate) fn count_alive(wanted: impl Fn(Option<RuntimeId>) -> bool) -> usize {
    let mut residents = 0;
    take_census(|resident| residents += usize::from(wanted(resident.runtime())));
    residents + tracker::map().count_others(|entry| wanted(entry.runtime))
}

/// What is the same for all that is looked at together.
struct View {
    now: Coarse,
    declared: Declarations,
    waits: Waits,
    counts: AllCounts,
    /// The context of the resource before: neighbours often have the same.
    last: (Frame, Arc<[(Label, String)]>),
}

impl View {
    fn new(waits: Waits) -> View {
        let (now, declared, counts) = (Coarse::now(), Declarations::now(), AllCounts::now());
        View { now, declared, waits, counts, last: (Frame::empty(), Arc::default()) }
    }

    fn infos(&mut self, seen: Vec<(AsyncId, Seen)>) -> Vec<ResourceInfo> {
        seen.into_iter().map(|(id, seen)| self.info(id, seen)).collect()
    }

    /// Makes one of a copy that nobody needs any more.
    fn info(&mut self, id: AsyncId, seen: Seen) -> ResourceInfo {
        let Seen { entry, state, wakers } = &seen;
        let is_same = self.last.0.ptr_eq(&entry.frame);
        if !is_same && !entry.frame.is_empty() {
            self.last = (entry.frame.clone(), self.declared.shown(&entry.frame).into());
        }
        let context = if entry.frame.is_empty() { Arc::default() } else { self.last.1.clone() };
        let waits =
            if *state == Some(LiveState::Idle) { self.waits.of(id) } else { Box::default() };
        let info = ResourceInfo {
            trigger: entry.trigger,
            creator: entry.creator(),
            link: entry.link(),
            runtime: entry.runtime,
            age: Some(entry.age(self.now)),
            state: *state,
            wakers: *wakers,
            waits,
            due: self.waits.due(id),
            flow: fields::flow_of(&entry.frame, self.now),
            counts: self.counts.of(id).map(Box::new),
            context,
            ..ResourceInfo::new(id, entry.kind, entry.label(), entry.location.into())
        };
        // Its owner may have let go of the context meanwhile: then the destructors run here.
        quietly(|| drop(seen));
        info
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let frame = std::mem::take(&mut self.last.0);
        quietly(|| drop(frame));
    }
}

fn info_of_gone(ancestor: &Ancestor) -> ResourceInfo {
    ResourceInfo {
        trigger: ancestor.trigger,
        creator: ancestor.trigger,
        age: None,
        ..ResourceInfo::new(ancestor.id, ancestor.kind, ancestor.label(), ancestor.location.into())
    }
}

/// Who waits for what.
#[derive(Default)]
struct Waits {
    /// By who waits.
    waits: Vec<(AsyncId, WaitsFor)>,
    /// By timer.
    due: Vec<(AsyncId, Duration)>,
}

impl Waits {
    fn now() -> Waits {
        let mut all = Waits::default();
        take_wait_census(|Wait { waiter, on, until }| {
            all.waits.extend(waiter.map(|waiter| (waiter, WaitsFor { on, until })));
            if let Until::Due(left) = until {
                all.due.push((on, left));
            }
        });
        all.waits.sort_unstable_by_key(|(waiter, waits)| (*waiter, waits.on));
        all.due.sort_unstable();
        all
    }

    fn of(&self, waiter: AsyncId) -> Box<[WaitsFor]> {
        let first = self.waits.partition_point(|(id, _)| *id < waiter);
        let mine = self.waits[first..].iter().take_while(|(id, _)| *id == waiter);
        mine.map(|(_, waits)| *waits).collect()
    }

    fn due(&self, timer: AsyncId) -> Option<Duration> {
        let place = self.due.binary_search_by_key(&timer, |(id, _)| *id).ok()?;
        Some(self.due[place].1)
    }
}

/// Looks resources up one by one: among the living, else among the ancestors that are remembered.
pub(super) struct Finder {
    view: View,
    /// Copied when the first one is not in the map.
    gone: Option<HashMap<AsyncId, Ancestor, SpreadIds>>,
}

impl Finder {
    pub(super) fn new() -> Finder {
        Finder { view: View::new(Waits::now()), gone: None }
    }

    /// As [`new`](Finder::new), without looking for what they wait for.
    pub(super) fn without_waits() -> Finder {
        Finder { view: View::new(Waits::default()), gone: None }
    }

    pub(super) fn find(&mut self, id: AsyncId) -> Option<ResourceInfo> {
        if let Some(seen) = tracker::map().get(id) {
            return Some(self.view.info(id, seen));
        }
        let gone = self.gone.get_or_insert_with(|| tracker::ancestors().copy());
        if let Some(ancestor) = gone.get(&id) {
            return Some(info_of_gone(ancestor));
        }
        // Timers are not in the map, nor are tasks that have not waited yet.
        let seen = resident(id)?;
        Some(self.view.info(id, seen))
    }

    pub(super) fn info_of(&mut self, id: AsyncId, seen: Seen) -> ResourceInfo {
        self.view.info(id, seen)
    }
}

/// Copies a task or a timer, from where its executor keeps it.
fn resident(id: AsyncId) -> Option<Seen> {
    let (mut seen, mut from) = (None, Some(0));
    while let Some(place) = from {
        from = continue_census(place, |resident| {
            if resident.id() == id && tracker::keeps(resident.runtime()) {
                seen = Seen::resident(resident);
            }
        });
        if seen.is_some() {
            break;
        }
    }
    seen
}
