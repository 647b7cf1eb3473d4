//! Who stands under whom: along one of three edges.
//!
//! The three are different questions, and mixing them up has cost people days: who caused this, whose
//! code made it, and what does it wait for. Triggers can be stated and waits can be mutual, so there
//! may be circles.

use std::fmt;
use std::str::FromStr;

use forebear_hooks::AsyncId;

use crate::inspect::resource::ResourceInfo;

/// Along what a tree is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Edge {
    /// A resource stands under what caused it.
    #[default]
    TriggeredBy,
    /// A resource stands under whose code made it. Context and cancellation follow this one.
    CreatedBy,
    /// A resource stands under what waits for it: the end of a line is what all wait for.
    WaitingOn,
}

impl Edge {
    /// All three.
    pub const ALL: [Edge; 3] = [Edge::TriggeredBy, Edge::CreatedBy, Edge::WaitingOn];

    /// Returns its name: `triggered-by`, `created-by` or `waiting-on`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Edge::TriggeredBy => "triggered-by",
            Edge::CreatedBy => "created-by",
            Edge::WaitingOn => "waiting-on",
        }
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name of an edge that does not exist.
#[derive(Clone, Debug)]
pub struct UnknownEdge(String);

impl fmt::Display for UnknownEdge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown edge {:?}: triggered-by, created-by or waiting-on", self.0)
    }
}

impl std::error::Error for UnknownEdge {}

impl FromStr for Edge {
    type Err = UnknownEdge;

    fn from_str(text: &str) -> Result<Edge, UnknownEdge> {
        let is_it =
            |edge: &Edge| edge.name() == text || edge.name().split('-').next() == Some(text);
        Edge::ALL.into_iter().find(is_it).ok_or_else(|| UnknownEdge(text.to_owned()))
    }
}

/// No place.
const NONE: u32 = u32::MAX;

/// Places in a list of resources, each below others.
#[derive(Clone, Debug)]
pub struct Graph {
    /// One of those above it, or `NONE`.
    above: Vec<u32>,
    /// Those below the place `p` are `below[begin[p]..begin[p + 1]]`, by id.
    begin: Vec<u32>,
    below: Vec<u32>,
    roots: Vec<u32>,
    /// Every place, above before below, as far as there are no circles.
    order: Vec<u32>,
}

impl Graph {
    /// Relates resources, which are sorted by id.
    ///
    /// # Panics
    /// If they are more than 2^32 - 2.
    #[must_use]
    pub fn new(resources: &[ResourceInfo], edge: Edge) -> Graph {
        assert!(resources.len() < NONE as usize, "a graph has fewer than 2^32 - 1 places");
        let pairs = pairs(resources, edge);
        let mut above = vec![NONE; resources.len()];
        let mut begin = vec![0_u32; resources.len() + 1];
        for (upper, lower) in &pairs {
            begin[*upper as usize + 1] += 1;
            above[*lower as usize] = *upper;
        }
        for place in 0..resources.len() {
            begin[place + 1] += begin[place];
        }
        let mut next = begin.clone();
        let mut below = vec![NONE; pairs.len()];
        for (upper, lower) in &pairs {
            let place = &mut next[*upper as usize];
            below[*place as usize] = *lower;
            *place += 1;
        }
        let mut graph = Graph { above, begin, below, roots: Vec::new(), order: Vec::new() };
        graph.find_roots();
        graph
    }

    /// Finds where to begin so that every place is reached: where nothing is above, and once in
    /// each circle that is not reached from there.
    fn find_roots(&mut self) {
        let len = self.above.len();
        let mut is_seen = vec![false; len];
        let mut order = Vec::with_capacity(len);
        let (mut roots, mut pending) = (Vec::new(), Vec::new());
        let true_roots = (0..len).filter(|place| self.above[*place] == NONE);
        let true_roots: Vec<usize> = true_roots.collect();
        for place in true_roots.into_iter().chain(0..len) {
            if is_seen[place] {
                continue;
            }
            let root = self.top_of(place);
            roots.push(as_place(root));
            pending.push(root);
            while let Some(here) = pending.pop() {
                if !std::mem::replace(&mut is_seen[here], true) {
                    order.push(as_place(here));
                    pending.extend(self.below(here).iter().rev().map(|place| *place as usize));
                }
            }
        }
        (self.roots, self.order) = (roots, order);
    }

    /// Follows what is above a place until it comes to a root, or to the first of a circle.
    fn top_of(&self, place: usize) -> usize {
        // One step against two: they meet in the circle, if there is one.
        let step = |place: usize| match self.above[place] {
            NONE => place,
            above => above as usize,
        };
        let (mut slow, mut fast) = (place, step(place));
        while slow != fast {
            slow = step(slow);
            fast = step(step(fast));
        }
        let mut first = slow;
        fast = step(slow);
        while fast != slow {
            first = first.min(fast);
            fast = step(fast);
        }
        first
    }

    /// Returns the places with nothing above them, and of each circle one.
    #[must_use]
    pub fn roots(&self) -> &[u32] {
        &self.roots
    }

    /// Returns the places below one.
    #[must_use]
    pub fn below(&self, place: usize) -> &[u32] {
        let (Some(begin), Some(end)) = (self.begin.get(place), self.begin.get(place + 1)) else {
            return &[];
        };
        &self.below[*begin as usize..*end as usize]
    }

    /// Returns a place above one, `None` if there is none. Along [`Edge::WaitingOn`] there may be
    /// more.
    #[must_use]
    pub fn above(&self, place: usize) -> Option<usize> {
        self.above.get(place).filter(|above| **above != NONE).map(|above| *above as usize)
    }

    /// Returns every place: those above others before those, as far as there are no circles.
    #[must_use]
    pub fn top_down(&self) -> &[u32] {
        &self.order
    }
}

#[expect(clippy::cast_possible_truncation, reason = "`new` checks how many there are")]
fn as_place(place: usize) -> u32 {
    place as u32
}

/// Returns who stands above whom, by whom is above.
fn pairs(resources: &[ResourceInfo], edge: Edge) -> Vec<(u32, u32)> {
    let mut places = Places { resources, hint: 0 };
    let mut pairs = Vec::new();
    for (place, resource) in resources.iter().enumerate() {
        let above = match edge {
            Edge::TriggeredBy => resource.trigger,
            Edge::CreatedBy => resource.creator,
            Edge::WaitingOn => None,
        };
        pairs.extend(above.and_then(|id| places.of(id)).map(|above| (above, as_place(place))));
        if edge == Edge::WaitingOn {
            let on = resource.waits.iter().filter_map(|waits| places.of(waits.on));
            pairs.extend(on.map(|on| (as_place(place), on)));
        }
    }
    // Stable, so that those below one stay sorted by id.
    if edge == Edge::WaitingOn {
        pairs.sort_unstable();
        pairs.dedup();
    }
    pairs
}

/// Finds places by id. Neighbours mostly ask for the same one, or for neighbours.
struct Places<'a> {
    resources: &'a [ResourceInfo],
    hint: usize,
}

impl Places<'_> {
    fn of(&mut self, id: AsyncId) -> Option<u32> {
        let is_at = |place: usize| self.resources.get(place).is_some_and(|r| r.id == id);
        let near = [self.hint, self.hint + 1].into_iter().find(|place| is_at(*place));
        let by_id = || self.resources.binary_search_by_key(&id, |resource| resource.id).ok();
        let place = near.or_else(by_id)?;
        self.hint = place;
        Some(as_place(place))
    }
}

/// Returns the place of a resource in a list that is sorted by id.
pub(super) fn place_of(resources: &[ResourceInfo], id: AsyncId) -> Option<usize> {
    resources.binary_search_by_key(&id, |resource| resource.id).ok()
}

#[cfg(test)]
mod tests {
    use super::{Edge, Graph};
    use crate::inspect::label::Site;
    use crate::inspect::resource::{ResourceInfo, WaitsFor};
    use forebear_hooks::waits::Until;
    use forebear_hooks::{AsyncId, Kind};

    fn id(raw: u64) -> AsyncId {
        AsyncId::from_u64(raw).unwrap()
    }

    /// Resources 1, 2, …: each with the id of its trigger, or 0, and of what it waits for.
    fn resources(of: &[(u64, &[u64])]) -> Vec<ResourceInfo> {
        let mut all = Vec::new();
        for (raw, (trigger, waits)) in (1..).zip(of) {
            let mut info = ResourceInfo::new(id(raw), Kind::TASK, "x", Site::new("x.rs", 1, 1));
            info.trigger = AsyncId::from_u64(*trigger);
            let waits = waits.iter().map(|on| WaitsFor { on: id(*on), until: Until::Ended });
            info.waits = waits.collect();
            all.push(info);
        }
        all
    }

    #[track_caller]
    fn check(edge: Edge, of: &[(u64, &[u64])], roots: &[u32], below: &[&[u32]]) {
        let graph = Graph::new(&resources(of), edge);
        assert_eq!(graph.roots(), roots);
        for (place, below) in below.iter().enumerate() {
            assert_eq!(graph.below(place), *below, "below {place}");
        }
        let mut order = graph.top_down().to_vec();
        order.sort_unstable();
        assert!(order.iter().enumerate().all(|(nth, place)| nth == *place as usize), "{order:?}");
        assert_eq!(order.len(), of.len());
    }

    #[test]
    fn resources_stand_under_their_triggers() {
        let of: &[(u64, &[u64])] = &[(0, &[]), (1, &[]), (4, &[]), (1, &[]), (99, &[])];
        check(Edge::TriggeredBy, of, &[0, 4], &[&[1, 3], &[], &[], &[2], &[]]);
        check(Edge::WaitingOn, of, &[0, 1, 2, 3, 4], &[]);
    }

    #[test]
    fn what_several_wait_for_stands_under_each() {
        let of: &[(u64, &[u64])] = &[(0, &[3]), (0, &[3, 4, 3]), (0, &[]), (0, &[])];
        check(Edge::WaitingOn, of, &[0, 1], &[&[2], &[2, 3], &[], &[]]);
    }

    #[test]
    fn circles_are_entered_once() {
        // 2 is triggered by itself; 3 and 4 by each other; 1 hangs below them.
        let of: &[(u64, &[u64])] = &[(3, &[]), (2, &[]), (4, &[]), (3, &[])];
        let graph = Graph::new(&resources(of), Edge::TriggeredBy);
        assert_eq!(graph.roots().len(), 2);
        assert!(graph.roots().contains(&1) && !graph.roots().contains(&0));
        assert_eq!(graph.top_down().len(), 4);
    }

    #[test]
    fn edges_are_known_by_their_names() {
        for edge in Edge::ALL {
            assert_eq!(edge.to_string().parse::<Edge>().unwrap(), edge);
        }
        assert_eq!("waiting".parse::<Edge>().unwrap(), Edge::WaitingOn);
        let error = "waits".parse::<Edge>().unwrap_err().to_string();
        assert!(error.contains("created-by"), "{error}");
    }
}
