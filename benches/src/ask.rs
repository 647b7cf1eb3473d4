//! Asks a question of a row: starts the runtime, has it do what is asked, and takes the figures.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::late::{Extent, Late};
use crate::net::{Cores, Crowd, Exchange, Load, allow_connections};
use crate::question::Question;
use crate::rows::Row;
use crate::spread::{Spread, quantile};
use crate::stage::Stage;
use crate::watch::cpu;
use crate::work::Work;

/// How much to do for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// As much as a figure needs.
    Whole,
    /// As little as shows that it works.
    Smoke,
}

impl Size {
    fn of<T>(self, whole: T, smoke: T) -> T {
        match self {
            Size::Whole => whole,
            Size::Smoke => smoke,
        }
    }
}

/// Who is asked, and how.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The runtime.
    pub row: Row,
    /// How many threads it has.
    pub workers: usize,
    /// How much to do.
    pub size: Size,
    /// The program that counts what is allocated.
    pub burst: &'a Path,
}

/// What an answer is, or why there is none.
pub type Answer = Result<Vec<f64>, String>;

impl Question {
    /// Starts the runtime, so that it can be asked, again and again.
    ///
    /// # Errors
    /// When the system refuses what is needed.
    pub fn prepare(self, setting: Setting<'_>) -> Result<Prepared<'_>, String> {
        let Setting { row, workers, size, burst } = setting;
        match self {
            Question::Work(work) => {
                let stage = row.start(workers);
                let operations = size.of(work.operations(), SMOKE_OPERATIONS);
                Ok(Prepared::new(RUNS, move || ask_work(&*stage, work, operations)))
            }
            Question::Exchange(exchange) => prepare_exchange(exchange, setting),
            Question::Late(late) => {
                let stage = row.start(workers);
                Ok(Prepared::new(1, move || ask_late(&*stage, late, size)))
            }
            Question::IdleMemory => {
                let stage = row.start(workers);
                Ok(Prepared::new(1, move || ask_idle_memory(&*stage, size)))
            }
            Question::IdleConnections => {
                let stage = row.start(workers);
                Ok(Prepared::new(1, move || ask_idle_connections(&*stage, size)))
            }
            Question::StartStop => Ok(Prepared::new(STARTS, move || ask_start_stop(row, workers))),
            Question::Burst => Ok(Prepared::new(1, move || ask_burst(burst, setting))),
        }
    }

    /// Asks as often as an answer needs.
    ///
    /// # Errors
    /// When the system refuses what is needed, or a child fails.
    pub fn measure(self, setting: Setting<'_>) -> Answer {
        let Prepared { runs, mut ask } = self.prepare(setting)?;
        let mut answers = Vec::new();
        for _ in 0..setting.size.of(runs, 1) {
            answers.push(ask()?);
        }
        let figures = self.figures().len();
        if answers.iter().any(|answer| answer.len() != figures) {
            return Err(format!("an answer has not {figures} figures"));
        }
        // The first run, which finds cold memory, does not count where there are others.
        let counted = &answers[usize::from(answers.len() > 1)..];
        let middle = |at: usize| Spread::of(counted.iter().map(|answer| answer[at]));
        let middles = (0..figures).map(|at| middle(at).map(|spread| spread.middle));
        middles.collect::<Option<_>>().ok_or_else(|| "nothing was measured".to_owned())
    }
}

/// A question whose runtime has been started.
pub struct Prepared<'a> {
    /// How often it is asked for one answer.
    runs: usize,
    /// Asks once.
    pub ask: Box<dyn FnMut() -> Answer + 'a>,
}

impl<'a> Prepared<'a> {
    fn new(runs: usize, ask: impl FnMut() -> Answer + 'a) -> Prepared<'a> {
        Prepared { runs, ask: Box::new(ask) }
    }
}

impl std::fmt::Debug for Prepared<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("runs", &self.runs).finish_non_exhaustive()
    }
}

/// So often a process runs its program; the first run does not count.
const RUNS: usize = 4;

/// So often a process starts a runtime.
const STARTS: usize = 51;

/// Enough for every program to begin and end.
const SMOKE_OPERATIONS: u64 = 200;
const SMOKE_REQUESTS: usize = 128;

/// How many tasks are held to see what one takes in memory, and how many a burst has.
const HELD_TASKS: u64 = 1_000_000;

/// How many connections are idle, if the system lets a process have so many.
const CONNECTIONS: usize = 10_000;

fn ask_work(stage: &dyn Stage, work: Work, operations: u64) -> Answer {
    let (done, took) = stage.run(work, operations);
    let per_operation = |time: Duration| ns(time) / done as f64;
    Ok(vec![per_operation(took.time), per_operation(took.cpu)])
}

fn prepare_exchange(exchange: Exchange, setting: Setting<'_>) -> Result<Prepared<'_>, String> {
    let Setting { row, workers, size, .. } = setting;
    // What only is to work is not to need cores of its own.
    let cores = size.of(Some(()), None).map(|()| Cores::divide(workers)).transpose();
    let cores = cores.map_err(in_words)?;
    if let Some(cores) = cores {
        cores.use_servers().map_err(in_words)?;
    }
    let stage = row.start(workers);
    let address = stage.serve(exchange).map_err(in_words)?;
    let mut load = Load::start(exchange, address, cores).map_err(in_words)?;
    let requests = size.of(exchange.requests(), SMOKE_REQUESTS);
    Ok(Prepared::new(RUNS, move || {
        // The server lives as long as the question.
        let _ = &stage;
        let before = cpu();
        let seen = load.run(requests).map_err(in_words)?;
        let cpu_ns = ns(cpu() - before) / requests as f64;
        let per_s = requests as f64 / seen.time.as_secs_f64();
        Ok(vec![cpu_ns, per_s, us(seen.p50), us(seen.p99)])
    }))
}

fn ask_late(stage: &dyn Stage, late: Late, size: Size) -> Answer {
    let (second, milli) = (Duration::from_secs(1), Duration::from_millis(1));
    let extent = size.of(
        Extent { length: 3 * second, poll: 100 * milli, timers: 100_000 },
        Extent { length: 20 * milli, poll: 5 * milli, timers: 1000 },
    );
    let mut late = stage.late(late, extent);
    late.sort_by(f64::total_cmp);
    Ok([0.5, 0.99, 0.999, 0.0].map(|part| quantile(&late, part) / 1000.0).to_vec())
}

fn ask_idle_memory(stage: &dyn Stage, size: Size) -> Answer {
    let tasks = size.of(HELD_TASKS, SMOKE_OPERATIONS);
    let before = resident_bytes()?;
    stage.hold(tasks);
    Ok(vec![(resident_bytes()? - before) / tasks as f64])
}

/// For how long nothing happens: before it is looked at, so that all have fallen asleep, and while.
const SETTLING: Duration = Duration::from_millis(500);
const LOOKING: Duration = Duration::from_secs(5);
const SMOKE_LOOKING: Duration = Duration::from_millis(20);

fn ask_idle_connections(stage: &dyn Stage, size: Size) -> Answer {
    let connections = allow_connections(size.of(CONNECTIONS, 50)).map_err(in_words)?;
    let before = resident_bytes()?;
    let address = stage.serve(Exchange::EchoSmall).map_err(in_words)?;
    let crowd = Crowd::connect(address, connections).map_err(in_words)?;
    thread::sleep(size.of(SETTLING, Duration::ZERO));
    let bytes = (resident_bytes()? - before) / connections as f64;
    let (begun, cpu_before) = (Instant::now(), cpu());
    thread::sleep(size.of(LOOKING, SMOKE_LOOKING));
    let cpu = us(cpu() - cpu_before) / begun.elapsed().as_secs_f64();
    crowd.disperse();
    Ok(vec![cpu, bytes, connections as f64])
}

fn ask_start_stop(row: Row, workers: usize) -> Answer {
    let begun = Instant::now();
    let stage = row.start(workers);
    let (done, _) = stage.run(Work::SpawnRemote, 1);
    let started = begun.elapsed();
    drop(stage);
    let whole = begun.elapsed();
    debug_assert_eq!(done, 1, "one task is run");
    Ok(vec![us(whole), us(started), us(whole - started)])
}

/// Has it asked by the program that counts, because counting would slow all others down.
fn ask_burst(program: &Path, setting: Setting<'_>) -> Answer {
    let Setting { row, workers, size, .. } = setting;
    let tasks = size.of(HELD_TASKS, SMOKE_OPERATIONS);
    let mut command = Command::new(program);
    command.args([row.name(), &workers.to_string(), &tasks.to_string()]);
    let output = command.output().map_err(|error| format!("{}: {error}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let bytes: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [before, peak, after, resident_before, resident_peak, resident_after] = bytes[..] else {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    };
    let kib = [before, peak, after, resident_before, resident_peak, resident_after];
    let left = 100.0 * (after - before) / peak;
    Ok([left].into_iter().chain(kib.map(|bytes| bytes / 1024.0)).collect())
}

/// Returns what the system has given to the process in memory.
///
/// # Errors
/// Where it does not say.
pub fn resident_bytes() -> Result<f64, String> {
    let text = fs::read_to_string("/proc/self/status").map_err(in_words)?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.ok_or("the system does not say what is resident")? * 1024.0)
}

fn ns(time: Duration) -> f64 {
    time.as_nanos() as f64
}

fn us(time: Duration) -> f64 {
    ns(time) / 1000.0
}

fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
