//! Decides which resources a hook follows.
//!
//! Whether a hook follows a resource is decided once, at its birth, and kept as one bit per hook
//! in the record: descendants take the bit over, which is what makes a subtree or a sampled flow.
//! Kind and runtime do not run in families. For a hook that takes no families they are part of the
//! decision, so that what it does not follow costs nothing; for others they are tested at each
//! emission.

use std::fmt;

use crate::id::{AsyncId, RuntimeId};
use crate::kind::Kind;
use crate::registry::HOOKS_MAX;

/// What a hook asked to see.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) kinds: Option<Vec<Kind>>,
    pub(crate) runtime: Option<RuntimeId>,
    pub(crate) under: Option<AsyncId>,
    pub(crate) sample: Option<f64>,
    pub(crate) attach_existing: bool,
}

/// What of a newborn resource decides whether it is followed.
pub(crate) struct Newborn {
    pub(crate) id: AsyncId,
    pub(crate) kind: Kind,
    pub(crate) runtime: Option<RuntimeId>,
    pub(crate) creator: Option<AsyncId>,
    pub(crate) is_flow_root: bool,
    /// Whether the hook follows the creator, if the creator is young enough for it to know.
    pub(crate) creator_is_followed: Option<bool>,
}

/// Which newborns a hook takes, of one runtime or of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Newborns {
    /// All of them, of whatever kind.
    Every,
    /// All of some kinds.
    OfKinds,
    /// The children of those it follows, and at flow roots those that are drawn.
    Drawn,
    /// It has to be asked.
    Asked,
}

impl Filter {
    /// Decides for a resource that was not made by the hook itself.
    pub(crate) fn follows(&self, newborn: &Newborn, hook_epoch: u32) -> bool {
        if let Some(root) = self.under {
            return newborn.creator == Some(root) || newborn.creator_is_followed.unwrap_or(false);
        }
        if let Some(share) = self.sample {
            if newborn.is_flow_root {
                return draw(newborn.id, hook_epoch) < share;
            }
            return newborn.creator_is_followed.unwrap_or(false);
        }
        self.admits(newborn.kind, newborn.runtime)
    }

    /// Says what there is to decide at a birth.
    pub(crate) fn newborns(&self) -> Newborns {
        match (self.under, self.sample) {
            (None, None) if self.kinds.is_none() => Newborns::Every,
            (None, None) => Newborns::OfKinds,
            (None, Some(_)) => Newborns::Drawn,
            (Some(_), _) => Newborns::Asked,
        }
    }

    /// Says whether a resource that it follows may be one that it does not admit: its bit then
    /// says only that it is of the family.
    pub(crate) fn is_tested_late(&self) -> bool {
        let takes_families = self.under.is_some() || self.sample.is_some();
        takes_families && (self.kinds.is_some() || self.runtime.is_some())
    }

    /// Tests what does not run in families.
    pub(crate) fn admits(&self, kind: Kind, runtime: Option<RuntimeId>) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
            && self.runtime.is_none_or(|wanted| runtime == Some(wanted))
    }

    pub(crate) fn check(&self) -> Result<(), EnableError> {
        if self.sample.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Err(EnableError(Cause::Sample));
        }
        if self.attach_existing && (self.under.is_some() || self.sample.is_some()) {
            return Err(EnableError(Cause::AttachWithFamily));
        }
        if self.under.is_some() && self.sample.is_some() {
            return Err(EnableError(Cause::UnderWithSample));
        }
        Ok(())
    }
}

/// Turns an id into a number in `0.0..1.0` that looks random: the finalizer of splitmix64
/// (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn draw(id: AsyncId, hook_epoch: u32) -> f64 {
    let mut bits = id.get() ^ (u64::from(hook_epoch) << 32);
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    // 53 bits fit a float exactly.
    #[allow(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let unit = (bits >> 11) as f64 / (1_u64 << 53) as f64;
    unit
}

/// A hook could not be enabled.
#[derive(Clone, PartialEq, Eq)]
pub struct EnableError(pub(crate) Cause);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    Full,
    Exhausted,
    Sample,
    AttachWithFamily,
    UnderWithSample,
}

impl EnableError {
    /// Says whether as many hooks are enabled as can be.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0 == Cause::Full
    }
}

impl fmt::Display for EnableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Cause::Full => write!(
                f,
                "{HOOKS_MAX} hooks are enabled, which is the limit: disable one by dropping its \
                 handle, or let one hook do the work of two"
            ),
            Cause::Exhausted => f.write_str("hooks were enabled 2^32 times in this process"),
            Cause::Sample => {
                f.write_str("sample takes a share between 0.0 (no flow) and 1.0 (every flow)")
            }
            Cause::AttachWithFamily => f.write_str(
                "attach_existing does not go with under or sample: what existed before the hook \
                 does not know whether it belongs to them",
            ),
            Cause::UnderWithSample => {
                f.write_str("under and sample do not go together: enable a hook for each")
            }
        }
    }
}

impl fmt::Debug for EnableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for EnableError {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::draw;
    use crate::id::AsyncId;

    #[test]
    fn about_the_asked_share_is_drawn() {
        let ids = (1..=100_000).filter_map(AsyncId::from_u64);
        let drawn = ids.filter(|id| draw(*id, 3) < 0.01).count();
        assert!((800..1200).contains(&drawn), "{drawn} of 100000 at a share of 1 %");
    }
}
