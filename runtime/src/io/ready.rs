//! Says what a source is ready for.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Sub};

/// What a socket, or another descriptor, is ready for.
///
/// It may be out of date: an operation may block all the same.
///
/// ```
/// use forebear::io::Ready;
///
/// let ready = Ready::READABLE | Ready::READ_CLOSED;
/// assert!(ready.is_readable() && ready.is_read_closed() && !ready.is_writable());
/// assert_eq!(ready - Ready::READABLE, Ready::READ_CLOSED);
/// assert!((ready & Ready::WRITABLE).is_empty());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ready(u8);

impl Ready {
    /// Nothing.
    pub const EMPTY: Ready = Ready(0);
    /// There may be something to read.
    pub const READABLE: Ready = Ready(1);
    /// Something can probably be written.
    pub const WRITABLE: Ready = Ready(1 << 1);
    /// Nothing more will come: the other end, or this one, has closed this direction.
    pub const READ_CLOSED: Ready = Ready(1 << 2);
    /// Nothing more can be written.
    pub const WRITE_CLOSED: Ready = Ready(1 << 3);
    /// There is urgent data.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub const PRIORITY: Ready = Ready::URGENT;
    /// There is an error, which reading or writing returns.
    pub const ERROR: Ready = Ready(1 << 5);
    /// All of these.
    pub const ALL: Ready = Ready((1 << 6) - 1);

    pub(crate) const URGENT: Ready = Ready(1 << 4);
    /// What stays: an operation that would block does not disprove it.
    pub(crate) const CLOSED: Ready = Ready::READ_CLOSED.with(Ready::WRITE_CLOSED);

    /// What the system reported.
    pub(crate) fn reported(event: &mio::event::Event) -> Ready {
        // An error is what the next operation returns, so it makes the source ready for any.
        let error = Ready::ERROR | Ready::READABLE | Ready::WRITABLE;
        let flags = [
            (event.is_readable(), Ready::READABLE),
            (event.is_writable(), Ready::WRITABLE),
            (event.is_read_closed(), Ready::READ_CLOSED),
            (event.is_write_closed(), Ready::WRITE_CLOSED),
            (event.is_priority(), Ready::URGENT),
            (event.is_error(), error),
        ];
        let raised = flags.into_iter().filter(|(is_raised, _)| *is_raised);
        raised.fold(Ready::EMPTY, |all, (_, flag)| all | flag)
    }

    pub(crate) const fn with(self, other: Ready) -> Ready {
        Ready(self.0 | other.0)
    }

    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// The flags in the lowest bits of a word.
    pub(crate) const fn from_bits(word: u32) -> Ready {
        Ready(word.to_le_bytes()[0] & Ready::ALL.0)
    }

    fn has_any(self, other: Ready) -> bool {
        self.0 & other.0 != 0
    }

    /// Says whether it is nothing.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Ready::EMPTY
    }

    /// Says whether a read would not block: also where nothing more will come.
    #[must_use]
    pub fn is_readable(self) -> bool {
        self.has_any(Ready::READABLE | Ready::READ_CLOSED)
    }

    /// Says whether a write would not block: also where nothing more can be written.
    #[must_use]
    pub fn is_writable(self) -> bool {
        self.has_any(Ready::WRITABLE | Ready::WRITE_CLOSED)
    }

    /// Says whether nothing more will come.
    #[must_use]
    pub fn is_read_closed(self) -> bool {
        self.has_any(Ready::READ_CLOSED)
    }

    /// Says whether nothing more can be written.
    #[must_use]
    pub fn is_write_closed(self) -> bool {
        self.has_any(Ready::WRITE_CLOSED)
    }

    /// Says whether there is urgent data.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[must_use]
    pub fn is_priority(self) -> bool {
        self.is_urgent()
    }

    pub(crate) fn is_urgent(self) -> bool {
        self.has_any(Ready::URGENT)
    }

    /// Says whether there is an error.
    #[must_use]
    pub fn is_error(self) -> bool {
        self.has_any(Ready::ERROR)
    }
}

impl BitOr for Ready {
    type Output = Ready;

    fn bitor(self, other: Ready) -> Ready {
        self.with(other)
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Ready) {
        *self = *self | other;
    }
}

impl BitAnd for Ready {
    type Output = Ready;

    fn bitand(self, other: Ready) -> Ready {
        Ready(self.0 & other.0)
    }
}

impl Sub for Ready {
    type Output = Ready;

    fn sub(self, other: Ready) -> Ready {
        Ready(self.0 & !other.0)
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("is_readable", &self.is_readable())
            .field("is_writable", &self.is_writable())
            .field("is_read_closed", &self.is_read_closed())
            .field("is_write_closed", &self.is_write_closed())
            .field("is_priority", &self.is_urgent())
            .field("is_error", &self.is_error())
            .finish()
    }
}
