//! Keeps what was measured, as lines of JSON in a file that only grows.
//!
//! A line either tells of a run, or is a sample of the run above it. So a long run can be done in
//! parts, and one that was interrupted loses nothing. Of two runs that asked the same, the later
//! one counts.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::origin::Origin;
use crate::question::{Better, Question};
use crate::rows::Row;
use crate::spread::Spread;

/// What one process found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The name of the question.
    pub question: String,
    /// The name of the row.
    pub row: String,
    /// How many threads it had.
    pub workers: usize,
    /// In which round: rows are compared within their round.
    pub round: usize,
    /// The answer, by the keys of its figures.
    pub figures: BTreeMap<String, f64>,
}

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Sample(Sample),
    Run(Origin),
}

/// All that is in a file, or what one run has found so far.
#[derive(Debug, Default)]
pub struct Samples {
    runs: Vec<Run>,
}

#[derive(Debug)]
struct Run {
    origin: Origin,
    samples: Vec<Sample>,
}

/// What one run says about one question, asked with so many workers.
#[derive(Debug)]
pub struct Measured<'a> {
    /// Which run it was.
    pub origin: &'a Origin,
    question: Question,
    /// The rows, and what each answered, round by round.
    rows: Vec<(Row, Vec<&'a Sample>)>,
}

impl Samples {
    /// Begins with what one run is about to find.
    #[must_use]
    pub fn of_run(origin: Origin) -> Samples {
        Samples { runs: vec![Run { origin, samples: Vec::new() }] }
    }

    /// Adds a sample to the latest run.
    ///
    /// # Panics
    /// Without a run.
    pub fn push(&mut self, sample: Sample) {
        self.runs.last_mut().expect("a sample is of a run").samples.push(sample);
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or has another format. One that is not there has no samples.
    pub fn read(path: &Path) -> io::Result<Samples> {
        match fs::read_to_string(path) {
            Ok(text) => Samples::parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Samples::default()),
            Err(error) => Err(error),
        }
    }

    fn parse(text: &str) -> io::Result<Samples> {
        let mut samples = Samples::default();
        for (at, line) in text.lines().enumerate() {
            match serde_json::from_str(line) {
                Ok(Line::Run(origin)) => samples.runs.extend(Samples::of_run(origin).runs),
                Ok(Line::Sample(sample)) if !samples.runs.is_empty() => samples.push(sample),
                _ => {
                    let what = format!("line {}: neither a run nor a sample of one", at + 1);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                }
            }
        }
        Ok(samples)
    }

    /// Finds the latest run that asked this of all rows. `None` if there was none.
    #[must_use]
    pub fn find(&self, question: Question, workers: usize) -> Option<Measured<'_>> {
        self.find_rows(question, workers, &Row::ALL)
    }

    /// Finds the latest run that asked this of these rows.
    #[must_use]
    pub fn find_rows(
        &self,
        question: Question,
        workers: usize,
        rows: &[Row],
    ) -> Option<Measured<'_>> {
        self.runs.iter().rev().find_map(|run| {
            let of_row = |row: &Row| {
                let is_it = |sample: &&Sample| {
                    let Sample { question: name, row: row_name, workers: threads, .. } = sample;
                    name == question.name() && row_name == row.name() && *threads == workers
                };
                (*row, run.samples.iter().filter(is_it).collect())
            };
            Measured::whole_rounds(&run.origin, question, rows.iter().map(of_row).collect())
        })
    }
}

impl<'a> Measured<'a> {
    /// Leaves out the round in which a run was interrupted.
    fn whole_rounds(
        origin: &'a Origin,
        question: Question,
        mut rows: Vec<(Row, Vec<&'a Sample>)>,
    ) -> Option<Measured<'a>> {
        let rounds = rows.iter().map(|(_, samples)| samples.len()).min().unwrap_or(0);
        rows.iter_mut().for_each(|(_, samples)| samples.truncate(rounds));
        (rounds > 0).then_some(Measured { origin, question, rows })
    }

    /// The rows, in the order of the table.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        self.rows.iter().map(|(row, _)| *row)
    }

    /// How many rounds there were.
    #[must_use]
    pub fn rounds(&self) -> usize {
        self.rows.first().map_or(0, |(_, samples)| samples.len())
    }

    /// What one row answered, round by round. Empty if the figure was not known then.
    fn values(&self, row: Row, figure: &str) -> Vec<f64> {
        let samples = self.rows.iter().find(|(known, _)| *known == row).map(|(_, samples)| samples);
        let values =
            samples.into_iter().flatten().map(|sample| sample.figures.get(figure).copied());
        values.collect::<Option<_>>().unwrap_or_default()
    }

    /// Sums up a figure of a row.
    #[must_use]
    pub fn spread(&self, row: Row, figure: &str) -> Option<Spread> {
        Spread::of(self.values(row, figure))
    }

    /// The peer with the best median.
    #[must_use]
    pub fn best_peer(&self, figure: &str) -> Option<Row> {
        let figure = self.question.figures().iter().find(|known| known.key == figure)?;
        let middle = |row: &Row| self.spread(*row, figure.key).map(|spread| spread.middle);
        let peers = self.rows().filter(|row| row.is_peer() && middle(row).is_some());
        let compare = |a: &Row, b: &Row| {
            let order = middle(a).unwrap_or_default().total_cmp(&middle(b).unwrap_or_default());
            if figure.better == Some(Better::More) { order.reverse() } else { order }
        };
        peers.min_by(compare)
    }

    /// Sums up the ratios to the best peer, taken round by round.
    #[must_use]
    pub fn ratio(&self, row: Row, figure: &str) -> Option<Spread> {
        let theirs = self.values(self.best_peer(figure)?, figure);
        let ours = self.values(row, figure);
        Spread::of(ours.into_iter().zip(theirs).map(|(our, their)| our / their))
    }
}

/// A file of samples that is being written.
#[derive(Debug)]
pub struct SampleFile(fs::File);

impl SampleFile {
    /// Opens a file to add a run to it, and makes it if it is not there.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(path: &Path, origin: &Origin) -> io::Result<SampleFile> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = SampleFile(OpenOptions::new().create(true).append(true).open(path)?);
        file.write(&Line::Run(origin.clone()))?;
        Ok(file)
    }

    /// Adds a sample.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn push(&mut self, sample: &Sample) -> io::Result<()> {
        self.write(&Line::Sample(sample.clone()))
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let text = serde_json::to_string(line)?;
        self.0.write_all(format!("{text}\n").as_bytes())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Line, Sample, Samples};
    use crate::question::Question;
    use crate::report::origin::Origin;
    use crate::rows::Row;
    use crate::work::Work;

    /// A run in which each row answered with these values, round by round, for every figure.
    pub(in crate::report) fn run(
        samples: &mut Samples,
        question: Question,
        workers: usize,
        answers: &[(Row, &[f64])],
    ) {
        samples.runs.extend(Samples::of_run(Origin::example()).runs);
        for (row, values) in answers {
            for (round, value) in values.iter().enumerate() {
                let keys = question.figures().iter().map(|figure| figure.key.to_owned());
                samples.push(Sample {
                    question: question.name().to_owned(),
                    row: row.name().to_owned(),
                    workers,
                    round,
                    figures: keys.map(|key| (key, *value)).collect(),
                });
            }
        }
    }

    const SPAWN: Question = Question::Work(Work::SpawnJoin);

    #[test]
    fn ratios_are_taken_within_a_round_to_the_peer_with_the_best_median() {
        let mut samples = Samples::default();
        let answers: &[(Row, &[f64])] = &[
            (Row::Bare, &[1.0, 4.0, 1.5]),
            (Row::Tokio, &[2.0, 8.0, 3.0]),
            (Row::Smol, &[1.0, 9.0, 9.0]),
        ];
        run(&mut samples, SPAWN, 2, answers);
        let rows = [Row::Bare, Row::Tokio, Row::Smol];
        let measured = samples.find_rows(SPAWN, 2, &rows).unwrap();
        assert_eq!(measured.best_peer("ns"), Some(Row::Tokio));
        let ratio = measured.ratio(Row::Bare, "ns").unwrap();
        assert_eq!([ratio.low, ratio.middle, ratio.high], [0.5, 0.5, 0.5]);
        assert_eq!(measured.spread(Row::Bare, "ns").unwrap().middle, 1.5);
        assert!(samples.find(SPAWN, 2).is_none(), "not all rows were asked");
        assert!(samples.find_rows(SPAWN, 1, &rows).is_none(), "not asked with one worker");
    }

    #[test]
    fn the_best_peer_is_the_one_with_more_where_more_is_better() {
        let hello = Question::Exchange(crate::net::Exchange::Hello);
        let mut samples = Samples::default();
        run(&mut samples, hello, 2, &[(Row::Tokio, &[2.0]), (Row::Smol, &[3.0])]);
        let measured = samples.find_rows(hello, 2, &[Row::Tokio, Row::Smol]).unwrap();
        assert_eq!(measured.best_peer("per_s"), Some(Row::Smol));
        assert_eq!(measured.best_peer("cpu_ns"), Some(Row::Tokio));
    }

    #[test]
    fn the_latest_run_counts_without_its_last_broken_round() {
        let mut samples = Samples::default();
        run(&mut samples, SPAWN, 2, &[(Row::Bare, &[1.0, 1.0]), (Row::Tokio, &[1.0, 1.0])]);
        run(&mut samples, SPAWN, 2, &[(Row::Bare, &[5.0, 7.0]), (Row::Tokio, &[1.0])]);
        run(&mut samples, SPAWN, 2, &[(Row::Bare, &[9.0])]);
        let measured = samples.find_rows(SPAWN, 2, &[Row::Bare, Row::Tokio]).unwrap();
        assert_eq!(measured.rounds(), 1);
        assert_eq!(measured.ratio(Row::Bare, "ns").unwrap().middle, 5.0);
    }

    #[test]
    fn lines_are_read_as_they_were_written() {
        let mut samples = Samples::default();
        run(&mut samples, SPAWN, 2, &[(Row::Bare, &[0.1, 3.0])]);
        let run = samples.runs.remove(0);
        let mut text = serde_json::to_string(&Line::Run(run.origin.clone())).unwrap();
        for sample in &run.samples {
            text += "\n";
            text += &serde_json::to_string(&Line::Sample(sample.clone())).unwrap();
        }
        let read = Samples::parse(&text).unwrap();
        assert_eq!(read.runs[0].origin, run.origin);
        assert_eq!(read.runs[0].samples, run.samples);
    }

    #[test]
    fn a_sample_without_a_run_and_another_format_are_refused() {
        let sample = r#"{"question":"a","row":"b","workers":1,"round":0,"figures":{}}"#;
        for text in [sample, "{}", "ns 5"] {
            assert!(Samples::parse(text).is_err(), "{text}");
        }
        assert!(Samples::parse("").unwrap().runs.is_empty());
    }
}
