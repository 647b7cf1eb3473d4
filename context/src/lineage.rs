//! Remembers resources that are gone and from which others descend, as far as a bounded memory
//! reaches.
//!
//! Only a resource that has created or caused others is remembered, so that the many that have not
//! cost nothing here. The oldest is forgotten first, and counted. No context is kept.

use std::collections::{HashMap, VecDeque};
use std::panic::Location;

use forebear_hooks::{AsyncId, Kind};

use crate::tracker::{Entry, SpreadIds};

/// So many are remembered: about half a megabyte.
pub(crate) const ANCESTORS_MAX: usize = 4096;

/// What is remembered of a resource that is gone.
#[derive(Clone, Debug)]
pub(crate) struct Ancestor {
    pub(crate) trigger: Option<AsyncId>,
    pub(crate) kind: Kind,
    pub(crate) label: Box<str>,
    pub(crate) location: &'static Location<'static>,
}

impl Ancestor {
    pub(crate) fn of(entry: &Entry) -> Ancestor {
        Ancestor {
            trigger: entry.trigger,
            kind: entry.kind,
            label: entry.label().into(),
            location: entry.location,
        }
    }
}

#[derive(Default)]
pub(crate) struct Ancestors {
    by_id: Option<HashMap<AsyncId, Ancestor, SpreadIds>>,
    oldest_first: VecDeque<AsyncId>,
    forgotten: u64,
}

impl Ancestors {
    pub(crate) const fn new() -> Ancestors {
        Ancestors { by_id: None, oldest_first: VecDeque::new(), forgotten: 0 }
    }

    pub(crate) fn bury(&mut self, id: AsyncId, ancestor: Ancestor) {
        if self.oldest_first.len() == ANCESTORS_MAX {
            if let Some(oldest) = self.oldest_first.pop_front() {
                self.forgotten += 1;
                self.by_id.get_or_insert_default().remove(&oldest);
            }
        }
        self.oldest_first.push_back(id);
        self.by_id.get_or_insert_default().insert(id, ancestor);
    }

    pub(crate) fn get(&self, id: AsyncId) -> Option<&Ancestor> {
        self.by_id.as_ref().and_then(|by_id| by_id.get(&id))
    }

    /// Returns how many were forgotten to make room.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}
