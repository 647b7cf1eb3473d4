//! Carries the business context of a flow: which request, which account, what was ordered.
//!
//! There are two verbs. [`set`] writes into the bag of the flow, where all of the flow sees it: for
//! what is learnt on the way and belongs on the last log line. [`scope`] makes a branch, which only
//! its own work sees. Both are bounded, and never fail: what is too much is cut or dropped, and
//! counted. A flow inside a flow has fields of its own, and sees none of the outer one's.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use forebear_hooks::{AsyncId, Coarse, Frame, FrameKey, Inherit};

use crate::inspect::FlowRef;
use crate::quiet::quietly;
use crate::scope::{Change, Scope};

/// A flow has at most so many fields; a branch too.
pub const FIELDS_MAX: usize = 64;

/// A text has at most so many bytes; the rest is cut off at a character.
pub const TEXT_MAX_BYTES: usize = 1024;

static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Returns how many fields were dropped or cut in this process because there was too much, or no
/// flow to hold them.
#[must_use]
pub fn dropped() -> u64 {
    // Relaxed: a count that is read for a report orders nothing.
    DROPPED.load(Ordering::Relaxed)
}

pub(crate) fn count_dropped() {
    DROPPED.fetch_add(1, Ordering::Relaxed);
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text.
    Str(Cow<'static, str>),
    /// A whole number.
    I64(i64),
    /// A whole number that is not negative.
    U64(u64),
    /// A number.
    F64(f64),
    /// Yes or no.
    Bool(bool),
}

impl Value {
    fn bounded(self) -> Value {
        match self {
            Value::Str(text) if text.len() > TEXT_MAX_BYTES => {
                count_dropped();
                Value::Str(text[..cut(&text, TEXT_MAX_BYTES)].to_owned().into())
            }
            value => value,
        }
    }
}

/// Returns where to cut a text so that it has at most `max` bytes and ends with a whole character.
pub(crate) fn cut(text: &str, max: usize) -> usize {
    (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Str(text) => f.write_str(text),
            Value::I64(number) => number.fmt(f),
            Value::U64(number) => number.fmt(f),
            Value::F64(number) => number.fmt(f),
            Value::Bool(is) => is.fmt(f),
        }
    }
}

macro_rules! value_from {
    ($($type:ty => |$value:ident| $make:expr;)*) => {
        $(impl From<$type> for Value {
            fn from($value: $type) -> Value {
                $make
            }
        })*
    };
}

value_from! {
    &'static str => |text| Value::Str(text.into());
    String => |text| Value::Str(text.into());
    Cow<'static, str> => |text| Value::Str(text);
    i64 => |number| Value::I64(number);
    i32 => |number| Value::I64(number.into());
    i16 => |number| Value::I64(number.into());
    i8 => |number| Value::I64(number.into());
    u64 => |number| Value::U64(number);
    u32 => |number| Value::U64(number.into());
    u16 => |number| Value::U64(number.into());
    u8 => |number| Value::U64(number.into());
    usize => |number| Value::U64(u64::try_from(number).unwrap_or(u64::MAX));
    f64 => |number| Value::F64(number);
    f32 => |number| Value::F64(number.into());
    bool => |is| Value::Bool(is);
}

pub(crate) type Field = (&'static str, Value);

/// The fields of one flow.
pub(crate) struct Bag {
    name: Cow<'static, str>,
    flow: OnceLock<AsyncId>,
    ended: OnceLock<Coarse>,
    started: Instant,
    /// Shared with readers, who must not hold the lock while they look: a writer that finds one
    /// makes a copy.
    fields: Mutex<Arc<Vec<Field>>>,
}

impl Bag {
    fn new(name: Cow<'static, str>) -> Bag {
        Bag {
            name,
            flow: OnceLock::new(),
            started: Instant::now(),
            ended: OnceLock::new(),
            fields: Mutex::default(),
        }
    }

    fn fields(&self) -> MutexGuard<'_, Arc<Vec<Field>>> {
        self.fields.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says to which flow it belongs, once.
    pub(crate) fn belong_to(&self, flow: AsyncId) {
        let _ = self.flow.set(flow);
    }

    pub(crate) fn flow(&self) -> Option<AsyncId> {
        self.flow.get().copied()
    }

    pub(crate) fn name(&self) -> &Cow<'static, str> {
        &self.name
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Says that the flow has ended, which what it left behind does not know.
    pub(crate) fn end(&self) {
        let _ = self.ended.set(Coarse::now());
    }

    pub(crate) fn set(&self, key: &'static str, value: Value) {
        let value = value.bounded();
        let old = put(Arc::make_mut(&mut self.fields()), key, value);
        // Freed without the lock.
        drop(old);
    }

    fn add(&self, key: &'static str, more: Value) {
        let mut fields = self.fields();
        let fields = Arc::make_mut(&mut fields);
        let had = find(fields, key);
        let sum = match (had, more) {
            (Some(Value::I64(a)), Value::I64(b)) => Value::I64(a.saturating_add(b)),
            (Some(Value::U64(a)), Value::U64(b)) => Value::U64(a.saturating_add(b)),
            (Some(Value::F64(a)), Value::F64(b)) => Value::F64(a + b),
            (_, more) => more.bounded(),
        };
        put(fields, key, sum);
    }
}

static BAG: FrameKey<Bag> = FrameKey::new(Inherit::Always);
static BRANCH: FrameKey<Vec<Field>> = FrameKey::new(Inherit::Always);

/// Puts an empty bag into a frame, and leaves the branch: a flow begins with no fields.
pub(crate) fn with_new_bag(frame: &Frame, name: Cow<'static, str>) -> (Frame, Arc<Bag>) {
    let bag = Arc::new(Bag::new(name));
    (frame.without(&BRANCH).with(&BAG, bag.clone()), bag)
}

/// Adds fields to the branch of a frame.
pub(crate) fn with_branch(frame: &Frame, more: &[Field]) -> Frame {
    let mut branch = branch_of(frame).map(Arc::unwrap_or_clone).unwrap_or_default();
    for (key, value) in more {
        put(&mut branch, key, value.clone());
    }
    frame.with(&BRANCH, Arc::new(branch))
}

pub(crate) fn bag_of(frame: &Frame) -> Option<Arc<Bag>> {
    frame.get_arc(&BAG)
}

fn branch_of(frame: &Frame) -> Option<Arc<Vec<Field>>> {
    frame.get_arc(&BRANCH)
}

/// Returns the flow whose context a frame is.
pub(crate) fn flow_of(frame: &Frame, now: Coarse) -> Option<FlowRef> {
    let bag = bag_of(frame)?;
    let ended = bag.ended.get().map(|ended| now.since(*ended));
    Some(FlowRef { id: *bag.flow.get()?, ended })
}

/// Returns what was there before.
fn put(fields: &mut Vec<Field>, key: &'static str, value: Value) -> Option<Value> {
    if let Some((_, old)) = fields.iter_mut().find(|(known, _)| *known == key) {
        return Some(std::mem::replace(old, value));
    }
    if fields.len() < FIELDS_MAX {
        fields.push((key, value));
    } else {
        count_dropped();
    }
    None
}

/// Sets a field of the flow that is current: all of the flow sees it from now on.
///
/// Outside a flow, and beyond 64 fields, it is dropped and counted; a text beyond 1024 bytes is
/// cut.
///
/// ```
/// use forebear_context::fields;
/// # use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};
///
/// let request = forebear_context::flow("orders.place", async {
///     fields::set("accountId", 42);
///     fields::get("accountId").map(|value| value.to_string())
/// });
/// # let seen = pin!(request).poll(&mut Context::from_waker(Waker::noop()));
/// # assert_eq!(seen, Poll::Ready(Some("42".to_owned())));
/// ```
pub fn set(key: &'static str, value: impl Into<Value>) {
    match Frame::with_current(bag_of) {
        Some(bag) => bag.set(key, value.into()),
        None => count_dropped(),
    }
}

/// Adds a number to a field of the flow that is current, as it is in [`set`]: to count queries, or to
/// sum up what they took. A field that is no number of the same sort is replaced.
///
/// ```
/// use forebear_context::fields;
/// # use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};
///
/// let request = forebear_context::flow("orders.place", async {
///     fields::add("queries", 1_u64);
///     fields::add("queries", 1_u64);
///     fields::get("queries")
/// });
/// # let seen = pin!(request).poll(&mut Context::from_waker(Waker::noop()));
/// # assert_eq!(seen, Poll::Ready(Some(2_u64.into())));
/// ```
pub fn add(key: &'static str, more: impl Into<Value>) {
    match Frame::with_current(bag_of) {
        Some(bag) => bag.add(key, more.into()),
        None => count_dropped(),
    }
}

/// Returns a field: of the branch, else of the flow.
///
/// ```
/// use forebear_context::fields;
///
/// let seen = fields::sync_scope([("attempt", 2)], || fields::get("attempt"));
/// assert_eq!(seen, Some(2.into()));
/// assert_eq!(fields::get("attempt"), None);
/// ```
#[must_use]
pub fn get(key: &str) -> Option<Value> {
    let (branch, bag) = Frame::with_current(|frame| (branch_of(frame), bag_of(frame)));
    let in_branch = branch.as_ref().and_then(|branch| find(branch, key));
    in_branch.or_else(|| bag.and_then(|bag| find(&bag.fields(), key)))
}

fn find(fields: &[Field], key: &str) -> Option<Value> {
    fields.iter().find(|(known, _)| *known == key).map(|(_, value)| value.clone())
}

/// Calls `f` with each field that is current, once: of the flow in the order in which they were
/// set, then of the branch. A field of the branch hides one of the flow.
pub fn for_each(f: impl FnMut(&'static str, &Value)) {
    visit(&Frame::current(), f);
}

/// Returns each field that is current, as [`for_each`] has them: to take them elsewhere.
#[must_use]
pub fn collect() -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    for_each(|key, value| all.push((key, value.clone())));
    all
}

/// How a secret is shown instead.
type Mask = fn(&Value) -> Value;

static SECRETS: RwLock<Vec<(&'static str, Mask)>> = RwLock::new(Vec::new());

/// Whether there are any, for processes that have none.
static HAS_SECRETS: AtomicBool = AtomicBool::new(false);

/// Declares that the values of a field leave the process as `***` only: in logs, in reports of
/// errors, in traces. Code still reads them.
///
/// ```
/// use forebear_context::fields;
///
/// fields::redact("cardNumber");
/// let shown = fields::sync_scope([("cardNumber", "4111")], fields::shown);
/// assert_eq!(shown, [("cardNumber", "***".into())]);
/// ```
pub fn redact(key: &'static str) {
    redact_with(key, |_| Value::Str("***".into()));
}

/// As [`redact`], shown as `mask` says: the last four digits, say.
pub fn redact_with(key: &'static str, mask: fn(&Value) -> Value) {
    let mut secrets = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
    match secrets.iter_mut().find(|(known, _)| *known == key) {
        Some((_, known)) => *known = mask,
        None => secrets.push((key, mask)),
    }
    // Relaxed: who declares a secret while somebody logs it is too late anyway.
    HAS_SECRETS.store(true, Ordering::Relaxed);
}

fn mask_of(key: &str) -> Option<Mask> {
    if !HAS_SECRETS.load(Ordering::Relaxed) {
        return None;
    }
    let secrets = SECRETS.read().unwrap_or_else(PoisonError::into_inner);
    secrets.iter().find(|(known, _)| *known == key).map(|(_, mask)| *mask)
}

pub(crate) fn is_secret(key: &str) -> bool {
    mask_of(key).is_some()
}

/// As [`for_each`], as the fields may leave the process: see [`redact`].
pub fn for_each_shown(mut f: impl FnMut(&'static str, &Value)) {
    for_each(|key, value| match mask_of(key) {
        // A mask that panics must not bring the log line down, and with it the request.
        Some(mask) => f(key, &quietly(|| mask(value)).unwrap_or_else(|| Value::Str("***".into()))),
        None => f(key, value),
    });
}

/// As [`collect`], as the fields may leave the process: see [`redact`].
#[must_use]
pub fn shown() -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    for_each_shown(|key, value| all.push((key, value.clone())));
    all
}

/// Calls `f` with each field of a frame.
pub(crate) fn visit(frame: &Frame, mut f: impl FnMut(&'static str, &Value)) {
    let branch = branch_of(frame);
    let branch = branch.as_deref().map_or(&[][..], Vec::as_slice);
    if let Some(bag) = bag_of(frame) {
        // Not under the lock: `f` is foreign code and may set fields.
        let fields = Arc::clone(&bag.fields());
        let is_hidden = |key: &str| branch.iter().any(|(known, _)| *known == key);
        for (key, value) in fields.iter().filter(|(key, _)| !is_hidden(key)) {
            f(key, value);
        }
    }
    for (key, value) in branch {
        f(key, value);
    }
}

fn bounded<V: Into<Value>>(fields: impl IntoIterator<Item = (&'static str, V)>) -> Vec<Field> {
    let fields = fields.into_iter().map(|(key, value)| (key, value.into().bounded()));
    fields.collect()
}

/// Returns a future that runs `future` with more fields, which only it and what it creates see.
///
/// # Cancel safety
/// As safe as `future`. Its destructor, too, sees the fields.
pub fn scope<V: Into<Value>, F: Future>(
    fields: impl IntoIterator<Item = (&'static str, V)>,
    future: F,
) -> Scope<F> {
    Scope::new(Change::Fields(bounded(fields)), future)
}

/// Runs `f` with more fields, which only it and what it creates see.
pub fn sync_scope<V: Into<Value>, R>(
    fields: impl IntoIterator<Item = (&'static str, V)>,
    f: impl FnOnce() -> R,
) -> R {
    let fields = bounded(fields);
    Frame::with_current(|frame| with_branch(frame, &fields)).sync_scope(f)
}
