//! Colours for terminals, which other places do without.

use std::fmt;

/// Whether a text is for a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paint {
    /// No colours: for files, pipes, and who reads without eyes.
    #[default]
    Plain,
    /// Colours as terminals understand them.
    Colours,
}

/// What a part of a text is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Running,
    Queued,
    Id,
    Kind,
    Key,
    Faint,
    Alarm,
}

impl Part {
    fn code(self) -> &'static str {
        match self {
            Part::Running => "32;1",
            Part::Queued => "33;1",
            Part::Id => "36",
            Part::Kind => "35",
            Part::Key => "34",
            Part::Faint => "2",
            Part::Alarm => "31;1",
        }
    }
}

impl Paint {
    /// Shows `text` in the colour of a part.
    pub(crate) fn on<T: fmt::Display>(self, part: Part, text: T) -> Painted<T> {
        Painted { part: if self == Paint::Colours { Some(part) } else { None }, text }
    }
}

/// A text and its colour, if it has one.
pub(crate) struct Painted<T> {
    part: Option<Part>,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            None => self.text.fmt(f),
            Some(part) => {
                write!(f, "\u{1b}[{}m", part.code())?;
                self.text.fmt(f)?;
                f.write_str("\u{1b}[0m")
            }
        }
    }
}
