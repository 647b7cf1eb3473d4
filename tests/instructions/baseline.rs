//! Knows what was counted before, and decides what is a change.

use std::fmt;

use crate::{Counted, RENEW};

/// A change that is smaller than this share and so many instructions is none.
///
/// Counts of the same code differ by 0.7 % at most, so this is three times as much; the whole
/// instructions are for programs of less than a hundred.
const TOLERANCE_SHARE: f64 = 0.02;
const TOLERANCE_INSTRUCTIONS: f64 = 2.0;

/// What was counted, and with which tools.
#[derive(Debug, PartialEq)]
pub(crate) struct Baseline {
    pub(crate) tools: String,
    pub(crate) counted: Counted,
}

impl Baseline {
    pub(crate) fn parse(text: &str) -> Result<Baseline, String> {
        let mut baseline = Baseline { tools: String::new(), counted: Vec::new() };
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(tools) = line.strip_prefix("tools: ") {
                tools.clone_into(&mut baseline.tools);
                continue;
            }
            let parsed = line.split_once(char::is_whitespace).and_then(|(name, count)| {
                Some((name.to_owned(), count.trim().parse().ok().filter(|count| *count > 0.0)?))
            });
            baseline.counted.push(parsed.ok_or_else(|| format!("no baseline: `{line}`"))?);
        }
        Ok(baseline)
    }

    fn get(&self, name: &str) -> Option<f64> {
        self.counted.iter().find(|(known, _)| known == name).map(|(_, count)| *count)
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Instructions per operation of the programs in tests/instructions/programs.rs."
        )?;
        writeln!(f, "# Written by: {RENEW}")?;
        writeln!(f, "tools: {}", self.tools)?;
        self.counted.iter().try_for_each(|(name, count)| writeln!(f, "{name:20}{count:10.1}"))
    }
}

/// How one program stands to its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Slower,
    Faster,
    /// It has no baseline.
    New,
    /// There is a baseline and no program.
    Gone,
}

impl Verdict {
    fn of(before: f64, now: f64) -> Verdict {
        let tolerance = before * TOLERANCE_SHARE + TOLERANCE_INSTRUCTIONS;
        if now > before + tolerance {
            Verdict::Slower
        } else if now < before - tolerance {
            Verdict::Faster
        } else {
            Verdict::Same
        }
    }

    fn text(self) -> &'static str {
        match self {
            Verdict::Same => "",
            Verdict::Slower => "SLOWER",
            Verdict::Faster => "faster: renew the baseline",
            Verdict::New => "NEW: it has no baseline",
            Verdict::Gone => "GONE: there is no such program",
        }
    }
}

struct Line<'a> {
    name: &'a str,
    before: Option<f64>,
    now: Option<f64>,
    verdict: Verdict,
}

/// All programs beside their baselines. It displays as a table.
pub(crate) struct Comparison<'a> {
    lines: Vec<Line<'a>>,
}

impl<'a> Comparison<'a> {
    pub(crate) fn of(baseline: &'a Baseline, counted: &'a Counted) -> Comparison<'a> {
        let counted_now = counted.iter().map(|(name, now)| {
            let before = baseline.get(name);
            let verdict = before.map_or(Verdict::New, |before| Verdict::of(before, *now));
            Line { name, before, now: Some(*now), verdict }
        });
        let is_gone = |name: &str| counted.iter().all(|(known, _)| known != name);
        let gone =
            baseline.counted.iter().filter(|(name, _)| is_gone(name)).map(|(name, before)| Line {
                name,
                before: Some(*before),
                now: None,
                verdict: Verdict::Gone,
            });
        Comparison { lines: counted_now.chain(gone).collect() }
    }

    /// Nothing is slower, and every program has a baseline and every baseline a program.
    pub(crate) fn is_good(&self) -> bool {
        self.lines.iter().all(|line| matches!(line.verdict, Verdict::Same | Verdict::Faster))
    }

    /// Something has changed, for better or worse.
    pub(crate) fn is_worth_renewing(&self) -> bool {
        self.lines.iter().any(|line| line.verdict != Verdict::Same)
    }
}

impl fmt::Display for Comparison<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:20}{:>10}{:>10}{:>9}", "program", "baseline", "now", "change")?;
        for Line { name, before, now, verdict } in &self.lines {
            let count = |count: &Option<f64>| count.map_or(String::new(), |n| format!("{n:.1}"));
            let change = before.zip(*now).map(|(before, now)| (now / before - 1.0) * 100.0);
            let change = change.map_or(String::new(), |change| format!("{change:+.1} %"));
            let (before, now, verdict) = (count(before), count(now), verdict.text());
            let line = format!("{name:20}{before:>10}{now:>10}{change:>9}  {verdict}");
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(
            f,
            "instructions per operation; a change of up to {} % and {TOLERANCE_INSTRUCTIONS} is none",
            TOLERANCE_SHARE * 100.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Baseline, Comparison, Verdict};

    fn baseline(counted: &[(&str, f64)]) -> Baseline {
        let counted = counted.iter().map(|(name, count)| ((*name).to_owned(), *count));
        Baseline { tools: "rustc 1, libc 2".to_owned(), counted: counted.collect() }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let written = baseline(&[("spawn", 1480.5), ("a_program_with_a_name_that_long", 64.0)]);
        assert_eq!(Baseline::parse(&written.to_string()), Ok(written));
    }

    #[test]
    fn a_line_that_says_no_number_is_an_error() {
        for text in ["spawn", "spawn many", "spawn -3", "spawn NaN"] {
            assert!(Baseline::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn more_than_the_tolerance_is_a_change() {
        let check = |before, now, want| assert_eq!(Verdict::of(before, now), want, "{now}");
        check(1000.0, 1021.9, Verdict::Same);
        check(1000.0, 1022.1, Verdict::Slower);
        check(1000.0, 978.1, Verdict::Same);
        check(1000.0, 977.9, Verdict::Faster);
        check(50.0, 52.9, Verdict::Same);
        check(50.0, 53.1, Verdict::Slower);
    }

    #[test]
    fn only_what_is_slower_or_not_on_both_sides_is_bad() {
        let check = |now: &[(&str, f64)], is_good, is_worth_renewing| {
            let (before, now) = (baseline(&[("a", 1000.0), ("b", 100.0)]), baseline(now).counted);
            let comparison = Comparison::of(&before, &now);
            let seen = (comparison.is_good(), comparison.is_worth_renewing());
            assert_eq!(seen, (is_good, is_worth_renewing), "{comparison}");
        };
        check(&[("a", 1000.0), ("b", 100.0)], true, false);
        check(&[("a", 500.0), ("b", 100.0)], true, true);
        check(&[("a", 1000.0), ("b", 200.0)], false, true);
        check(&[("a", 1000.0), ("b", 100.0), ("c", 1.0)], false, true);
        check(&[("a", 1000.0)], false, true);
    }

    #[test]
    fn the_table_says_what_happened_to_each() {
        let (before, now) =
            (baseline(&[("a", 1000.0), ("b", 100.0)]), baseline(&[("a", 1100.0), ("c", 5.0)]));
        let table = Comparison::of(&before, &now.counted).to_string();
        let lines: Vec<String> = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            lines[1..4],
            [
                "a 1000.0 1100.0 +10.0 % SLOWER",
                "c 5.0 NEW: it has no baseline",
                "b 100.0 GONE: there is no such program",
            ]
        );
    }
}
