//! Joins the context layer: each runtime says how much of its lineage is mapped.

use std::any::Any;

use forebear_context::tracker;

use crate::builder::Builder;
use crate::hooks::RuntimeId;

#[cfg(feature = "macros")]
pub(crate) use forebear_context::testing::assert_quiescent;
pub use forebear_context::tracker::Lineage;
pub(crate) use forebear_context::tracker::{creator_of, creators_of_others};

#[derive(Clone, Debug)]
pub(crate) struct Options {
    lineage: Lineage,
}

impl Options {
    pub(crate) fn new() -> Options {
        Options { lineage: Lineage::default() }
    }

    /// Says whether anybody wants to know when tasks were born.
    pub(crate) fn is_mapped(&self) -> bool {
        self.lineage != Lineage::Off
    }

    pub(crate) fn begin(self, runtime: RuntimeId) -> Box<dyn Any + Send + Sync> {
        tracker::set_lineage(runtime, self.lineage);
        if self.is_mapped() {
            tracker::ensure_enabled();
        }
        Box::new(Mapped(runtime))
    }
}

/// The runtime has nothing to do: time to give back what was kept for the next burst.
pub(crate) fn rest() {
    tracker::give_room_back();
}

/// Forgets the runtime's choice when it has ended.
struct Mapped(RuntimeId);

impl Drop for Mapped {
    fn drop(&mut self) {
        tracker::forget(self.0);
    }
}

impl Builder {
    /// Says how much of the lineage of this runtime's resources is kept: all, without this.
    ///
    /// ```
    /// use forebear::{Lineage, runtime::Builder};
    ///
    /// let bare = Builder::new_current_thread().lineage(Lineage::Off).build()?;
    /// bare.block_on(async {
    ///     assert!(forebear::inspect::tree().is_empty());
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn lineage(&mut self, lineage: Lineage) -> &mut Builder {
        self.facade.lineage = lineage;
        self
    }
}
