//! Carries the business context of a flow: which request, which account, what was ordered.
//!
//! There are two verbs. [`set`] writes into the bag of the flow, where all of the flow sees it: for
//! what is learnt on the way and belongs on the last log line. [`scope`] makes a branch, which only
//! its own work sees. Both are bounded, and never fail: what is too much is cut or dropped, and
//! counted.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use forebear_hooks::{AsyncId, Frame, FrameKey, Inherit};

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

fn count_dropped() {
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
                let end = (0..=TEXT_MAX_BYTES).rev().find(|end| text.is_char_boundary(*end));
                Value::Str(text[..end.unwrap_or(0)].to_owned().into())
            }
            value => value,
        }
    }
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
    u64 => |number| Value::U64(number);
    u32 => |number| Value::U64(number.into());
    usize => |number| Value::U64(u64::try_from(number).unwrap_or(u64::MAX));
    f64 => |number| Value::F64(number);
    bool => |is| Value::Bool(is);
}

type Field = (&'static str, Value);

/// The fields of one flow.
#[derive(Default)]
pub(crate) struct Bag {
    flow: OnceLock<AsyncId>,
    fields: Mutex<Vec<Field>>,
}

impl Bag {
    fn fields(&self) -> std::sync::MutexGuard<'_, Vec<Field>> {
        self.fields.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says to which flow it belongs, once.
    pub(crate) fn belong_to(&self, flow: AsyncId) {
        let _ = self.flow.set(flow);
    }
}

fn bag_key() -> &'static FrameKey {
    static KEY: OnceLock<FrameKey> = OnceLock::new();
    KEY.get_or_init(|| FrameKey::new(Inherit::Always))
}

fn branch_key() -> &'static Arc<FrameKey> {
    static KEY: OnceLock<Arc<FrameKey>> = OnceLock::new();
    KEY.get_or_init(|| Arc::new(FrameKey::new(Inherit::Always)))
}

/// Puts an empty bag into a frame: a flow begins.
pub(crate) fn with_new_bag(frame: &Frame) -> (Frame, Arc<Bag>) {
    let bag = Arc::new(Bag::default());
    (frame.with(bag_key(), bag.clone()), bag)
}

fn bag_of(frame: &Frame) -> Option<Arc<Bag>> {
    frame.get(bag_key()).and_then(|bag| bag.clone().downcast().ok())
}

fn branch_of(frame: &Frame) -> Option<Arc<Vec<Field>>> {
    frame.get(branch_key()).and_then(|branch| branch.clone().downcast().ok())
}

/// Returns the id of the flow that is current.
#[must_use]
pub fn flow_id() -> Option<AsyncId> {
    Frame::with_current(bag_of).and_then(|bag| bag.flow.get().copied())
}

fn put(fields: &mut Vec<Field>, key: &'static str, value: Value) -> Option<Value> {
    if let Some((_, old)) = fields.iter_mut().find(|(known, _)| *known == key) {
        return Some(std::mem::replace(old, value));
    }
    if fields.len() == FIELDS_MAX {
        count_dropped();
        return Some(value);
    }
    fields.push((key, value));
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
        Some(bag) => {
            let value = value.into().bounded();
            drop(put(&mut bag.fields(), key, value));
        }
        None => count_dropped(),
    }
}

/// Returns a field: of the branch, else of the flow.
#[must_use]
pub fn get(key: &str) -> Option<Value> {
    let mut found = None;
    visit(&Frame::current(), |known, value| {
        if known == key {
            found = Some(value.clone());
        }
    });
    found
}

/// Calls `f` with each field that is current, once: of the flow in the order in which they were
/// set, then of the branch. A field of the branch hides one of the flow.
pub fn for_each(f: impl FnMut(&'static str, &Value)) {
    visit(&Frame::current(), f);
}

/// Calls `f` with each field of a frame.
pub(crate) fn visit(frame: &Frame, mut f: impl FnMut(&'static str, &Value)) {
    let branch = branch_of(frame);
    let branch = branch.as_deref().map_or(&[][..], Vec::as_slice);
    if let Some(bag) = bag_of(frame) {
        // Copied, because `f` is foreign code and may set fields.
        let fields = bag.fields().clone();
        let is_hidden = |key: &str| branch.iter().any(|(known, _)| *known == key);
        for (key, value) in fields.iter().filter(|(key, _)| !is_hidden(key)) {
            f(key, value);
        }
    }
    for (key, value) in branch {
        f(key, value);
    }
}

fn branch<K: IntoIterator<Item = (&'static str, V)>, V: Into<Value>>(fields: K) -> Vec<Field> {
    let outer = Frame::with_current(branch_of);
    let mut branch = outer.map(|outer| Vec::clone(&outer)).unwrap_or_default();
    for (key, value) in fields {
        drop(put(&mut branch, key, value.into().bounded()));
    }
    branch
}

/// Returns a future that runs `future` with more fields, which only it and what it creates see.
pub fn scope<V: Into<Value>, F: Future>(
    fields: impl IntoIterator<Item = (&'static str, V)>,
    future: F,
) -> Scope<F> {
    Scope::new(Change::Set(branch_key().clone(), Arc::new(branch(fields))), future)
}

/// Runs `f` with more fields, which only it and what it creates see.
pub fn sync_scope<V: Into<Value>, R>(
    fields: impl IntoIterator<Item = (&'static str, V)>,
    f: impl FnOnce() -> R,
) -> R {
    let branch = Arc::new(branch(fields));
    Frame::with_current(|frame| frame.with(branch_key(), branch)).sync_scope(f)
}
