//! Says what is wrong with a query, and where.

use std::fmt;
use std::ops::Range;

/// A query that cannot be understood. It prints the query with a mark below the place.
#[derive(Clone, PartialEq, Eq)]
pub struct QueryError {
    query: String,
    place: Range<usize>,
    what: String,
}

impl QueryError {
    pub(super) fn new(query: &str, place: Range<usize>, what: impl Into<String>) -> QueryError {
        QueryError { query: query.to_owned(), place, what: what.into() }
    }

    /// Returns which bytes of the query it is about. They begin and end between characters.
    #[must_use]
    pub fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    /// Returns what is wrong, in one line.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One character for each, so that the mark stands below the place.
        let harmless = |c: char| if c.is_control() { ' ' } else { c };
        let query: String = self.query.chars().map(harmless).collect();
        let before = self.query[..self.place.start].chars().count();
        let marked = self.query[self.place.clone()].chars().count().max(1);
        writeln!(f, "{}", self.what)?;
        writeln!(f, "  {query}")?;
        write!(f, "  {}{}", " ".repeat(before), "^".repeat(marked))
    }
}

impl fmt::Debug for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for QueryError {}
