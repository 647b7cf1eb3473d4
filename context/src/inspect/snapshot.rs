//! Copies what is alive, as plain data.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::panic::Location;
use std::time::Duration;

use forebear_hooks::ledger::take_census;
use forebear_hooks::{AsyncId, Coarse, Frame, Kind, LiveState, RuntimeId};

use crate::inspect::context::Declarations;
use crate::lineage::Ancestor;
use crate::map::{Entry, Seen, SpreadIds};
use crate::quiet::quietly;
use crate::tracker;

/// A resource, as it was when the snapshot was taken.
#[derive(Clone, Debug)]
pub struct ResourceInfo {
    /// Its id.
    pub id: AsyncId,
    /// Its kind.
    pub kind: Kind,
    /// Its name, else the name of its code.
    pub label: String,
    /// Where it was made.
    pub location: &'static Location<'static>,
    /// What caused it.
    pub trigger: Option<AsyncId>,
    /// Whose code made it.
    pub creator: Option<AsyncId>,
    /// Where it came from, if it does not descend from there.
    pub link: Option<AsyncId>,
    /// Its runtime, `None` on a foreign one.
    pub runtime: Option<RuntimeId>,
    /// How old it was; `None` if it was gone and is remembered as an ancestor only.
    pub age: Option<Duration>,
    /// What it was doing, for a task.
    pub state: Option<LiveState>,
    /// Its context, as far as that was declared to be shown.
    pub context: Vec<(&'static str, String)>,
}

impl ResourceInfo {
    /// Says whether it was gone, and is remembered because others descend from it.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.age.is_none()
    }

    fn of(id: AsyncId, seen: &Seen, now: Coarse, declared: &Declarations) -> ResourceInfo {
        let Seen { entry, state } = seen;
        ResourceInfo {
            id,
            kind: entry.kind,
            label: entry.label().into_owned(),
            location: entry.location,
            trigger: entry.trigger,
            creator: entry.creator(),
            link: entry.link(),
            runtime: entry.runtime,
            age: Some(entry.age(now)),
            state: *state,
            context: declared.shown(&entry.frame),
        }
    }

    /// As [`of`](ResourceInfo::of), of a copy that nobody needs any more.
    fn seen(id: AsyncId, seen: Seen, now: Coarse, declared: &Declarations) -> ResourceInfo {
        let info = ResourceInfo::of(id, &seen, now, declared);
        // Its owner may have let go of the context meanwhile: then the destructors run here.
        quietly(|| drop(seen));
        info
    }

    fn gone(ancestor: &Ancestor) -> ResourceInfo {
        ResourceInfo {
            id: ancestor.id,
            kind: ancestor.kind,
            label: ancestor.label().into_owned(),
            location: ancestor.location,
            trigger: ancestor.trigger,
            creator: ancestor.trigger,
            link: None,
            runtime: None,
            age: None,
            state: None,
            context: Vec::new(),
        }
    }
}

/// What was alive at one time.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    resources: Vec<ResourceInfo>,
}

impl Snapshot {
    /// Makes one of data: of several snapshots, say, or of a part of one.
    #[must_use]
    pub fn of(mut resources: Vec<ResourceInfo>) -> Snapshot {
        resources.sort_by_key(|resource| resource.id);
        resources.dedup_by_key(|resource| resource.id);
        Snapshot { resources }
    }

    /// Returns the resources, by id.
    #[must_use]
    pub fn resources(&self) -> &[ResourceInfo] {
        &self.resources
    }

    /// Returns a resource.
    #[must_use]
    pub fn get(&self, id: AsyncId) -> Option<&ResourceInfo> {
        let place = self.resources.binary_search_by_key(&id, |resource| resource.id).ok()?;
        self.resources.get(place)
    }
}

/// Copies what is alive in the process.
///
/// Nobody is stopped for that, and the parts of the map are copied one after the other: of two
/// short lives that followed each other, both may be in it.
#[must_use]
pub fn snapshot() -> Snapshot {
    take(|_| true)
}

/// Copies what is alive in a runtime.
#[must_use]
pub fn snapshot_of(runtime: RuntimeId) -> Snapshot {
    take(|entry| entry.runtime == Some(runtime))
}

fn take(wanted: impl Fn(&Entry) -> bool) -> Snapshot {
    let mut entries = residents(&wanted);
    // Only copied under the locks of the map; what that costs is a few counts per resource.
    entries.extend(tracker::map().copy_others(wanted));
    entries.sort_unstable_by_key(|(id, _)| *id);
    let (now, declared) = (Coarse::now(), Declarations::now());
    let info = |(id, seen)| ResourceInfo::seen(id, seen, now, &declared);
    Snapshot { resources: entries.into_iter().map(info).collect() }
}

/// Calls `f` with each resource of the process that holds a context, and with that.
pub(crate) fn for_each_context(mut f: impl FnMut(&ResourceInfo, &Frame)) {
    let wanted = |entry: &Entry| !entry.frame.is_empty();
    let mut entries = residents(wanted);
    entries.extend(tracker::map().copy_others(wanted));
    let (now, declared) = (Coarse::now(), Declarations::now());
    for (id, seen) in entries {
        f(&ResourceInfo::of(id, &seen, now, &declared), &seen.entry.frame);
        // Its owner may have let go of the context meanwhile: then the destructors run here.
        quietly(|| drop(seen));
    }
}

/// Copies tasks and timers, from where their executor keeps them.
fn residents(wanted: impl Fn(&Entry) -> bool) -> Vec<(AsyncId, Seen)> {
    let mut residents = Vec::new();
    take_census(|resident| {
        let is_kept = tracker::keeps(resident.runtime());
        let seen = if is_kept { Seen::resident(resident) } else { None };
        let seen = seen.filter(|seen| wanted(&seen.entry));
        residents.extend(seen.map(|seen| (resident.id(), seen)));
    });
    residents
}

/// Counts what is alive in runtimes that are wanted.
pub(crate) fn count(wanted: impl Fn(Option<RuntimeId>) -> bool) -> usize {
    let mut residents = 0;
    take_census(|resident| residents += usize::from(wanted(resident.runtime())));
    residents + tracker::map().count_others(|entry| wanted(entry.runtime))
}

/// Looks resources up one by one: among the living, else among the ancestors that are remembered.
pub(super) struct Finder {
    now: Coarse,
    declared: Declarations,
    /// Copied when the first one is not in the map: timers are not, nor are tasks that have not
    /// waited yet.
    residents: OnceCell<HashMap<AsyncId, ResourceInfo, SpreadIds>>,
    /// Copied when the first one is not among the living: it has left them by then.
    gone: OnceCell<HashMap<AsyncId, Ancestor, SpreadIds>>,
}

impl Finder {
    pub(super) fn new() -> Finder {
        let (now, declared) = (Coarse::now(), Declarations::now());
        Finder { now, declared, residents: OnceCell::new(), gone: OnceCell::new() }
    }

    pub(super) fn find(&self, id: AsyncId) -> Option<ResourceInfo> {
        if let Some(seen) = tracker::map().get(id) {
            return Some(ResourceInfo::seen(id, seen, self.now, &self.declared));
        }
        let gone = self.gone.get_or_init(|| tracker::ancestors().copy());
        if let Some(ancestor) = gone.get(&id) {
            return Some(ResourceInfo::gone(ancestor));
        }
        let residents = self.residents.get_or_init(|| {
            let info = |(id, seen)| (id, ResourceInfo::seen(id, seen, self.now, &self.declared));
            residents(|_| true).into_iter().map(info).collect()
        });
        residents.get(&id).cloned()
    }

    /// Looks up the triggers of resources that are not among them, the triggers of those, and so
    /// on, up to `depth`.
    pub(super) fn triggers_of(
        &self,
        resources: &[ResourceInfo],
        depth: usize,
    ) -> Vec<ResourceInfo> {
        let mut known: HashSet<AsyncId> = resources.iter().map(|resource| resource.id).collect();
        let mut wanted: Vec<AsyncId> = resources.iter().filter_map(|r| r.trigger).collect();
        wanted.retain(|id| known.insert(*id));
        let mut found: Vec<ResourceInfo> = Vec::new();
        for _ in 0..depth {
            let place = found.len();
            found.extend(wanted.iter().filter_map(|id| self.find(*id)));
            wanted = found[place..].iter().filter_map(|resource| resource.trigger).collect();
            wanted.retain(|id| known.insert(*id));
        }
        found
    }
}
