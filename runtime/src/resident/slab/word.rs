//! Holds the one word of a page that says who owns it and which of its blocks came back.
//!
//! The owner of a page takes blocks from it and frees blocks of it without any of this; everybody
//! else frees a block by putting it into the list that this word heads. A page from which nothing
//! can be taken is let go by its owner, until enough has come back for somebody to adopt it.
//!
//! # State
//!
//! ```text
//!           1 detach                      4 push, the last
//!   owned ───────────▶ detached  ───────────────────────────▶ owned by who pushed, and empty
//!     ▲                    │
//!     └───── 2 adopt ──────┘     3 collect and 4 push leave the owner as it is
//! ```
//!
//! | bits   | name    | meaning                                                     |
//! |--------|---------|-------------------------------------------------------------|
//! | 0..16  | `head`  | the block that came back last                               |
//! | 16..32 | `len`   | how many came back; the blocks themselves link to the next  |
//! | 32..64 | `owner` | the thread that may take blocks, 0 for none                 |
//!
//! # Memory ordering
//!
//! What a thread did with a block before it pushed it is visible to who takes it: each transition's
//! Release pairs with the Acquire of the one that reads it. The owner asks with a Relaxed load
//! whether it is the owner: only its own thread ever makes that true or false.

use std::num::NonZeroU32;

use crate::primitive::{AtomicU64, Ordering};

/// Names a thread that owns pages. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner(pub(super) NonZeroU32);

impl Owner {
    /// A thread that is ending: it frees and takes single blocks, but owns no page for long.
    pub(super) const PASSING: Owner = Owner(NonZeroU32::MAX);
}

/// Blocks that came back: the first of them, and how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) head: u16,
    pub(super) len: u16,
}

/// What the caller of [`Word::push`] must do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Push {
    /// Nothing.
    Done,
    /// Free the page, which has become the caller's: every block has come back.
    Last,
}

pub(super) struct Word(AtomicU64);

const HEAD_BITS: u32 = u16::BITS;
const OWNER_SHIFT: u32 = 2 * u16::BITS;

fn pack(owner: Option<Owner>, chain: Chain) -> u64 {
    let owner = owner.map_or(0, |owner| owner.0.get());
    u64::from(owner) << OWNER_SHIFT | u64::from(chain.len) << HEAD_BITS | u64::from(chain.head)
}

#[allow(clippy::cast_possible_truncation, reason = "each part is cut out of the word")]
fn unpack(word: u64) -> (Option<Owner>, Chain) {
    let chain = Chain { head: word as u16, len: (word >> HEAD_BITS) as u16 };
    (NonZeroU32::new((word >> OWNER_SHIFT) as u32).map(Owner), chain)
}

impl Word {
    /// A page is born owned, and nothing has come back.
    pub(super) fn new(owner: Owner) -> Word {
        Word(AtomicU64::new(pack(Some(owner), Chain::default())))
    }

    #[inline]
    pub(super) fn is_owned_by(&self, owner: Owner) -> bool {
        unpack(self.0.load(Ordering::Relaxed)).0 == Some(owner)
    }

    fn update<R>(&self, mut f: impl FnMut(Option<Owner>, Chain) -> Result<(u64, R), R>) -> R {
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            let (owner, chain) = unpack(now);
            let (next, verdict) = match f(owner, chain) {
                Ok(next) => next,
                Err(verdict) => return verdict,
            };
            let swapped =
                self.0.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Relaxed);
            match swapped {
                Ok(_) => return verdict,
                Err(found) => now = found,
            }
        }
    }

    /// Transition 1: lets go of a page, `free` being what the owner had of it. If something came
    /// back meanwhile, the page stays with the owner.
    pub(super) fn detach(&self, owner: Owner, free: Chain) -> Result<(), ()> {
        let mine = pack(Some(owner), Chain::default());
        let next = pack(None, free);
        let swapped = self.0.compare_exchange(mine, next, Ordering::AcqRel, Ordering::Relaxed);
        swapped.map(|_| ()).map_err(|_| ())
    }

    /// Transition 2: takes a page that nobody owns, with what has come back, if that is at least
    /// so much.
    pub(super) fn adopt(&self, owner: Owner, at_least: u16) -> Option<Chain> {
        self.update(|now, chain| {
            if now.is_some() || chain.len < at_least {
                return Err(None);
            }
            Ok((pack(Some(owner), Chain::default()), Some(chain)))
        })
    }

    /// Transition 3: the owner takes what has come back.
    pub(super) fn collect(&self, owner: Owner) -> Chain {
        if unpack(self.0.load(Ordering::Relaxed)).1.len == 0 {
            return Chain::default();
        }
        let before = self.0.swap(pack(Some(owner), Chain::default()), Ordering::AcqRel);
        unpack(before).1
    }

    /// Transition 4: gives a block back. `link` is told which block is the next in the list.
    ///
    /// `all` is how many blocks the page has: if nobody owns it and all of them are back with this
    /// one, the page is `pusher`'s.
    pub(super) fn push(
        &self,
        block: u16,
        all: u16,
        pusher: Owner,
        mut link: impl FnMut(u16),
    ) -> Push {
        self.update(|owner, chain| {
            if owner.is_none() && chain.len + 1 == all {
                return Ok((pack(Some(pusher), Chain::default()), Push::Last));
            }
            link(chain.head);
            let next = Chain { head: block, len: chain.len + 1 };
            Ok((pack(owner, next), Push::Done))
        })
    }
}
