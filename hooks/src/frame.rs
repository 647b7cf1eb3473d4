//! Holds the context values that travel with a resource: immutable, shared, behind one pointer.
//!
//! A frame is copied (one pointer) when a resource is created and swapped in around its code.
//! Writers pay for that: setting a value copies the entries. Only the owner of a [`FrameKey`] can
//! read or write its value, so a frame cannot be forged or searched.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::key::{FrameKey, FrameValue, Heir};
use crate::kind::Kind;

impl Heir {
    /// How a resource of this kind stands to what creates it, unless more is said.
    #[inline]
    pub(crate) fn of(kind: Kind) -> Heir {
        match kind {
            Kind::TASK | Kind::BLOCKING => Heir::OtherTask,
            Kind::TCP_LISTENER | Kind::UNIX_LISTENER | Kind::INTERVAL => Heir::Recurring,
            _ => Heir::SameTask,
        }
    }

    const ALL: [Heir; 3] = [Heir::SameTask, Heir::OtherTask, Heir::Recurring];
}

/// The context values of one place in the program. Cloning copies a pointer.
///
/// It says nothing about what it holds: values are read through their keys. It is what the
/// context layer stands on; programs use that layer, not this type.
#[derive(Clone, Default)]
pub struct Frame(Option<Arc<Inner>>);

struct Inner {
    values: Table,
    deadline: Option<Instant>,
    shares: Shares,
    /// The shares that are parts, made when they are first wanted.
    parts: Option<Box<[OnceLock<Frame>; 3]>>,
}

/// Which heirs take something of a frame over, and which all of it: a bit for each.
#[derive(Clone, Copy)]
struct Shares {
    some: u8,
    all: u8,
}

impl Shares {
    const OF_NOTHING: Shares = Shares { some: 0, all: 0b111 };

    fn with(self, more: Shares) -> Shares {
        Shares { some: self.some | more.some, all: self.all & more.all }
    }

    fn of(is_for: impl Fn(Heir) -> bool) -> Shares {
        let bits = Heir::ALL.into_iter().filter(|heir| is_for(*heir));
        let takers = bits.fold(0, |bits, heir| bits | 1 << heir as u8);
        Shares { some: takers, all: takers }
    }

    /// A recurring resource is not bound by the deadline of the work that made it.
    fn of_deadline() -> Shares {
        Shares::of(|heir| heir != Heir::Recurring)
    }

    fn of_value(value: &FrameValue) -> Shares {
        Shares::of(|heir| value.is_for(heir))
    }

    fn of_table(values: &Table) -> Shares {
        values.iter().map(Shares::of_value).fold(Shares::OF_NOTHING, Shares::with)
    }

    fn is_all(self, heir: Heir) -> bool {
        self.all & 1 << heir as u8 != 0
    }

    fn is_nothing(self, heir: Heir) -> bool {
        self.some & 1 << heir as u8 == 0
    }
}

/// So many values lie in the frame itself.
const NEAR: usize = 4;

/// Tables grow to so many places per value, but not further.
const ROOM_MAX: usize = 8;

/// Values by the lowest bits of their tags, each in a place of its own: one look finds it, or that
/// it is not there.
///
/// There are as many places as it takes for no two tags to share one. Keys are numbered in the order
/// of their first use, so these are hardly more than there are values. Only of keys that were made
/// at run time may two have the same lowest bits by chance; one of them is then kept aside.
#[derive(Clone, Default)]
struct Table {
    near: [FrameValue; NEAR],
    /// Instead of `near`, where that has too few places; else empty.
    far: Box<[FrameValue]>,
    aside: Vec<FrameValue>,
}

impl Table {
    fn of_one(value: FrameValue) -> Table {
        let mut table = Table::default();
        table.put(value);
        table
    }

    fn of(values: Vec<FrameValue>) -> Table {
        let mut table = Table::default();
        let places = Table::places_for(&values);
        if places > NEAR {
            table.far = vec![FrameValue::default(); places].into();
        }
        values.into_iter().for_each(|value| table.put(value));
        table
    }

    /// How many places it takes for no two of these to share one, within bounds.
    fn places_for(values: &[FrameValue]) -> usize {
        let least = values.len().next_power_of_two().max(NEAR);
        let mut places = least;
        while places < least * ROOM_MAX && Table::do_meet(values, places) {
            places *= 2;
        }
        places
    }

    fn do_meet(values: &[FrameValue], places: usize) -> bool {
        let place = |value: &FrameValue| value.tag as usize & (places - 1);
        let mut earlier = values.iter().enumerate();
        earlier.any(|(nth, value)| values[..nth].iter().any(|other| place(other) == place(value)))
    }

    #[inline]
    fn place(&self, tag: u64) -> &FrameValue {
        let place = tag as usize;
        // Of an empty slice this gets nothing.
        let far = self.far.get(place & self.far.len().wrapping_sub(1));
        far.unwrap_or_else(|| &self.near[place % NEAR])
    }

    fn place_mut(&mut self, tag: u64) -> &mut FrameValue {
        let place = tag as usize;
        match self.far.get_mut(place & self.far.len().wrapping_sub(1)) {
            Some(found) => found,
            None => &mut self.near[place % NEAR],
        }
    }

    /// What is in the place of a tag: its value, if there is one.
    #[inline]
    fn find(&self, tag: u64) -> &FrameValue {
        let found = self.place(tag);
        if found.tag == tag || self.aside.is_empty() {
            return found;
        }
        self.aside.iter().find(|value| value.tag == tag).unwrap_or(found)
    }

    fn iter(&self) -> impl Iterator<Item = &FrameValue> {
        let all = self.near.iter().chain(&self.far).chain(&self.aside);
        all.filter(|value| value.value.is_some())
    }

    fn put(&mut self, value: FrameValue) {
        let place = self.place_mut(value.tag);
        if place.value.is_none() {
            *place = value;
        } else {
            self.aside.push(value);
        }
    }

    /// A table that has one more value, or another one.
    fn with(&self, value: FrameValue) -> Table {
        let place = self.place(value.tag);
        if self.aside.is_empty() && (place.tag == value.tag || place.value.is_none()) {
            let mut table = self.clone();
            let place = table.place_mut(value.tag);
            *place = value;
            return table;
        }
        let mut all: Vec<FrameValue> =
            self.iter().filter(|other| other.tag != value.tag).cloned().collect();
        all.push(value);
        Table::of(all)
    }

    fn filtered(&self, wanted: impl Fn(&FrameValue) -> bool) -> Table {
        Table::of(self.iter().filter(|value| wanted(value)).cloned().collect())
    }
}

/// The frame without values.
pub(crate) static EMPTY: Frame = Frame(None);

impl Frame {
    /// Returns the frame without values.
    #[must_use]
    pub const fn empty() -> Frame {
        Frame(None)
    }

    /// Returns the frame that is current on this thread.
    #[must_use]
    pub fn current() -> Frame {
        crate::current::with_frame(Frame::clone)
    }

    /// Calls `f` with the frame that is current on this thread, which costs no reference count.
    #[inline]
    pub fn with_current<R>(f: impl FnOnce(&Frame) -> R) -> R {
        crate::current::with_frame(f)
    }

    /// Runs `f` with this frame as the current one, then restores what was.
    #[inline]
    pub fn sync_scope<R>(&self, f: impl FnOnce() -> R) -> R {
        crate::current::run_in_frame(self, f)
    }

    /// Makes this frame the current one for the rest of the scope that is running.
    ///
    /// The end of that scope restores what was before it, whatever becomes of the guard.
    #[must_use = "the frame is left when the guard is dropped"]
    pub fn enter(self) -> crate::life::Entered {
        crate::current::enter(self)
    }

    /// Says whether it holds no values and no deadline.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Says whether both are the same frame, not only equal ones.
    #[must_use]
    #[inline]
    pub fn ptr_eq(&self, other: &Frame) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Returns the value of `key`.
    #[must_use]
    #[inline]
    pub fn get<T: 'static>(&self, key: &FrameKey<T>) -> Option<&T> {
        self.0.as_ref()?.values.find(key.tag_if_used()).get(key)
    }

    /// Returns the value of `key` with its reference count.
    #[must_use]
    pub fn get_arc<T: Send + Sync + 'static>(&self, key: &FrameKey<T>) -> Option<Arc<T>> {
        self.0.as_ref()?.values.find(key.tag_if_used()).get_arc(key)
    }

    /// Returns a frame with one more value, or with another one for `key`.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(&self, key: &FrameKey<T>, value: Arc<T>) -> Frame {
        self.changed(&key.value(value))
    }

    /// Returns a frame without a value for `key`.
    #[must_use]
    pub fn without<T>(&self, key: &FrameKey<T>) -> Frame {
        self.changed(&key.no_value())
    }

    /// Returns a frame that is the same but for one value: it is another one, or gone.
    #[must_use]
    pub fn changed(&self, change: &FrameValue) -> Frame {
        match (&self.0, &change.value) {
            (None, None) => Frame::empty(),
            (None, Some(_)) => {
                let shares = Shares::of_value(change);
                Frame::of_inner(Table::of_one(change.clone()), None, shares)
            }
            (Some(inner), Some(_)) => {
                let shares = inner.shares.with(Shares::of_value(change));
                Frame::of_inner(inner.values.with(change.clone()), inner.deadline, shares)
            }
            (Some(inner), None) if inner.values.find(change.tag).tag == change.tag => {
                let rest = inner.values.filtered(|value| value.tag != change.tag);
                Frame::from_parts(rest, inner.deadline)
            }
            (Some(_), None) => self.clone(),
        }
    }

    /// Returns when the work in this frame has to be done, if that was said.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.as_ref().and_then(|inner| inner.deadline)
    }

    /// Returns a frame whose deadline is `deadline` or, if that is sooner, the one it had.
    #[must_use]
    pub fn with_deadline(&self, deadline: Instant) -> Frame {
        let sooner = self.deadline().map_or(deadline, |had| had.min(deadline));
        let values = self.0.as_ref().map(|inner| inner.values.clone()).unwrap_or_default();
        Frame::from_parts(values, Some(sooner))
    }

    /// Returns a frame that is the same but for the deadline, which it has not.
    #[must_use]
    pub fn without_deadline(&self) -> Frame {
        match &self.0 {
            Some(inner) if inner.deadline.is_some() => {
                Frame::from_parts(inner.values.clone(), None)
            }
            _ => self.clone(),
        }
    }

    fn from_parts(values: Table, deadline: Option<Instant>) -> Frame {
        let shares = Shares::of_table(&values);
        if deadline.is_none() && values.iter().next().is_none() {
            return Frame::empty();
        }
        let of_deadline = deadline.map_or(Shares::OF_NOTHING, |_| Shares::of_deadline());
        Frame::of_inner(values, deadline, shares.with(of_deadline))
    }

    fn of_inner(values: Table, deadline: Option<Instant>, shares: Shares) -> Frame {
        let has_parts = shares.some & !shares.all != 0;
        let parts = has_parts.then(Box::default);
        Frame(Some(Arc::new(Inner { values, deadline, shares, parts })))
    }

    /// Returns what a resource of this kind, made in this frame, takes over.
    #[must_use]
    pub fn inherited_by(&self, kind: Kind) -> Frame {
        self.inherit(Heir::of(kind))
    }

    /// Returns what a new resource takes over: one pointer, however many values there are.
    #[inline]
    pub(crate) fn inherit(&self, heir: Heir) -> Frame {
        let Some(inner) = &self.0 else { return Frame::empty() };
        if inner.shares.is_all(heir) {
            self.clone()
        } else if inner.shares.is_nothing(heir) {
            Frame::empty()
        } else {
            inner.part_for(heir)
        }
    }
}

impl Inner {
    #[cold]
    fn part_for(&self, heir: Heir) -> Frame {
        let make = || {
            let values = self.values.filtered(|value| value.is_for(heir));
            let deadline = if heir == Heir::Recurring { None } else { self.deadline };
            Frame::from_parts(values, deadline)
        };
        match &self.parts {
            Some(parts) => parts[heir as usize].get_or_init(make).clone(),
            None => make(),
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.0.as_ref().map_or(0, |inner| inner.values.iter().count());
        f.debug_struct("Frame").field("values", &values).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Frame, FrameKey, Heir, NEAR, ROOM_MAX};
    use crate::key::Inherit;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    fn number(frame: &Frame, key: &FrameKey<i32>) -> Option<i32> {
        frame.get(key).copied()
    }

    #[test]
    fn a_value_is_seen_through_its_key_only() {
        let (mine, other) = (FrameKey::new(Inherit::Always), FrameKey::new(Inherit::Always));
        let frame = Frame::empty().with(&mine, Arc::new(7_i32));
        assert_eq!((number(&frame, &mine), number(&frame, &other)), (Some(7), None));
        let again = frame.with(&mine, Arc::new(8_i32));
        assert_eq!((number(&frame, &mine), number(&again, &mine)), (Some(7), Some(8)));
        assert!(again.without(&mine).is_empty());
        assert!(frame.without(&other).ptr_eq(&frame));
    }

    #[test]
    fn heirs_take_what_the_rule_of_each_key_allows() {
        let always = FrameKey::new(Inherit::Always);
        let pool = FrameKey::new(Inherit::Always).recurring();
        let here = FrameKey::new(Inherit::SameTask);
        let never = FrameKey::new(Inherit::Never);
        let keys = [&always, &pool, &here, &never];
        let frame = keys.iter().fold(Frame::empty(), |frame, key| frame.with(key, Arc::new(1_i32)));
        let seen = |heir| keys.map(|key| number(&frame.inherit(heir), key).is_some());
        assert_eq!(seen(Heir::SameTask), [true, true, true, false]);
        assert_eq!(seen(Heir::OtherTask), [true, true, false, false]);
        assert_eq!(seen(Heir::Recurring), [false, true, false, false]);
        assert!(frame.inherit(Heir::OtherTask).ptr_eq(&frame.inherit(Heir::OtherTask)));
    }

    #[test]
    fn a_frame_of_inherited_values_is_inherited_as_it_is() {
        let frame = Frame::empty().with(&FrameKey::new(Inherit::Always), Arc::new(1_i32));
        assert!(frame.inherit(Heir::OtherTask).ptr_eq(&frame));
        assert!(frame.inherit(Heir::Recurring).is_empty());
    }

    /// Keys whose numbers follow each other by so many.
    fn keys(n: usize, apart: usize) -> Vec<FrameKey<i32>> {
        let next = || {
            let key = FrameKey::new(Inherit::Always);
            let _numbered = key.no_value();
            key
        };
        let nth = |_| {
            let key = next();
            (1..apart).for_each(|_| {
                let _unused = next();
            });
            key
        };
        (0..n).map(nth).collect()
    }

    /// Sets all keys in a frame, in this order, then checks what is found while they are taken out.
    #[track_caller]
    fn check(keys: &[FrameKey<i32>]) {
        let other = FrameKey::new(Inherit::Always);
        let numbered = keys.iter().zip(0..);
        let mut frame = numbered.fold(Frame::empty(), |frame, (key, number)| {
            let changed = frame.with(key, Arc::new(-1)).with(key, Arc::new(number));
            assert_eq!(self::number(&frame, key), None);
            changed
        });
        assert_eq!(number(&frame, &other), None);
        for (gone, key) in keys.iter().enumerate() {
            for (nth, key) in keys.iter().enumerate() {
                let want = (nth >= gone).then_some(nth as i32);
                assert_eq!(number(&frame, key), want, "the {nth}th of {} is there", keys.len());
            }
            frame = frame.without(key);
        }
        assert!(frame.is_empty());
    }

    #[test]
    fn every_value_of_many_is_found_whatever_the_numbers_of_the_keys() {
        for n in [1, 2, NEAR, NEAR + 1, 8, 9, 33] {
            for apart in [1, 2, 3, 8] {
                check(&keys(n, apart));
            }
        }
        // Too far apart for a table with a place for each.
        check(&keys(9, 16 * ROOM_MAX * 4));
    }

    #[test]
    fn a_deadline_is_only_ever_shortened() {
        let now = Instant::now();
        let (soon, late) = (now + Duration::from_secs(1), now + Duration::from_secs(9));
        let frame = Frame::empty().with_deadline(soon).with_deadline(late);
        assert_eq!(frame.deadline(), Some(soon));
        assert_eq!(frame.inherit(Heir::OtherTask).deadline(), Some(soon));
        assert_eq!(frame.inherit(Heir::Recurring).deadline(), None);
        let key = FrameKey::new(Inherit::Always);
        let both = frame.with(&key, Arc::new(1_i32));
        assert_eq!((both.deadline(), number(&both, &key)), (Some(soon), Some(1)));
        let value = both.without_deadline();
        assert_eq!((value.deadline(), number(&value, &key)), (None, Some(1)));
        assert_eq!(both.without(&key).deadline(), Some(soon));
        assert!(frame.without_deadline().is_empty());
    }
}
