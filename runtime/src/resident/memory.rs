//! Chooses where residents lie: in the slab or, in a model, each in an allocation of its own.
//!
//! # Invariants
//! M1. A block is at least as large as its class was asked for, and aligned for it; no class of a
//!     resident is empty.
//! M2. In every block is a state, from `allocate` until `free`.
//!
//! Each side must provide `Class` with `of(Layout) -> Option<Class>` and `of_nothing()`, `Slot`, `allocate(Class)`,
//! which gives a block whose state is dead, `free`, `give_back`, and, to find tasks, `each_block`
//! and `with_state`. The slab is not modelled as a whole, since it would hide what a model is
//! about; its word has a model of its own.

#[cfg(not(loom))]
pub(crate) use super::slab::{Class, Slot, allocate, each_block, free, give_back, with_state};
#[cfg(loom)]
pub(crate) use boxed::{Class, Slot, allocate, each_block, free, give_back, with_state};

#[cfg(loom)]
mod boxed {
    #![allow(unsafe_code, reason = "island: where residents lie in a model")]

    use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
    use std::ptr::NonNull;

    use crate::task::state::State;

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Class(Layout);

    impl Class {
        pub(crate) const fn of(layout: Layout) -> Option<Class> {
            Some(Class(layout))
        }

        pub(crate) const fn of_nothing() -> Class {
            Class(Layout::new::<()>())
        }
    }

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Slot(Layout);

    pub(crate) fn allocate(class: Class) -> (NonNull<u8>, Slot) {
        // SAFETY: no resident is empty (M1).
        let block = unsafe { alloc(class.0) };
        let block = NonNull::new(block).unwrap_or_else(|| handle_alloc_error(class.0));
        // SAFETY: by M1 it is large enough for a state, with which a resident begins.
        unsafe { block.cast::<State>().write(State::dead()) };
        (block, Slot(class.0))
    }

    /// # Safety
    /// - It came from `allocate` with this slot, and is not used any more.
    pub(crate) unsafe fn free(block: NonNull<u8>, slot: Slot) {
        // SAFETY: `allocate` put it there (M2).
        unsafe { block.cast::<State>().drop_in_place() };
        // SAFETY: the caller gives up what `allocate` gave (M1).
        unsafe { dealloc(block.as_ptr(), slot.0) };
    }

    pub(crate) fn give_back() {}

    pub(crate) fn each_block(_from: usize, _f: impl FnMut(NonNull<u8>, &State)) -> Option<usize> {
        None
    }

    pub(crate) fn with_state<R>(
        _block: usize,
        _f: impl FnOnce(NonNull<u8>, &State) -> R,
    ) -> Option<R> {
        None
    }
}
