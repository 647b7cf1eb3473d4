//! Finds resources that have very many living children.

use dashmap::DashMap;
use forebear_hooks::{AsyncHook, AsyncId, Events, Reason, Resource};

use super::names::{Names, Place};
use crate::map::SpreadIds;

/// A hook that counts the living children of each creator, and finds those with more than a limit.
///
/// ```
/// use forebear_context::observers::FanOut;
/// use forebear_hooks::create_hook;
///
/// let fan_out = create_hook(FanOut::new(1000)).enable()?;
/// assert!(fan_out.report().is_empty());
/// # Ok::<(), forebear_hooks::EnableError>(())
/// ```
#[derive(Debug)]
pub struct FanOut {
    limit: u64,
    names: Names,
    /// By creator: how many children it has, and had at most, and where the last was made.
    children: DashMap<AsyncId, Children, SpreadIds>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Children {
    alive: u64,
    most: u64,
    last: u32,
}

/// A resource with many children.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ManyChildren {
    /// Whose they are. It may be gone by now.
    pub creator: AsyncId,
    /// So many are alive, of those that were made while the hook was enabled.
    pub alive: u64,
    /// So many were alive at most.
    pub most: u64,
    /// What the last of them is, and where it was made.
    pub last: Place,
}

impl FanOut {
    /// Makes one that finds who has more children than this.
    #[must_use]
    pub fn new(limit: u64) -> FanOut {
        FanOut { limit, names: Names::new(), children: DashMap::with_hasher(SpreadIds) }
    }

    /// Returns who has, or had, more living children than the limit and still has some: those with
    /// the most first.
    #[must_use]
    pub fn report(&self) -> Vec<ManyChildren> {
        let places = self.names.copy();
        let many = self.children.iter().filter(|one| one.most > self.limit);
        let mut all: Vec<ManyChildren> = many
            .filter_map(|one| {
                let Children { alive, most, last } = *one;
                let last = places.get(last as usize)?.clone();
                Some(ManyChildren { creator: *one.key(), alive, most, last })
            })
            .collect();
        all.sort_by_key(|one| (std::cmp::Reverse(one.alive), one.creator));
        all
    }
}

impl AsyncHook for FanOut {
    fn events(&self) -> Events {
        Events::INIT | Events::DESTROY
    }

    fn init(&self, r: &Resource<'_>) {
        let Some(creator) = r.creator_id() else { return };
        let number = self.names.number(r);
        let mut children = self.children.entry(creator).or_default();
        children.alive += 1;
        children.most = children.most.max(children.alive);
        children.last = number;
    }

    fn destroy(&self, r: &Resource<'_>, _reason: Reason) {
        let Some(creator) = r.creator_id() else { return };
        let is_last = self.children.get_mut(&creator).is_some_and(|mut children| {
            children.alive = children.alive.saturating_sub(1);
            children.alive == 0
        });
        if is_last {
            self.children.remove_if(&creator, |_, children| children.alive == 0);
        }
    }
}
