//! Says what a source is waited for.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use crate::io::Ready;

/// What a socket, or another descriptor, is waited for: at least one thing.
///
/// ```
/// use forebear::io::Interest;
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert!(both.is_readable() && both.is_writable());
/// assert_eq!(both.remove(Interest::WRITABLE), Some(Interest::READABLE));
/// assert_eq!(Interest::READABLE.remove(Interest::READABLE), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Interest(u8);

const READABLE: u8 = 1;
const WRITABLE: u8 = 1 << 1;
const PRIORITY: u8 = 1 << 2;
const ERROR: u8 = 1 << 3;

impl Interest {
    /// That there is something to read, or never will be again.
    pub const READABLE: Interest = Interest(READABLE);

    /// That something can be written, or never can again.
    pub const WRITABLE: Interest = Interest(WRITABLE);

    /// That there is urgent data.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub const PRIORITY: Interest = Interest(PRIORITY);

    /// That there is an error. An error also makes the source readable and writable: reading or
    /// writing returns it.
    pub const ERROR: Interest = Interest(ERROR);

    /// Says whether it contains [`READABLE`](Interest::READABLE).
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.0 & READABLE != 0
    }

    /// Says whether it contains [`WRITABLE`](Interest::WRITABLE).
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & WRITABLE != 0
    }

    /// Says whether it contains [`PRIORITY`](Interest::PRIORITY).
    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[must_use]
    pub const fn is_priority(self) -> bool {
        self.0 & PRIORITY != 0
    }

    /// Says whether it contains [`ERROR`](Interest::ERROR).
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 & ERROR != 0
    }

    /// Returns what either contains, as `|` does.
    #[must_use]
    pub const fn add(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }

    /// Returns what this contains and the other does not, if that is anything.
    #[must_use]
    pub fn remove(self, other: Interest) -> Option<Interest> {
        let left = self.0 & !other.0;
        (left != 0).then_some(Interest(left))
    }

    /// The readiness that is waited for.
    pub(crate) const fn mask(self) -> Ready {
        let mut mask = Ready::EMPTY;
        if self.is_readable() {
            mask = mask.with(Ready::READABLE).with(Ready::READ_CLOSED);
        }
        if self.is_writable() {
            mask = mask.with(Ready::WRITABLE).with(Ready::WRITE_CLOSED);
        }
        if self.0 & PRIORITY != 0 {
            mask = mask.with(Ready::URGENT).with(Ready::READ_CLOSED);
        }
        if self.is_error() {
            mask = mask.with(Ready::ERROR);
        }
        mask
    }

    /// What the system is asked for. It always reports errors, but must be asked for something.
    pub(crate) fn to_mio(self) -> mio::Interest {
        let asked = [
            (READABLE, mio::Interest::READABLE),
            (WRITABLE, mio::Interest::WRITABLE),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            (PRIORITY, mio::Interest::PRIORITY),
        ];
        let asked = asked.into_iter().filter(|(flag, _)| self.0 & flag != 0);
        asked.map(|(_, interest)| interest).reduce(mio::Interest::add).unwrap_or(READ_ANYWAY)
    }
}

const READ_ANYWAY: mio::Interest = mio::Interest::READABLE;

impl BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        self.add(other)
    }
}

impl BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Interest) {
        *self = *self | other;
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (READABLE, "READABLE"),
            (WRITABLE, "WRITABLE"),
            (PRIORITY, "PRIORITY"),
            (ERROR, "ERROR"),
        ];
        let names = names.iter().filter(|(flag, _)| self.0 & flag != 0);
        let names: Vec<&str> = names.map(|(_, name)| *name).collect();
        f.write_str(&names.join(" | "))
    }
}

#[cfg(test)]
mod tests {
    use super::Interest;

    #[test]
    fn what_is_asked_of_the_system_is_what_is_waited_for() {
        let check = |interest: Interest, want: mio::Interest, name: &str| {
            assert_eq!((interest.to_mio(), format!("{interest:?}").as_str()), (want, name));
        };
        let both = mio::Interest::READABLE | mio::Interest::WRITABLE;
        check(Interest::READABLE, mio::Interest::READABLE, "READABLE");
        check(Interest::WRITABLE, mio::Interest::WRITABLE, "WRITABLE");
        check(Interest::READABLE | Interest::WRITABLE, both, "READABLE | WRITABLE");
        check(Interest::ERROR, mio::Interest::READABLE, "ERROR");
        check(Interest::WRITABLE | Interest::ERROR, mio::Interest::WRITABLE, "WRITABLE | ERROR");
        #[cfg(any(target_os = "linux", target_os = "android"))]
        check(Interest::PRIORITY, mio::Interest::PRIORITY, "PRIORITY");
    }
}
