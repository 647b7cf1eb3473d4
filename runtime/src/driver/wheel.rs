//! Keeps wakers in the order of their deadlines and gives out those that are due.
//!
//! The driver holds one wheel per worker and one for all other threads, each behind its own lock.
//! A timer inserts an entry at its first pending poll, changes the waker at later polls, and
//! cancels the entry when it is dropped; whoever drives the driver advances the wheels. Nothing in
//! here wakes or drops a waker, because both run foreign code: wakers are handed to the caller, who
//! lets go of the lock first.
//!
//! # State
//!
//! Time is counted in ticks of 2^14 ns. Each level has 64 slots, and a slot of one level is as long
//! as all slots of the level below:
//!
//! | level | a slot lasts | the level lasts |
//! |-------|--------------|-----------------|
//! | 0     | 16.4 µs      | 1.05 ms         |
//! | 1     | 1.05 ms      | 67 ms           |
//! | 2     | 67 ms        | 4.3 s           |
//! | 3     | 4.3 s        | 4.6 min         |
//! | 4     | 4.6 min      | 4.9 h           |
//! | 5     | 4.9 h        | 13 days         |
//! | 6     | 13 days      | 2.3 years       |
//! | 7     | 2.3 years    | 146 years       |
//!
//! An entry lies in the level of the highest base-64 digit in which its tick differs from `now`,
//! in the slot which that digit names. When `now` comes to the beginning of a slot, the whole slot
//! becomes the list `REACHED`; from there each entry fires, if its tick has come, or moves to a
//! lower level. An entry moves at most once per level.
//!
//! Entries live in a slab and are linked by their indices into circular lists, so that inserting
//! and cancelling touch a constant number of them. Free entries form a list of their own.
//!
//! # Invariants
//!
//! I1. A bit of `occupied` is set exactly if the list of that slot has an entry.
//!
//! I2. In no level is the slot that contains `now` occupied: an entry is 1 to 63 slots ahead.
//!
//! I3. Outside of `REACHED`, every entry of a level is due earlier than every entry of a higher
//! level, and nothing is due before the beginning of its slot. The lowest occupied level therefore
//! knows what comes next.
//!
//! I4. `now` moves only while `REACHED` is empty, and never past the beginning of an occupied slot.
//!
//! I5. An entry is pending exactly if it holds a waker; then it is in one list, else it is free.

use std::fmt;
use std::mem;
use std::num::NonZeroU32;
use std::task::Waker;

use crate::hooks::AsyncId;

/// Wheel time: ticks of 2^14 ns (16.4 µs) since the wheel's start.
///
/// Shorter than what a kernel timer is late by anyway (50 µs of slack on Linux), and a power of
/// two, so that no division is needed.
pub(crate) const TICK_NS_SHIFT: u32 = 14;

const TICK_NS: u64 = 1 << TICK_NS_SHIFT;

/// Eight levels reach 146 years ahead; a ninth would serve nobody.
const LEVELS: usize = 8;

/// Base-2 logarithm of the number of slots: one level fits the bits of a `u64`.
const SLOT_BITS: u32 = 6;

const SLOTS: usize = 1 << SLOT_BITS;

/// The number of the list of entries that fire or move down at the next advance.
///
/// Lists below it are slots: `level * SLOTS + slot`.
const REACHED: usize = LEVELS * SLOTS;

/// An empty wheel keeps the memory of this many entries (2.5 KiB), so that a program with few
/// timers does not allocate for each; what is beyond that goes back to the allocator.
const KEPT_ENTRIES: usize = 64;

/// No entry: the head of an empty list, and the end of the free list.
const NONE: u32 = u32::MAX;

// An entry has three quarters of a cache line at most: a million timers are 48 MB at most.
const _: () = assert!(size_of::<Entry>() <= 48);

// One bit per slot, and list numbers fit where an entry keeps them.
const _: () = assert!(SLOTS == u64::BITS as usize && REACHED <= u16::MAX as usize);

/// Names one entry of one wheel.
///
/// A key stays harmless after its entry is gone, even if the memory has a new tenant: it is then
/// neither pending nor cancellable. Only after 2^32 further inserts could it mean another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    generation: NonZeroU32,
}

/// Whether [`Wheel::advance`] has left something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum More {
    /// Let go of the lock, wake what has fired, and advance again.
    Yes,
    /// Time has arrived at the given instant, and everything due is out.
    No,
}

/// One timer, or the room for one.
struct Entry {
    /// `None` if the entry is free.
    waker: Option<Waker>,
    /// The first tick at which this may fire.
    tick: u64,
    /// Which resource it is, for whoever looks.
    id: Option<AsyncId>,
    /// The next entry of the circular list, or of the free list.
    next: u32,
    /// The entry before this one in the circular list.
    prev: u32,
    generation: NonZeroU32,
    /// The slot this was last put into. A whole slot becomes `REACHED` without a visit to its
    /// entries, so this may be out of date for an entry of that list.
    list: u16,
}

/// A hierarchical timing wheel.
pub(crate) struct Wheel {
    /// The tick up to which everything has fired or is in `REACHED`.
    now: u64,
    /// The number of pending entries.
    len: usize,
    /// One bit per slot.
    occupied: [u64; LEVELS],
    /// The first entry of each slot's list, and of `REACHED`.
    heads: [u32; LEVELS * SLOTS + 1],
    entries: Vec<Entry>,
    /// The first free entry.
    free: u32,
    /// The generation of the next entry. Counted for the wheel and not for each entry, because
    /// keys outlive the entries when memory is given back.
    generation: NonZeroU32,
}

impl Wheel {
    /// Makes an empty wheel at tick 0; allocates nothing.
    pub(crate) const fn new() -> Wheel {
        Wheel {
            now: 0,
            len: 0,
            occupied: [0; LEVELS],
            heads: [NONE; LEVELS * SLOTS + 1],
            entries: Vec::new(),
            free: NONE,
            generation: NonZeroU32::MIN,
        }
    }

    /// Adds an entry that fires at the first advance to `deadline_ns` or later. `id` is the resource
    /// that it is.
    ///
    /// The deadline, in nanoseconds since the wheel's start, is rounded up to a tick: nothing
    /// fires early. One that has passed already fires at the next advance. Entries of the same tick
    /// fire in the order of their insertion, unless an advance in between was left unfinished or
    /// the tick was out of range, which is more than 143 years away.
    ///
    /// Returns also an instant before which it cannot fire, as [`next_deadline_ns`] does: the
    /// beginning of the slot that the entry lies in.
    ///
    /// [`next_deadline_ns`]: Wheel::next_deadline_ns
    pub(crate) fn insert(
        &mut self,
        deadline_ns: u64,
        waker: Waker,
        id: Option<AsyncId>,
    ) -> (Key, u64) {
        let generation = self.generation;
        self.generation = generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        let entry = Entry {
            waker: Some(waker),
            tick: deadline_ns.div_ceil(TICK_NS),
            id,
            next: NONE,
            prev: NONE,
            generation,
            list: 0,
        };
        let index = self.free;
        let index = if index == NONE {
            assert!(self.entries.len() < NONE as usize, "a wheel holds 2^32 - 1 timers at most");
            self.entries.push(entry);
            (self.entries.len() - 1) as u32
        } else {
            self.free = self.entries[index as usize].next;
            self.entries[index as usize] = entry;
            index
        };
        self.len += 1;
        let begin_tick = self.place(index);
        (Key { index, generation }, begin_tick.saturating_mul(TICK_NS))
    }

    /// Shows pending entries to `f`, with their deadlines in nanoseconds: those among at most `max`
    /// places from `from` on. Returns where to go on, `None` behind the last place.
    pub(crate) fn look(
        &self,
        from: usize,
        max: usize,
        mut f: impl FnMut(AsyncId, u64, &Waker),
    ) -> Option<usize> {
        let rest = self.entries.get(from..)?;
        for entry in rest.iter().take(max) {
            if let (Some(id), Some(waker)) = (entry.id, &entry.waker) {
                f(id, entry.tick.saturating_mul(TICK_NS), waker);
            }
        }
        (rest.len() > max).then_some(from + max)
    }

    /// Tells whether the entry wakes the task of `waker`; `None` if it has fired or was cancelled.
    pub(crate) fn wakes(&mut self, key: Key, waker: &Waker) -> Option<bool> {
        self.waker_slot(key).map(|held| held.will_wake(waker))
    }

    /// Lets the entry wake the task of `waker` from now on, and returns the earlier waker.
    ///
    /// The waker comes by value because cloning one is foreign code, as is dropping one: both
    /// belong outside of the lock.
    ///
    /// # Errors
    /// Returns `waker` if the entry has fired or was cancelled.
    pub(crate) fn replace_waker(&mut self, key: Key, waker: Waker) -> Result<Waker, Waker> {
        match self.waker_slot(key) {
            Some(held) => Ok(mem::replace(held, waker)),
            None => Err(waker),
        }
    }

    /// Tells whether the entry has neither fired nor been cancelled.
    pub(crate) fn is_pending(&self, key: Key) -> bool {
        self.entries
            .get(key.index as usize)
            .is_some_and(|entry| entry.generation == key.generation && entry.waker.is_some())
    }

    /// Removes the entry and returns its waker, to be dropped outside of the lock.
    ///
    /// Returns `None` if the entry has fired or was cancelled before.
    #[must_use]
    pub(crate) fn cancel(&mut self, key: Key) -> Option<Waker> {
        if !self.is_pending(key) {
            return None;
        }
        self.unlink(key.index);
        self.release(key.index)
    }

    /// Returns the instant before which nothing can fire, or `None` if the wheel is empty.
    ///
    /// It may be earlier than the next deadline, never later: for an entry of a higher level it is
    /// the beginning of the slot, where the entry moves down. An advance to that instant brings the
    /// next one closer to the truth. If something is due already, it is the wheel's own time.
    pub(crate) fn next_deadline_ns(&self) -> Option<u64> {
        let tick =
            if self.heads[REACHED] == NONE { self.next_slot()?.begin_tick } else { self.now };
        // The last tick is one that a clock of 64 bits never shows.
        Some(tick.saturating_mul(TICK_NS))
    }

    /// Moves time forward to `now_ns` and appends the wakers that are due to `fired`.
    ///
    /// The instant, in nanoseconds since the wheel's start, is rounded down to a tick; one before
    /// the wheel's own time counts as that time. At most `max_entries` entries are fired or moved
    /// to a lower level in one call, so that the lock is not held for long; if that stops it, time
    /// stands still at the entries that are left, and the answer is [`More::Yes`], perhaps with
    /// nothing fired. `fired` does not allocate under the lock if it has room for `max_entries`.
    pub(crate) fn advance(
        &mut self,
        now_ns: u64,
        fired: &mut Vec<Waker>,
        max_entries: usize,
    ) -> More {
        let target = (now_ns >> TICK_NS_SHIFT).max(self.now);
        let mut budget = max_entries;
        loop {
            if self.heads[REACHED] != NONE {
                budget -= self.empty_reached(fired, budget);
                if self.heads[REACHED] != NONE {
                    return More::Yes;
                }
            }
            match self.next_slot() {
                Some(slot) if slot.begin_tick <= target => self.reach(&slot),
                _ => break,
            }
        }
        self.now = target;
        More::No
    }

    /// Fires, or moves to a lower level, at most so many entries of `REACHED`. Returns how many.
    ///
    /// It goes along the list and takes it up again once, where it stops: to take each entry out of
    /// it would touch its neighbours, which are rarely in the cache.
    fn empty_reached(&mut self, fired: &mut Vec<Waker>, max_entries: usize) -> usize {
        let first = self.heads[REACHED];
        let last = self.entries[first as usize].prev;
        self.heads[REACHED] = NONE;
        let (mut index, mut done) = (first, 0);
        while done < max_entries {
            let Entry { next, tick, .. } = self.entries[index as usize];
            if tick <= self.now {
                fired.extend(self.release(index));
            } else {
                self.place(index);
            }
            done += 1;
            if index == last {
                return done;
            }
            index = next;
        }
        // The rest is a list of its own, which begins where this stopped.
        self.entries[index as usize].prev = last;
        self.entries[last as usize].next = index;
        self.heads[REACHED] = index;
        done
    }

    /// Returns the instant up to which everything has fired, if the last advance was not left
    /// unfinished.
    pub(crate) fn now_ns(&self) -> u64 {
        self.now.saturating_mul(TICK_NS)
    }

    /// Returns the number of pending entries.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Takes every pending waker, in no particular order, and gives all memory back.
    ///
    /// For shutdown; the wheel can be used again, and its time does not change.
    #[must_use]
    pub(crate) fn drain(&mut self) -> Vec<Waker> {
        self.len = 0;
        self.occupied = [0; LEVELS];
        self.heads = [NONE; LEVELS * SLOTS + 1];
        self.free = NONE;
        mem::take(&mut self.entries).into_iter().filter_map(|entry| entry.waker).collect()
    }

    /// Returns the place of the waker of a pending entry.
    fn waker_slot(&mut self, key: Key) -> Option<&mut Waker> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation == key.generation { entry.waker.as_mut() } else { None }
    }

    /// Puts a pending entry that is in no list into the right one. Returns the tick at which time
    /// comes to that.
    fn place(&mut self, index: u32) -> u64 {
        let tick = self.entries[index as usize].tick;
        if tick <= self.now {
            self.append(REACHED, index);
            return self.now;
        }
        let level = (((tick ^ self.now).ilog2() / SLOT_BITS) as usize).min(LEVELS - 1);
        let shift = SLOT_BITS * level as u32;
        let here = self.now >> shift;
        // Only in the highest level can a tick be farther away than there are slots. Such an
        // entry waits in the slot that is reached last, and from there is placed again.
        let ahead = ((tick >> shift) - here).min(SLOTS as u64 - 1);
        let slot = (here + ahead) as usize % SLOTS;
        self.occupied[level] |= 1 << slot;
        self.append(level * SLOTS + slot, index);
        (here + ahead) << shift
    }

    /// Finds the slot that time comes to first.
    fn next_slot(&self) -> Option<Slot> {
        // I3.
        let level = self.occupied.iter().position(|&bits| bits != 0)?;
        let shift = SLOT_BITS * level as u32;
        let here = self.now >> shift;
        // I2: turned so that the slot after this one is bit 0, the lowest bit is the next slot.
        let turn = (here + 1) % SLOTS as u64;
        let ahead = 1 + u64::from(self.occupied[level].rotate_right(turn as u32).trailing_zeros());
        let slot = (here + ahead) as usize % SLOTS;
        Some(Slot { level, slot, begin_tick: (here + ahead) << shift })
    }

    /// Moves time to the beginning of the next slot, whose entries all become `REACHED`.
    fn reach(&mut self, next: &Slot) {
        let Slot { level, slot, begin_tick } = *next;
        debug_assert!(self.heads[REACHED] == NONE, "reaching {next:?} too early in {self:?}");
        debug_assert!(self.now < begin_tick, "going back to {next:?} in {self:?}");
        self.now = begin_tick;
        self.heads[REACHED] = mem::replace(&mut self.heads[level * SLOTS + slot], NONE);
        self.occupied[level] &= !(1 << slot);
    }

    /// Appends an entry that is in no list to the end of a list.
    fn append(&mut self, list: usize, index: u32) {
        let head = self.heads[list];
        let (next, prev) = if head == NONE {
            self.heads[list] = index;
            (index, index)
        } else {
            (head, mem::replace(&mut self.entries[head as usize].prev, index))
        };
        let entry = &mut self.entries[index as usize];
        entry.next = next;
        entry.prev = prev;
        entry.list = list as u16;
        if prev != index {
            self.entries[prev as usize].next = index;
        }
    }

    /// Takes a pending entry out of its list.
    fn unlink(&mut self, index: u32) {
        let Entry { next, prev, list, .. } = self.entries[index as usize];
        let is_last = next == index;
        self.entries[prev as usize].next = next;
        self.entries[next as usize].prev = prev;
        // An entry of `REACHED` may name the slot it came from; it is no longer the head of that.
        let list = if self.heads[REACHED] == index { REACHED } else { usize::from(list) };
        if self.heads[list] == index {
            self.heads[list] = if is_last { NONE } else { next };
            if is_last && list != REACHED {
                self.occupied[list / SLOTS] &= !(1 << (list % SLOTS));
            }
        }
    }

    /// Frees an entry that is in no list and returns its waker.
    fn release(&mut self, index: u32) -> Option<Waker> {
        let entry = &mut self.entries[index as usize];
        let waker = entry.waker.take();
        entry.next = self.free;
        self.free = index;
        self.len -= 1;
        if self.len == 0 && self.entries.capacity() > KEPT_ENTRIES {
            self.entries.clear();
            self.entries.shrink_to(KEPT_ENTRIES);
            self.free = NONE;
        }
        waker
    }
}

impl fmt::Debug for Wheel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wheel")
            .field("now_ticks", &self.now)
            .field("len", &self.len)
            .field("next_deadline_ns", &self.next_deadline_ns())
            .finish_non_exhaustive()
    }
}

/// A slot that has entries, and the tick at which it begins.
#[derive(Debug)]
struct Slot {
    level: usize,
    slot: usize,
    begin_tick: u64,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};
    use std::task::{Wake, Waker};

    use super::*;

    const NONE_FIRED: [usize; 0] = [];

    /// A waker with a name, which it writes down when it is woken.
    struct Probe {
        name: usize,
        woken: Arc<Mutex<Vec<usize>>>,
    }

    impl Wake for Probe {
        fn wake(self: Arc<Self>) {
            self.woken.lock().unwrap().push(self.name);
        }
    }

    /// Marsaglia's xorshift64: the same numbers in every run.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn below(&mut self, n: u64) -> u64 {
            self.next() % n
        }

        /// A number of at most `bits` bits, of which small ones are as likely as large ones.
        fn span(&mut self, bits: u64) -> u64 {
            let width = self.below(bits + 1) as u32;
            if width == 0 { 0 } else { self.next() >> (u64::BITS - width) }
        }
    }

    /// A timer that the oracle knows to be pending.
    #[derive(Clone, Copy)]
    struct Waiting {
        key: Key,
        tick: u64,
    }

    /// A wheel next to an oracle, which is a map searched from end to end.
    struct Bench {
        wheel: Wheel,
        woken: Arc<Mutex<Vec<usize>>>,
        /// By the name of the waker. Names are never used twice.
        waiting: BTreeMap<usize, Waiting>,
        wakers: Vec<Waker>,
        now_ns: u64,
    }

    impl Bench {
        /// A bench whose wheel has come to `now_ns` without ever holding a timer.
        fn at(now_ns: u64) -> Bench {
            let mut bench = Bench {
                wheel: Wheel::new(),
                woken: Arc::default(),
                waiting: BTreeMap::new(),
                wakers: Vec::new(),
                now_ns: 0,
            };
            assert_eq!(bench.advance(now_ns), NONE_FIRED);
            bench
        }

        fn waker(&mut self) -> (usize, Waker) {
            let name = self.wakers.len();
            let waker = Waker::from(Arc::new(Probe { name, woken: Arc::clone(&self.woken) }));
            self.wakers.push(waker.clone());
            (name, waker)
        }

        fn insert(&mut self, deadline_ns: u64) -> Key {
            let (name, waker) = self.waker();
            let (key, due_ns) = self.wheel.insert(deadline_ns, waker, None);
            assert!(
                due_ns <= deadline_ns.div_ceil(TICK_NS).saturating_mul(TICK_NS).max(self.now_ns)
            );
            assert!(self.wheel.next_deadline_ns().is_some_and(|next_ns| next_ns <= due_ns));
            assert!(self.wheel.is_pending(key));
            self.waiting.insert(name, Waiting { key, tick: deadline_ns.div_ceil(TICK_NS) });
            self.check();
            key
        }

        fn cancel(&mut self, name: usize) {
            let Waiting { key, .. } = self.waiting.remove(&name).unwrap();
            let waker = self.wheel.cancel(key).unwrap();
            assert!(waker.will_wake(&self.wakers[name]));
            self.check_gone(key);
            self.check();
        }

        fn set_waker(&mut self, name: usize) {
            let waiting = self.waiting[&name];
            assert_eq!(self.wheel.wakes(waiting.key, &self.wakers[name]), Some(true));

            let (new_name, new) = self.waker();
            assert_eq!(self.wheel.wakes(waiting.key, &new), Some(false));
            let old = self.wheel.replace_waker(waiting.key, new).expect("it is pending");
            assert!(old.will_wake(&self.wakers[name]));
            self.waiting.remove(&name);
            self.waiting.insert(new_name, waiting);
            self.check();
        }

        /// Advances once and returns the names that were woken.
        ///
        /// If the answer is that nothing is left, time is as asked and nothing due is pending.
        fn advance_once(&mut self, now_ns: u64, max_entries: usize) -> (Vec<usize>, More) {
            let now_tick = self.wheel.now.max(now_ns >> TICK_NS_SHIFT);
            self.now_ns = self.now_ns.max(now_ns);
            let mut fired = Vec::new();
            let more = self.wheel.advance(now_ns, &mut fired, max_entries);
            assert!(fired.len() <= max_entries);

            fired.into_iter().for_each(Waker::wake);
            let woken = mem::take(&mut *self.woken.lock().unwrap());
            for name in &woken {
                let Waiting { key, tick } = self.waiting.remove(name).expect("it was pending");
                assert!(tick <= now_tick, "{name} is due at {tick} but fired at {now_tick}");
                self.check_gone(key);
            }
            if more == More::No {
                assert_eq!(self.wheel.now, now_tick);
                assert!(self.waiting.values().all(|waiting| waiting.tick > now_tick));
            }
            self.check();
            (woken, more)
        }

        fn advance(&mut self, now_ns: u64) -> Vec<usize> {
            let (woken, more) = self.advance_once(now_ns, usize::MAX);
            assert_eq!(more, More::No);
            woken
        }

        /// Comes when the wheel asks for it, and a nanosecond earlier, when nothing may fire.
        fn advance_as_told(&mut self) {
            if let Some(next_ns) = self.wheel.next_deadline_ns() {
                if next_ns > self.now_ns {
                    assert_eq!(self.advance(next_ns - 1), NONE_FIRED);
                }
                self.advance(next_ns);
            }
        }

        fn check_gone(&mut self, key: Key) {
            assert!(!self.wheel.is_pending(key));
            assert!(self.wheel.cancel(key).is_none());
            assert_eq!(self.wheel.wakes(key, Waker::noop()), None);
            assert!(self.wheel.replace_waker(key, Waker::noop().clone()).is_err());
        }

        /// Compares the wheel with the oracle, and looks at every list.
        fn check(&self) {
            let wheel = &self.wheel;
            assert_eq!(wheel.len(), self.waiting.len());
            let next = self.waiting.values().map(|waiting| waiting.tick.max(wheel.now)).min();
            match (wheel.next_deadline_ns(), next) {
                (None, None) => {}
                (Some(told_ns), Some(tick)) => {
                    assert!(told_ns <= tick.saturating_mul(TICK_NS), "{wheel:?}, due at {tick}");
                    assert!(told_ns >= wheel.now * TICK_NS, "{wheel:?} looks back");
                }
                (told, truth) => panic!("{wheel:?} says {told:?}, but it is {truth:?}"),
            }

            let mut linked = 0;
            for (list, &head) in wheel.heads.iter().enumerate() {
                let (level, slot) = (list / SLOTS, list % SLOTS);
                if list != REACHED {
                    let is_occupied = wheel.occupied[level] & (1 << slot) != 0;
                    assert_eq!(is_occupied, head != NONE, "I1 in {level}/{slot}");
                    let here = (wheel.now >> (SLOT_BITS * level as u32)) as usize % SLOTS;
                    assert!(!is_occupied || slot != here, "I2 in {level}/{slot}");
                }
                let mut index = head;
                while index != NONE {
                    let entry = &wheel.entries[index as usize];
                    assert!(entry.waker.is_some(), "I5");
                    assert_eq!(wheel.entries[entry.next as usize].prev, index);
                    linked += 1;
                    index = if entry.next == head { NONE } else { entry.next };
                }
            }
            assert_eq!(linked, wheel.len());

            let mut free = wheel.free;
            while free != NONE {
                assert!(wheel.entries[free as usize].waker.is_none(), "I5");
                linked += 1;
                free = wheel.entries[free as usize].next;
            }
            assert_eq!(linked, wheel.entries.len());
        }
    }

    /// Where programs and tables begin: the wheel's start, the edges of levels, the first turn of
    /// the highest level (2^62 ns), and the end of time.
    const STARTS_NS: [u64; 9] = [
        0,
        63 << TICK_NS_SHIFT,
        (64 << TICK_NS_SHIFT) - 1,
        (1 << 32) - 1,
        1 << 44,
        (1 << 62) - TICK_NS,
        1 << 62,
        (1 << 63) + (1 << 40) + 12_345,
        u64::MAX - (1 << 50),
    ];

    /// Runs 300 random steps and then goes to the end of time.
    fn run_program(seed: u64) {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut bench = Bench::at(STARTS_NS[seed as usize % STARTS_NS.len()]);
        // Some programs live in milliseconds and some in centuries.
        let span_bits = 16 + random.below(49);
        for _ in 0..300 {
            let span_ns = random.span(span_bits);
            let later_ns = bench.now_ns.saturating_add(span_ns);
            let earlier_ns = bench.now_ns.saturating_sub(span_ns);
            let nth = random.below(bench.waiting.len().max(1) as u64) as usize;
            let pending = bench.waiting.keys().nth(nth).copied();
            match (random.below(14), pending) {
                (0..=4, _) => drop(bench.insert(later_ns)),
                (5, _) => drop(bench.insert(earlier_ns)),
                (6..=7, Some(name)) => bench.cancel(name),
                (8, Some(name)) => bench.set_waker(name),
                (9, _) => drop(bench.advance(later_ns)),
                (10, _) => drop(bench.advance(earlier_ns)),
                (11, _) => drop(bench.advance_once(later_ns, random.below(4) as usize)),
                (12, _) => while bench.advance_once(later_ns, 1).1 == More::Yes {},
                _ => bench.advance_as_told(),
            }
        }
        bench.advance(u64::MAX);
        assert_eq!(bench.wheel.drain().len(), bench.waiting.len());
    }

    #[test]
    fn random_programs_agree_with_the_oracle() {
        for seed in 1..=300 {
            run_program(seed);
        }
    }

    /// Inserts one timer, and lets the wheel say when to come until it has fired.
    #[track_caller]
    fn check_alone(start_ns: u64, deadline_ns: u64) {
        let mut bench = Bench::at(start_ns);
        bench.insert(deadline_ns);
        let mut rounds = 0;
        while !bench.waiting.is_empty() {
            bench.advance_as_told();
            rounds += 1;
        }
        let due_ns = deadline_ns.next_multiple_of(TICK_NS).max(start_ns);
        assert_eq!(bench.now_ns, due_ns, "from {start_ns} to {deadline_ns}");
        // One round per level, and one for each time that 63 slots of the highest level, which
        // last 2^56 ns each, are not enough.
        let turns = deadline_ns.saturating_sub(start_ns) / (63 << 56);
        let rounds_max = LEVELS as u64 + turns;
        assert!(rounds <= rounds_max, "{rounds} rounds from {start_ns} to {deadline_ns}");
    }

    #[test]
    fn a_timer_at_the_edge_of_any_level_fires_at_its_tick() {
        for start_ns in STARTS_NS {
            for bit in 0..u64::BITS {
                // The first slot of a level, the last one, and the one after a full turn.
                for edge_ns in [1 << bit, u64::MAX << bit, !(u64::MAX << bit)] {
                    for away_ns in [-20_000, -16_384, -1, 0, 1, 16_384, 20_000] {
                        let deadline_ns = edge_ns.saturating_add_signed(away_ns);
                        for deadline_ns in [deadline_ns, start_ns.saturating_add(deadline_ns)] {
                            check_alone(start_ns, deadline_ns.min(LAST_NS));
                        }
                    }
                }
            }
        }
    }

    /// The last instant that is the beginning of a tick.
    const LAST_NS: u64 = u64::MAX >> TICK_NS_SHIFT << TICK_NS_SHIFT;

    #[test]
    fn a_deadline_beyond_the_last_tick_never_fires() {
        let mut bench = Bench::at(0);
        bench.insert(LAST_NS);
        bench.insert(LAST_NS + 1);
        bench.insert(u64::MAX);
        assert_eq!(bench.advance(LAST_NS - 1), NONE_FIRED);
        assert_eq!(bench.advance(u64::MAX), [0]);
        assert_eq!(bench.wheel.next_deadline_ns(), Some(u64::MAX));
        assert_eq!(bench.advance(u64::MAX), NONE_FIRED);
        assert_eq!(bench.wheel.len(), 2);
    }

    #[test]
    fn a_deadline_is_rounded_up_and_an_advance_down() {
        let mut bench = Bench::at(0);
        bench.insert(TICK_NS + 1);
        assert_eq!(bench.advance(TICK_NS + 1), NONE_FIRED);
        assert_eq!(bench.advance(2 * TICK_NS - 1), NONE_FIRED);
        assert_eq!(bench.advance(2 * TICK_NS), [0]);
    }

    #[test]
    fn a_deadline_that_has_passed_fires_at_the_next_advance() {
        let mut bench = Bench::at(100 * TICK_NS);
        bench.insert(0);
        bench.insert(100 * TICK_NS);
        bench.insert(100 * TICK_NS + 1);
        assert_eq!(bench.wheel.next_deadline_ns(), Some(100 * TICK_NS));
        assert_eq!(bench.advance(100 * TICK_NS), [0, 1]);
    }

    #[test]
    fn time_does_not_go_backwards() {
        let mut bench = Bench::at(100 * TICK_NS);
        bench.insert(90 * TICK_NS);
        bench.insert(101 * TICK_NS);
        assert_eq!(bench.advance(0), [0]);
        assert_eq!(bench.wheel.now, 100);
        assert_eq!(bench.advance(101 * TICK_NS), [1]);
    }

    #[test]
    fn one_jump_fires_by_tick_and_those_of_one_tick_as_inserted() {
        // Later insertions for a tick happen closer to it, so they start at a lower level.
        let mut bench = Bench::at(0);
        let mut want = Vec::new();
        for now_bit in 0..40 {
            assert_eq!(bench.advance((1 << 40) + (1 << now_bit)), NONE_FIRED);
            for bit in (now_bit + 1..=61).rev() {
                let deadline_ns: u64 = (1 << 41) + (1 << bit);
                want.push((deadline_ns.div_ceil(TICK_NS), want.len()));
                bench.insert(deadline_ns);
            }
        }
        want.sort_unstable();
        let names: Vec<usize> = want.into_iter().map(|(_, name)| name).collect();
        assert_eq!(bench.advance(1 << 62), names);
    }

    #[test]
    fn no_advance_handles_more_entries_than_allowed() {
        // 150 entries that must come down from level 1 before they fire.
        let deadline_ns = 65 * TICK_NS;
        let mut bench = Bench::at(0);
        for _ in 0..150 {
            bench.insert(deadline_ns);
        }
        let mut fired = Vec::with_capacity(64);
        let room = fired.capacity();
        let mut woken = Vec::new();
        while bench.wheel.advance(deadline_ns, &mut fired, 64) == More::Yes {
            woken.push(fired.len());
            assert_eq!(fired.capacity(), room);
            fired.drain(..).for_each(Waker::wake);
        }
        woken.push(fired.len());
        // Two calls move 128, the third the last 22 and fires 42.
        assert_eq!(woken, [0, 0, 42, 64, 44]);
    }

    #[test]
    fn an_unfinished_advance_asks_to_be_continued_at_once() {
        let mut bench = Bench::at(0);
        bench.insert(3 * TICK_NS);
        bench.insert(3 * TICK_NS);
        assert_eq!(bench.advance_once(9 * TICK_NS, 1), (vec![0], More::Yes));
        assert_eq!(bench.wheel.next_deadline_ns(), Some(3 * TICK_NS));
        bench.cancel(1);
        assert_eq!(bench.advance_once(9 * TICK_NS, 0), (vec![], More::No));
    }

    #[test]
    fn an_empty_wheel_holds_little_memory_whatever_emptied_it() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.entries.capacity(), 0);
        let empty: [fn(&mut Wheel, &[Key]); 3] = [
            |wheel, keys| assert!(keys.iter().all(|&key| wheel.cancel(key).is_some())),
            |wheel, _| {
                let more = wheel.advance(1 << 40, &mut Vec::new(), usize::MAX);
                assert_eq!(more, More::No);
            },
            |wheel, keys| assert_eq!(wheel.drain().len(), keys.len()),
        ];
        for empty in empty {
            let keys: Vec<Key> =
                (0..10_000).map(|i| wheel.insert(i << 20, Waker::noop().clone(), None).0).collect();
            assert!(wheel.entries.capacity() >= 10_000);
            empty(&mut wheel, &keys);
            assert_eq!(wheel.len(), 0);
            assert_eq!(wheel.next_deadline_ns(), None);
            assert!(wheel.entries.capacity() <= KEPT_ENTRIES);
        }
    }

    #[test]
    fn few_timers_reuse_the_memory_they_have() {
        let mut wheel = Wheel::new();
        for _ in 0..1000 {
            let keys = [0; KEPT_ENTRIES].map(|ns| wheel.insert(ns, Waker::noop().clone(), None).0);
            assert!(keys.iter().all(|&key| wheel.cancel(key).is_some()));
            assert_eq!(wheel.entries.len(), KEPT_ENTRIES);
        }
    }

    #[test]
    fn a_key_does_not_name_the_next_tenant() {
        let mut bench = Bench::at(0);
        let first = bench.insert(TICK_NS);
        bench.advance(TICK_NS);
        let second = bench.insert(2 * TICK_NS);
        assert_eq!(first.index, second.index);
        bench.check_gone(first);

        // Nor if all memory was given back in between, nor when generations begin anew.
        drop(bench.wheel.drain());
        bench.waiting.clear();
        bench.wheel.generation = NonZeroU32::MAX;
        let third = bench.insert(3 * TICK_NS);
        let fourth = bench.insert(3 * TICK_NS);
        assert_eq!(first.index, third.index);
        assert_ne!(third.generation, fourth.generation);
        bench.check_gone(first);
        bench.check_gone(second);
        assert_eq!(bench.advance(3 * TICK_NS), [2, 3]);
    }

    #[test]
    fn every_waker_leaves_the_wheel() {
        let mut bench = Bench::at(0);
        for deadline_ns in [1, 1 << 20, 1 << 30, 1 << 40, u64::MAX] {
            bench.insert(deadline_ns);
        }
        bench.set_waker(4);
        bench.cancel(1);
        bench.advance(1 << 30);
        assert_eq!(bench.wheel.drain().len(), 2);
        bench.wakers.clear();
        // Whatever a probe holds is held by its wakers only.
        assert_eq!(Arc::strong_count(&bench.woken), 1);
    }

    #[test]
    fn a_drained_wheel_can_be_used_again() {
        let mut bench = Bench::at(50 * TICK_NS);
        bench.insert(60 * TICK_NS);
        bench.insert(0);
        drop(bench.wheel.drain());
        bench.waiting.clear();
        bench.insert(60 * TICK_NS);
        assert_eq!(bench.advance(59 * TICK_NS), NONE_FIRED);
        assert_eq!(bench.advance(60 * TICK_NS), [2]);
    }

    #[test]
    fn debug_shows_the_time_and_what_comes_next() {
        let mut bench = Bench::at(3 * TICK_NS);
        bench.insert(4 * TICK_NS);
        assert_eq!(
            format!("{:?}", bench.wheel),
            "Wheel { now_ticks: 3, len: 1, next_deadline_ns: Some(65536), .. }"
        );
    }
}
