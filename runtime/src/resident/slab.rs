//! Keeps residents in memory: in pages of blocks of one size, of which each thread owns one per size.
//!
//! A thread takes blocks from its own page without a lock or a read-modify-write, and frees them
//! into it likewise. A page that is used up is let go. What is freed of it goes back by its word,
//! until a thread that needs blocks adopts it, or all of it is back and it goes to the system. So
//! what one thread allocates and another frees goes round in whole pages, and a burst leaves
//! nothing behind.
//!
//! A block says by the [`State`] in it whether something is alive there, so all residents of the
//! process can be found without anybody keeping a list of them.
//!
//! # Invariants
//! P1. A block belongs to a resident, or is in the page's `free` chain, or in the chain of its word, or
//!     was never handed out (it is at `fresh` or behind). Who it belongs to may write to it; but
//!     once `fresh` has passed it, its state is only touched as an atomic.
//! P2. `free` and `fresh` belong to the owner. A page without an owner has nothing in `free`, and
//!     its `fresh` is at its end.
//! P3. A page with an owner is in `current` of the owner's heap, but for the time of one call.
//! P4. A page without an owner is in the list of its class, and is taken out under the lock before
//!     it gets an owner for longer than that, or its memory goes.
//! P5. A page is in [`PAGES`] from before its first block is handed out until its memory goes,
//!     which does not happen while it is pinned there.
//! P6. The memory of a page is aligned as `layout` says, and large enough for its head and `capacity`
//!     blocks behind it. The slot of a block says how far it is from the head. Nobody ever has a
//!     mutable reference to a head.

#![allow(unsafe_code, reason = "island: where residents lie")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::mem::offset_of;
use std::num::NonZeroU32;
use std::ptr::NonNull;

use super::word::{Chain, Owner, Push, Word};
use crate::primitive::{AtomicU16, AtomicU32, Mutex, MutexGuard, Ordering};
use crate::task::state::State;

/// Blocks of up to so many bytes come in steps of 8.
const FINE_MAX_BYTES: usize = 512;
const FINE_STEP_BYTES: usize = 8;
/// Blocks of up to so many bytes come in steps of 128. A larger task has its future in a box.
const BLOCK_MAX_BYTES: usize = 2048;
const COARSE_STEP_BYTES: usize = 128;
const FINE_CLASSES: usize = FINE_MAX_BYTES / FINE_STEP_BYTES;
const CLASSES: usize = FINE_CLASSES + (BLOCK_MAX_BYTES - FINE_MAX_BYTES) / COARSE_STEP_BYTES;

/// What is aligned to more has its future in a box, too. Up to this, blocks are aligned as their
/// size is, since the first begins at a multiple of it.
const ALIGN_MAX_BYTES: usize = 16;
const _: () = assert!(HEAD_BYTES % ALIGN_MAX_BYTES == 0);

/// A thread's first page of a class is small, and each is four times as large as the one before.
const PAGE_MIN_BYTES: usize = 4 * 1024;
/// The largest page. What is done once per page costs nothing per task; and the system's allocator
/// does not yet ask the kernel for each.
const PAGE_MAX_BYTES: usize = 64 * 1024;

/// So many of the largest pages are kept when they are free: to get one from the system and touch
/// it for the first time costs as much as the tasks in it. [`give_back`] gives them back.
const KEPT_PAGES_MAX: usize = 64;

/// So many pages without an owner are looked at before a new one is made, and one is adopted if
/// this share of its blocks has come back: else a page would soon have to be found again.
const ADOPT_TRIES: usize = 8;
const ADOPT_SHARE: u16 = 8;

/// Which sizes share pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class(u8);

impl Class {
    /// Returns the class for cells of this layout, `None` if no block holds them.
    pub(crate) const fn of(layout: Layout) -> Option<Class> {
        let bytes = layout.size();
        if bytes > BLOCK_MAX_BYTES || layout.align() > ALIGN_MAX_BYTES {
            return None;
        }
        let index = if bytes <= FINE_MAX_BYTES {
            bytes.div_ceil(FINE_STEP_BYTES) - 1
        } else {
            FINE_CLASSES + (bytes - FINE_MAX_BYTES).div_ceil(COARSE_STEP_BYTES) - 1
        };
        #[allow(clippy::cast_possible_truncation, reason = "there are fewer than 256 classes")]
        let index = index as u8;
        Some(Class(index))
    }

    /// Returns a class for what is never allocated.
    pub(crate) const fn of_nothing() -> Class {
        Class(0)
    }

    const fn index(self) -> usize {
        self.0 as usize
    }

    /// Returns how far one block is from the next, in the units of a [`Slot`].
    const fn step(self) -> u16 {
        (self.block_bytes() / FINE_STEP_BYTES) as u16
    }

    const fn block_bytes(self) -> usize {
        match self.index().checked_sub(FINE_CLASSES) {
            None => (self.index() + 1) * FINE_STEP_BYTES,
            Some(coarse) => FINE_MAX_BYTES + (coarse + 1) * COARSE_STEP_BYTES,
        }
    }
}

/// Where a block lies in its page, in units of [`FINE_STEP_BYTES`] from the page's beginning: so that
/// the page is found without knowing how large its blocks are. Chains are made of these.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot(u16);

impl Slot {
    /// The place of the first block.
    const FIRST: u16 = (HEAD_BYTES / FINE_STEP_BYTES) as u16;

    #[inline]
    const fn bytes(self) -> usize {
        self.0 as usize * FINE_STEP_BYTES
    }
}

/// The head of a page; the blocks lie behind it.
#[repr(C)]
struct Head {
    /// What threads touch that do not own the page. It has a cache line of its own.
    word: Word,
    apart: [u64; 7],
    free: Cell<Chain>,
    /// Where the first block is that was never handed out. Release pairs with the Acquire of who
    /// looks for tasks: they find a state in each block before it.
    fresh: AtomicU16,
    /// How many blocks there are.
    capacity: u16,
    class: Class,
    bytes: u32,
    /// Its neighbours in the list of its class, under that lock.
    before: Cell<Option<Page>>,
    behind: Cell<Option<Page>>,
}

const HEAD_BYTES: usize = 128;
const PAGE_ALIGN: usize = 64;
const _: () = assert!(size_of::<Head>() <= HEAD_BYTES && offset_of!(Head, free) == PAGE_ALIGN);
// Slots fit, and so does the length of a chain of all blocks.
const _: () = assert!(PAGE_MAX_BYTES / FINE_STEP_BYTES < u16::MAX as usize);
const _: () = assert!(HEAD_BYTES % FINE_STEP_BYTES == 0);

/// A pointer to a page, which the holder knows to be there.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Page(NonNull<Head>);

// SAFETY: by P1 to P4 what is not atomic in a page is touched by one thread at a time, which the
// word, or the lock of the class, hands on.
unsafe impl Send for Page {}

impl Page {
    /// Makes a page and its owner the one who has it.
    fn make(class: Class, bytes: usize, owner: Owner) -> Page {
        let kept = if bytes == PAGE_MAX_BYTES { KEPT.lock().pop() } else { None };
        let Page(place) = kept.unwrap_or_else(|| Page::from_system(bytes));
        let capacity = ((bytes - HEAD_BYTES) / class.block_bytes()).max(1);
        #[allow(clippy::cast_possible_truncation, reason = "asserted above for the largest page")]
        let head = Head {
            word: Word::new(owner),
            apart: [0; 7],
            free: Cell::new(Chain::default()),
            fresh: AtomicU16::new(Slot::FIRST),
            capacity: capacity as u16,
            class,
            bytes: bytes as u32,
            before: Cell::new(None),
            behind: Cell::new(None),
        };
        // SAFETY: the memory is nobody else's yet, and by P6 a head fits.
        unsafe { place.write(head) };
        let known = Known { page: Page(place), pins: 0, is_ended: false };
        PAGES.lock().insert(place.addr().get(), known);
        Page(place)
    }

    fn layout(bytes: usize) -> Layout {
        let layout = Layout::from_size_align(bytes, PAGE_ALIGN);
        layout.unwrap_or_else(|_| unreachable!("a page is small"))
    }

    fn from_system(bytes: usize) -> Page {
        let layout = Page::layout(bytes);
        // SAFETY: by P6 no page is empty.
        let memory = unsafe { alloc(layout) };
        Page(NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout)).cast())
    }

    fn to_system(self, bytes: usize) {
        // SAFETY: it came from `from_system` with this layout (P6), and the caller has all of it.
        unsafe { dealloc(self.0.as_ptr().cast(), Page::layout(bytes)) };
    }

    /// Finds the page of a block.
    #[inline]
    fn of(block: NonNull<u8>, slot: Slot) -> Page {
        // SAFETY: by P6 the block lies so far behind the beginning of its page.
        Page(unsafe { block.byte_sub(slot.bytes()) }.cast())
    }

    #[inline]
    fn head(&self) -> &Head {
        // SAFETY: the holder knows that the page is there, and by P6 nobody has its head mutably.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    fn block(self, slot: Slot) -> NonNull<u8> {
        // SAFETY: there is a block of this page (P6).
        unsafe { self.0.cast::<u8>().byte_add(slot.bytes()) }
    }

    /// Returns the state in a block before `fresh`.
    fn state(&self, slot: Slot) -> &State {
        // SAFETY: by P1 a state is at its beginning, which nobody touches but as an atomic.
        unsafe { self.block(slot).cast::<State>().as_ref() }
    }

    /// Lists the blocks that were ever handed out.
    fn slots(&self) -> impl Iterator<Item = Slot> {
        let fresh = self.head().fresh.load(Ordering::Acquire);
        (Slot::FIRST..fresh).step_by(self.head().class.step().into()).map(Slot)
    }

    /// Takes a block that came back, for the owner.
    #[inline]
    fn take_back(self) -> Option<(NonNull<u8>, Slot)> {
        let free = self.head().free.get();
        if free.len == 0 {
            return None;
        }
        let block = self.block(Slot(free.head));
        self.head().free.set(Chain { head: behind(block), len: free.len - 1 });
        Some((block, Slot(free.head)))
    }

    fn take_fresh(self) -> Option<(NonNull<u8>, Slot)> {
        let head = self.head();
        let slot = Slot(head.fresh.load(Ordering::Relaxed));
        if slot.0 == Slot::FIRST + head.capacity * head.class.step() {
            return None;
        }
        let block = self.block(slot);
        // SAFETY: by P1 nobody looks at the block yet.
        unsafe { block.cast::<State>().write(State::dead()) };
        head.fresh.store(slot.0 + head.class.step(), Ordering::Release);
        Some((block, slot))
    }

    /// Takes a block back, for the owner.
    #[inline]
    fn put(self, block: NonNull<u8>, slot: Slot) {
        let free = self.head().free.get();
        link(block, free.head);
        self.head().free.set(Chain { head: slot.0, len: free.len + 1 });
    }

    /// Takes what others have freed, for the owner. Says whether that was anything.
    fn collect(self, owner: Owner) -> bool {
        let back = self.head().word.collect(owner);
        let mut slot = Slot(back.head);
        for _ in 0..back.len {
            let block = self.block(slot);
            let next = Slot(behind(block));
            self.put(block, slot);
            slot = next;
        }
        back.len > 0
    }

    /// Says whether no block belongs to a task, as the owner knows.
    fn is_empty(&self) -> bool {
        let head = self.head();
        let fresh = head.fresh.load(Ordering::Relaxed);
        fresh == Slot::FIRST + head.free.get().len * head.class.step()
    }

    /// Lets go of a page, for its owner, with what is in `free`. If something has come back
    /// meanwhile, the page stays with the owner.
    fn detach(self, owner: Owner) -> Result<(), ()> {
        let head = self.head();
        let mut list = DETACHED[head.class.index()].lock();
        // First, since from then on the last block may come back at any moment (P4).
        list.push(self);
        let detached = head.word.detach(owner, head.free.get());
        match detached {
            // Nobody adopts it before the lock is free.
            Ok(()) => head.free.set(Chain::default()),
            Err(()) => list.remove(self),
        }
        detached
    }

    /// Gives up a page for ever, for its owner, whose thread ends.
    fn abandon(self, owner: Owner) {
        loop {
            self.collect(owner);
            if self.is_empty() {
                return self.end();
            }
            while let Some((block, slot)) = self.take_fresh() {
                self.put(block, slot);
            }
            if self.detach(owner).is_ok() {
                return;
            }
        }
    }

    /// Ends a page that is empty, for its owner.
    fn end(self) {
        let mut pages = PAGES.lock();
        match pages.get_mut(&self.address()) {
            // Who looks for tasks in it will end it.
            Some(known) if known.pins > 0 => known.is_ended = true,
            _ => self.forget(pages),
        }
    }

    /// Lets go of the memory, which is in the list of pages for the last time (P5).
    fn forget(self, mut pages: MutexGuard<'_, BTreeMap<usize, Known>>) {
        pages.remove(&self.address());
        drop(pages);
        let bytes = self.head().bytes as usize;
        let mut kept = KEPT.lock();
        if bytes == PAGE_MAX_BYTES && kept.len() < KEPT_PAGES_MAX {
            kept.push(self);
        } else {
            drop(kept);
            self.to_system(bytes);
        }
    }

    fn address(self) -> usize {
        self.0.addr().get()
    }
}

/// Returns where a block says which one is behind it in a chain.
#[inline]
fn link_of(block: NonNull<u8>) -> NonNull<u16> {
    // SAFETY: by P6 it is within the block, which is larger than a state.
    unsafe { block.byte_add(size_of::<State>()) }.cast()
}

/// Lets a block that the caller has say which one is behind it in a chain.
#[inline]
fn link(block: NonNull<u8>, behind: u16) {
    // SAFETY: by P1 the block is the caller's.
    unsafe { link_of(block).write(behind) };
}

/// Reads which block is behind one that the caller has.
#[inline]
fn behind(block: NonNull<u8>) -> u16 {
    // SAFETY: by P1 the block is the caller's, and `link` was called when it came into a chain.
    unsafe { link_of(block).read() }
}

/// What is known of a page to those who look for tasks.
struct Known {
    page: Page,
    /// So many are looking.
    pins: usize,
    /// It is empty and nobody's, and goes with the last pin.
    is_ended: bool,
}

/// All pages, by address.
static PAGES: Mutex<BTreeMap<usize, Known>> = Mutex::new(BTreeMap::new());

/// Pages that are kept for whoever needs one next.
static KEPT: Mutex<Vec<Page>> = Mutex::new(Vec::new());

/// The pages of each class that have no owner.
static DETACHED: [Mutex<List>; CLASSES] = [const { Mutex::new(List::new()) }; CLASSES];

/// Pages linked through their heads.
struct List {
    first: Option<Page>,
    last: Option<Page>,
}

impl List {
    const fn new() -> List {
        List { first: None, last: None }
    }

    fn push(&mut self, page: Page) {
        page.head().before.set(self.last);
        page.head().behind.set(None);
        match self.last {
            Some(last) => last.head().behind.set(Some(page)),
            None => self.first = Some(page),
        }
        self.last = Some(page);
    }

    fn remove(&mut self, page: Page) {
        let (before, behind) = (page.head().before.take(), page.head().behind.take());
        match before {
            Some(before) => before.head().behind.set(behind),
            None => self.first = behind,
        }
        match behind {
            Some(behind) => behind.head().before.set(before),
            None => self.last = before,
        }
    }

    /// Finds a page of which enough has come back, and takes it out.
    fn adopt(&mut self, owner: Owner) -> Option<Page> {
        for _ in 0..ADOPT_TRIES {
            let page = self.first?;
            let head = page.head();
            self.remove(page);
            if let Some(free) = head.word.adopt(owner, (head.capacity / ADOPT_SHARE).max(1)) {
                head.free.set(free);
                return Some(page);
            }
            // So that others are looked at the next time.
            self.push(page);
        }
        None
    }
}

/// The pages of one thread.
struct Heap {
    /// `None` before the first page, and when the thread is ending.
    owner: Cell<Option<Owner>>,
    current: [Cell<Option<Page>>; CLASSES],
    /// How large the next page of each class will be, in multiples of [`PAGE_MIN_BYTES`].
    next_size: [Cell<u8>; CLASSES],
}

thread_local! {
    /// Without a destructor, of which each use would have to know whether it has run.
    static HEAP: Heap = const {
        Heap {
            owner: Cell::new(None),
            current: [const { Cell::new(None) }; CLASSES],
            next_size: [const { Cell::new(1) }; CLASSES],
        }
    };
    /// Gives up the thread's pages when it ends.
    static GIVE_UP: GiveUp = const { GiveUp };
}

struct GiveUp;

impl Drop for GiveUp {
    fn drop(&mut self) {
        HEAP.with(Heap::give_up);
    }
}

impl Heap {
    /// Returns who this thread is, `None` if it is ending.
    fn owner(&self) -> Option<Owner> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        if self.owner.get().is_none() {
            // From here on it will be told when the thread ends, unless it is ending already.
            GIVE_UP.try_with(|_| ()).ok()?;
            // Relaxed: uniqueness needs only the modification order of this one variable.
            let number = NonZeroU32::new(NEXT.fetch_add(1, Ordering::Relaxed));
            // After 2^32 threads the numbers would be in use twice.
            let owner = number.map(Owner).filter(|owner| *owner != Owner::PASSING);
            self.owner.set(Some(owner.unwrap_or_else(|| std::process::abort())));
        }
        self.owner.get()
    }

    #[inline]
    fn allocate(&self, class: Class) -> (NonNull<u8>, Slot) {
        let block = self.current[class.index()].get().and_then(Page::take_back);
        block.unwrap_or_else(|| self.refill(class))
    }

    /// Takes a block when nothing has come back to the page, or there is no page.
    #[inline(never)]
    fn refill(&self, class: Class) -> (NonNull<u8>, Slot) {
        let current = &self.current[class.index()];
        if let Some(block) = current.get().and_then(Page::take_fresh) {
            return block;
        }
        let Some(owner) = self.owner() else { return allocate_in_passing(class) };
        loop {
            let page = match current.get() {
                Some(page) if page.collect(owner) => page,
                Some(page) => {
                    if page.detach(owner).is_ok() {
                        current.set(None);
                    }
                    continue;
                }
                None => {
                    let adopted = DETACHED[class.index()].lock().adopt(owner);
                    adopted.unwrap_or_else(|| self.make_page(class, owner))
                }
            };
            current.set(Some(page));
            if let Some(block) = page.take_back().or_else(|| page.take_fresh()) {
                return block;
            }
        }
    }

    fn make_page(&self, class: Class, owner: Owner) -> Page {
        let size = &self.next_size[class.index()];
        let bytes = PAGE_MIN_BYTES * usize::from(size.get());
        size.set((bytes * 4).min(PAGE_MAX_BYTES).div_euclid(PAGE_MIN_BYTES) as u8);
        Page::make(class, bytes, owner)
    }

    /// Gives up all pages: the thread is ending.
    fn give_up(&self) {
        let Some(owner) = self.owner.take() else { return };
        for page in self.current.iter().filter_map(Cell::take) {
            page.abandon(owner);
        }
    }

    /// Gives up the pages in which no task is.
    fn end_empty_pages(&self) {
        let Some(owner) = self.owner.get() else { return };
        for current in &self.current {
            let Some(page) = current.get() else { continue };
            page.collect(owner);
            if page.is_empty() {
                current.set(None);
                page.end();
            }
        }
    }
}

/// Takes a block for a task. Its state is dead.
#[inline]
pub(crate) fn allocate(class: Class) -> (NonNull<u8>, Slot) {
    HEAP.with(|heap| heap.allocate(class))
}

/// Takes a block on a thread that is ending and has given up its pages.
#[cold]
fn allocate_in_passing(class: Class) -> (NonNull<u8>, Slot) {
    let page = Page::make(class, PAGE_MIN_BYTES, Owner::PASSING);
    let Some(block) = page.take_fresh() else { unreachable!("a new page has a block") };
    page.abandon(Owner::PASSING);
    block
}

/// Gives a block back, whose state is dead and stays so.
///
/// # Safety
/// - It came from [`allocate`] with this slot.
/// - It is not used any more.
#[inline]
pub(crate) unsafe fn free(block: NonNull<u8>, slot: Slot) {
    let page = Page::of(block, slot);
    let owner = HEAP.with(|heap| heap.owner.get());
    match owner {
        Some(owner) if page.head().word.is_owned_by(owner) => page.put(block, slot),
        _ => push(page, block, slot, owner.unwrap_or(Owner::PASSING)),
    }
}

/// Gives back a block of a page that is not this thread's.
fn push(page: Page, block: NonNull<u8>, slot: Slot, owner: Owner) {
    let head = page.head();
    let pushed = head.word.push(slot.0, head.capacity, owner, |behind| link(block, behind));
    if pushed == Push::Last {
        DETACHED[head.class.index()].lock().remove(page);
        page.end();
    }
}

/// Gives back what this thread keeps for tasks to come, and what is kept for all threads.
pub(crate) fn give_back() {
    HEAP.with(Heap::end_empty_pages);
    let kept = std::mem::take(&mut *KEPT.lock());
    kept.into_iter().for_each(|page| page.to_system(PAGE_MAX_BYTES));
}

/// A page that stays in memory as long as this lives.
struct Pinned(Page);

impl Pinned {
    /// Pins the first page at this address or above.
    fn first_from(address: usize) -> Option<Pinned> {
        let mut pages = PAGES.lock();
        let (_, known) = pages.range_mut(address..).next()?;
        known.pins += 1;
        Some(Pinned(known.page))
    }

    /// Pins the page with a block at this address.
    fn around(address: usize) -> Option<(Pinned, Slot)> {
        let mut pages = PAGES.lock();
        let (start, known) = pages.range_mut(..=address).next_back()?;
        let head = known.page.head();
        let slot = u16::try_from((address - start) / FINE_STEP_BYTES).ok()?;
        let is_used = (Slot::FIRST..head.fresh.load(Ordering::Acquire)).contains(&slot);
        let is_block = is_used && (slot - Slot::FIRST) % head.class.step() == 0;
        known.pins += usize::from(is_block);
        is_block.then(|| (Pinned(known.page), Slot(slot)))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let mut pages = PAGES.lock();
        let Some(known) = pages.get_mut(&self.0.address()) else { return };
        known.pins -= 1;
        if known.pins == 0 && known.is_ended {
            self.0.forget(pages);
        }
    }
}

/// Calls `f` with every block that ever held a task, and with its state. No lock is held.
pub(crate) fn each_block(mut f: impl FnMut(NonNull<u8>, &State)) {
    let mut address = 0;
    while let Some(pinned) = Pinned::first_from(address) {
        let Pinned(page) = pinned;
        for slot in page.slots() {
            f(page.block(slot), page.state(slot));
        }
        address = page.address() + 1;
    }
}

/// Calls `f` with the state in the block at this address, if there is, or was, a task.
pub(crate) fn with_state<R>(block: usize, f: impl FnOnce(NonNull<u8>, &State) -> R) -> Option<R> {
    let (pinned, slot) = Pinned::around(block)?;
    let Pinned(page) = pinned;
    Some(f(page.block(slot), page.state(slot)))
}
