//! Catches what a hook throws, so that it never reaches the program.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::events::Event;
use crate::id::AsyncId;
use crate::kind::Kind;
use crate::registry::{self, Enabled};
use crate::resource::Resource;

/// Why a hook was disabled by force: it panicked.
#[derive(Clone, Debug)]
pub struct Fault {
    event: Event,
    id: AsyncId,
    kind: Kind,
    message: String,
}

impl Fault {
    /// Returns the resource whose event the hook was handling.
    #[must_use]
    pub fn resource_id(&self) -> AsyncId {
        self.id
    }

    /// Returns what the panic said.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { event, id, kind, message } = self;
        write!(f, "hook panicked in {} of {kind} {id}: {message}", event.name())
    }
}

/// Disables a hook that has panicked, and keeps why.
#[cold]
pub(crate) fn convict(
    enabled: &Enabled,
    event: Event,
    resource: &Resource<'_>,
    payload: Box<dyn Any + Send>,
) {
    let message = match payload.downcast_ref::<&str>() {
        Some(text) => (*text).to_owned(),
        None => payload.downcast_ref::<String>().cloned().unwrap_or_else(|| "no message".into()),
    };
    let fault = Fault { event, id: resource.id(), kind: resource.kind(), message };
    // A second thread may have been first to convict it.
    let _ = enabled.fault.set(fault);
    registry::disable(enabled);
    discard(payload);
}

/// Drops something of the user's where a panic of its destructor must go no further. The panic has
/// been reported by then: Rust calls the panic hook before it unwinds.
pub(crate) fn drop_quietly<T>(value: T) {
    quietly(|| drop(value));
}

/// As [`drop_quietly`], for what can only be dropped in its place.
pub(crate) fn quietly(drop: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(drop)) {
        discard(payload);
    }
}

/// Drops what a panic carried, whose destructor may panic too; what that carries is leaked.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}
