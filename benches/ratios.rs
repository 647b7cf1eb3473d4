//! Asks how forebear stands beside its peers: asks all rows in turns, and writes the figures of
//! `docs/PERFORMANCE.md`.
//!
//! ```text
//! cargo bench -p forebear-benches --bench ratios -- [--only NAME,…] [--rows NAME,…]
//!     [--workers N,…] [--rounds N] [--samples PATH] [--missing] [--document]
//! cargo bench -p forebear-benches --bench ratios -- --render [--samples PATH]
//! cargo bench -p forebear-benches --bench ratios -- --repeat NAME ROW WORKERS SECONDS
//! ```
//!
//! The first form prints tables, and adds what it found to a file of samples. With `--document` it
//! asks everything with each number of workers that the document shows, and then writes the figures
//! of the document and its chart from that file. With `--missing` it asks only what the file has no
//! such run of, at this commit, so that a run of hours can be done in parts. The second form only
//! writes. The last one is for a profiler.
//!
//! A machine that others use, too, is fast in one minute and slow in the next. So each round asks
//! every row once, in an order that changes, and rows are compared within their round. Each
//! measurement has a process of its own, because hooks and the id map are the process's, and
//! because memory that one runtime has left behind would be a gift to the next.

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use forebear_benches::report::{Origin, Sample, SampleFile, Samples, chart, render, tables};
use forebear_benches::{
    Question, Row, Setting, Size, Spread, WORKERS, Workers, be_crowd, be_load, plan,
};

/// An odd number, so that there is a median, and enough of them for quartiles.
const ROUNDS: usize = 9;

/// Where samples are kept, in the root of the workspace.
const SAMPLES: &str = "target/performance/samples.jsonl";

/// What is written of them, in the root of the workspace.
const DOCUMENT: &str = "docs/PERFORMANCE.md";
const CHART: &str = "docs/performance.svg";

/// The program that counts allocations.
const BURST: &str = env!("CARGO_BIN_EXE_burst");

struct Options {
    rounds: usize,
    /// Those that were named.
    workers: Option<Vec<usize>>,
    questions: Vec<Question>,
    rows: Vec<Row>,
    samples: PathBuf,
    only_missing: bool,
    then: Then,
}

/// What is to be done with the samples.
#[derive(PartialEq)]
enum Then {
    /// What was measured is shown, no more.
    Nothing,
    /// The document is written after that.
    Write,
    /// The document is written, and nothing is measured.
    OnlyWrite,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let in_words = |error: io::Error| error.to_string();
    let answered = match arguments.first().map(String::as_str) {
        Some("--measure") => measure(&arguments[1..]),
        Some("--load") => be_load(&arguments[1..]).map_err(in_words),
        Some("--crowd") => be_crowd(&arguments[1..]).map_err(in_words),
        Some("--repeat") => repeat(&arguments[1..]),
        None => smoke(),
        _ => Options::parse(&arguments).and_then(|options| run(&options, &arguments)),
    };
    match answered {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed there is nobody to tell.
            let _ = writeln!(io::stderr(), "ratios: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Options, String> {
        let mut options = Options {
            rounds: ROUNDS,
            workers: None,
            questions: Question::all(),
            rows: Row::ALL.to_vec(),
            samples: root().join(SAMPLES),
            only_missing: false,
            then: Then::Nothing,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--rounds" => options.rounds = number::<usize>(value()?)?.max(1),
                "--workers" => {
                    let one_or_more = |text: &str| number::<usize>(text).map(|n| n.max(1));
                    options.workers = Some(list(value()?, one_or_more)?);
                }
                "--only" => options.questions = list(value()?, question)?,
                "--rows" => options.rows = list(value()?, row)?,
                // Cargo runs a bench in the folder of its package, its caller stands in the root.
                "--samples" => options.samples = root().join(value()?),
                "--missing" => options.only_missing = true,
                "--document" => options.then = Then::Write,
                "--render" => options.then = Then::OnlyWrite,
                // Cargo says so to every bench.
                "--bench" => {}
                other => return Err(format!("there is no option {other}")),
            }
        }
        Ok(options)
    }

    fn plan(&self, done: &Samples, commit: &str) -> Vec<(usize, Question)> {
        let workers = match (&self.workers, &self.then) {
            (named, Then::Write | Then::OnlyWrite) => Workers::InDocument(named.as_deref()),
            (Some(named), Then::Nothing) => Workers::These(named),
            (None, Then::Nothing) => Workers::Usual,
        };
        plan(&self.questions, workers, |workers, question| {
            let found = done.find_rows(question, workers, &self.rows);
            let is_such = found.is_some_and(|measured| {
                measured.origin.commit == commit && measured.rounds() >= self.rounds
            });
            self.only_missing && is_such
        })
    }
}

/// The root of the workspace.
///
/// Asked at run time: checkouts that share a target folder share this program, too.
fn root() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").map_or_else(PathBuf::new, PathBuf::from);
    package.parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

fn question(name: &str) -> Result<Question, String> {
    let known = Question::all().iter().map(|question| question.name()).collect::<Vec<_>>();
    Question::named(name).ok_or_else(|| format!("{name} is none of {}", known.join(", ")))
}

fn row(name: &str) -> Result<Row, String> {
    let known = Row::ALL.map(Row::name).join(", ");
    Row::named(name).ok_or_else(|| format!("{name} is none of {known}"))
}

fn list<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    text.split(',').map(parse).collect()
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

fn setting(row: Row, workers: usize, size: Size) -> Setting<'static> {
    Setting { row, workers, size, burst: Path::new(BURST) }
}

/// What `cargo test --all-targets` calls, which gives no argument: every row is asked everything.
fn smoke() -> Result<(), String> {
    for row in Row::ALL {
        for question in Question::all() {
            let answer = question.measure(setting(row, WORKERS, Size::Smoke));
            let what = || format!("{} on {}", question.name(), row.name());
            let answer = answer.map_err(|error| format!("{}: {error}", what()))?;
            if answer.iter().any(|value| !value.is_finite()) {
                return Err(format!("{}: {answer:?}", what()));
            }
        }
    }
    Ok(())
}

/// The child: asks one row one question.
fn measure(arguments: &[String]) -> Result<(), String> {
    let [what, on, workers] = arguments else { return Err("--measure needs three values".into()) };
    let answer = question(what)?.measure(setting(row(on)?, number(workers)?, Size::Whole))?;
    let answer: Vec<String> = answer.iter().map(f64::to_string).collect();
    say(&format!("{}\n", answer.join(" ")))?;
    // What the end of a runtime takes that holds many tasks is not what was asked.
    std::process::exit(0);
}

/// For a profiler: asks one row one question again and again.
fn repeat(arguments: &[String]) -> Result<(), String> {
    let [what, on, workers, seconds] = arguments else {
        return Err("--repeat needs a name, a row, a number of workers, and of seconds".into());
    };
    let asked = question(what)?;
    let mut prepared = asked.prepare(setting(row(on)?, number(workers)?, Size::Whole))?;
    let until = Instant::now() + Duration::from_secs(number(seconds)?);
    let mut answers = Vec::new();
    while answers.is_empty() || Instant::now() < until {
        answers.push((prepared.ask)()?);
    }
    for (at, figure) in asked.figures().iter().enumerate() {
        let Some(spread) = Spread::of(answers.iter().map(|answer| answer[at])) else { continue };
        let Spread { low, middle, high } = spread;
        say(&format!("{what} {on}, {}: {middle:.1}, {low:.1} to {high:.1}\n", figure.head))?;
    }
    Ok(())
}

/// The parent.
fn run(options: &Options, arguments: &[String]) -> Result<(), String> {
    let in_words = |error: io::Error| format!("{}: {error}", options.samples.display());
    if options.then != Then::OnlyWrite {
        let done = Samples::read(&options.samples).map_err(in_words)?;
        let origin = Origin::here(&root(), arguments);
        let plan = options.plan(&done, &origin.commit);
        ask_all(options, origin, &plan)?;
    }
    if options.then != Then::Nothing {
        write_document(&Samples::read(&options.samples).map_err(in_words)?)?;
    }
    Ok(())
}

/// Has everything asked in turns, and shows it one by one, so that who watches sees how far it is.
fn ask_all(options: &Options, origin: Origin, plan: &[(usize, Question)]) -> Result<(), String> {
    if plan.is_empty() {
        return say("nothing is missing\n");
    }
    let in_words = |error: io::Error| format!("{}: {error}", options.samples.display());
    let mut file = SampleFile::open(&options.samples, &origin).map_err(in_words)?;
    let mut samples = Samples::of_run(origin);
    let mut last = None;
    for (workers, question) in plan.iter().copied() {
        for round in 0..options.rounds {
            for turn in 0..options.rows.len() {
                let row = options.rows[(round + turn) % options.rows.len()];
                let sample = ask(question, row, workers, round)?;
                file.push(&sample).map_err(in_words)?;
                samples.push(sample);
            }
        }
        if last != Some((workers, question.figures())) {
            let threads = if workers == 1 { "worker" } else { "workers" };
            say(&format!("\n{workers} {threads}\n\n{}", tables::head(question)))?;
        }
        last = Some((workers, question.figures()));
        if let Some(measured) = samples.find_rows(question, workers, &options.rows) {
            say(&tables::lines(question, workers, &measured))?;
        }
    }
    Ok(())
}

fn write_document(samples: &Samples) -> Result<(), String> {
    let path = root().join(DOCUMENT);
    let in_words = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let document = fs::read_to_string(&path).map_err(|error| in_words(&path, error))?;
    let rendered = render(&document, samples)?;
    for kept in rendered.kept {
        say(&format!("kept {kept}\n"))?;
    }
    fs::write(&path, rendered.text).map_err(|error| in_words(&path, error))?;
    let path = root().join(CHART);
    match chart(samples, WORKERS) {
        Some(chart) => fs::write(&path, chart).map_err(|error| in_words(&path, error)),
        None => say("kept the chart: it has no samples of all that it shows\n"),
    }
}

fn ask(question: Question, row: Row, workers: usize, round: usize) -> Result<Sample, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["--measure", question.name(), row.name(), &workers.to_string()]);
    let output = command.output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let values: Result<Vec<f64>, String> = text.split_whitespace().map(number).collect();
    let figures = question.figures().iter().map(|figure| figure.key.to_owned());
    match values {
        Ok(values) if output.status.success() && values.len() == question.figures().len() => {
            Ok(Sample {
                question: question.name().to_owned(),
                row: row.name().to_owned(),
                workers,
                round,
                figures: figures.zip(values).collect(),
            })
        }
        _ => Err(format!(
            "{} on {} failed: {}",
            question.name(),
            row.name(),
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

fn say(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| error.to_string())
}
