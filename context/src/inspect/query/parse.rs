//! Reads a query.
//!
//! ```text
//! query   = { term }                                    between white space
//! term    = [ "-" ] ( text | key ":" value { "," value } | key compare amount )
//! compare = ">" | ">=" | "<" | "<=" | "="
//! text    = a word, or anything between double quotes, where \" is a quote and \\ a backslash
//! value   = the same without commas, if it is not quoted
//! ```

use std::ops::{Range, RangeInclusive};

use forebear_hooks::AsyncId;

use super::error::QueryError;
use super::term::{Counted, StateName, Term, Test, WaitName};

/// A query has at most so many bytes, and so many terms: more than anybody types.
pub(super) const QUERY_MAX_BYTES: usize = 4096;
const TERMS_MAX: usize = 64;

/// Every key, for what is said of an unknown one.
pub(super) const KEYS: [&str; 16] = [
    "kind", "state", "age", "label", "site", "field", "under", "leak", "waits", "id", "trigger",
    "creator", "flow", "runtime", "polls", "busy",
];

type Parsed<T> = Result<T, QueryError>;

pub(super) fn parse(query: &str) -> Parsed<Vec<Term>> {
    if query.len() > QUERY_MAX_BYTES {
        let what = format!("a query has at most {QUERY_MAX_BYTES} bytes");
        return Err(QueryError::new("", 0..0, what));
    }
    let mut parser = Parser { query, at: 0 };
    let mut terms = Vec::new();
    while parser.skip_space() {
        if terms.len() == TERMS_MAX {
            return Err(parser.error(parser.at..query.len(), "a query has at most 64 terms"));
        }
        terms.push(parser.term()?);
    }
    Ok(terms)
}

struct Parser<'a> {
    query: &'a str,
    at: usize,
}

/// A piece of the query, with the place where it stands.
#[derive(Clone, Debug)]
struct Piece {
    text: String,
    place: Range<usize>,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.query[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        self.at += if is_there { wanted.len_utf8() } else { 0 };
        is_there
    }

    /// Says whether anything is left.
    fn skip_space(&mut self) -> bool {
        self.at = self.query.len() - self.rest().trim_start().len();
        self.at < self.query.len()
    }

    fn error(&self, place: Range<usize>, what: impl Into<String>) -> QueryError {
        QueryError::new(self.query, place, what)
    }

    fn term(&mut self) -> Parsed<Term> {
        let is_negated = self.take('-');
        let begin = self.at;
        let key_len = self.rest().find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(0);
        let key = self.rest()[..key_len].to_owned();
        let behind = &self.rest()[key_len..];
        let is_path = behind.starts_with("::");
        let test = if key.is_empty() || is_path || !behind.starts_with([':', '<', '>', '=']) {
            Test::Text(self.text()?)
        } else {
            let key = Piece { text: key, place: begin..begin + key_len };
            self.at = key.place.end;
            self.test(&key)?
        };
        Ok(Term { is_negated, test })
    }

    fn text(&mut self) -> Parsed<String> {
        let piece = self.value("")?;
        match piece.text.is_empty() {
            true => Err(self.error(piece.place, "there is no text to look for")),
            false => Ok(piece.text),
        }
    }

    /// Reads a value up to white space or one of `ends`, or a quoted one.
    fn value(&mut self, ends: &str) -> Parsed<Piece> {
        let begin = self.at;
        if self.take('"') {
            return self.quoted(begin);
        }
        let is_end = |c: char| c.is_whitespace() || ends.contains(c);
        let len = self.rest().find(is_end).unwrap_or(self.rest().len());
        self.at += len;
        Ok(Piece { text: self.query[begin..self.at].to_owned(), place: begin..self.at })
    }

    fn quoted(&mut self, begin: usize) -> Parsed<Piece> {
        let mut text = String::new();
        let mut is_escaped = false;
        for (offset, c) in self.rest().char_indices() {
            match c {
                '\\' if !is_escaped => is_escaped = true,
                '"' if !is_escaped => {
                    self.at += offset + 1;
                    if self.peek().is_some_and(|c| !c.is_whitespace() && c != ',') {
                        let end = self.at + self.peek().map_or(0, char::len_utf8);
                        let what = "a space belongs behind the closing quote";
                        return Err(self.error(self.at..end, what));
                    }
                    return Ok(Piece { text, place: begin..self.at });
                }
                _ => {
                    is_escaped = false;
                    text.push(c);
                }
            }
        }
        Err(self.error(begin..begin + 1, "this quote is never closed"))
    }

    fn test(&mut self, key: &Piece) -> Parsed<Test> {
        let known = KEYS.into_iter().find(|known| known.eq_ignore_ascii_case(&key.text));
        let Some(known) = known else { return Err(self.unknown_key(key)) };
        if matches!(known, "age" | "busy" | "polls") {
            return self.amount(known);
        }
        let colon = self.at..self.at + 1;
        if !self.take(':') {
            return Err(self.error(colon, format!("`{known}` is asked for by `{known}:…`")));
        }
        if known == "field" {
            return self.field();
        }
        let values = self.values(known)?;
        let texts = || values.iter().map(|value| value.text.clone()).collect();
        Ok(match known {
            "kind" => Test::Kind(texts()),
            "label" => Test::Label(texts()),
            "site" => Test::Site(texts()),
            "state" => Test::State(self.each(&values, Parser::state)?),
            "waits" => Test::Waits(self.each(&values, Parser::wait)?),
            "id" => Test::Id(self.each(&values, Parser::id)?),
            "trigger" => Test::Trigger(self.each(&values, Parser::id)?),
            "creator" => Test::Creator(self.each(&values, Parser::id)?),
            "flow" => Test::Flow(self.each(&values, Parser::id)?),
            "runtime" => Test::Runtime(self.each(&values, Parser::number)?),
            "under" => Test::Under(self.id(self.only(&values)?)?),
            _ => Test::Leak(self.boolean(self.only(&values)?)?),
        })
    }

    fn unknown_key(&self, key: &Piece) -> QueryError {
        let text = &key.text;
        let near = KEYS.into_iter().min_by_key(|known| distance(known, text));
        let near = near.filter(|known| distance(known, text) <= 2);
        let what = match near {
            Some(near) => format!("unknown key `{text}`: did you mean `{near}`?"),
            None => format!("unknown key `{text}`: text with a colon stands between quotes"),
        };
        self.error(key.place.clone(), what)
    }

    /// Reads one or more values between commas.
    fn values(&mut self, key: &str) -> Parsed<Vec<Piece>> {
        let mut values = Vec::new();
        loop {
            let value = self.value(",")?;
            if value.text.is_empty() {
                return Err(self.error(value.place, format!("a value of `{key}` is missing")));
            }
            values.push(value);
            if !self.take(',') {
                return Ok(values);
            }
        }
    }

    fn each<T>(
        &self,
        values: &[Piece],
        parse: impl Fn(&Self, &Piece) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        values.iter().map(|value| parse(self, value)).collect()
    }

    fn only<'v>(&self, values: &'v [Piece]) -> Parsed<&'v Piece> {
        match values {
            [value] => Ok(value),
            [_, second, ..] => Err(self.error(second.place.clone(), "only one is allowed here")),
            [] => Err(self.error(self.at..self.at, "a value is missing")),
        }
    }

    fn field(&mut self) -> Parsed<Test> {
        let key = self.value("=")?;
        if key.text.is_empty() {
            return Err(self.error(key.place, "the name of the field is missing"));
        }
        let value = if self.take('=') { Some(self.value("")?.text) } else { None };
        Ok(Test::Field { key: key.text, value })
    }

    fn state(&self, value: &Piece) -> Parsed<StateName> {
        Ok(match value.text.as_str() {
            "running" => StateName::Running,
            "queued" => StateName::Queued,
            "idle" => StateName::Idle,
            "gone" => StateName::Gone,
            text => {
                let what = format!("a task is running, queued, idle or gone, not `{text}`");
                return Err(self.error(value.place.clone(), what));
            }
        })
    }

    fn wait(&self, value: &Piece) -> Parsed<WaitName> {
        Ok(match value.text.as_str() {
            "task" => WaitName::Task,
            "timer" => WaitName::Timer,
            "socket" => WaitName::Socket,
            "unknown" => WaitName::Unknown,
            text if text.starts_with('#') => WaitName::On(self.id(value)?),
            text => {
                let what =
                    format!("it waits for a task, timer, socket, #id or unknown, not `{text}`");
                return Err(self.error(value.place.clone(), what));
            }
        })
    }

    fn id(&self, value: &Piece) -> Parsed<AsyncId> {
        let digits = value.text.strip_prefix('#').unwrap_or(&value.text);
        let id = digits.parse().ok().and_then(AsyncId::from_u64);
        id.ok_or_else(|| self.error(value.place.clone(), "an id looks like #123"))
    }

    fn number(&self, value: &Piece) -> Parsed<u64> {
        let number = value.text.parse();
        number.map_err(|_| self.error(value.place.clone(), "this is not a number"))
    }

    fn boolean(&self, value: &Piece) -> Parsed<bool> {
        match value.text.as_str() {
            "true" | "yes" => Ok(true),
            "false" | "no" => Ok(false),
            _ => Err(self.error(value.place.clone(), "this is true or false")),
        }
    }

    fn amount(&mut self, key: &'static str) -> Parsed<Test> {
        let begin = self.at;
        let operator =
            ["<=", ">=", "<", ">", "="].into_iter().find(|op| self.rest().starts_with(op));
        let Some(operator) = operator else {
            let what = format!("`{key}` is compared: `{key}>10s`, not `{key}:…`");
            return Err(self.error(begin..begin + 1, what));
        };
        self.at += operator.len();
        let value = self.value("")?;
        let amount = if key == "polls" {
            self.number(&value).map(u128::from)?
        } else {
            self.nanoseconds(&value)?
        };
        let range = match operator {
            ">" => amount.saturating_add(1)..=u128::MAX,
            ">=" => amount..=u128::MAX,
            "<" if amount == 0 => empty(),
            "<" => 0..=amount - 1,
            "<=" => 0..=amount,
            _ => amount..=amount,
        };
        Ok(match key {
            "age" => Test::AgeNs(range),
            "polls" => Test::Count(Counted::Polls, range),
            _ => Test::Count(Counted::BusyNs, range),
        })
    }

    fn nanoseconds(&self, value: &Piece) -> Parsed<u128> {
        duration(&value.text).map_err(|what| self.error(value.place.clone(), what))
    }
}

fn empty() -> RangeInclusive<u128> {
    RangeInclusive::new(1, 0)
}

/// Reads `10s`, `1.5h` or `250ms` as nanoseconds.
fn duration(text: &str) -> Result<u128, &'static str> {
    const UNITS: [(&str, u128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
        ("d", 86_400_000_000_000),
    ];
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let Some((_, unit_ns)) = UNITS.into_iter().find(|(name, _)| *name == unit) else {
        return Err("a time is a number and a unit: ns, us, ms, s, m, h or d");
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.len() <= 18;
    if !is_number(whole) || !is_number(fraction) || fraction.contains('.') {
        return Err("a time begins with a number, such as 1.5s");
    }
    let (Ok(whole), Ok(parts)) = (whole.parse::<u128>(), fraction.parse::<u128>()) else {
        return Err("a time begins with a number, such as 1.5s");
    };
    let scale = (0..fraction.len()).fold(1_u128, |scale, _| scale * 10);
    Ok(whole * unit_ns + parts * unit_ns / scale)
}

/// Counts the letters to change, add or take out to make one word of another.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(32).map(|c| c.to_ascii_lowercase()).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let change = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, duration, parse};

    /// Checks what is marked in a wrong query, and what is said of it.
    #[track_caller]
    fn check(query: &str, marked: &str, said: &str) {
        let error = parse(query).expect_err("the query is wrong");
        assert_eq!((&query[error.place()], error.what()), (marked, said), "{error}");
    }

    #[test]
    fn errors_point_at_the_place() {
        check("kidn:timer", "kidn", "unknown key `kidn`: did you mean `kind`?");
        let colon = "unknown key `http`: text with a colon stands between quotes";
        check("age>1s http://x", "http", colon);
        check(
            "state:idle,sleeping",
            "sleeping",
            "a task is running, queued, idle or gone, not `sleeping`",
        );
        check("age>10", "10", "a time is a number and a unit: ns, us, ms, s, m, h or d");
        check("age>s", "s", "a time begins with a number, such as 1.5s");
        check("age:10s", ":", "`age` is compared: `age>10s`, not `age:…`");
        check("kind>task", ">", "`kind` is asked for by `kind:…`");
        check("under:#x", "#x", "an id looks like #123");
        check("under:#1,#2", "#2", "only one is allowed here");
        check("id:#1,0", "0", "an id looks like #123");
        check("kind:task,", "", "a value of `kind` is missing");
        check("-", "", "there is no text to look for");
        check("\"accept", "\"", "this quote is never closed");
        check("label:\"a\"b", "b", "a space belongs behind the closing quote");
        check("leak:maybe", "maybe", "this is true or false");
        check("field:=3", "", "the name of the field is missing");
        check(
            "waits:godot",
            "godot",
            "it waits for a task, timer, socket, #id or unknown, not `godot`",
        );
        check("polls>many", "many", "this is not a number");
    }

    #[test]
    fn the_mark_stands_below_the_place() {
        let error = parse("ä\t kidn:x").unwrap_err();
        let text = error.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1..], ["  ä  kidn:x", "     ^^^^"]);
    }

    #[test]
    fn what_looks_like_a_key_may_be_text() {
        for text in ["orders::ship", "src/db.rs:41", "main.rs:7", "#12", "x", "\"kind:x\"", "3:4"] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn too_much_is_refused() {
        assert!(parse(&"x ".repeat(64)).is_ok());
        assert!(parse(&"x ".repeat(65)).is_err());
        assert!(parse(&"x".repeat(4097)).is_err());
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("1.5s"), Ok(1_500_000_000));
        assert_eq!(duration("250ms"), Ok(250_000_000));
        assert_eq!(duration("2d"), Ok(172_800_000_000_000));
        assert_eq!(duration("0.001µs"), Ok(1));
        for wrong in ["", "5", "1..2s", ".5s", "1.s", "-1s", "1e3s", "9999999999999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn words_are_near_or_far() {
        assert_eq!(distance("kind", "kind"), 0);
        assert_eq!(distance("kind", "kidn"), 2);
        assert_eq!(distance("state", "stat"), 1);
        assert_eq!(distance("age", "label"), 3);
    }
}
