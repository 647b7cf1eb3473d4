//! Reports what is legal, and mostly a mistake: for tests, and for a look at a service that misbehaves.
//!
//! While it is [`enable`]d, each mistake becomes a [`Misuse`] that [`take`] returns. What holds a
//! context for long is no mistake by itself; [`held`] lists it on demand, enabled or not.
//!
//! # Memory ordering
//!
//! The switch is Relaxed: what happens while it is turned on is reported or not.

use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use forebear_hooks::{AsyncId, Frame, FrameKey, Inherit, Kind, execution_async_id};

use crate::inspect::{self, Label, Site};

/// So many reports are kept; further ones are counted.
pub const MISUSES_MAX: usize = 256;

static IS_ENABLED: AtomicBool = AtomicBool::new(false);

static DROPPED: AtomicU64 = AtomicU64::new(0);

static MISUSES: Mutex<Vec<Misuse>> = Mutex::new(Vec::new());

/// Begins to report, for the whole process.
pub fn enable() {
    IS_ENABLED.store(true, Ordering::Relaxed);
}

/// Ends the reporting. What was reported is kept.
pub fn disable() {
    IS_ENABLED.store(false, Ordering::Relaxed);
}

/// Says whether mistakes are reported.
#[must_use]
#[inline]
pub fn is_enabled() -> bool {
    IS_ENABLED.load(Ordering::Relaxed)
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A scope, or a poll, ended while a guard that was made in it was alive: one that was forgotten,
    /// or held across an `.await`. The value has gone with the scope.
    NeverLeft,
    /// A guard was dropped in another scope than it was made in, or on another thread, and did
    /// nothing.
    LeftElsewhere,
    /// A value was read where none is set, outside any flow.
    ReadOutside,
}

/// A mistake.
#[derive(Clone, Debug)]
pub struct Misuse {
    /// What was done.
    pub what: What,
    /// With which key.
    pub key: &'static str,
    /// Where the guard was made, or the value read.
    pub location: &'static Location<'static>,
    /// What was running there.
    pub id: Option<AsyncId>,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Misuse { what, key, location, id } = self;
        match what {
            What::NeverLeft => write!(f, "the guard of `{key}` outlived its scope")?,
            What::LeftElsewhere => write!(f, "the guard of `{key}` was dropped elsewhere")?,
            What::ReadOutside => write!(f, "`{key}` was read outside any flow")?,
        }
        write!(f, ", at {location}")?;
        id.map_or(Ok(()), |id| write!(f, ", in {id}"))
    }
}

fn misuses() -> MutexGuard<'static, Vec<Misuse>> {
    MISUSES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn report(misuse: Misuse) {
    let mut misuses = misuses();
    if misuses.len() < MISUSES_MAX {
        misuses.push(misuse);
    } else {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns what was reported since the last call.
///
/// ```
/// use forebear_context::{AsyncLocal, strict};
///
/// static USER: AsyncLocal<&str> = AsyncLocal::named("user");
///
/// strict::enable();
/// USER.sync_exit(|| std::mem::forget(USER.enter("ada")));
/// let misuse = &strict::take()[0];
/// assert_eq!((misuse.what, misuse.key), (strict::What::NeverLeft, "user"));
/// ```
#[must_use]
pub fn take() -> Vec<Misuse> {
    std::mem::take(&mut *misuses())
}

/// Returns how many reports were dropped because nobody took those before.
#[must_use]
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Reports a value that is not there. Called where nothing was found, which is not the common case.
#[cold]
pub(crate) fn note_read(key: &'static str, location: &'static Location<'static>) {
    if crate::flow::id().is_none() {
        report(Misuse { what: What::ReadOutside, key, location, id: execution_async_id() });
    }
}

/// Travels in the frame of a guard, and so learns when its scope has ended.
pub(crate) struct Note {
    key: &'static str,
    location: &'static Location<'static>,
    id: Option<AsyncId>,
    is_left: AtomicBool,
}

static NOTE: FrameKey<Note> = FrameKey::new(Inherit::Never);

impl Note {
    /// Puts a note into the frame that a guard is about to enter.
    #[cold]
    pub(crate) fn leave(
        frame: &Frame,
        key: &'static str,
        location: &'static Location<'static>,
    ) -> (Frame, Weak<Note>) {
        let (id, is_left) = (execution_async_id(), AtomicBool::new(false));
        let note = Arc::new(Note { key, location, id, is_left });
        let mine = Arc::downgrade(&note);
        (frame.with(&NOTE, note), mine)
    }

    /// Says that the guard is dropped; `is_here` if that does what it should.
    #[cold]
    pub(crate) fn close(&self, is_here: bool) {
        if !self.is_left.swap(true, Ordering::Relaxed) && !is_here {
            self.report(What::LeftElsewhere);
        }
    }

    fn report(&self, what: What) {
        let Note { key, location, id, .. } = *self;
        report(Misuse { what, key, location, id });
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if !*self.is_left.get_mut() {
            self.report(What::NeverLeft);
        }
    }
}

/// A resource that has held a context for some time.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Its id.
    pub id: AsyncId,
    /// Its kind.
    pub kind: Kind,
    /// Its name, or that of its code.
    pub label: Label,
    /// Where it was made.
    pub location: Site,
    /// How old it is.
    pub age: Duration,
    /// The flow whose context it holds.
    pub flow: Option<AsyncId>,
    /// Whether that flow has ended: then what was to live as long as a request lives on in this.
    pub outlives_flow: bool,
    /// What of the context may be shown.
    pub context: Arc<[(Label, String)]>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Holder { id, kind, label, location, age, flow, outlives_flow, context } = self;
        write!(f, "{id} {} {label}, made {age:?} ago at {location}, holds", kind.name())?;
        match flow {
            Some(flow) if *outlives_flow => write!(f, " the context of {flow}, which has ended")?,
            Some(flow) => write!(f, " the context of {flow}")?,
            None => f.write_str(" a context")?,
        }
        context.iter().try_for_each(|(key, value)| write!(f, " {key}={value}"))
    }
}

/// Returns what holds a context and is at least so old, the oldest first: the connection of a pool
/// that was opened inside a request, the task that nobody ended.
///
/// It sees what the map sees: nothing of a runtime whose lineage is off.
#[must_use]
pub fn held(at_least: Duration) -> Vec<Holder> {
    let mut holders = Vec::new();
    inspect::for_each_context(|info| {
        let Some(age) = info.age.filter(|age| *age >= at_least) else { return };
        holders.push(Holder {
            id: info.id,
            kind: info.kind,
            label: info.label,
            location: info.location,
            age,
            flow: info.flow.map(|flow| flow.id),
            outlives_flow: info.flow.is_some_and(|flow| flow.ended.is_some()),
            context: info.context,
        });
    });
    holders.sort_by_key(|holder| std::cmp::Reverse(holder.age));
    holders
}
