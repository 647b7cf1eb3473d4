//! Numbers for what resources of one place have in common: kind, label and site.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dashmap::DashMap;
use forebear_hooks::{Facts, Kind};

use crate::fields::cut;
use crate::inspect::text::{Clean, Place as PlaceText, Words};
use crate::inspect::{Label, Site};
use crate::map::{label_of, name_of};

/// So many places are told apart: programs have fewer, but names can be made at run time.
const PLACES_MAX: usize = 1 << 14;

/// So much of a name is kept.
const NAME_MAX_BYTES: usize = 64;

/// What resources of one place have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Their kind.
    pub kind: Kind,
    /// Their name, else the name of their code.
    pub label: Label,
    /// Where they are made.
    pub site: Site,
}

impl Place {
    pub(super) fn of(resource: &Facts<'_>) -> Place {
        let label = label_of(name_of(resource).as_ref(), resource.code_name());
        let label = match label.len() {
            0..=NAME_MAX_BYTES => label.into(),
            _ => Label::from(&label[..cut(&label, NAME_MAX_BYTES)]),
        };
        Place { kind: resource.kind(), label, site: resource.location().into() }
    }

    /// Stands for all that there is no room for.
    fn other() -> Place {
        Place { kind: Kind::new("OTHER"), label: Label::constant("…"), site: Site::new("", 0, 0) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { kind, label, site } = self;
        write!(f, "{} {} {}", Words(*kind), Clean(label), PlaceText(site))
    }
}

/// The places that were seen, by number.
#[derive(Debug)]
pub(super) struct Names {
    numbers: DashMap<u64, u32>,
    places: Mutex<Vec<Place>>,
}

impl Names {
    pub(super) fn new() -> Names {
        // The number 0 is for those that there is no room for.
        Names { numbers: DashMap::new(), places: Mutex::new(vec![Place::other()]) }
    }

    fn places(&self) -> MutexGuard<'_, Vec<Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of the place of a resource.
    pub(super) fn number(&self, resource: &Facts<'_>) -> u32 {
        let mut hasher = DefaultHasher::new();
        let is_named = resource.is_named();
        let name = if is_named { resource.label() } else { "" };
        (resource.kind(), name, std::ptr::from_ref(resource.location()).addr()).hash(&mut hasher);
        if !is_named {
            (resource.code_name() as usize).hash(&mut hasher);
        }
        // Two places of one hash would be taken for one: that is once in 2^36 programs.
        let hash = hasher.finish();
        if let Some(number) = self.numbers.get(&hash) {
            return *number;
        }
        let place = Place::of(resource);
        let mut places = self.places();
        if places.len() >= PLACES_MAX {
            return 0;
        }
        let Ok(number) = u32::try_from(places.len()) else { return 0 };
        let number = *self.numbers.entry(hash).or_insert(number);
        if number as usize == places.len() {
            places.push(place);
        }
        number
    }

    pub(super) fn copy(&self) -> Vec<Place> {
        self.places().clone()
    }
}
