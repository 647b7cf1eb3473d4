//! Lets a message take the context of its sender along, through a channel or a queue.
//!
//! Who receives it decides what that context is to it: a link to where the message came from, or the
//! context of the same work, which goes on here.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::time::Instant;

use forebear_hooks::{AsyncId, Frame, execution_async_id};

use crate::fields::Field;
use crate::flow::{self, Flow, FlowBuilder};
use crate::scope::{Change, Scope};
use crate::trace_parent::TraceParent;

/// A message with the context in which it was sent.
///
/// ```
/// use forebear_context::{AsyncLocal, Carried};
///
/// static USER: AsyncLocal<&str> = AsyncLocal::named("user");
///
/// let (sender, receiver) = std::sync::mpsc::channel();
/// USER.sync_scope("ada", || sender.send(Carried::new("order 7"))).unwrap();
///
/// let (message, origin) = receiver.recv().unwrap().into_parts();
/// assert_eq!(message, "order 7");
/// assert_eq!(USER.get(), None);
/// assert_eq!(origin.sync_scope(|| USER.get()), Some("ada"));
/// ```
#[derive(Clone)]
pub struct Carried<T> {
    message: T,
    origin: Origin,
}

impl<T> Carried<T> {
    /// Puts the context of this place to a message.
    #[must_use]
    pub fn new(message: T) -> Carried<T> {
        Carried { message, origin: Origin::here() }
    }

    /// Puts another origin to a message: one that came over the wire, for one.
    #[must_use]
    pub fn from_parts(message: T, origin: Origin) -> Carried<T> {
        Carried { message, origin }
    }

    /// Returns the message.
    #[must_use]
    pub fn message(&self) -> &T {
        &self.message
    }

    /// Returns where it was sent.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns the message, and where it was sent.
    #[must_use]
    pub fn into_parts(self) -> (T, Origin) {
        (self.message, self.origin)
    }
}

impl<T: fmt::Debug> fmt::Debug for Carried<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carried")
            .field("message", &self.message)
            .field("origin", &self.origin)
            .finish()
    }
}

/// Where a message was sent: the context, and what was running.
///
/// It keeps the values of that context alive until it is dropped.
#[derive(Clone, Default)]
pub struct Origin {
    frame: Frame,
    /// The flow that sent it, else the resource.
    sender: Option<AsyncId>,
    /// What another process sent.
    extracted: Option<Arc<Extracted>>,
}

/// What is known of the context of a sender in another process.
#[derive(Default)]
pub(crate) struct Extracted {
    pub(crate) fields: Vec<Field>,
    pub(crate) trace: Option<TraceParent>,
    pub(crate) deadline: Option<Instant>,
}

impl Origin {
    /// Takes this place.
    #[must_use]
    pub fn here() -> Origin {
        let sender = flow::id().or_else(execution_async_id);
        Origin { frame: Frame::current(), sender, extracted: None }
    }

    /// One of another process, of which only values are known.
    pub(crate) fn foreign(extracted: Extracted) -> Origin {
        Origin { frame: extracted.frame(), sender: None, extracted: Some(Arc::new(extracted)) }
    }

    #[cfg(feature = "http")]
    pub(crate) fn extracted(&self) -> Option<&Extracted> {
        self.extracted.as_deref()
    }

    /// Returns what sent the message: the flow, if it was sent in one. `None` if that was another
    /// process.
    #[must_use]
    pub fn sender(&self) -> Option<AsyncId> {
        self.sender
    }

    /// Begins a flow that is linked to the sender and has nothing else of it: the way to consume a
    /// message. It is a root: what the receiver is doing besides is nothing to it.
    ///
    /// What came over the wire is in it: see [`wire`](crate::wire).
    #[track_caller]
    pub fn linked<F: Future>(&self, name: impl Into<Cow<'static, str>>, future: F) -> Flow<F> {
        self.flow(name).location(Location::caller()).run(future)
    }

    /// As [`linked`](Origin::linked), for who has more to say about the flow.
    #[track_caller]
    pub fn flow(&self, name: impl Into<Cow<'static, str>>) -> FlowBuilder {
        let mut builder = FlowBuilder::root(name).location(Location::caller());
        if let Some(sender) = self.sender {
            builder = builder.link(sender);
        }
        match &self.extracted {
            Some(extracted) => builder.extracted(extracted),
            None => builder,
        }
    }

    /// Returns a future that runs `future` in the sender's context, as the same work: fields that it
    /// sets are set for the sender's flow.
    pub fn continue_flow<F: Future>(&self, future: F) -> Scope<F> {
        Scope::new(Change::Replace(self.frame.clone()), future)
    }

    /// Runs `f` in the sender's context.
    pub fn sync_scope<R>(&self, f: impl FnOnce() -> R) -> R {
        self.frame.sync_scope(f)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("sender", &self.sender).finish_non_exhaustive()
    }
}
