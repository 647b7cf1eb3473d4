//! Stands where the context layer is not: nothing is kept, nothing is mapped.

use std::any::Any;

use crate::hooks::{AsyncId, RuntimeId};

/// The runtime has nothing to do, and nothing is kept.
pub(crate) fn rest() {}

/// Nothing is to be done before a program begins.
#[cfg(feature = "macros")]
pub(crate) fn prepare() {}

/// Nothing is known of what is alive.
#[cfg(feature = "macros")]
pub(crate) fn assert_quiescent(_runtime: RuntimeId) {}

/// Nothing is known of who created what.
pub(crate) fn creator_of(_id: AsyncId) -> Option<Option<AsyncId>> {
    None
}

#[derive(Clone, Debug)]
pub(crate) struct Options;

impl Options {
    pub(crate) fn new() -> Options {
        Options
    }

    pub(crate) fn is_mapped(&self) -> bool {
        false
    }

    pub(crate) fn begin(self, _runtime: RuntimeId) -> Box<dyn Any + Send + Sync> {
        Box::new(())
    }
}
