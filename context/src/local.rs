//! Gives the work on this thread a value, which what it creates takes over.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::panic::Location;
use std::sync::{Arc, OnceLock, Weak};

use forebear_hooks::life::Entered;
use forebear_hooks::{AsyncId, Frame, FrameKey, Inherit, execution_async_id};

use crate::inspect::context;
use crate::scope::{Change, Scope};
use crate::strict::{self, Note};

/// A value that follows the work: a task, timer or flow that is created where it is set has it
/// too, unless the key says otherwise.
///
/// It is made as a constant and lives as long as the process; [`OwnedAsyncLocal`] is made at run
/// time. A value's destructor may read and write context.
///
/// ```
/// use forebear_context::AsyncLocal;
///
/// static ACCOUNT: AsyncLocal<u32> = AsyncLocal::named("account");
///
/// let seen = ACCOUNT.sync_scope(42, || ACCOUNT.get());
/// assert_eq!(seen, Some(42));
/// assert_eq!(ACCOUNT.get(), None);
/// ```
pub struct AsyncLocal<T> {
    name: &'static str,
    default: Option<fn() -> T>,
    made_default: OnceLock<Arc<T>>,
    inspect: Option<fn(&T) -> String>,
    key: FrameKey<T>,
    /// Set once the key's values have been declared to be shown; of a key that was made at run time
    /// it says whether that is still there.
    declared: OnceLock<Arc<()>>,
}

impl<T: Send + Sync + 'static> AsyncLocal<T> {
    /// Makes a key with a name, which errors and trees show.
    #[must_use]
    pub const fn named(name: &'static str) -> AsyncLocal<T> {
        AsyncLocal {
            name,
            default: None,
            made_default: OnceLock::new(),
            inspect: None,
            key: FrameKey::new(Inherit::Always),
            declared: OnceLock::new(),
        }
    }

    /// Says what is read where nothing is set. It is one value, made when it is first read.
    ///
    /// ```
    /// use forebear_context::AsyncLocal;
    ///
    /// static TENANT: AsyncLocal<String> =
    ///     AsyncLocal::named("tenant").with_default(|| "none".into());
    /// assert_eq!(TENANT.get().as_deref(), Some("none"));
    /// ```
    #[must_use]
    pub const fn with_default(mut self, default: fn() -> T) -> AsyncLocal<T> {
        self.default = Some(default);
        self
    }

    /// Says which new resources take the value over: all of them, without this.
    #[must_use]
    pub const fn inherit(mut self, inherit: Inherit) -> AsyncLocal<T> {
        self.key = self.key.inherit(inherit);
        self
    }

    /// Lets resources hold the value that outlive the work they were made for: listeners,
    /// intervals, pooled connections.
    #[must_use]
    pub const fn recurring(mut self) -> AsyncLocal<T> {
        self.key = self.key.recurring();
        self
    }

    /// Declares that trees may show the value, as this text. Without it they show nothing of it.
    #[must_use]
    pub const fn inspectable(mut self, text: fn(&T) -> String) -> AsyncLocal<T> {
        self.inspect = Some(text);
        self
    }

    /// The key, for who sets the value: from the first one on it may be shown.
    pub(crate) fn key(&self) -> &FrameKey<T> {
        if self.inspect.is_some() && self.declared.get().is_none() {
            self.declare();
        }
        &self.key
    }

    #[cold]
    fn declare(&self) {
        let Some(text) = self.inspect else { return };
        let mine = Arc::new(());
        if self.declared.set(mine.clone()).is_ok() {
            let key = self.key.clone();
            let show = Box::new(move |frame: &Frame| frame.get(&key).map(text));
            context::declare(self.name, Arc::downgrade(&mine), show);
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What is read where nothing is set. It is made outside of any lock, because that is foreign
    /// code: of two threads that do so at once, one does it in vain.
    fn default(&self) -> Option<&Arc<T>> {
        let make = self.default?;
        if self.made_default.get().is_none() {
            let _ = self.made_default.set(Arc::new(make()));
        }
        self.made_default.get()
    }

    /// Calls `f` with the value that is current, `None` where nothing is set.
    #[inline]
    #[track_caller]
    pub fn with<R>(&self, f: impl FnOnce(Option<&T>) -> R) -> R {
        let location = Location::caller();
        Frame::with_current(|frame| match frame.get(&self.key) {
            Some(value) => f(Some(value)),
            None if self.default.is_none() => {
                if strict::is_enabled() {
                    strict::note_read(self.name, location);
                }
                f(None)
            }
            None => f(self.default().map(|value| &**value)),
        })
    }

    /// As [`get`](AsyncLocal::get), for who does not mind that there is none.
    pub(crate) fn get_silently(&self) -> Option<T>
    where
        T: Clone,
    {
        Frame::with_current(|frame| frame.get(&self.key).cloned())
    }

    /// Returns a copy of the value.
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn get(&self) -> Option<T>
    where
        T: Clone,
    {
        self.with(|value| value.cloned())
    }

    /// Returns the value without copying it.
    #[must_use]
    #[track_caller]
    pub fn get_arc(&self) -> Option<Arc<T>> {
        let value = Frame::with_current(|frame| frame.get_arc(&self.key));
        let value = value.or_else(|| self.default().cloned());
        if value.is_none() && strict::is_enabled() {
            strict::note_read(self.name, Location::caller());
        }
        value
    }

    /// Returns a copy of the value; where nothing is set and nothing was said to be the default,
    /// the default of its type.
    #[must_use]
    #[track_caller]
    pub fn get_or_default(&self) -> T
    where
        T: Clone + Default,
    {
        self.get().unwrap_or_default()
    }

    /// Returns a copy of the value, for work that cannot go on without it.
    ///
    /// # Errors
    /// Where nothing is set; the error names the key, and how this code came to run.
    #[track_caller]
    pub fn try_get(&self) -> Result<T, NotInContext>
    where
        T: Clone,
    {
        self.get().ok_or_else(|| NotInContext::of(self.name))
    }

    /// Returns a future that runs `future` with a value.
    ///
    /// # Cancel safety
    /// As safe as `future`. Its destructor, too, sees the value.
    pub fn scope<F: Future>(&self, value: T, future: F) -> Scope<F> {
        Scope::new(Change::Value(self.key().value(Arc::new(value))), future)
    }

    /// Runs `f` with a value.
    pub fn sync_scope<R>(&self, value: T, f: impl FnOnce() -> R) -> R {
        let frame = Frame::with_current(|frame| frame.with(self.key(), Arc::new(value)));
        frame.sync_scope(f)
    }

    /// Returns a future that runs `future` without a value.
    pub fn exit<F: Future>(&self, future: F) -> Scope<F> {
        Scope::new(Change::Value(self.key.no_value()), future)
    }

    /// Runs `f` without a value.
    pub fn sync_exit<R>(&self, f: impl FnOnce() -> R) -> R {
        let frame = Frame::with_current(|frame| frame.without(&self.key));
        frame.sync_scope(f)
    }

    /// Sets a value for the rest of the scope that runs, or until the guard is dropped.
    ///
    /// The end of a scope or of a poll restores what it found, whatever the guards did. So do not
    /// hold one across an `.await`: after it, the value is gone, and the guard does nothing.
    #[track_caller]
    pub fn enter(&self, value: T) -> LocalGuard {
        let frame = Frame::with_current(|frame| frame.with(self.key(), Arc::new(value)));
        if strict::is_enabled() {
            let (frame, note) = Note::leave(&frame, self.name, Location::caller());
            return LocalGuard { entered: frame.enter(), note };
        }
        LocalGuard { entered: frame.enter(), note: Weak::new() }
    }
}

impl<T> fmt::Debug for AsyncLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncLocal").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Keeps a value set: see [`AsyncLocal::enter`].
#[must_use = "the value is unset when the guard is dropped"]
#[derive(Debug)]
pub struct LocalGuard {
    entered: Entered,
    /// In strict mode, what tells of a guard that is used in the wrong place.
    note: Weak<Note>,
}

impl LocalGuard {
    /// Says whether dropping it now would unset the value: this is the scope it was made in.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.entered.is_here()
    }
}

impl Drop for LocalGuard {
    fn drop(&mut self) {
        if let Some(note) = self.note.upgrade() {
            note.close(self.is_here());
        }
    }
}

/// An [`AsyncLocal`] that is made at run time. Its clones are the same key.
///
/// ```
/// use forebear_context::OwnedAsyncLocal;
///
/// let tenant = OwnedAsyncLocal::<String>::named("tenant");
/// let seen = tenant.sync_scope("acme".into(), || tenant.get());
/// assert_eq!(seen.as_deref(), Some("acme"));
/// ```
pub struct OwnedAsyncLocal<T>(Arc<AsyncLocal<T>>);

impl<T: Send + Sync + 'static> OwnedAsyncLocal<T> {
    /// Makes a key with a name, which errors and trees show.
    #[must_use]
    pub fn named(name: &'static str) -> OwnedAsyncLocal<T> {
        AsyncLocal::named(name).into()
    }
}

impl<T: Send + Sync + 'static> From<AsyncLocal<T>> for OwnedAsyncLocal<T> {
    fn from(local: AsyncLocal<T>) -> OwnedAsyncLocal<T> {
        OwnedAsyncLocal(Arc::new(local))
    }
}

impl<T> Clone for OwnedAsyncLocal<T> {
    fn clone(&self) -> OwnedAsyncLocal<T> {
        OwnedAsyncLocal(self.0.clone())
    }
}

impl<T> Deref for OwnedAsyncLocal<T> {
    type Target = AsyncLocal<T>;

    fn deref(&self) -> &AsyncLocal<T> {
        &self.0
    }
}

impl<T> fmt::Debug for OwnedAsyncLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A value was needed where none is set.
#[derive(Clone)]
pub struct NotInContext {
    key: &'static str,
    id: Option<AsyncId>,
    lineage: String,
}

impl NotInContext {
    fn of(key: &'static str) -> NotInContext {
        let id = execution_async_id();
        let lineage = id.map(|id| crate::inspect::lineage(id).to_string()).unwrap_or_default();
        let lineage = lineage.trim_end().to_owned();
        NotInContext { key, id, lineage }
    }

    /// Returns the name of the key.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.key
    }
}

impl fmt::Display for NotInContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NotInContext { key, id, lineage } = self;
        match id {
            Some(id) => write!(
                f,
                "`{key}` is not set in {id}: wrap the work that needs it in \
                `scope`, or pass the context on where it was lost\n{lineage}"
            ),
            None => write!(
                f,
                "`{key}` is not set outside a task: wrap the work that needs it in `scope`"
            ),
        }
    }
}

impl fmt::Debug for NotInContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for NotInContext {}
