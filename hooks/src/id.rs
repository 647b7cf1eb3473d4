//! Names resources and runtimes by numbers that are never used twice.
//!
//! Each thread takes ids in blocks, so that naming a resource costs no shared write. Ids are
//! therefore unique in the process but not ordered across threads.
//!
//! # Memory ordering
//!
//! The counter of blocks is Relaxed: uniqueness needs only the modification order of that one
//! variable.

use std::cell::Cell;
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many ids a thread takes at once: a shared write every this many resources.
const BLOCK_IDS: u64 = 1024;

/// The first id of the next block. On std's atomics even under loom, which has no static ones.
static NEXT_BLOCK: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// The ids this thread may still hand out: from the first, up to but without the second.
    static BLOCK: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// Names a resource. Unique in the process; never reused.
///
/// It prints as `#88`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AsyncId(NonZeroU64);

impl AsyncId {
    /// Takes an id that no resource had before.
    #[inline]
    pub(crate) fn next() -> AsyncId {
        let (next, end) = BLOCK.get();
        if next == end {
            return AsyncId::first_of_block();
        }
        BLOCK.set((next + 1, end));
        AsyncId(NonZeroU64::new(next).unwrap_or(NonZeroU64::MAX))
    }

    #[cold]
    fn first_of_block() -> AsyncId {
        let first = NEXT_BLOCK.fetch_add(BLOCK_IDS, Ordering::Relaxed);
        BLOCK.set((first + 1, first + BLOCK_IDS));
        AsyncId(NonZeroU64::new(first).unwrap_or(NonZeroU64::MAX))
    }

    /// Returns the number, as it appears after the `#` in text.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// Reads an id back from the number that [`get`](AsyncId::get) gave, `None` for 0.
    ///
    /// The id may name a resource that is gone, or one that never was.
    #[must_use]
    pub fn from_u64(raw: u64) -> Option<AsyncId> {
        NonZeroU64::new(raw).map(AsyncId)
    }
}

impl fmt::Display for AsyncId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Debug for AsyncId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Names a runtime, so that a hook can follow the resources of that one only.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RuntimeId(NonZeroU32);

impl RuntimeId {
    /// Makes an id from a number that its runtime keeps unique; `None` for 0.
    #[must_use]
    pub fn from_u32(raw: u32) -> Option<RuntimeId> {
        NonZeroU32::new(raw).map(RuntimeId)
    }

    /// Returns the number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for RuntimeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RuntimeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "runtime {}", self.0)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::AsyncId;
    use std::collections::HashSet;

    #[test]
    fn ids_of_many_threads_are_all_different() {
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..3000).map(|_| AsyncId::next()).collect::<Vec<_>>()))
            .collect();
        let ids: Vec<AsyncId> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    }

    #[test]
    fn ids_of_one_thread_follow_each_other() {
        let (first, second) = (AsyncId::next(), AsyncId::next());
        assert!(second > first);
        assert_eq!(AsyncId::from_u64(first.get()), Some(first));
        assert_eq!(AsyncId::from_u64(0), None);
    }
}
