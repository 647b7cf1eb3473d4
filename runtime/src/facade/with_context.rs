//! Joins the context layer: each runtime says how much of its lineage is mapped.

use std::any::Any;

use forebear_context::tracker;

use crate::builder::Builder;
use crate::facade::socket;
use crate::hooks::RuntimeId;

#[cfg(feature = "macros")]
pub(crate) use forebear_context::testing::assert_quiescent;
pub use forebear_context::tracker::Lineage;
pub(crate) use forebear_context::tracker::{creator_of, creators_of_others};

#[derive(Clone, Debug)]
pub(crate) struct Options {
    lineage: Lineage,
    /// `None` if nobody has said.
    is_inspected: Option<bool>,
}

impl Options {
    pub(crate) fn new() -> Options {
        Options { lineage: Lineage::default(), is_inspected: None }
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
        let socket = socket::open_if(self.is_inspected);
        Box::new(Mapped { runtime, _socket: socket })
    }
}

/// Runs before what `#[main]` and `#[test]` wrap.
#[cfg(feature = "macros")]
pub(crate) fn prepare() {
    forebear_context::inspect::install_panic_hook();
}

/// The runtime has nothing to do: time to give back what was kept for the next burst.
pub(crate) fn rest() {
    tracker::give_room_back();
}

/// Forgets the runtime's choice when it has ended.
struct Mapped {
    runtime: RuntimeId,
    /// Closed when the last runtime has ended.
    _socket: Option<socket::Socket>,
}

impl Drop for Mapped {
    fn drop(&mut self) {
        tracker::forget(self.runtime);
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

    /// Says whether the command `forebear` may look at this process, by its id: see
    /// [`inspect`](crate::inspect).
    ///
    /// Without this it may in debug builds. The variable `FOREBEAR_INSPECT` decides where nothing else
    /// does: it may be `1` or `0`. Needs the feature `inspect`, which is on by default, and Unix.
    ///
    /// ```
    /// use forebear::runtime::Builder;
    ///
    /// let runtime = Builder::new_multi_thread().inspect(true).build()?;
    /// # drop(runtime);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn inspect(&mut self, is_inspected: bool) -> &mut Builder {
        self.facade.is_inspected = Some(is_inspected);
        self
    }
}
