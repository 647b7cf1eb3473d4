//! Writes the tables of the document.

use super::budget::{budgets, judge};
use super::number::{number, spread};
use super::samples::{Measured, Samples};
use crate::question::{Figure, Question};
use crate::rows::Row;
use crate::spread::Spread;

/// Writes what was found out about questions that have the same figures, a line for each row.
///
/// Empty if nothing was.
#[must_use]
pub fn table(samples: &Samples, questions: &[Question], workers: usize) -> String {
    let found = questions.iter().filter_map(|question| {
        let measured = samples.find(*question, workers)?;
        Some(lines(*question, workers, &measured))
    });
    let body: String = found.collect();
    match questions.first() {
        Some(question) if !body.is_empty() => head(*question) + &body,
        _ => String::new(),
    }
}

/// The first two lines of a table.
#[must_use]
pub fn head(question: Question) -> String {
    let mut head = vec!["work", "row"];
    let mut rule = vec!["---", "---"];
    for Figure { head: name, better, .. } in question.figures() {
        head.push(name);
        rule.push("--:");
        if better.is_some() {
            head.push("× best peer");
            rule.push("--:");
        }
    }
    head.push("budget");
    rule.push("---");
    line(&head) + &line(&rule)
}

/// The lines of one question.
#[must_use]
pub fn lines(question: Question, workers: usize, measured: &Measured<'_>) -> String {
    let name = |at| if at == 0 { question.name() } else { "" };
    let rows = measured.rows().enumerate();
    rows.map(|(at, row)| {
        let mut cells = vec![name(at).to_owned(), row.name().to_owned()];
        for Figure { key, better, .. } in question.figures() {
            cells.push(measured.spread(row, key).map_or(String::new(), spread));
            if better.is_some() {
                cells.push(measured.ratio(row, key).map_or(String::new(), spread));
            }
        }
        cells.push(verdicts(question, row, workers, measured));
        line(&cells)
    })
    .collect()
}

/// All budgets of a row. Which figure is meant is said where it is not the first.
fn verdicts(question: Question, row: Row, workers: usize, measured: &Measured<'_>) -> String {
    let figures = question.figures();
    let judged = budgets(question, row, workers).into_iter().filter_map(|budget| {
        let verdict = judge(budget, measured, row)?.text;
        let figure = figures.iter().find(|figure| figure.key == budget.figure)?;
        let is_first = figure.key == figures[0].key;
        Some(if is_first { verdict } else { format!("{} {verdict}", figure.head) })
    });
    judged.collect::<Vec<_>>().join(", ")
}

/// Writes the table of the budgets: a line for each, the rows side by side, as ratios to the best
/// peer. What is no ratio stands there as it is.
#[must_use]
pub fn overview(samples: &Samples, workers: usize) -> String {
    let mut text = String::new();
    for question in Question::all() {
        let Some(measured) = samples.find(question, workers) else { continue };
        for figure in question.figures() {
            let has_budget = |row| {
                budgets(question, row, workers).iter().any(|budget| budget.figure == figure.key)
            };
            if has_budget(Row::Bare) || has_budget(Row::Default) {
                text += &overview_line(question, figure, workers, &measured);
            }
        }
    }
    if text.is_empty() {
        return text;
    }
    let rows = Row::ALL.iter().filter(|row| !matches!(row, Row::Bare | Row::Default));
    let mut head = vec!["work", "best peer", "bare", "budget", "default", "budget"];
    head.extend(rows.map(|row| row.name()));
    let rule: Vec<&str> = head.iter().map(|name| side_of(name)).collect();
    line(&head) + &line(&rule) + &text
}

fn side_of(head: &str) -> &'static str {
    if matches!(head, "work" | "best peer" | "budget") { "---" } else { "--:" }
}

fn overview_line(
    question: Question,
    figure: &Figure,
    workers: usize,
    measured: &Measured<'_>,
) -> String {
    let is_ratio = figure.better.is_some() && has_ratio_budget(question, figure, workers);
    let value = |row: Row| -> Option<Spread> {
        if is_ratio { measured.ratio(row, figure.key) } else { measured.spread(row, figure.key) }
    };
    let verdict = |row: Row| {
        let budget = budgets(question, row, workers).into_iter();
        let budget = budget.filter(|budget| budget.figure == figure.key);
        let mut verdicts = budget.filter_map(|budget| judge(budget, measured, row));
        verdicts.next().map_or(String::new(), |verdict| verdict.text)
    };
    let is_first = figure.key == question.figures()[0].key;
    let name = question.name();
    let work =
        if is_first && is_ratio { name.to_owned() } else { format!("{name}, {}", figure.head) };
    let best = measured.best_peer(figure.key).filter(|_| figure.better.is_some());
    let best = best.map_or(String::new(), |row| {
        let middle = measured.spread(row, figure.key).map_or(0.0, |spread| spread.middle);
        format!("{}: {} {}", row.name(), number(middle), figure.head)
    });
    let mut cells = vec![work, best];
    for row in Row::ALL {
        cells.push(value(row).map_or(String::new(), spread));
        if matches!(row, Row::Bare | Row::Default) {
            cells.push(verdict(row));
        }
    }
    line(&cells)
}

fn has_ratio_budget(question: Question, figure: &Figure, workers: usize) -> bool {
    use super::budget::Bound::{Times, TimesAtLeast};
    let of_row = |row| budgets(question, row, workers);
    let mut all = [Row::Bare, Row::Default].into_iter().flat_map(of_row);
    all.any(|budget| {
        budget.figure == figure.key && matches!(budget.bound, Times(_) | TimesAtLeast(_))
    })
}

fn line<T: AsRef<str>>(cells: &[T]) -> String {
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    // An empty cell is one blank, not two.
    format!("| {} |\n", cells.join(" | ")).replace("|  |", "| |").replace("|  |", "| |")
}

#[cfg(test)]
mod tests {
    use super::{overview, table};
    use crate::question::Question;
    use crate::report::samples::{Samples, tests::run};
    use crate::rows::Row;
    use crate::work::Work;

    fn samples() -> Samples {
        let mut samples = Samples::default();
        let answers: &[(Row, &[f64])] = &[
            (Row::Bare, &[30.0, 30.0, 30.0]),
            (Row::Default, &[50.0, 60.0, 70.0]),
            (Row::Hooked, &[40.0, 40.0, 40.0]),
            (Row::Tokio, &[200.0, 200.0, 200.0]),
            (Row::Smol, &[400.0, 400.0, 400.0]),
        ];
        run(&mut samples, Question::Work(Work::SpawnJoin), 2, answers);
        run(&mut samples, Question::IdleMemory, 2, answers);
        samples
    }

    #[test]
    fn a_table_has_a_line_for_each_row() {
        let want = "\
| work | row | ns/op | × best peer | CPU ns/op | × best peer | budget |
| --- | --- | --: | --: | --: | --: | --- |
| spawn_join | bare | 30.0 | 0.15 | 30.0 | 0.15 | ≤ 0.15 ✓ |
| | default | 60.0 (50.0–60.0) | 0.30 (0.25–0.30) | 60.0 (50.0–60.0) | 0.30 (0.25–0.30) | ≤ 0.35 ✓ |
| | hooked | 40.0 | 0.20 | 40.0 | 0.20 | |
| | tokio | 200 | 1.00 | 200 | 1.00 | |
| | async-executor | 400 | 2.00 | 400 | 2.00 | |
";
        assert_eq!(table(&samples(), &[Question::Work(Work::SpawnJoin)], 2), want);
        assert_eq!(table(&samples(), &[Question::Work(Work::SpawnJoin)], 1), "");
    }

    #[test]
    fn the_overview_has_a_line_for_each_budget() {
        let want = "\
| work | best peer | bare | budget | default | budget | hooked | tokio | async-executor |
| --- | --- | --: | --- | --: | --- | --: | --: | --: |
| spawn_join | tokio: 200 ns/op | 0.15 | ≤ 0.15 ✓ | 0.30 (0.25–0.30) | ≤ 0.35 ✓ | 0.20 | 1.00 | 2.00 |
| idle_memory, bytes/task | tokio: 200 bytes/task | 30.0 | ≤ 112 ✓ | 60.0 (50.0–60.0) | ≤ 300 ✓ | 40.0 | 200 | 400 |
";
        assert_eq!(overview(&samples(), 2), want);
        assert_eq!(overview(&Samples::default(), 2), "");
    }
}
