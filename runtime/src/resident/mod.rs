//! Gives lives a place in memory where whoever looks from outside finds them.
//!
//! Tasks and timers are many and short. To enter each into a map and take it out again would cost
//! more than they do themselves; here they are found by walking over the memory in which they lie.
//!
//! # Invariants
//! R1. Whatever lies in a block of memory begins with a [`Resident`], whose state is dead before and
//!     after: then there is nothing but the state.
//! R2. A [`Guest`] owns one of the references that the state counts. The block is given back by who
//!     gives up the last; one is the resident's own, until it is complete.
//! R3. A [`Lodged`] exists once per resident that has one, which is not complete: so the resident is
//!     there. Only through it is its life run and ended.
//! R4. A block is as large as the class says for which it was allocated, and aligned for it; what is
//!     written there is what the class was made for.

#![allow(unsafe_code, reason = "island: lives that others can see")]

pub(crate) mod memory; // where they lie
#[cfg(not(loom))]
mod slab; // in pages of equal blocks
#[cfg(any(test, not(loom)))]
mod word; // who owns a page, and what came back

use std::alloc::Layout;
use std::mem::{self, offset_of};
use std::ptr::{self, NonNull};

use crate::hooks::ledger::Sighting;
use crate::hooks::life::{Birth, Life};
use crate::hooks::{Coarse, CoarseTick, LiveState, Reason};
use crate::primitive::{AtomicU8, Ordering};
use crate::task::state::State;
use memory::{Class, Slot};

/// What every block begins with.
#[repr(C)]
pub(crate) struct Resident {
    pub(crate) state: State,
    pub(crate) body: Body,
}

/// A resident without the state, which is there before and after it.
pub(crate) struct Body {
    pub(crate) life: Life,
    /// If somebody wants to know: then it is shown to who looks.
    pub(crate) born: Option<CoarseTick>,
    pub(crate) slot: Slot,
    pub(crate) note: Note,
    pub(crate) sort: Sort,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Resident>() == 80 && offset_of!(Resident, state) == 0);

/// What the one who is inside a task keeps there: whether it polls, for who looks from outside, and how
/// many of the references that are counted it has to spare. Relaxed, and no read-modify-writes: only
/// that one writes it, and who comes after it is told by the state.
pub(crate) struct Note(AtomicU8);

const IS_POLLED: u8 = 1;
const SPARE_ONE: u8 = 1 << 1;
const SPARE_MAX: u8 = u8::MAX / SPARE_ONE;

impl Note {
    fn new() -> Note {
        Note(AtomicU8::new(0))
    }

    #[inline]
    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    fn set(&self, note: u8) {
        self.0.store(note, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn set_polled(&self, is_polled: bool) {
        self.set(self.get() & !IS_POLLED | u8::from(is_polled));
    }

    pub(crate) fn is_polled(&self) -> bool {
        self.get() & IS_POLLED != 0
    }

    /// Takes a spare reference, if there is one.
    #[inline]
    pub(crate) fn take_spare(&self) -> bool {
        let note = self.get();
        let has_spare = note >= SPARE_ONE;
        if has_spare {
            self.set(note - SPARE_ONE);
        }
        has_spare
    }

    /// Keeps references for later; `false` if there are too many.
    #[inline]
    pub(crate) fn put_spare(&self, count: u8) -> bool {
        let note = self.get();
        let has_room = note / SPARE_ONE + count <= SPARE_MAX;
        if has_room {
            self.set(note + count * SPARE_ONE);
        }
        has_room
    }

    /// Takes all spare references, to give them up.
    #[inline]
    pub(crate) fn take_spares(&self) -> u8 {
        let note = self.get();
        self.set(note & IS_POLLED);
        note / SPARE_ONE
    }
}

/// What lies in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// A task of the workers.
    Task,
    /// A task that stays on its thread.
    Local,
    /// A task of the blocking pool.
    Job,
    Timer,
}

/// Makes the body of a resident in a block that was just allocated. The state is left as it is:
/// others may look at it.
///
/// # Safety
/// - The block is large enough, and the caller's alone but for the state.
#[inline(always)]
pub(crate) unsafe fn make(
    (block, slot): (NonNull<u8>, Slot),
    birth: Birth,
    born: Option<CoarseTick>,
    sort: Sort,
) {
    // SAFETY: by R4 the block is large enough.
    let place = unsafe { block.byte_add(offset_of!(Resident, body)) };
    Life::unborn_into(birth.single(), |life| {
        let body = Body { life, born, slot, note: Note::new(), sort };
        // SAFETY: by R1 there is nothing but the state, and the caller says that it is alone.
        unsafe { place.cast::<Body>().write(body) };
    });
}

/// Gives back the block of a resident to which nobody has a pointer any more.
///
/// # Safety
/// - The caller gave up the last reference, and nobody uses the resident any more.
#[inline]
pub(crate) unsafe fn free(resident: NonNull<Resident>) {
    // SAFETY: by R2 nobody else gives the block back.
    let slot = unsafe { resident.as_ref() }.body.slot;
    // SAFETY: as before (R2).
    let life = unsafe { &raw mut (*resident.as_ptr()).body.life };
    // SAFETY: by R2 nobody else has a pointer to it, and it is not used any more.
    unsafe { ptr::drop_in_place(life) };
    // SAFETY: it is the block that the resident was given (R4), and by R2 nobody's any more.
    unsafe { memory::free(resident.cast(), slot) };
}

/// Keeps a resident in memory for somebody who has found it.
pub(crate) struct Guest(NonNull<Resident>);

impl Guest {
    /// Makes a reference to the resident in a block, unless there is none, or it is complete.
    fn of(block: NonNull<u8>, state: &State) -> Option<Guest> {
        // Lazily: a pointer that was not counted must not be made, because it would be dropped.
        state.try_ref().then(|| Guest(block.cast()))
    }

    fn resident(&self) -> &Resident {
        // SAFETY: by R2 the resident is there as long as this reference is.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn body(&self) -> &Body {
        &self.resident().body
    }

    /// Gives up the pointer together with the reference it owns.
    pub(crate) fn into_raw(self) -> NonNull<Resident> {
        let raw = self.0;
        mem::forget(self);
        raw
    }

    /// Shows the resident, if somebody wanted to know of its birth.
    fn show(&self, f: &mut dyn FnMut(&Sighting<'_>)) {
        if let Some(born) = self.body().born {
            f(&self.body().life.sighting(self.live_state(), Coarse::from(born)));
        }
    }

    fn live_state(&self) -> Option<LiveState> {
        if self.body().sort == Sort::Timer {
            return None;
        }
        let state = self.resident().state.load();
        Some(if state.is_running() && self.body().note.is_polled() {
            LiveState::Running
        } else if state.is_running() {
            LiveState::Queued
        } else {
            LiveState::Idle
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if self.resident().state.drop_ref() {
            // SAFETY: it was the last reference (R2).
            unsafe { free(self.0) };
        }
    }
}

/// Calls `f` with every resident of the process that is not complete.
pub(crate) fn each(mut f: impl FnMut(Guest)) {
    memory::each_block(|block, state| {
        if let Some(guest) = Guest::of(block, state) {
            f(guest);
        }
    });
}

/// Shows every resident of the process that is not complete, and whose birth was noted.
pub(crate) fn census(f: &mut dyn FnMut(&Sighting<'_>)) {
    each(|guest| guest.show(f));
}

/// Shows the resident in a block, if there is one.
pub(crate) fn show(address: usize, f: &mut dyn FnMut(&Sighting<'_>)) {
    memory::with_state(address, |block, state| {
        if let Some(guest) = Guest::of(block, state) {
            guest.show(f);
        }
    });
}

/// A resident that is nothing but a life, and its owner.
pub(crate) struct Lodged(NonNull<Resident>);

// SAFETY: by R3 the owner is alone with the resident, but for who looks, and a life may change
// threads.
unsafe impl Send for Lodged {}
// SAFETY: a shared reference gives one to the life only (R3), which is thread-safe.
unsafe impl Sync for Lodged {}

impl Lodged {
    /// Begins a life: emits `init`.
    #[inline]
    pub(crate) fn begin(birth: Birth, born: Option<CoarseTick>, sort: Sort) -> Lodged {
        let class = const {
            match Class::of(Layout::new::<Resident>()) {
                Some(class) => class,
                None => panic!("a resident fits into a block"),
            }
        };
        let block = memory::allocate(class);
        // SAFETY: the block was just allocated for a resident (R4).
        unsafe { make(block, birth, born, sort) };
        let lodged = Lodged(block.0.cast());
        lodged.life().born_in_sight();
        lodged.resident().state.settle();
        lodged
    }

    fn resident(&self) -> &Resident {
        // SAFETY: by R3 it is there.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(crate) fn life(&self) -> &Life {
        &self.resident().body.life
    }

    /// Returns whether somebody wants to know when it was born, as the present: for what comes after
    /// it.
    pub(crate) fn born(&self) -> Option<CoarseTick> {
        self.resident().body.born.map(|_| CoarseTick::now())
    }

    /// Ends the life: emits `destroy`.
    #[inline]
    pub(crate) fn end(self, reason: Reason) {
        // SAFETY: by R3 nobody else runs it or looks at it but by a sighting, and nobody will.
        unsafe { self.life().end_in_place(reason) };
        let resident = self.0;
        mem::forget(self);
        // SAFETY: by R2 it is there, because its own reference is.
        if unsafe { resident.as_ref() }.state.unsettle() {
            // SAFETY: it was the last reference (R2).
            unsafe { free(resident) };
        }
    }
}

impl Drop for Lodged {
    fn drop(&mut self) {
        Lodged(self.0).end(Reason::Dropped);
    }
}
