//! Texts that are copied for nothing: names, and places in a program.
//!
//! In the process that is looked at they are constants; in another one they were read from a stream,
//! once for all the resources that have them in common.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;

/// A text: read it as a `&str`.
#[derive(Clone)]
pub struct Label(Inner);

#[derive(Clone)]
enum Inner {
    Constant(&'static str),
    Shared(Arc<str>),
}

impl Label {
    /// Makes one of a constant.
    #[must_use]
    pub const fn constant(text: &'static str) -> Label {
        Label(Inner::Constant(text))
    }

    pub(super) fn is_constant(&self) -> bool {
        matches!(self.0, Inner::Constant(_))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Inner::Constant(text) => text,
            Inner::Shared(text) => text,
        }
    }
}

impl From<&str> for Label {
    fn from(text: &str) -> Label {
        Label(Inner::Shared(text.into()))
    }
}

impl From<String> for Label {
    fn from(text: String) -> Label {
        Label(Inner::Shared(text.into()))
    }
}

impl From<Cow<'static, str>> for Label {
    fn from(text: Cow<'static, str>) -> Label {
        match text {
            Cow::Borrowed(text) => Label::constant(text),
            Cow::Owned(text) => text.into(),
        }
    }
}

impl Deref for Label {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Label) -> bool {
        // Mostly it is the very same text.
        std::ptr::eq(self.as_str(), other.as_str()) || self.as_str() == other.as_str()
    }
}

impl Eq for Label {}

impl PartialEq<str> for Label {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Label {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Hash for Label {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialOrd for Label {
    fn partial_cmp(&self, other: &Label) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Label {
    fn cmp(&self, other: &Label) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// A place in a program: prints as `src/http.rs:61:9`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    file: Label,
    line: u32,
    column: u32,
}

impl Site {
    /// Makes one of its parts.
    #[must_use]
    pub fn new(file: impl Into<Label>, line: u32, column: u32) -> Site {
        Site { file: file.into(), line, column }
    }

    /// Returns the path of the file, as the compiler knew it.
    #[must_use]
    pub fn file(&self) -> &Label {
        &self.file
    }

    /// Returns the line, the first of which is 1.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.line
    }

    /// Returns the column, the first of which is 1.
    #[must_use]
    pub fn column(&self) -> u32 {
        self.column
    }

    /// Returns the path without what is only the way to a dependency.
    ///
    /// ```
    /// use forebear_context::inspect::Site;
    ///
    /// assert_eq!(Site::new("src/http.rs", 61, 9).short_file(), "src/http.rs");
    /// let site = Site::new("/cargo/registry/index/hyper-1.0.0/src/rt.rs", 1, 1);
    /// assert_eq!(site.short_file(), "hyper-1.0.0/src/rt.rs");
    /// ```
    #[must_use]
    pub fn short_file(&self) -> &str {
        let is_separator = |c: char| c == '/' || c == '\\';
        let file = self.file.as_str();
        let is_absolute = file.starts_with(is_separator) || file.get(1..2) == Some(":");
        match file.rmatch_indices(is_separator).nth(2) {
            Some((end, _)) if is_absolute => &file[end + 1..],
            _ => file,
        }
    }
}

impl From<&'static Location<'static>> for Site {
    fn from(location: &'static Location<'static>) -> Site {
        let file = Label::constant(location.file());
        Site { file, line: location.line(), column: location.column() }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::{Label, Site};

    #[test]
    fn texts_are_equal_whatever_they_are_made_of() {
        let (constant, shared) = (Label::constant("accept"), Label::from("accept"));
        assert_eq!(constant, shared);
        assert!(constant == "accept" && shared < Label::constant("b") && &*shared == "accept");
        assert_eq!(format!("{constant:>8} {shared:?}"), "  accept \"accept\"");
    }

    #[test]
    fn paths_of_dependencies_lose_their_beginning() {
        let check = |file: &str, want: &str| {
            assert_eq!(Site::new(file, 1, 1).short_file(), want);
        };
        check("src/http.rs", "src/http.rs");
        check("runtime/examples/orders/src/main.rs", "runtime/examples/orders/src/main.rs");
        check("/cargo/registry/src/idx/hyper-1.0/src/rt.rs", "hyper-1.0/src/rt.rs");
        check("C:\\a\\b\\crate\\src\\x.rs", "crate\\src\\x.rs");
        check("/x.rs", "/x.rs");
    }
}
