//! Rewrites the figures of `docs/PERFORMANCE.md`, and nothing else of it.
//!
//! Figures stand between two comments, the first of which says which ones:
//!
//! ```text
//! <!-- figures: NAME workers=N -->
//! …
//! <!-- end -->
//! ```
//!
//! Without a number of workers, it is the usual one. Figures of which there are no samples, or not
//! of all questions, stay as they are: a file of samples is kept on one machine, the document on
//! all.

use super::chart::{TITLE, charted};
use super::number::rounds;
use super::samples::{Measured, Samples};
use super::tables;
use crate::plan::WORKERS;
use crate::question::Question;

const BEGIN: &str = "<!-- figures: ";
const BEGIN_END: &str = " -->";
const END: &str = "<!-- end -->";

/// What has become of a document.
#[derive(Debug, PartialEq)]
pub struct Rendered {
    /// The document, with its figures.
    pub text: String,
    /// Which figures were kept, and of which questions there are no samples.
    pub kept: Vec<String>,
}

/// Writes the figures anew.
///
/// # Errors
/// When a comment names figures that are not known, or has no end.
pub fn render(document: &str, samples: &Samples) -> Result<Rendered, String> {
    let mut rendered = Rendered { text: String::new(), kept: Vec::new() };
    let mut rest = document;
    while let Some(at) = rest.find(BEGIN) {
        let (before, block) = rest.split_at(at);
        let no_end = || {
            let line = block.lines().next().unwrap_or_default();
            format!("{line}: it has no end")
        };
        let (name, _) = block[BEGIN.len()..].split_once(BEGIN_END).ok_or_else(no_end)?;
        let whole = block.find(END).ok_or_else(no_end)? + END.len();
        rendered.text += before;
        match Figures::named(name)?.write(samples) {
            Ok(figures) => {
                rendered.text += &format!("{BEGIN}{name}{BEGIN_END}\n\n{figures}\n{END}");
            }
            Err(missing) => {
                rendered.text += &block[..whole];
                rendered.kept.push(format!("{name}: no samples of {}", missing.join(", ")));
            }
        }
        rest = &block[whole..];
    }
    rendered.text += rest;
    Ok(rendered)
}

/// What one block shows.
struct Figures {
    sort: Sort,
    questions: Vec<Question>,
    workers: usize,
}

enum Sort {
    /// All budgets, a line each.
    Budgets,
    /// A line for each question and row.
    Table,
    /// The chart, which is a file beside the document.
    Chart,
    /// The versions of the peers.
    Peers,
}

impl Figures {
    fn named(name: &str) -> Result<Figures, String> {
        let mut words = name.split_whitespace();
        let sort = words.next().unwrap_or_default();
        let workers = match words.next().map(|word| word.strip_prefix("workers=")) {
            None => Some(WORKERS),
            Some(number) => number.and_then(|number| number.parse().ok()),
        };
        let unknown = || format!("{BEGIN}{name}{BEGIN_END}: there are no such figures");
        let workers = workers.filter(|_| words.next().is_none()).ok_or_else(unknown)?;
        let sort_of = |question: &Question| table_name(*question) == sort;
        let (sort, questions) = match sort {
            "budgets" => (Sort::Budgets, Question::all()),
            "chart" => (Sort::Chart, charted()),
            "peers" => (Sort::Peers, Question::all()),
            _ => (Sort::Table, Question::all().into_iter().filter(sort_of).collect()),
        };
        if questions.is_empty() {
            return Err(unknown());
        }
        Ok(Figures { sort, questions, workers })
    }

    /// Writes them, or says which questions were not answered.
    fn write(&self, samples: &Samples) -> Result<String, Vec<&'static str>> {
        let Figures { sort, questions, workers } = self;
        let found: Vec<(Question, Option<Measured<'_>>)> = questions
            .iter()
            .map(|question| (*question, samples.find(*question, *workers)))
            .collect();
        let missing: Vec<&str> = found
            .iter()
            .filter(|(_, measured)| measured.is_none())
            .map(|(question, _)| question.name())
            .collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        let measured: Vec<Measured<'_>> =
            found.into_iter().filter_map(|(_, found)| found).collect();
        Ok(match sort {
            Sort::Budgets => tables::overview(samples, *workers) + "\n" + &origins(&measured),
            Sort::Table => tables::table(samples, questions, *workers) + "\n" + &origins(&measured),
            Sort::Chart => format!("![{TITLE}](performance.svg)\n"),
            Sort::Peers => peers(&measured),
        })
    }
}

/// In which table a question stands.
fn table_name(question: Question) -> &'static str {
    match question {
        Question::Work(_) => "ratios",
        Question::Exchange(_) => "network",
        Question::Late(_) => "lateness",
        other => other.name(),
    }
}

/// Says when and where, once for all that were measured together.
fn origins(measured: &[Measured<'_>]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for measured in measured {
        let origin = measured.origin;
        let line = format!(
            "Measured on {} at commit {}, in {}: {}.\n",
            origin.day,
            origin.commit,
            rounds(measured.rounds()),
            origin.machine()
        );
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.concat()
}

fn peers(measured: &[Measured<'_>]) -> String {
    let latest = measured.iter().map(|measured| measured.origin).max_by_key(|origin| &origin.day);
    let peers = latest.into_iter().flat_map(|origin| &origin.peers);
    peers.map(|(name, version)| format!("- {name} {version}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::question::Question;
    use crate::report::samples::{Samples, tests::run};
    use crate::rows::Row;

    fn samples() -> Samples {
        let mut samples = Samples::default();
        let answers = Row::ALL.map(|row| (row, &[100.0][..]));
        run(&mut samples, Question::IdleMemory, 2, &answers);
        samples
    }

    #[test]
    fn figures_are_written_between_the_comments_and_nothing_else_is_touched() {
        let document =
            "# Title\n\n<!-- figures: idle_memory workers=2 -->\nold\n<!-- end -->\n\ntext\n";
        let rendered = render(document, &samples()).unwrap();
        assert_eq!(rendered.kept, [""; 0]);
        let text = rendered.text;
        assert!(text.starts_with("# Title\n\n<!-- figures: idle_memory workers=2 -->\n\n| work |"));
        assert!(text.ends_with(", Linux 6.18, rustc 1.95.0.\n\n<!-- end -->\n\ntext\n"), "{text}");
        assert!(text.contains("| idle_memory | bare | 100 | 1.00 | ≤ 112 ✓ |\n"));
        assert!(text.contains("\nMeasured on 2026-11-24 at commit 7c89d3d, in one round: 2 cores"));
        assert!(!text.contains("old"));
        assert_eq!(render(&text, &samples()).unwrap().text, text, "again, it is the same");
    }

    #[test]
    fn figures_without_samples_stay() {
        let document = "<!-- figures: ratios workers=8 -->\nold\n<!-- end -->\n";
        let rendered = render(document, &samples()).unwrap();
        assert_eq!(rendered.text, document);
        assert!(rendered.kept[0].starts_with("ratios workers=8: no samples of spawn_join, "));
        let other = "<!-- figures: idle_memory workers=1 -->\nold\n<!-- end -->\n";
        assert_eq!(render(other, &samples()).unwrap().text, other);
    }

    #[test]
    fn comments_that_are_wrong_are_refused() {
        for document in [
            "<!-- figures: ratios workers=2 -->\n",
            "<!-- figures: ratios",
            "<!-- figures: speed -->\n<!-- end -->\n",
            "<!-- figures: ratios workers=two -->\n<!-- end -->\n",
            "<!-- figures: ratios workers=2 more -->\n<!-- end -->\n",
        ] {
            assert!(render(document, &samples()).is_err(), "{document}");
        }
    }
}
