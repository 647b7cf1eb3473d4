//! Gives the code of a task a value of its own: tokio's `task_local!`.
//!
//! A key is of one of two sorts, which its declaration says:
//!
//! - As tokio has it: the value lives in the future that [`LocalKey::scope`] returns, and is put
//!   into a thread-local for the time of each poll. It may be of any type, and nothing that is
//!   spawned there has it.
//! - With `inherit(…)`: the value lives in the context, as that of an `AsyncLocal` does, and new
//!   resources take it over by the rule. It must be `Send` and `Sync`, because several tasks may
//!   have it at once.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use pin_project_lite::pin_project;

use crate::hooks::{Frame, FrameKey, FrameValue, Inherit};

/// Declares keys for values that belong to a task: see [`LocalKey`](crate::task::LocalKey).
///
/// ```
/// use std::cell::Cell;
///
/// forebear::task_local! {
///     /// Seen by the scope that sets it, and by nothing that is spawned there.
///     static RETRIES: Cell<u32>;
///     /// Seen by what is spawned there, too.
///     pub static REQUEST_ID: String, inherit(Always);
/// }
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let seen = REQUEST_ID.scope("r-1".into(), async {
///     forebear::spawn(async { REQUEST_ID.get() }).await
/// });
/// assert_eq!(seen.await?, "r-1");
/// RETRIES.sync_scope(Cell::new(0), || {
///     RETRIES.with(|retries| retries.set(retries.get() + 1));
///     assert_eq!(RETRIES.with(Cell::get), 1);
/// });
/// # Ok::<(), forebear::task::JoinError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The rule is one of those of [`Inherit`](crate::hooks::Inherit): `Always`, `SameTask`, `Never`.
#[macro_export]
macro_rules! task_local {
    () => {};
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty, inherit($rule:ident); $($rest:tt)*) => {
        $(#[$attr])*
        $vis static $name: $crate::task::LocalKey<$t> =
            $crate::task::LocalKey::inherited($crate::hooks::Inherit::$rule);
        $crate::task_local!($($rest)*);
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty; $($rest:tt)*) => {
        $(#[$attr])*
        $vis static $name: $crate::task::LocalKey<$t> = {
            ::std::thread_local! {
                static KEY: ::std::cell::RefCell<::std::option::Option<$t>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }
            $crate::task::LocalKey::kept(KEY)
        };
        $crate::task_local!($($rest)*);
    };
    // The last one may stand without its semicolon.
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty, inherit($rule:ident)) => {
        $crate::task_local!($(#[$attr])* $vis static $name: $t, inherit($rule););
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty) => {
        $crate::task_local!($(#[$attr])* $vis static $name: $t;);
    };
}

/// A key for a value that belongs to a task. [`task_local!`](crate::task_local) makes it.
///
/// # Examples
/// ```
/// forebear::task_local! {
///     static DEPTH: u32;
/// }
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// DEPTH.scope(1, async {
///     assert_eq!(DEPTH.get(), 1);
///     DEPTH.scope(2, async { assert_eq!(DEPTH.get(), 2) }).await;
///     assert_eq!(DEPTH.get(), 1);
/// }).await;
/// assert!(DEPTH.try_get().is_err());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct LocalKey<T: 'static> {
    place: Place<T>,
}

/// Where the value of a key is found.
enum Place<T: 'static> {
    Kept(thread::LocalKey<RefCell<Option<T>>>),
    Shared { key: FrameKey<T>, share: Share<T>, unshare: Unshare<T> },
}

/// These are known only where the type is known to be `Send` and `Sync`.
type Share<T> = fn(&FrameKey<T>, T) -> FrameValue;
type Unshare<T> = fn(&FrameKey<T>, FrameValue) -> Option<T>;

/// What the future of a scope holds between its polls.
enum Held<T> {
    Kept(Option<T>),
    Shared {
        value: Option<FrameValue>,
        /// The frame around at the last poll, and the one with the value that was made of it.
        made: Option<(Frame, Frame)>,
    },
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn kept(local: thread::LocalKey<RefCell<Option<T>>>) -> LocalKey<T> {
        LocalKey { place: Place::Kept(local) }
    }

    #[doc(hidden)]
    #[must_use]
    pub const fn inherited(inherit: Inherit) -> LocalKey<T>
    where
        T: Send + Sync,
    {
        let share: Share<T> = |key, value| key.value(Arc::new(value));
        let unshare: Unshare<T> = |key, value| Arc::into_inner(value.into_arc(key)?);
        LocalKey { place: Place::Shared { key: FrameKey::new(inherit), share, unshare } }
    }

    /// Returns a future that runs `future` with a value.
    ///
    /// # Panics
    /// Polling it panics inside [`with`](LocalKey::with) of the same key, which has lent the value
    /// out.
    ///
    /// # Cancel safety
    /// As safe as `future`. Its destructor, too, sees the value.
    ///
    /// # Hooks
    /// Emits nothing.
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> TaskLocalFuture<T, F> {
        TaskLocalFuture { key: self, held: self.hold(value), future: Some(future) }
    }

    /// Runs `f` with a value.
    ///
    /// # Panics
    /// Inside [`with`](LocalKey::with) of the same key, which has lent the value out; and if `f`
    /// does.
    #[track_caller]
    pub fn sync_scope<F: FnOnce() -> R, R>(&'static self, value: T, f: F) -> R {
        let mut held = self.hold(value);
        self.run(&mut held, f)
    }

    /// Calls `f` with the value.
    ///
    /// # Panics
    /// Where it is not set: see [`try_with`](LocalKey::try_with). And if `f` does.
    #[track_caller]
    pub fn with<F: FnOnce(&T) -> R, R>(&'static self, f: F) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic!("{error}: wrap the work that needs it in `scope`"),
        }
    }

    /// Calls `f` with the value.
    ///
    /// # Errors
    /// Where it is not set.
    pub fn try_with<F: FnOnce(&T) -> R, R>(&'static self, f: F) -> Result<R, AccessError> {
        let result = match &self.place {
            Place::Kept(local) => {
                local.try_with(|cell| cell.borrow().as_ref().map(f)).ok().flatten()
            }
            Place::Shared { key, .. } => Frame::with_current(|frame| frame.get(key).map(f)),
        };
        result.ok_or(AccessError(()))
    }

    fn hold(&self, value: T) -> Held<T> {
        match &self.place {
            Place::Kept(_) => Held::Kept(Some(value)),
            Place::Shared { key, share, .. } => {
                Held::Shared { value: Some(share(key, value)), made: None }
            }
        }
    }

    /// Runs `f` with what is held as the value.
    #[track_caller]
    fn run<R>(&'static self, held: &mut Held<T>, f: impl FnOnce() -> R) -> R {
        match (&self.place, held) {
            (Place::Kept(local), Held::Kept(slot)) => {
                let _lent = Lent::to(local, slot);
                f()
            }
            (Place::Shared { .. }, Held::Shared { value, made }) => {
                let Some(value) = value else { return f() };
                let stale = Frame::with_current(|outer| match made {
                    Some((seen, _)) if seen.ptr_eq(outer) => None,
                    _ => made.replace((outer.clone(), outer.changed(value))),
                });
                // Values may go with it, whose destructors are foreign code: nothing is borrowed.
                drop(stale);
                match made {
                    Some((_, frame)) => frame.sync_scope(f),
                    None => f(),
                }
            }
            _ => unreachable!("what is held was made by the same key"),
        }
    }
}

impl<T: Clone + 'static> LocalKey<T> {
    /// Returns a copy of the value.
    ///
    /// # Panics
    /// Where it is not set: see [`try_get`](LocalKey::try_get).
    #[track_caller]
    #[must_use]
    pub fn get(&'static self) -> T {
        self.with(T::clone)
    }

    /// Returns a copy of the value.
    ///
    /// # Errors
    /// Where it is not set.
    pub fn try_get(&'static self) -> Result<T, AccessError> {
        self.try_with(T::clone)
    }
}

/// The value is in the thread-local, and what was there before is here, until this is dropped.
struct Lent<'a, T: 'static> {
    local: &'static thread::LocalKey<RefCell<Option<T>>>,
    slot: &'a mut Option<T>,
}

impl<'a, T: 'static> Lent<'a, T> {
    #[track_caller]
    fn to(
        local: &'static thread::LocalKey<RefCell<Option<T>>>,
        slot: &'a mut Option<T>,
    ) -> Lent<'a, T> {
        let is_swapped = local.try_with(|cell| match cell.try_borrow_mut() {
            Ok(mut inner) => {
                std::mem::swap(&mut *inner, slot);
                true
            }
            Err(_) => false,
        });
        match is_swapped {
            Ok(true) => Lent { local, slot },
            Ok(false) => panic!(
                "a scope of a task-local was entered inside `with` of the same key, which has \
                 lent its value out: end that call first"
            ),
            Err(_) => panic!("a scope of a task-local was entered while its thread was ending"),
        }
    }
}

impl<T: 'static> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        // Whoever had borrowed the value has returned, and the thread runs our code.
        self.local.with(|cell| std::mem::swap(&mut *cell.borrow_mut(), self.slot));
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = match &self.place {
            Place::Kept(_) => Inherit::Never,
            Place::Shared { key, .. } => key.rule(),
        };
        f.debug_struct("LocalKey").field("inherit", &rule).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`LocalKey::scope`].
    #[must_use = "futures do nothing unless polled"]
    pub struct TaskLocalFuture<T: 'static, F> {
        key: &'static LocalKey<T>,
        held: Held<T>,
        // `None` once it has been dropped, with the value set.
        #[pin]
        future: Option<F>,
    }

    impl<T: 'static, F> PinnedDrop for TaskLocalFuture<T, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                this.key.run(this.held, || this.future.set(None));
            }
        }
    }
}

impl<T: 'static, F> TaskLocalFuture<T, F> {
    /// Takes the value out. What is polled after that has none.
    ///
    /// `None` if it was taken before, or if the key is inherited and others still have the value.
    #[expect(clippy::must_use_candidate, reason = "a value may be taken out to be dropped")]
    pub fn take_value(self: Pin<&mut Self>) -> Option<T> {
        let this = self.project();
        match (&this.key.place, this.held) {
            (Place::Shared { key, unshare, .. }, Held::Shared { value, made }) => {
                drop(made.take());
                unshare(key, value.take()?)
            }
            (_, Held::Kept(value)) => value.take(),
            (Place::Kept(_), Held::Shared { .. }) => None,
        }
    }
}

impl<T: 'static, F: Future> Future for TaskLocalFuture<T, F> {
    type Output = F::Output;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        assert!(this.future.is_some(), "a task-local scope was polled after it had completed");
        let polled = this.key.run(this.held, || {
            let polled = this.future.as_mut().as_pin_mut().map(|future| future.poll(cx));
            if polled.as_ref().is_some_and(Poll::is_ready) {
                this.future.set(None);
            }
            polled.unwrap_or(Poll::Pending)
        });
        if let (Poll::Ready(_), Held::Shared { made, .. }) = (&polled, this.held) {
            // The value can be taken out, if nobody else has it.
            drop(made.take());
        }
        polled
    }
}

impl<T: 'static, F> fmt::Debug for TaskLocalFuture<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLocalFuture")
            .field("key", self.key)
            .field("is_done", &self.future.is_none())
            .finish_non_exhaustive()
    }
}

/// A task-local value was needed where none is set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AccessError(());

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a task-local value is not set here")
    }
}

impl fmt::Debug for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for AccessError {}
