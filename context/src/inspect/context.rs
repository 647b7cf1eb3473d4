//! Knows which context values may be shown. What was not declared is not.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use forebear_hooks::Frame;

use crate::fields::{self, cut};
use crate::inspect::label::Label;
use crate::quiet::quietly;

/// Makes a text of a key's value, if a frame has one.
type Show = Box<dyn Fn(&Frame) -> Option<String> + Send + Sync>;

/// So much of a value is shown: enough for what tells one piece of work from another.
const SHOWN_MAX_BYTES: usize = 256;

struct Declared {
    name: &'static str,
    /// A key that was made at run time may be gone.
    owner: Weak<()>,
    show: Show,
}

thread_local! {
    /// A closure that makes a text is on the stack of this thread.
    static IS_SHOWING: Cell<bool> = const { Cell::new(false) };
}

static LOCALS: RwLock<Vec<Arc<Declared>>> = RwLock::new(Vec::new());
static FIELDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// Lets the values of a key be shown.
pub(crate) fn declare(name: &'static str, owner: Weak<()>, show: Show) {
    let mut locals = LOCALS.write().unwrap_or_else(PoisonError::into_inner);
    let (kept, gone) = std::mem::take(&mut *locals)
        .into_iter()
        .partition(|declared: &Arc<Declared>| declared.owner.strong_count() > 0);
    *locals = kept;
    locals.push(Arc::new(Declared { name, owner, show }));
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

/// What was declared at one time: it is copied once for all that is shown together.
pub(crate) struct Declarations {
    fields: BTreeSet<&'static str>,
    locals: Vec<Arc<Declared>>,
}

impl Declarations {
    pub(crate) fn now() -> Declarations {
        Declarations {
            fields: FIELDS.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            locals: LOCALS.read().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Returns what of a frame may be shown. Foreign code runs here: no lock is held meanwhile.
    pub(crate) fn shown(&self, frame: &Frame) -> Vec<(Label, String)> {
        let mut all = Vec::new();
        if frame.is_empty() {
            return all;
        }
        if !self.fields.is_empty() {
            fields::visit(frame, |key, value| {
                if self.fields.contains(key) {
                    all.push((Label::constant(key), shortened(value.to_string())));
                }
            });
        }
        for local in &self.locals {
            if let Some(text) = local.text(frame) {
                all.push((Label::constant(local.name), shortened(text)));
            }
        }
        all
    }
}

impl Declared {
    fn text(&self, frame: &Frame) -> Option<String> {
        let _owner = self.owner.upgrade()?;
        // The closure may look at the tree as well, and would be called for it without end.
        if IS_SHOWING.replace(true) {
            return None;
        }
        // Who looks must not come to harm by what is looked at.
        let text = quietly(|| (self.show)(frame));
        IS_SHOWING.set(false);
        text.unwrap_or_else(|| Some("<panicked>".to_owned()))
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > SHOWN_MAX_BYTES {
        text.truncate(cut(&text, SHOWN_MAX_BYTES));
        text.push('…');
    }
    text
}

impl fmt::Debug for Declarations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let locals: Vec<&str> = self.locals.iter().map(|local| local.name).collect();
        f.debug_struct("Declarations")
            .field("fields", &self.fields)
            .field("locals", &locals)
            .finish()
    }
}
