//! Knows the budgets of the design (its section 11), and says whether they are met.

use super::number::number;
use super::samples::Measured;
use crate::question::Question;
use crate::rows::Row;

/// A bound that the design sets to a figure of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Budget {
    /// The key of the figure.
    pub(super) figure: &'static str,
    /// What it must not be beyond.
    pub(super) bound: Bound,
}

/// What a figure must not be beyond.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    /// So many times the best peer's, at most.
    Times(f64),
    /// So many times the best peer's, at least.
    TimesAtLeast(f64),
    /// So much, at most.
    Most(f64),
    /// So much, at least.
    Least(f64),
}

use self::Bound::{Least, Most, Times, TimesAtLeast};

/// By question, with two workers: the figure, its bound for the bare row, and for the default row.
const WITH_TWO_WORKERS: [(&str, &str, Bound, Bound); 26] = [
    ("spawn_join", "ns", Times(0.15), Times(0.35)),
    ("spawn_remote", "ns", Times(0.15), Times(0.35)),
    ("spawn_seq", "ns", Times(0.22), Times(0.40)),
    ("yield_many", "ns", Times(0.50), Times(0.60)),
    ("ping_pong", "ns", Times(0.28), Times(0.42)),
    ("chained_spawn", "ns", Times(0.28), Times(0.40)),
    ("fanout", "ns", Times(0.22), Times(0.35)),
    ("mpsc", "ns", Times(1.0), Times(1.0)),
    ("timers_fire", "ns", Times(0.32), Times(0.42)),
    ("timers_cancel", "ns", Times(0.10), Times(0.12)),
    ("spawn_idle", "ns", Times(1.0), Times(1.0)),
    ("echo_64", "cpu_ns", Times(0.95), Times(1.0)),
    ("echo_16k", "cpu_ns", Times(0.95), Times(1.0)),
    ("http_hello", "cpu_ns", Times(0.95), Times(1.0)),
    ("http_hello", "per_s", TimesAtLeast(1.05), TimesAtLeast(1.0)),
    ("http_sleep", "per_s", TimesAtLeast(1.05), TimesAtLeast(1.0)),
    ("sleep_idle", "p50_us", Most(100.0), Most(100.0)),
    ("sleep_idle", "p99_us", Most(300.0), Most(300.0)),
    ("sleep_idle", "earliest_us", Least(0.0), Least(0.0)),
    ("sleep_among_100k", "p50_us", Most(100.0), Most(100.0)),
    ("sleep_among_100k", "p99_us", Most(300.0), Most(300.0)),
    ("sleep_among_100k", "earliest_us", Least(0.0), Least(0.0)),
    ("sleep_beside_polls", "earliest_us", Least(0.0), Least(0.0)),
    ("idle_memory", "bytes", Most(112.0), Most(300.0)),
    // Not of the design's table: idle connections are to use no processor time. What is less than
    // a ten-thousandth of a core is none.
    ("idle_connections", "cpu_us_per_s", Most(100.0), Most(100.0)),
    // Nor is this: after a burst, allocated bytes are to return to within a hundredth.
    ("burst", "left_percent", Most(1.0), Most(1.0)),
];

/// With one worker, every program is to be so much better than the best peer: the default row, and
/// for messages the bare one, too.
const WITH_ONE_WORKER: Bound = Times(0.75);

/// Lists the budgets of a row.
pub(super) fn budgets(question: Question, row: Row, workers: usize) -> Vec<Budget> {
    let is_bare = row == Row::Bare;
    match (row, workers) {
        (Row::Bare | Row::Default, 2) => {
            let ours = WITH_TWO_WORKERS.iter().filter(|(name, ..)| *name == question.name());
            ours.map(|(_, figure, bare, default)| Budget {
                figure,
                bound: if is_bare { *bare } else { *default },
            })
            .collect()
        }
        (Row::Bare | Row::Default, 1) => {
            let Question::Work(work) = question else { return Vec::new() };
            let has_budget = !is_bare || work.name() == "mpsc";
            let budget = Budget { figure: "ns", bound: WITH_ONE_WORKER };
            if has_budget { vec![budget] } else { Vec::new() }
        }
        _ => Vec::new(),
    }
}

/// How a budget was kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    /// The budget, and how it was kept, in words for a table.
    pub(super) text: String,
    /// Whether it was kept.
    pub(super) is_met: bool,
}

/// Judges by the median. `None` if the figure was not measured.
pub(super) fn judge(budget: Budget, measured: &Measured<'_>, row: Row) -> Option<Verdict> {
    let Budget { figure, bound } = budget;
    let is_ratio = matches!(bound, Times(_) | TimesAtLeast(_));
    let spread = if is_ratio { measured.ratio(row, figure) } else { measured.spread(row, figure) }?;
    let (is_met, text, beyond) = match bound {
        Times(most) | Most(most) => {
            (spread.middle <= most, format!("≤ {}", short(most)), spread.middle / most)
        }
        TimesAtLeast(least) | Least(least) => {
            (spread.middle >= least, format!("≥ {}", short(least)), spread.middle / least)
        }
    };
    let text = if is_met {
        format!("{text} ✓")
    } else if beyond.is_finite() {
        format!("{text} ✗ ({} times)", number(beyond))
    } else {
        format!("{text} ✗")
    };
    Some(Verdict { text, is_met })
}

/// A bound as the design writes it.
fn short(bound: f64) -> String {
    if bound < 10.0 && bound != 0.0 { format!("{bound:.2}") } else { format!("{bound:.0}") }
}

#[cfg(test)]
mod tests {
    use super::{Bound, Budget, WITH_TWO_WORKERS, budgets, judge};
    use crate::question::Question;
    use crate::report::samples::{Samples, tests::run};
    use crate::rows::Row;
    use crate::work::Work;

    #[test]
    fn every_budget_is_of_a_figure_that_is_measured() {
        for (name, figure, ..) in WITH_TWO_WORKERS {
            let question = Question::named(name).expect(name);
            assert!(question.figures().iter().any(|known| known.key == figure), "{name} {figure}");
        }
    }

    #[test]
    fn budgets_are_those_of_the_row_and_of_the_number_of_workers() {
        let check = |name, row, workers, want: &[Bound]| {
            let found = budgets(Question::named(name).unwrap(), row, workers);
            let found: Vec<Bound> = found.iter().map(|budget| budget.bound).collect();
            assert_eq!(found, want, "{name} {row:?} {workers}");
        };
        check("spawn_join", Row::Bare, 2, &[Bound::Times(0.15)]);
        check("spawn_join", Row::Default, 2, &[Bound::Times(0.35)]);
        check("spawn_join", Row::Hooked, 2, &[]);
        check("spawn_join", Row::Tokio, 2, &[]);
        check("spawn_join", Row::Bare, 1, &[]);
        check("spawn_join", Row::Default, 1, &[Bound::Times(0.75)]);
        check("spawn_join", Row::Default, 8, &[]);
        check("mpsc", Row::Bare, 1, &[Bound::Times(0.75)]);
        check("http_hello", Row::Default, 1, &[]);
        check("http_hello", Row::Bare, 2, &[Bound::Times(0.95), Bound::TimesAtLeast(1.05)]);
    }

    #[test]
    fn a_verdict_says_by_how_much() {
        let spawn = Question::Work(Work::SpawnJoin);
        let mut samples = Samples::default();
        run(&mut samples, spawn, 2, &[(Row::Bare, &[30.0]), (Row::Tokio, &[100.0])]);
        let measured = samples.find_rows(spawn, 2, &[Row::Bare, Row::Tokio]).unwrap();
        let check = |bound, want: &str, is_met| {
            let verdict = judge(Budget { figure: "ns", bound }, &measured, Row::Bare).unwrap();
            assert_eq!((verdict.text.as_str(), verdict.is_met), (want, is_met));
        };
        check(Bound::Times(0.30), "≤ 0.30 ✓", true);
        check(Bound::Times(0.15), "≤ 0.15 ✗ (2.00 times)", false);
        check(Bound::TimesAtLeast(0.25), "≥ 0.25 ✓", true);
        check(Bound::TimesAtLeast(1.2), "≥ 1.20 ✗ (0.25 times)", false);
        check(Bound::Most(112.0), "≤ 112 ✓", true);
        check(Bound::Most(10.0), "≤ 10 ✗ (3.00 times)", false);
        check(Bound::Least(0.0), "≥ 0 ✓", true);
        let unknown = Budget { figure: "bytes", bound: Bound::Most(1.0) };
        assert_eq!(judge(unknown, &measured, Row::Bare), None);
    }
}
