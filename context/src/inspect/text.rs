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
use std::time::Duration;

use forebear_hooks::waits::Until;
use forebear_hooks::{Kind, LiveState};

use crate::inspect::label::Site;
use crate::inspect::paint::{Paint, Part};
use crate::inspect::resource::{ResourceInfo, WaitsFor};

/// One resource: `○ #88 task orders::ship src/main.rs:12  1.3s  requestId=9f3c`.
pub(super) fn write_resource(
    f: &mut fmt::Formatter<'_>,
    r: &ResourceInfo,
    paint: Paint,
) -> fmt::Result {
    write!(f, "{} {} ", Glyph(r, paint), paint.on(Part::Id, r.id))?;
    write_looks(f, r, paint)?;
    match r.age {
        Some(age) => write!(f, "  {}", Age(age))?,
        None => write!(f, "  {}", paint.on(Part::Faint, "gone"))?,
    }
    write_waits(f, r, paint)?;
    if let Some(counts) = &r.counts {
        write!(f, "  polls {} busy {}", Thousands(counts.polls), Age(counts.busy))?;
    }
    for (key, value) in r.context.iter() {
        write_value(f, key, value, paint)?;
    }
    if let Some(link) = r.link {
        write!(f, "  ~~ link {link}")?;
    }
    match r.creator {
        Some(creator) if r.creator != r.trigger => write!(f, "  (created by {creator})"),
        _ => Ok(()),
    }
}

/// Resources that look the same: `○ x 1,204 task conn src/http.rs:61  (newest #6330, oldest 2h01m)`.
pub(super) fn write_folded(
    f: &mut fmt::Formatter<'_>,
    same: &[&ResourceInfo],
    paint: Paint,
) -> fmt::Result {
    let busiest = |r: &&&ResourceInfo| (glyph_of(r).rank, std::cmp::Reverse(r.id));
    let (Some(first), Some(newest)) =
        (same.iter().max_by_key(busiest), same.iter().max_by_key(|r| r.id))
    else {
        return Ok(());
    };
    write!(f, "{} x {} ", Glyph(first, paint), Thousands(same.len() as u64))?;
    write_looks(f, first, paint)?;
    f.write_str("  (")?;
    let states = [LiveState::Running, LiveState::Queued, LiveState::Idle];
    let counts = states.map(|state| same.iter().filter(|r| r.state == Some(state)).count());
    if counts.iter().filter(|count| **count > 0).count() > 1 {
        for (word, count) in ["running", "queued", "idle"].into_iter().zip(counts) {
            if count > 0 {
                write!(f, "{} {word}, ", Thousands(count as u64))?;
            }
        }
    }
    match same.iter().filter_map(|r| r.age).max() {
        Some(oldest) => write!(f, "newest {}, oldest {})", newest.id, Age(oldest))?,
        None => write!(f, "newest {}, gone)", newest.id)?,
    }
    if first.never_wakes() {
        write!(f, "  {}", paint.on(Part::Alarm, NEVER_WAKES))?;
    }
    // What differs between them cannot be said in one line.
    for (key, value) in first.context.iter() {
        let has = |r: &&ResourceInfo| r.context.iter().any(|(k, v)| k == key && v == value);
        if same.iter().all(has) {
            write_value(f, key, value, paint)?;
        }
    }
    if first.link.is_some() {
        f.write_str("  ~~ link")?;
    }
    Ok(())
}

const NEVER_WAKES: &str = "LEAK: nobody can wake it";

fn write_looks(f: &mut fmt::Formatter<'_>, r: &ResourceInfo, paint: Paint) -> fmt::Result {
    write!(
        f,
        "{} {} {}",
        paint.on(Part::Kind, Words(r.kind)),
        Clean(&r.label),
        paint.on(Part::Faint, Place(&r.location))
    )
}

/// What it waits for: `  waits: #33 due in 18s`.
fn write_waits(f: &mut fmt::Formatter<'_>, r: &ResourceInfo, paint: Paint) -> fmt::Result {
    if r.never_wakes() {
        return write!(f, "  {}", paint.on(Part::Alarm, NEVER_WAKES));
    }
    if let Some(due) = r.due {
        write!(f, "  due in {}", Age(due))?;
    }
    let (shown, more) = r.waits.split_at(r.waits.len().min(WAITS_SHOWN_MAX));
    for (nth, waits) in shown.iter().enumerate() {
        f.write_str(if nth == 0 { "  waits: " } else { ", " })?;
        write!(f, "{}", Waits(waits))?;
    }
    if more.is_empty() { Ok(()) } else { write!(f, " and {} more", Thousands(more.len() as u64)) }
}

/// A task may wait for thousands of things at once.
const WAITS_SHOWN_MAX: usize = 3;

/// What something waits for: `#33 due in 18s`.
#[derive(Clone, Copy, Debug)]
pub struct Waits<'a>(pub &'a WaitsFor);

impl fmt::Display for Waits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WaitsFor { on, until } = self.0;
        match until {
            Until::Ended => write!(f, "{on} to end"),
            Until::Due(left) => write!(f, "{on} due in {}", Age(*left)),
            Until::Readable => write!(f, "{on} readable"),
            Until::Writable => write!(f, "{on} writable"),
            Until::Ready => write!(f, "{on} ready"),
        }
    }
}

fn write_value(f: &mut fmt::Formatter<'_>, key: &str, value: &str, paint: Paint) -> fmt::Result {
    let key = paint.on(Part::Key, Clean(key));
    // What could be taken for another key and its value stands between quotes.
    if value.contains([' ', '"']) {
        write!(f, "  {key}={value:?}")
    } else {
        write!(f, "  {key}={}", Clean(value))
    }
}

struct GlyphOf {
    glyph: char,
    part: Option<Part>,
    /// Of those that look the same, the busiest is shown.
    rank: u8,
}

fn glyph_of(r: &ResourceInfo) -> GlyphOf {
    let (glyph, part, rank) = match r.state {
        _ if r.is_gone() => ('†', Some(Part::Faint), 0),
        Some(LiveState::Running) => ('▶', Some(Part::Running), 4),
        Some(LiveState::Queued) => ('◆', Some(Part::Queued), 3),
        Some(LiveState::Idle) => ('○', None, 2),
        None => ('·', None, 1),
    };
    GlyphOf { glyph, part, rank }
}

struct Glyph<'a>(&'a ResourceInfo, Paint);

impl fmt::Display for Glyph<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GlyphOf { glyph, part, .. } = glyph_of(self.0);
        match part {
            Some(part) => self.1.on(part, glyph).fmt(f),
            None => f.write_char(glyph),
        }
    }
}

/// A kind in words: `tcp listener`.
#[derive(Clone, Copy, Debug)]
pub struct Words(pub Kind);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = self.0.name().chars().flat_map(char::to_lowercase);
        letters.map(|c| if c == '_' { ' ' } else { c }).try_for_each(|c| write_clean(f, c))
    }
}

/// A text from outside, which must not be able to write lines, move the cursor, or turn the
/// direction of what follows.
#[derive(Clone, Copy, Debug)]
pub struct Clean<'a>(pub &'a str);

impl fmt::Display for Clean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return f.write_str(self.0);
        }
        self.0.chars().try_for_each(|c| write_clean(f, c))
    }
}

fn write_clean(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    let is_unseen = matches!(c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    if c.is_control() || is_unseen { write!(f, "{}", c.escape_default()) } else { f.write_char(c) }
}

/// A place in the program: `src/http.rs:61`.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a>(pub &'a Site);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", Clean(self.0.short_file()), self.0.line())
    }
}

/// A time, as short as it is still of use: `2h01m`.
#[derive(Clone, Copy, Debug)]
pub struct Age(pub Duration);

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
#[derive(Clone, Copy, Debug)]
pub struct Thousands(pub u64);

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
    use super::{Age, Clean, Thousands, Words};
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
}
