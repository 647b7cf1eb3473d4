//! Looks at a running service from a terminal, by the id of its process.
//!
//! It reads what the service sends and does all the work itself: picking, drawing, comparing. So a
//! service pays for a copy of what is alive, whatever is asked.

mod args; // what is wanted
mod attach; // who is asked
mod output; // where it is written
mod ps; // which services there are, and what is in one
mod tree; // trees, pictures, lineages
mod leaks; // what has no use any more
mod trace; // what happens
mod page; // all of it, in a browser
mod watch; // live, in this terminal
mod top; // what is busy, and what grows

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use args::{Command, Parsed};

/// It was asked in a way that cannot be understood.
const USAGE: u8 = 2;

/// There is nothing to look at: no such process, no permission, no socket.
const NOT_THERE: u8 = 3;

/// It was there, and then something failed.
const BROKEN: u8 = 4;

/// There are leaks, or nothing matches.
const FOUND: u8 = 1;

/// Why nothing can be shown.
pub(crate) struct Failure {
    code: u8,
    what: String,
}

impl Failure {
    fn usage(what: impl fmt::Display) -> Failure {
        Failure { code: USAGE, what: format!("{what}\n\ntry: forebear --help") }
    }

    fn not_there(what: impl Into<String>) -> Failure {
        Failure { code: NOT_THERE, what: what.into() }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        let what = match error.kind() {
            io::ErrorKind::UnexpectedEof => "the process has closed the connection".to_owned(),
            _ => error.to_string(),
        };
        Failure { code: BROKEN, what }
    }
}

/// How it went, if nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fine,
    /// There are leaks, or nothing matches what was asked for.
    Found,
}

fn main() -> ExitCode {
    let result = match args::parse(std::env::args_os().skip(1)) {
        Ok(Parsed::Say(text)) => output::say(&text).map(|()| Verdict::Fine).map_err(Failure::from),
        Ok(Parsed::Run(command, options)) => run(command, &options),
        Err(failure) => Err(failure),
    };
    match result {
        Ok(Verdict::Fine) => ExitCode::SUCCESS,
        Ok(Verdict::Found) => ExitCode::from(FOUND),
        // Who reads it has seen enough: `forebear tree 1 | head`.
        Err(failure) if output::was_cut_off() => {
            let _ = failure;
            ExitCode::SUCCESS
        }
        Err(Failure { code, what }) => {
            // Standard error may be closed, which is no reason to fail otherwise.
            let _ = writeln!(io::stderr(), "forebear: {what}");
            ExitCode::from(code)
        }
    }
}

fn run(command: Command, options: &args::Options) -> Result<Verdict, Failure> {
    match command {
        Command::Ps => ps::run(options),
        Command::Tree => tree::draw(options),
        Command::Lineage => tree::lineage(options),
        Command::Dump => tree::dump(options),
        Command::Leaks => leaks::run(options),
        Command::Trace => trace::run(options),
        Command::Page => page::run(options),
        Command::Watch => watch::run(options),
        Command::Top => top::run(options),
    }
}
