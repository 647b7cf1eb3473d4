//! Counts the instructions of a few fixed programs, and fails if one of them needs more than it
//! did.
//!
//! ```text
//! cargo run --profile instructions -p forebear-tests --bin instructions -- [--renew]
//! cargo run --profile instructions -p forebear-tests --bin instructions -- --only NAME,…
//! ```
//!
//! On a machine that others use, too, a time says little about a change of five percent; the number
//! of instructions is the same at each run. What was counted when a change landed stands in
//! `tests/instructions/baseline.txt`. The first form compares all programs with it, or with
//! `--renew` writes it anew; the second counts some of them while working.
//!
//! # How it counts
//!
//! Each program runs twice under valgrind, with so many operations and with twice as many. The
//! difference is what the additional operations needed: beginning and end cancel out, and the
//! program need not know that it is being counted.
//!
//! # Why it gives the same number again
//!
//! - A program is one thread's work, so nothing depends on who comes first.
//! - valgrind shows every x86-64 processor that has AVX2 as the same model, so libc chooses the
//!   same copy of `memcpy` everywhere; and it hides the fast way to read the clock.
//! - The profile `instructions` compiles each crate as a single unit. In several units, a function
//!   that is added shifts their borders, and with them what is inlined: one and the same code
//!   differed by 5 %.
//! - The baseline names the compiler, libc and valgrind that it was made with. Beside other ones
//!   nothing is compared, and the program ends with [`NOT_COMPARED`].
//!
//! What is left are timers, whose way through the wheel depends on when the process began, and the
//! first moments of a runtime's threads: 0.7 % at most, however busy the machine is.
//!
//! # What it does not see
//!
//! Instructions are not time. An atomic read-modify-write is one instruction, and so is a load that
//! misses every cache; what the system does in a call is not counted; and threads in each other's
//! way are not there. The benches see to those.
//!
//! # Which function it is
//!
//! ```text
//! valgrind --tool=callgrind target/instructions/instructions --program spawn_seq 4000
//! callgrind_annotate callgrind.out.*
//! ```

mod programs; // what is counted
mod count; // how it is counted
mod baseline; // what it was, and whether it is worse now

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::baseline::{Baseline, Comparison};
use crate::programs::{PROGRAMS, Program};

/// What the process ends with when there was nothing to compare with: a skipped step.
const NOT_COMPARED: u8 = 77;

const RENEW: &str = "cargo run --profile instructions -p forebear-tests --bin instructions -- \
                     --renew";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [] => compare(),
        ["--renew"] => renew(),
        ["--only", names] => only(names),
        ["--program", name, operations] => run(name, operations),
        _ => Err("usage: instructions [--renew | --only NAME,…]".to_owned()),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            // If standard error is closed there is nobody to tell.
            let _ = writeln!(io::stderr(), "instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Counts all programs and compares them with the baseline.
fn compare() -> Result<ExitCode, String> {
    let path = baseline_path()?;
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let baseline = Baseline::parse(&text)?;
    let tools = count::tools()?;
    if tools != baseline.tools {
        say(&format!(
            "nothing is compared: the baseline was made with {}; this is {tools}\n\
             To make it anew: {RENEW}\n",
            baseline.tools
        ))?;
        return Ok(ExitCode::from(NOT_COMPARED));
    }
    let counted = count_all(&mut PROGRAMS.iter())?;
    let comparison = Comparison::of(&baseline, &counted);
    say(&comparison.to_string())?;
    if comparison.is_worth_renewing() {
        say(&format!("If it is meant to be so, write it down: {RENEW}\n"))?;
    }
    Ok(if comparison.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes the baseline anew.
fn renew() -> Result<ExitCode, String> {
    let path = baseline_path()?;
    let tools = count::tools()?;
    let counted = count_all(&mut PROGRAMS.iter())?;
    if let Ok(before) = fs::read_to_string(&path) {
        say(&Comparison::of(&Baseline::parse(&before)?, &counted).to_string())?;
    }
    let text = Baseline { tools, counted }.to_string();
    fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn only(names: &str) -> Result<ExitCode, String> {
    let programs: Vec<&Program> = names.split(',').map(named).collect::<Result<_, _>>()?;
    for (name, count) in count_all(&mut programs.into_iter())? {
        say(&format!("{name:20}{count:10.1}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The child: is run under valgrind.
fn run(name: &str, operations: &str) -> Result<ExitCode, String> {
    let operations = operations.parse().map_err(|_| format!("{operations} is no number"))?;
    (named(name)?.run)(operations);
    Ok(ExitCode::SUCCESS)
}

fn named(name: &str) -> Result<&'static Program, String> {
    let found = PROGRAMS.iter().find(|program| program.name == name);
    found.ok_or_else(|| {
        let known: Vec<&str> = PROGRAMS.iter().map(|program| program.name).collect();
        format!("{name} is none of {}", known.join(", "))
    })
}

/// Instructions per operation, by the name of the program.
type Counted = Vec<(String, f64)>;

fn count_all(programs: &mut dyn Iterator<Item = &Program>) -> Result<Counted, String> {
    programs.map(|program| Ok((program.name.to_owned(), count::per_operation(program)?))).collect()
}

/// Asked at run time: checkouts that share a target folder share this binary, too.
fn baseline_path() -> Result<PathBuf, String> {
    let package = env::var_os("CARGO_MANIFEST_DIR").ok_or("it is to be run by cargo")?;
    Ok(PathBuf::from(package).join("instructions").join("baseline.txt"))
}

fn say(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| error.to_string())
}
