//! Puts what was measured where it is read: between two marks of a document.
//!
//! The marks are lines of their own, which a reader of the rendered page does not see:
//! `<!-- begin: hooks -->` and `<!-- end: hooks -->`.

use std::env;
use std::fs;
use std::path::PathBuf;

/// Replaces what stands between the marks called `name` in a document of `docs/`.
///
/// # Errors
/// When the document cannot be read or written, or lacks the marks.
pub(crate) fn replace(document: &str, name: &str, text: &str) -> Result<(), String> {
    // Asked at run time: checkouts that share a target folder share this binary, too.
    let package = env::var_os("CARGO_MANIFEST_DIR").ok_or("it is to be run by cargo")?;
    let path = PathBuf::from(package).join("..").join("docs").join(document);
    let at = |error| format!("{}: {error}", path.display());
    let old = fs::read_to_string(&path).map_err(|error| at(error.to_string()))?;
    let new = replaced(&old, name, text).ok_or_else(|| at(format!("no marks for {name}")))?;
    fs::write(&path, new).map_err(|error| at(error.to_string()))
}

fn replaced(old: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- begin: {name} -->\n"), format!("<!-- end: {name} -->\n"));
    let (before, rest) = old.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{text}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn what_is_between_the_marks_is_replaced_and_nothing_else() {
        let old =
            "a\n<!-- begin: x -->\nold\n<!-- end: x -->\nb\n<!-- begin: y -->\n<!-- end: y -->\n";
        let new = old.replace("old", "1\n2");
        assert_eq!(replaced(old, "x", "1\n2\n").as_deref(), Some(&*new));
        assert_eq!(replaced(&new, "x", "old\n").as_deref(), Some(old));
        assert_eq!(replaced(old, "z", ""), None);
        assert_eq!(replaced("<!-- begin: x -->\n", "x", ""), None);
    }
}
