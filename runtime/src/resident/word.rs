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

#[cfg(all(test, loom))]
mod model {
    use super::{Chain, Owner, Push, Word};
    use crate::primitive::{AtomicU32, Ordering};
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;
    use std::num::NonZeroU32;
    use std::sync::Mutex as Unmodelled;

    const BLOCKS: u16 = 2;

    fn owner(number: u32) -> Owner {
        Owner(NonZeroU32::new(number).expect("it is not 0"))
    }

    /// A page whose blocks belong to threads at first.
    struct Page {
        word: Word,
        /// Whoever has a block touches it: loom reports two at once.
        blocks: [UnsafeCell<()>; BLOCKS as usize],
        /// Which block comes behind each. Relaxed: it is the word that must make it visible.
        behind: [AtomicU32; BLOCKS as usize],
        ends: Unmodelled<usize>,
    }

    impl Page {
        fn new(owner: Owner) -> Arc<Page> {
            Arc::new(Page {
                word: Word::new(owner),
                blocks: [UnsafeCell::new(()), UnsafeCell::new(())],
                behind: [AtomicU32::new(0), AtomicU32::new(0)],
                ends: Unmodelled::new(0),
            })
        }

        fn touch(&self, block: u16) {
            self.blocks[usize::from(block)].with_mut(|_| ());
        }

        fn link(&self, block: u16, behind: u16) {
            self.behind[usize::from(block)].store(behind.into(), Ordering::Relaxed);
        }

        /// Takes a chain apart.
        fn blocks_of(&self, chain: Chain) -> Vec<u16> {
            let mut block = chain.head;
            let taken = |_| {
                let taken = block;
                self.touch(taken);
                block = self.behind[usize::from(taken)].load(Ordering::Relaxed) as u16;
                taken
            };
            (0..chain.len).map(taken).collect()
        }

        fn chain_of(&self, blocks: &[u16]) -> Chain {
            let mut chain = Chain::default();
            for block in blocks {
                self.touch(*block);
                self.link(*block, chain.head);
                chain = Chain { head: *block, len: chain.len + 1 };
            }
            chain
        }

        fn end(&self) {
            (0..BLOCKS).for_each(|block| self.touch(block));
            *self.ends.lock().unwrap() += 1;
        }

        /// Frees a block of a page that is somebody else's, or nobody's.
        fn push(&self, block: u16, pusher: Owner) {
            self.touch(block);
            let link = |behind| self.link(block, behind);
            if self.word.push(block, BLOCKS, pusher, link) == Push::Last {
                self.end();
            }
        }

        /// Lets go of a page with what came back of it, as a thread does that ends.
        fn abandon(&self, owner: Owner, mut free: Vec<u16>) {
            loop {
                free.extend(self.blocks_of(self.word.collect(owner)));
                if free.len() == usize::from(BLOCKS) {
                    return self.end();
                }
                if self.word.detach(owner, self.chain_of(&free)).is_ok() {
                    return;
                }
            }
        }
    }

    fn spawn(page: &Arc<Page>, f: impl FnOnce(&Page) + Send + 'static) -> thread::JoinHandle<()> {
        let page = page.clone();
        thread::spawn(move || f(&page))
    }

    #[test]
    fn a_page_ends_once_when_its_owner_leaves_while_blocks_come_back() {
        loom::model(|| {
            let page = Page::new(owner(1));
            let others = [
                spawn(&page, |page| page.push(0, owner(2))),
                spawn(&page, |page| page.push(1, owner(3))),
            ];
            page.abandon(owner(1), Vec::new());
            others.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(*page.ends.lock().unwrap(), 1, "how often it ended");
        });
    }

    #[test]
    fn who_adopts_a_page_has_what_came_back() {
        loom::model(|| {
            let page = Page::new(owner(1));
            let others = [
                spawn(&page, |page| page.push(0, owner(2))),
                spawn(&page, |page| {
                    if let Some(chain) = page.word.adopt(owner(3), 1) {
                        assert!(!page.word.is_owned_by(owner(1)) && chain.len == 1);
                        let free = page.blocks_of(chain);
                        page.abandon(owner(3), free);
                    }
                }),
            ];
            page.abandon(owner(1), Vec::new());
            page.push(1, owner(1));
            others.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(*page.ends.lock().unwrap(), 1, "how often it ended");
        });
    }
}
