//! Sorts resources into kinds, which are short texts interned as 16-bit numbers.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};

/// Says what sort of thing a resource is.
///
/// The kinds of the runtime are constants; a kind of your own is made from its text:
///
/// ```
/// use forebear_hooks::Kind;
///
/// let query = Kind::new("DB_QUERY");
/// assert_eq!(query, Kind::new("DB_QUERY"));
/// assert_eq!(query.name(), "DB_QUERY");
/// assert_ne!(query, Kind::TIMER);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(NonZeroU16);

/// A process has at most this many kinds, ours included: a bound on memory that is never freed.
const KINDS_MAX: usize = 4096;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        impl Kind {
            $($(#[$doc])* pub const $name: Kind = Kind(NonZeroU16::new($number).unwrap());)*
        }
        const BUILT_IN: &[&str] = &[$(stringify!($name)),*];
    };
}

kinds! {
    /// What has no kind of its own: also every kind beyond the limit of 4096.
    OTHER = 1;
    /// A spawned future.
    TASK = 2;
    /// The future given to `block_on`.
    BLOCK_ON = 3;
    /// A closure given to `spawn_blocking`.
    BLOCKING = 4;
    /// One unit of business work: a request, a message, a run of a job.
    FLOW = 5;
    /// A sleep or a timeout.
    TIMER = 6;
    /// A timer that ticks again and again.
    INTERVAL = 7;
    /// A TCP socket that accepts connections.
    TCP_LISTENER = 8;
    /// A TCP connection.
    TCP_STREAM = 9;
    /// A UDP socket.
    UDP_SOCKET = 10;
    /// A Unix socket that accepts connections.
    UNIX_LISTENER = 11;
    /// A Unix stream connection.
    UNIX_STREAM = 12;
    /// A Unix datagram socket.
    UNIX_DATAGRAM = 13;
    /// Somebody who waits for a signal of the operating system.
    SIGNAL = 14;
    /// A child process.
    PROCESS = 15;
    /// A foreign future with a life: see [`instrument`](crate::instrument()).
    FUTURE = 16;
    /// A foreign stream with a life: see [`instrument_stream`](crate::instrument_stream()).
    STREAM = 17;
    /// Any other descriptor that somebody waits for.
    ASYNC_FD = 18;
    /// One end of a pipe.
    PIPE = 19;
}

struct Names {
    by_number: Vec<&'static str>,
    by_text: HashMap<&'static str, Kind>,
}

static OVERFLOWED: AtomicU64 = AtomicU64::new(0);

fn names() -> &'static RwLock<Names> {
    static NAMES: OnceLock<RwLock<Names>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut names = Names { by_number: Vec::new(), by_text: HashMap::new() };
        for text in BUILT_IN {
            names.add(text);
        }
        RwLock::new(names)
    })
}

impl Names {
    fn add(&mut self, text: &'static str) -> Option<Kind> {
        if self.by_number.len() == KINDS_MAX {
            return None;
        }
        self.by_number.push(text);
        let number = u16::try_from(self.by_number.len()).ok().and_then(NonZeroU16::new)?;
        self.by_text.insert(text, Kind(number));
        Some(Kind(number))
    }
}

impl Kind {
    /// Its place in a table of kinds.
    #[inline]
    pub(crate) fn index(self) -> usize {
        usize::from(self.0.get())
    }

    /// Returns the kind whose place this is, be there one yet or not; `None` if no kind has it.
    pub(crate) fn at(index: usize) -> Option<Kind> {
        u16::try_from(index).ok().and_then(NonZeroU16::new).map(Kind)
    }

    /// Returns the kind with this text, which is made if there was none.
    ///
    /// Keep the result (in a `LazyLock`, say) where it is needed often: this looks the text up. A
    /// process has at most 4096 kinds; from then on a new text gives [`Kind::OTHER`], which
    /// [`Kind::overflowed`] counts. The text is kept for the life of the process.
    #[must_use]
    pub fn new(text: &str) -> Kind {
        let known = |names: &Names| names.by_text.get(text).copied();
        if let Some(kind) = known(&names().read().unwrap_or_else(PoisonError::into_inner)) {
            return kind;
        }
        let mut names = names().write().unwrap_or_else(PoisonError::into_inner);
        if let Some(kind) = known(&names) {
            return kind;
        }
        let kind = if names.by_number.len() == KINDS_MAX {
            None
        } else {
            names.add(Box::leak(text.to_owned().into_boxed_str()))
        };
        kind.unwrap_or_else(|| {
            // Relaxed: a count that is read for a report orders nothing.
            OVERFLOWED.fetch_add(1, Ordering::Relaxed);
            Kind::OTHER
        })
    }

    /// Returns the text.
    #[must_use]
    pub fn name(self) -> &'static str {
        let names = names().read().unwrap_or_else(PoisonError::into_inner);
        names.by_number.get(usize::from(self.0.get()) - 1).copied().unwrap_or("OTHER")
    }

    /// Returns how often a new text was turned into [`Kind::OTHER`] because there were too many.
    #[must_use]
    pub fn overflowed() -> u64 {
        OVERFLOWED.load(Ordering::Relaxed)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{BUILT_IN, Kind};

    #[test]
    fn built_in_kinds_print_their_own_name() {
        assert_eq!(Kind::OTHER.name(), "OTHER");
        assert_eq!(Kind::TASK.name(), "TASK");
        assert_eq!(Kind::STREAM.name(), "STREAM");
        assert_eq!(Kind::PIPE.name(), "PIPE");
        assert_eq!(usize::from(Kind::PIPE.0.get()), BUILT_IN.len());
        assert_eq!(Kind::new("TASK"), Kind::TASK);
    }
}
