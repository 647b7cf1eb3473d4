//! Writes one resource as one line.
//!
//! | glyph | says |
//! |---|---|
//! | `▶` | it is a task that runs |
//! | `◆` | it is a task that is ready, and waits for a worker |
//! | `○` | it is a task that waits for something |
//! | `·` | it is no task: what it does is said by the task that uses it |
//! | `†` | it is gone, and remembered because others descend from it |

use std::fmt::{self, Write as _};
use std::panic::Location;
use std::time::Duration;

use forebear_hooks::{Kind, LiveState};

use crate::inspect::snapshot::ResourceInfo;

/// One resource: `○ #88 task orders::ship src/main.rs:12  1.3s  requestId=9f3c`.
pub(super) fn write_resource(f: &mut fmt::Formatter<'_>, r: &ResourceInfo) -> fmt::Result {
    write!(f, "{} {} ", glyph(r), r.id)?;
    write_looks(f, r)?;
    match r.age {
        Some(age) => write!(f, "  {}", Age(age))?,
        None => f.write_str("  gone")?,
    }
    write_context(f, r)?;
    if let Some(link) = r.link {
        write!(f, "  ~~ link {link}")?;
    }
    match r.creator {
        Some(creator) if r.creator != r.trigger => write!(f, "  (created by {creator})"),
        _ => Ok(()),
    }
}

/// Resources that look the same: `○ x 1,204 task conn src/http.rs:61  (newest #6330, oldest 2h01m)`.
pub(super) fn write_folded(f: &mut fmt::Formatter<'_>, same: &[&ResourceInfo]) -> fmt::Result {
    let (Some(first), Some(newest)) = (same.first(), same.iter().max_by_key(|r| r.id)) else {
        return Ok(());
    };
    write!(f, "{} x {} ", glyph(first), Thousands(same.len()))?;
    write_looks(f, first)?;
    match same.iter().filter_map(|r| r.age).max() {
        Some(oldest) => write!(f, "  (newest {}, oldest {})", newest.id, Age(oldest))?,
        None => write!(f, "  (newest {}, gone)", newest.id)?,
    }
    write_context(f, first)
}

fn write_looks(f: &mut fmt::Formatter<'_>, r: &ResourceInfo) -> fmt::Result {
    let kind = Words(r.kind).to_string();
    write!(f, "{} {} {}", Clean(&kind), Clean(&r.label), Place(r.location))
}

fn write_context(f: &mut fmt::Formatter<'_>, r: &ResourceInfo) -> fmt::Result {
    r.context.iter().try_for_each(|(key, value)| {
        // What could be taken for another key and its value stands between quotes.
        if value.contains([' ', '"']) {
            write!(f, "  {}={value:?}", Clean(key))
        } else {
            write!(f, "  {}={}", Clean(key), Clean(value))
        }
    })
}

fn glyph(r: &ResourceInfo) -> char {
    match r.state {
        _ if r.is_gone() => '†',
        Some(LiveState::Running) => '▶',
        Some(LiveState::Queued) => '◆',
        Some(LiveState::Idle) => '○',
        None => '·',
    }
}

/// A kind in words: `tcp listener`.
struct Words(Kind);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = self.0.name().chars().flat_map(char::to_lowercase);
        letters.map(|c| if c == '_' { ' ' } else { c }).try_for_each(|c| write_clean(f, c))
    }
}

/// A text from outside, which must not be able to write lines, move the cursor, or turn the
/// direction of what follows.
struct Clean<'a>(&'a str);

impl fmt::Display for Clean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| write_clean(f, c))
    }
}

fn write_clean(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    let is_unseen = matches!(c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    if c.is_control() || is_unseen { write!(f, "{}", c.escape_default()) } else { f.write_char(c) }
}

/// A place in the program: `src/http.rs:61`.
struct Place(&'static Location<'static>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", short_path(self.0.file()), self.0.line())
    }
}

/// The path of a dependency is long and says little; its end is what one looks for.
fn short_path(file: &'static str) -> &'static str {
    let is_separator = |c: char| c == '/' || c == '\\';
    let is_absolute = file.starts_with(is_separator) || file.get(1..2) == Some(":");
    match file.rmatch_indices(is_separator).nth(2) {
        Some((end, _)) if is_absolute => &file[end + 1..],
        _ => file,
    }
}

struct Age(Duration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (s, ms) = (self.0.as_secs(), self.0.as_millis());
        match s {
            0 if ms == 0 => write!(f, "{}µs", self.0.as_micros()),
            0 => write!(f, "{ms}ms"),
            1..60 => write!(f, "{s}.{}s", ms % 1000 / 100),
            60..3600 => write!(f, "{}m{:02}s", s / 60, s % 60),
            3600..172_800 => write!(f, "{}h{:02}m", s / 3600, s / 60 % 60),
            _ => write!(f, "{}d{:02}h", s / 86_400, s / 3600 % 24),
        }
    }
}

/// A count with commas.
pub(super) struct Thousands(pub(super) usize);

impl fmt::Display for Thousands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place) % 3 == 0 {
                f.write_char(',')?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Age, Clean, Thousands, Words, short_path};
    use forebear_hooks::Kind;
    use std::time::Duration;

    #[test]
    fn ages_are_short() {
        let check = |ms: u64, want: &str| {
            assert_eq!(Age(Duration::from_millis(ms)).to_string(), want, "{ms} ms");
        };
        assert_eq!(Age(Duration::from_nanos(7800)).to_string(), "7µs");
        check(1, "1ms");
        check(999, "999ms");
        check(1000, "1.0s");
        check(59_999, "59.9s");
        check(60_000, "1m00s");
        check(3_599_000, "59m59s");
        check(7_260_000, "2h01m");
        check(172_800_000, "2d00h");
    }

    #[test]
    fn counts_have_commas() {
        let texts = [0, 999, 1000, 1_234_567].map(|n| Thousands(n).to_string());
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn kinds_are_words_and_control_characters_are_harmless() {
        assert_eq!(Words(Kind::TCP_LISTENER).to_string(), "tcp listener");
        assert_eq!(Clean("a\"é\n\u{1b}[2J").to_string(), "a\"é\\n\\u{1b}[2J");
        assert_eq!(Clean("a\u{202e}b\u{2028}").to_string(), "a\\u{202e}b\\u{2028}");
    }

    #[test]
    fn paths_of_dependencies_lose_their_beginning() {
        assert_eq!(short_path("src/http.rs"), "src/http.rs");
        assert_eq!(
            short_path("runtime/examples/orders/src/main.rs"),
            "runtime/examples/orders/src/main.rs"
        );
        assert_eq!(
            short_path("/cargo/registry/src/idx/hyper-1.0/src/rt.rs"),
            "hyper-1.0/src/rt.rs"
        );
        assert_eq!(short_path("C:\\a\\b\\crate\\src\\x.rs"), "crate\\src\\x.rs");
        assert_eq!(short_path("/x.rs"), "/x.rs");
    }
}
