//! Measures subjects beside their references, in turns, so that both have the same minutes.
//!
//! Criterion measures one thing after the other. A difference of two nanoseconds, or of two percent,
//! is then lost in what the machine does differently from one minute to the next. Here there are
//! many short turns, in each of which reference and subject are timed one behind the other, and
//! each is first as often as the other. Criterion is shown the subject's part, for its statistics
//! and its memory of the run before. What the subject took more than its reference, in nanoseconds
//! and as a ratio, is found turn by turn; the table at the end has the median and the quartiles
//! over all turns, so that one in which somebody else had the processor counts as one and no more.

use std::env;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, Throughput};

use crate::document;
use crate::spread::Spread;

/// Does something so many times. Returns how long that took, without what it had to prepare.
pub type Subject<'a> = dyn FnMut(u64) -> Duration + 'a;

/// Each half of a turn takes about so long: far longer than reading the clock, far shorter than a
/// time slice.
const HALF_TURN: Duration = Duration::from_micros(100);

/// So many turns make a line of the table, where criterion does not say.
const TURNS: u64 = 4000;

/// With fewer turns than this, all that was asked is whether it runs.
const TURNS_MIN: usize = 100;

/// The document that the tables stand in.
const DOCUMENT: &str = "PERFORMANCE.md";

/// What a subject is beside its reference.
#[derive(Clone, Copy, Debug)]
pub struct Contrast<'a> {
    /// What the subject is. The part before a slash says what is done, the rest how.
    pub name: &'a str,
    /// In what the subject differs from its reference, by how many: five emissions, say.
    pub units: (f64, &'static str),
    /// What is allowed.
    pub budget: Option<Budget>,
}

/// What a subject may take more than its reference.
#[derive(Clone, Copy, Debug)]
pub enum Budget {
    /// So many nanoseconds for each unit.
    Ns(f64),
    /// So many times its reference.
    Ratio(f64),
}

/// A table of subjects and references.
#[expect(missing_debug_implementations, reason = "criterion has none")]
pub struct Beside {
    name: &'static str,
    /// Without it the table alone is made, and put into the document.
    criterion: Option<Criterion>,
    table: Vec<String>,
}

/// What one turn found, for each time that both were done.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Turn {
    subject_ns: f64,
    reference_ns: f64,
}

impl Beside {
    /// Begins a table. With `--document` on the command line it is put into `docs/PERFORMANCE.md`
    /// in the end; else the command line is criterion's.
    #[must_use]
    pub fn named(name: &'static str) -> Beside {
        let is_for_document = env::args().any(|argument| argument == "--document");
        let criterion =
            if is_for_document { None } else { Some(Criterion::default().configure_from_args()) };
        Beside { name, criterion, table: Vec::new() }
    }

    /// Measures a subject beside its reference.
    pub fn ask(
        &mut self,
        contrast: Contrast<'_>,
        reference: &mut Subject<'_>,
        subject: &mut Subject<'_>,
    ) {
        let mut turns = Turns { reference, subject, size: None };
        let turns = match &mut self.criterion {
            Some(criterion) => ask_criterion(criterion, self.name, contrast, &mut turns),
            None => turns.take(TURNS),
        };
        if turns.len() >= TURNS_MIN {
            self.table.extend(line(contrast, &turns));
        }
    }

    /// Prints the table, and puts it into the document if that was asked for.
    ///
    /// # Panics
    /// If the document lacks the marks for it.
    pub fn finish(self) {
        if let Some(criterion) = self.criterion {
            criterion.final_summary();
            if !self.table.is_empty() {
                say(&table(&self.table));
            }
            return;
        }
        let text = table(&self.table);
        document::replace(DOCUMENT, self.name, &text).expect("the document has a place for it");
        say(&text);
    }
}

fn say(text: &str) {
    // If standard output is closed there is nobody to tell.
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

fn ask_criterion(
    criterion: &mut Criterion,
    group: &str,
    contrast: Contrast<'_>,
    turns: &mut Turns<'_, '_>,
) -> Vec<Turn> {
    let mut taken = Vec::new();
    let mut group = criterion.benchmark_group(group);
    group.sample_size(20);
    group.warm_up_time(Duration::from_millis(200));
    group.measurement_time(Duration::from_secs(1));
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(contrast.units.0.round().max(1.0) as u64));
    group.bench_function(contrast.name, |bencher| {
        bencher.iter_custom(|n| {
            let size = turns.size();
            let more = turns.take(n.div_ceil(size));
            let ns: f64 = more.iter().map(|turn| turn.subject_ns).sum();
            let each = ns / more.len() as f64;
            taken.extend(more);
            Duration::from_nanos((each * n as f64) as u64)
        });
    });
    group.finish();
    taken
}

/// A subject and its reference, and how often each is done in a turn.
struct Turns<'a, 'b> {
    reference: &'a mut Subject<'b>,
    subject: &'a mut Subject<'b>,
    size: Option<u64>,
}

impl Turns<'_, '_> {
    fn size(&mut self) -> u64 {
        let mut size = self.size.unwrap_or(1);
        while self.size.is_none() {
            if (self.subject)(size) >= HALF_TURN {
                self.size = Some(size);
            } else {
                size *= 2;
            }
        }
        size
    }

    fn take(&mut self, turns: u64) -> Vec<Turn> {
        let size = self.size();
        let each = |time: Duration| time.as_nanos() as f64 / size as f64;
        let mut turn = |turn| {
            // Who is second finds what the first has left in the caches.
            let early = (turn % 2 == 0).then(|| (self.subject)(size));
            let of_reference = (self.reference)(size);
            let of_subject = early.unwrap_or_else(|| (self.subject)(size));
            Turn { subject_ns: each(of_subject), reference_ns: each(of_reference) }
        };
        (0..turns).map(&mut turn).collect()
    }
}

/// Does `f` so many times, and looks at what it returns, so that it is not optimised away.
pub fn time<R>(n: u64, mut f: impl FnMut() -> R) -> Duration {
    let start = Instant::now();
    for _ in 0..n {
        black_box(f());
    }
    start.elapsed()
}

/// A line of the table. `None` without a turn.
fn line(contrast: Contrast<'_>, turns: &[Turn]) -> Option<String> {
    let Contrast { name, units: (units, unit), budget } = contrast;
    let of = |value: fn(&Turn) -> f64| Spread::of(turns.iter().map(value));
    let reference = of(|turn| turn.reference_ns)?;
    let more = of(|turn| turn.subject_ns - turn.reference_ns)?;
    let ratio = of(|turn| turn.subject_ns / turn.reference_ns)?;
    let per_unit = more.middle / units;
    let (allowed, is_met) = match budget {
        None => (String::new(), None),
        Some(Budget::Ns(ns)) => (format!("{ns} ns"), Some(per_unit <= ns)),
        Some(Budget::Ratio(most)) => (format!("× {most}"), Some(ratio.middle <= most)),
    };
    let is_met = is_met.map_or("", |is_met| if is_met { ", met" } else { ", not met" });
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(text, "| {name} | {units:.0} | {unit} | {:.1} | ", reference.middle);
    let _ = write!(text, "{per_unit:.2} | {:.2}–{:.2} | ", more.low / units, more.high / units);
    let _ = write!(text, "{:.3} | {:.3}–{:.3} | ", ratio.middle, ratio.low, ratio.high);
    let _ = writeln!(text, "{allowed}{is_met} |");
    Some(text)
}

fn table(lines: &[String]) -> String {
    let head = "| subject | units | of | reference ns | more, ns per unit | quartiles | × reference \
                | quartiles | budget |\n|---|--:|---|--:|--:|---|--:|---|---|\n";
    format!("{head}{}", lines.concat())
}

#[cfg(test)]
mod tests {
    use super::{Budget, Contrast, HALF_TURN, Turn, Turns, line};
    use std::time::Duration;

    /// By a clock that says so: a subject that takes 12 ns beside one that takes 10.
    #[test]
    fn in_each_turn_both_are_done_as_often_and_go_first_in_turns() {
        let done = std::cell::RefCell::new(Vec::new());
        let subject_of = |name, ns| {
            let done = &done;
            move |n| {
                done.borrow_mut().push((name, n));
                Duration::from_nanos(ns * n)
            }
        };
        let (mut reference, mut subject) = (subject_of("reference", 10), subject_of("subject", 12));
        let mut turns = Turns { reference: &mut reference, subject: &mut subject, size: None };
        let size = turns.size();
        assert!(Duration::from_nanos(12 * size) >= HALF_TURN);
        done.borrow_mut().clear();
        assert_eq!(turns.take(2), [Turn { subject_ns: 12.0, reference_ns: 10.0 }; 2]);
        let (reference, subject) = (("reference", size), ("subject", size));
        assert_eq!(*done.borrow(), [subject, reference, reference, subject]);
    }

    #[test]
    fn a_line_says_what_a_unit_takes_and_whether_that_is_allowed() {
        let turns = [11.0, 12.0, 13.0, 14.0, 15.0]
            .map(|subject_ns| Turn { subject_ns, reference_ns: 10.0 });
        let line = |budget, turns: &[Turn]| {
            line(Contrast { name: "a/b", units: (3.0, "emission"), budget }, turns)
        };
        let check = |budget, want| {
            let found = "| a/b | 3 | emission | 10.0 | 1.00 | 0.67–1.33 | 1.300 | 1.200–1.400 | ";
            assert_eq!(line(budget, &turns), Some(format!("{found}{want} |\n")));
        };
        check(None, "");
        check(Some(Budget::Ns(1.0)), "1 ns, met");
        check(Some(Budget::Ns(0.5)), "0.5 ns, not met");
        check(Some(Budget::Ratio(1.3)), "× 1.3, met");
        check(Some(Budget::Ratio(1.02)), "× 1.02, not met");
        assert_eq!(line(None, &[]), None);
    }
}
