//! Copies what is alive, as plain data.

use std::panic::Location;
use std::time::{Duration, Instant};

use forebear_hooks::{AsyncId, Kind, LiveState, RuntimeId};

use crate::inspect::context;
use crate::lineage::Ancestor;
use crate::tracker::{self, Entry};

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

    fn of(id: AsyncId, entry: &Entry, now: Instant) -> ResourceInfo {
        ResourceInfo {
            id,
            kind: entry.kind,
            label: entry.label().to_owned(),
            location: entry.location,
            trigger: entry.trigger,
            creator: entry.creator(),
            link: entry.link(),
            runtime: entry.runtime,
            age: Some(now.saturating_duration_since(entry.birth)),
            state: entry.probe.as_ref().map(forebear_hooks::Probe::state),
            context: context::shown(&entry.frame),
        }
    }

    pub(super) fn alive(id: AsyncId, entry: &Entry) -> ResourceInfo {
        ResourceInfo::of(id, entry, Instant::now())
    }

    pub(super) fn gone(id: AsyncId, ancestor: &Ancestor) -> ResourceInfo {
        ResourceInfo {
            id,
            kind: ancestor.kind,
            label: ancestor.label.to_string(),
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
    // Only copied under the locks of the map; what that costs is a few counts per resource.
    let mut entries: Vec<(AsyncId, Entry)> = tracker::map()
        .iter()
        .filter(|entry| wanted(entry))
        .map(|entry| (*entry.key(), entry.clone()))
        .collect();
    entries.sort_unstable_by_key(|(id, _)| *id);
    let now = Instant::now();
    let resources = entries.iter().map(|(id, entry)| ResourceInfo::of(*id, entry, now)).collect();
    Snapshot { resources }
}
