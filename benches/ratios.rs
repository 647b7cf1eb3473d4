//! Asks how forebear stands beside its peers: runs all rows of each program in turns, and prints
//! the tables of `docs/PERFORMANCE.md`.
//!
//! ```text
//! cargo bench -p forebear-benches --bench ratios -- [--rounds N] [--workers N] [--only NAME,…]
//!     [--rows NAME,…] [--json]
//! cargo bench -p forebear-benches --bench ratios -- --repeat PROGRAM ROW WORKERS SECONDS
//! ```
//!
//! The second form is for a profiler.
//!
//! A machine that others use, too, is fast in one minute and slow in the next. So each round runs
//! every row once, in an order that changes, and rows are compared within their round. Each
//! measurement has a process of its own, because hooks and the id map are the process's, and
//! because memory that one runtime has left behind would be a gift to the next.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use forebear_benches::{Row, Stage, Work};

/// An odd number, so that there is a median, and enough of them for quartiles.
const ROUNDS: usize = 9;

const WORKERS: usize = 2;

/// So often a process runs its program; the first run, which finds cold memory, does not count.
const RUNS: usize = 4;

/// Enough for every program to begin and end.
const SMOKE_OPERATIONS: u64 = 200;

/// How many tasks are held to see what one takes in memory.
const HELD_TASKS: u64 = 1_000_000;

/// The measurement that is no program: resident bytes per task that waits.
const IDLE_MEMORY: &str = "idle_memory";

/// What one measurement found.
#[derive(Clone, Copy)]
struct Sample {
    /// Nanoseconds per operation; bytes per task for the memory.
    cost: f64,
    /// Nanoseconds of processor time per operation, on all threads.
    cpu: f64,
}

struct Options {
    rounds: usize,
    workers: usize,
    questions: Vec<&'static str>,
    rows: Vec<Row>,
    is_json: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let answered = match arguments.first().map(String::as_str) {
        Some("--measure") => measure(&arguments[1..]),
        Some("--repeat") => repeat(&arguments[1..]),
        None => {
            smoke();
            Ok(())
        }
        _ => Options::parse(&arguments).and_then(|options| run(&options)),
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
            workers: WORKERS,
            questions: questions(),
            rows: Row::ALL.to_vec(),
            is_json: false,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--rounds" => options.rounds = number::<usize>(value()?)?.max(1),
                "--workers" => options.workers = number::<usize>(value()?)?.max(1),
                "--only" => {
                    options.questions = list(value()?, question)?;
                }
                "--rows" => options.rows = list(value()?, row)?,
                "--json" => options.is_json = true,
                // Cargo says so to every bench.
                "--bench" => {}
                other => return Err(format!("there is no option {other}")),
            }
        }
        Ok(options)
    }
}

/// The name of everything that can be asked for.
fn questions() -> Vec<&'static str> {
    Work::ALL.iter().map(|work| work.name()).chain([IDLE_MEMORY]).collect()
}

fn question(name: &str) -> Result<&'static str, String> {
    let known = questions();
    let found = known.iter().find(|known| **known == name).copied();
    found.ok_or_else(|| format!("{name} is none of {}", known.join(", ")))
}

fn row(name: &str) -> Result<Row, String> {
    let found = Row::ALL.into_iter().find(|row| row.name() == name);
    found.ok_or_else(|| format!("{name} is none of {}", Row::ALL.map(Row::name).join(", ")))
}

fn list<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    text.split(',').map(parse).collect()
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

/// What `cargo test --all-targets` calls, which gives no argument: every program runs on every row.
fn smoke() {
    for row in Row::ALL {
        let stage = row.start(WORKERS);
        for work in Work::ALL {
            let (done, _) = stage.run(work, SMOKE_OPERATIONS);
            assert!(done > 0, "{} did nothing on {}", work.name(), row.name());
        }
    }
}

/// The child: measures one program on one row.
fn measure(arguments: &[String]) -> Result<(), String> {
    let [what, on, workers] = arguments else { return Err("--measure needs three values".into()) };
    let stage = row(on)?.start(number(workers)?);
    let sample = match Work::ALL.into_iter().find(|work| work.name() == what) {
        Some(work) => {
            let runs: Vec<Sample> = (0..RUNS).map(|_| run_once(&*stage, work)).collect();
            let middle = |of: Clock| Spread::of(runs[1..].iter().map(of)).middle;
            Sample { cost: middle(WALL), cpu: middle(PROCESSORS) }
        }
        None => {
            let before = resident_bytes()?;
            stage.hold(HELD_TASKS);
            let bytes = resident_bytes()? - before;
            Sample { cost: bytes / HELD_TASKS as f64, cpu: 0.0 }
        }
    };
    say(&format!("{} {}\n", sample.cost, sample.cpu))?;
    // The end of a runtime that holds many tasks is not what was asked for.
    std::process::exit(0);
}

fn run_once(stage: &dyn Stage, work: Work) -> Sample {
    let (done, took) = stage.run(work, work.operations());
    let per = |time: Duration| time.as_nanos() as f64 / done as f64;
    Sample { cost: per(took.time), cpu: per(took.cpu) }
}

/// For a profiler: runs one program on one row again and again.
fn repeat(arguments: &[String]) -> Result<(), String> {
    let [what, on, workers, seconds] = arguments else {
        return Err("--repeat needs a program, a row, a number of workers, and of seconds".into());
    };
    let work = Work::ALL.into_iter().find(|work| work.name() == what);
    let work = work.ok_or_else(|| format!("{what} is no program"))?;
    let stage = row(on)?.start(number(workers)?);
    let until = Instant::now() + Duration::from_secs(number(seconds)?);
    let mut costs = Vec::new();
    while costs.is_empty() || Instant::now() < until {
        let (done, took) = stage.run(work, work.operations());
        costs.push(took.time.as_nanos() as f64 / done as f64);
    }
    let spread = Spread::of(costs.iter().copied());
    say(&format!("{what} {on}: {:.1} ns, {:.1} to {:.1}\n", spread.middle, spread.low, spread.high))
}

fn resident_bytes() -> Result<f64, String> {
    let text = fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    let kib: f64 = number(kib.ok_or("the system does not say what is resident")?)?;
    Ok(kib * 1024.0)
}

/// The parent: has everything measured in turns.
fn run(options: &Options) -> Result<(), String> {
    let mut report = Report::new(options);
    for (at, question) in options.questions.iter().enumerate() {
        for round in 0..options.rounds {
            for turn in 0..options.rows.len() {
                let row = (round + turn) % options.rows.len();
                let sample = ask(question, options.rows[row], options.workers)?;
                report.samples[at][row].push(sample);
            }
        }
        // One by one, so that who watches sees how far it is.
        if !options.is_json {
            say(&report.lines(at))?;
        }
    }
    if options.is_json { say(&report.json()) } else { Ok(()) }
}

fn ask(question: &str, row: Row, workers: usize) -> Result<Sample, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["--measure", question, row.name(), &workers.to_string()]);
    let output = command.output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().map(number::<f64>);
    match (numbers.next(), numbers.next()) {
        (Some(cost), Some(cpu)) if output.status.success() => Ok(Sample { cost: cost?, cpu: cpu? }),
        _ => Err(format!(
            "{question} on {} failed: {}",
            row.name(),
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

fn say(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| error.to_string())
}

struct Report<'a> {
    options: &'a Options,
    /// By question, then by row, then by round.
    samples: Vec<Vec<Vec<Sample>>>,
}

/// By which clock a cost is looked at.
type Clock = fn(&Sample) -> f64;

const WALL: Clock = |sample| sample.cost;
const PROCESSORS: Clock = |sample| sample.cpu;

/// The median and the quartiles around it.
struct Spread {
    low: f64,
    middle: f64,
    high: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Spread {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let at = |part: usize| sorted[(sorted.len() - 1) * part / 4];
        Spread { low: at(1), middle: at(2), high: at(3) }
    }
}

impl<'a> Report<'a> {
    fn new(options: &'a Options) -> Report<'a> {
        let samples = vec![vec![Vec::new(); options.rows.len()]; options.questions.len()];
        Report { options, samples }
    }

    /// The spread of what one row costs; `of` says by which clock.
    fn costs(&self, question: usize, row: usize, of: Clock) -> Spread {
        Spread::of(self.samples[question][row].iter().map(of))
    }

    /// The ratio to the peer with the smallest median, taken round by round.
    fn ratio(&self, question: usize, row: usize, of: Clock) -> Option<Spread> {
        let peers = (0..self.options.rows.len()).filter(|row| self.options.rows[*row].is_peer());
        let middle = |row: &usize| self.costs(question, *row, of).middle;
        let best = peers.min_by(|a, b| middle(a).total_cmp(&middle(b)))?;
        let theirs = self.samples[question][best].iter().map(of);
        let ours = self.samples[question][row].iter().map(of);
        Some(Spread::of(ours.zip(theirs).map(|(our, their)| our / their)))
    }

    /// The lines of a table for one question, with the head of the table before the first.
    fn lines(&self, question: usize) -> String {
        let mut text = String::new();
        if question == 0 {
            text.push_str(
                "| work | row | ns/op | quartiles | × best peer | quartiles | CPU ns/op | × best |\n\
                 |---|---|--:|---|--:|---|--:|--:|\n",
            );
        }
        for (at, row) in self.options.rows.iter().enumerate() {
            let name = if at == 0 { self.options.questions[question] } else { "" };
            let cost = self.costs(question, at, WALL);
            let ratio = self.ratio(question, at, WALL);
            let [middle, spread] = ratio.map_or(Default::default(), |ratio| {
                [format!("{:.2}", ratio.middle), format!("{:.2}–{:.2}", ratio.low, ratio.high)]
            });
            let cpu = self.costs(question, at, PROCESSORS).middle;
            // Memory takes no time.
            let cpu_ratio = self.ratio(question, at, PROCESSORS).filter(|_| cpu > 0.0);
            let cpu_text = if cpu > 0.0 { format!("{cpu:.0}") } else { String::new() };
            let cpu_ratio = cpu_ratio.map_or(String::new(), |ratio| format!("{:.2}", ratio.middle));
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "| {name} | {} | {:.0} | {:.0}–{:.0} | {middle} | {spread} | {cpu_text} | {cpu_ratio} |",
                row.name(),
                cost.middle,
                cost.low,
                cost.high,
            );
        }
        text
    }

    /// One line per question and row, for a program that compares two runs.
    fn json(&self) -> String {
        let mut text = String::new();
        for (question, name) in self.options.questions.iter().enumerate() {
            for (at, row) in self.options.rows.iter().enumerate() {
                let costs: Vec<String> = self.samples[question][at]
                    .iter()
                    .map(|sample| format!("{:.2}", sample.cost))
                    .collect();
                let _ = writeln!(
                    text,
                    r#"{{"work":"{name}","row":"{}","workers":{},"ns":[{}]}}"#,
                    row.name(),
                    self.options.workers,
                    costs.join(",")
                );
            }
        }
        text
    }
}
