//! Ends a life where it lies, while others may be looking at it.
//!
//! An executor that keeps lives in memory of its own can show them to whoever looks for tasks. Then
//! the end of a life must not take it, nor borrow it mutably.

#![allow(unsafe_code, reason = "island: the end of a life that others can see")]

use crate::coarse::Coarse;
use crate::fault;
use crate::ledger::Sighting;
use crate::life::Life;
use crate::reason::Reason;
use crate::resource::LiveState;

impl Life {
    /// Ends the resource where it is, as [`end`](Life::end) does; a second time it does nothing.
    ///
    /// # Safety
    /// - Nobody is running code of the resource, and nobody will.
    /// - Nobody but the caller has looked, or will look, at it in another way than by
    ///   [`sighting`](Life::sighting).
    #[inline]
    pub unsafe fn end_in_place(&self, reason: Reason) {
        self.conclude(reason);
        let record = &self.record;
        // SAFETY: the caller promises H3 of the frame: who looks by a sighting asks the word.
        if let Some(frame) = unsafe { record.frame.end(&record.lookers) } {
            fault::drop_quietly(frame);
        }
    }

    /// Shows the resource as it is seen from outside.
    #[must_use]
    pub fn sighting(&self, state: Option<LiveState>, born: Coarse) -> Sighting<'_> {
        Sighting::of(&self.record, state, born)
    }
}
