//! Follows the triggers of one resource to its root.

use std::fmt;

use forebear_hooks::AsyncId;

use crate::inspect::graph::place_of;
use crate::inspect::paint::Paint;
use crate::inspect::resource::ResourceInfo;
use crate::inspect::snapshot::{Finder, Snapshot};
use crate::inspect::text::write_resource;

/// So many ancestors are shown: who reads more of them reads the tree.
const ANCESTORS_SHOWN_MAX: usize = 64;

/// A resource and its ancestors, one per line: print it.
#[derive(Clone, Debug)]
pub struct LineageText {
    line: Vec<ResourceInfo>,
    end: End,
    paint: Paint,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Root,
    /// Nothing is known of this one.
    Unknown(AsyncId),
    /// It goes on there.
    Elided(AsyncId),
    /// It comes back to this one, which stated triggers allow.
    Cycle(AsyncId),
}

/// Follows the triggers of a resource to its root, or as far as they are known.
#[must_use]
pub fn lineage(id: AsyncId) -> LineageText {
    let mut finder = Finder::new();
    LineageText::follow(id, |id| finder.find(id))
}

impl Snapshot {
    /// Follows the triggers of a resource to its root, or as far as they are in the snapshot.
    #[must_use]
    pub fn lineage(&self, id: AsyncId) -> LineageText {
        let find =
            |among: &[ResourceInfo], id| place_of(among, id).map(|place| among[place].clone());
        LineageText::follow(id, |id| {
            find(self.resources(), id).or_else(|| find(self.ancestors(), id))
        })
    }
}

impl LineageText {
    pub(super) fn follow(
        id: AsyncId,
        mut find: impl FnMut(AsyncId) -> Option<ResourceInfo>,
    ) -> LineageText {
        let mut line: Vec<ResourceInfo> = Vec::new();
        let mut next = id;
        let end = loop {
            if line.iter().any(|known| known.id == next) {
                break End::Cycle(next);
            }
            if line.len() == ANCESTORS_SHOWN_MAX {
                break End::Elided(next);
            }
            let Some(resource) = find(next) else { break End::Unknown(next) };
            let trigger = resource.trigger;
            line.push(resource);
            match trigger {
                Some(trigger) => next = trigger,
                None => break End::Root,
            }
        };
        LineageText { line, end, paint: Paint::default() }
    }

    /// Prints it in colours, for a terminal.
    #[must_use]
    pub fn paint(mut self, paint: Paint) -> LineageText {
        self.paint = paint;
        self
    }
}

impl LineageText {
    /// Returns the resource and its ancestors.
    #[must_use]
    pub fn resources(&self) -> &[ResourceInfo] {
        &self.line
    }
}

impl fmt::Display for LineageText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, resource) in self.line.iter().enumerate() {
            if depth > 0 {
                f.write_str("  triggered by ")?;
            }
            write_resource(f, resource, self.paint)?;
            f.write_str("\n")?;
        }
        let by = if self.line.is_empty() { "" } else { "  triggered by " };
        match self.end {
            End::Root => Ok(()),
            End::Unknown(id) => writeln!(f, "{by}{id}, of which nothing is remembered"),
            End::Elided(id) => writeln!(f, "{by}{id}, and so on"),
            End::Cycle(id) => writeln!(f, "{by}{id}, where this began"),
        }
    }
}
