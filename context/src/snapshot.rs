//! Takes all context values of a place along, to use them in another.

use std::future::Future;

use forebear_hooks::{Frame, Resource};

use crate::scope::{Change, Scope};

/// The context of one place: all values at once, by one pointer.
///
/// It is how context crosses a queue, a pool, or a thread that the runtime does not know.
///
/// ```
/// use forebear_context::{AsyncLocal, Snapshot};
///
/// static USER: AsyncLocal<&str> = AsyncLocal::named("user");
///
/// let here = USER.sync_scope("ada", Snapshot::capture);
/// let seen = std::thread::spawn(move || here.sync_scope(|| USER.get())).join();
/// assert_eq!(seen.unwrap(), Some("ada"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    frame: Frame,
}

impl Snapshot {
    /// Takes the context of this place.
    #[must_use]
    pub fn capture() -> Snapshot {
        Snapshot { frame: Frame::current() }
    }

    /// Takes the context of a resource, as hooks see it in all five events.
    #[must_use]
    pub fn of(resource: &Resource<'_>) -> Snapshot {
        Snapshot { frame: resource.frame().clone() }
    }

    /// Returns the frame, for `task::Builder::context`.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Runs `f` in this context.
    pub fn sync_scope<R>(&self, f: impl FnOnce() -> R) -> R {
        self.frame.sync_scope(f)
    }

    /// Returns a future that runs `future` in this context.
    pub fn scope<F: Future>(&self, future: F) -> Scope<F> {
        Scope::new(Change::Replace(self.frame.clone()), future)
    }

    /// Binds a function to this context, to be called any number of times: a listener that is to see
    /// what was around where it was registered, not what is around where it is called.
    pub fn bind<A, R>(self, f: impl Fn(A) -> R) -> impl Fn(A) -> R {
        move |argument| self.frame.sync_scope(|| f(argument))
    }

    /// Binds a function to this context.
    pub fn bind_once<A, R>(self, f: impl FnOnce(A) -> R) -> impl FnOnce(A) -> R {
        move |argument| self.frame.sync_scope(|| f(argument))
    }
}
