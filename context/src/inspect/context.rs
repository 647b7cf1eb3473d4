//! Knows which context values may be shown. What was not declared is not.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use forebear_hooks::{Frame, FrameKey};

use crate::fields;

type Show = Box<dyn Fn(&(dyn Any + Send + Sync)) -> Option<String> + Send + Sync>;

struct Declared {
    name: &'static str,
    /// A key that was made at run time may be gone.
    key: Weak<FrameKey>,
    show: Show,
}

static LOCALS: RwLock<Vec<Arc<Declared>>> = RwLock::new(Vec::new());
static FIELDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// Lets the values of a key be shown.
pub(crate) fn declare(name: &'static str, key: &Arc<FrameKey>, show: Show) {
    let mut locals = LOCALS.write().unwrap_or_else(PoisonError::into_inner);
    let (kept, gone) = std::mem::take(&mut *locals)
        .into_iter()
        .partition(|declared: &Arc<Declared>| declared.key.strong_count() > 0);
    *locals = kept;
    locals.push(Arc::new(Declared { name, key: Arc::downgrade(key), show }));
    drop(locals);
    let _: Vec<Arc<Declared>> = gone;
}

/// Lets the values of these fields be shown in trees.
///
/// ```
/// forebear_context::inspect::declare_field("requestId");
/// ```
pub fn declare_field(key: &'static str) {
    FIELDS.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
}

/// Returns what of a frame may be shown. Foreign code runs here: no lock is held meanwhile.
pub(crate) fn shown(frame: &Frame) -> Vec<(&'static str, String)> {
    if frame.is_empty() {
        return Vec::new();
    }
    let mut all = Vec::new();
    let declared = FIELDS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    fields::visit(frame, |key, value| {
        if declared.contains(key) {
            all.push((key, value.to_string()));
        }
    });
    let locals = LOCALS.read().unwrap_or_else(PoisonError::into_inner).clone();
    for local in &locals {
        let Some(key) = local.key.upgrade() else { continue };
        if let Some(text) = frame.get(&key).and_then(|value| (local.show)(&**value)) {
            all.push((local.name, text));
        }
    }
    all
}
