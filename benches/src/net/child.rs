//! Starts this program once more, as the clients, and talks to it line by line.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};

/// The other process. Dropping this ends it.
pub(super) struct Child {
    process: process::Child,
    /// Closed to let it end.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Child {
    /// Starts it with these arguments.
    pub(super) fn start(arguments: &[String]) -> io::Result<Child> {
        let mut command = Command::new(env::current_exe()?);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let (orders, answers) = (process.stdin.take(), process.stdout.take());
        let answers = answers.ok_or_else(|| io::Error::other("the child has no output"))?;
        Ok(Child { process, orders, answers: BufReader::new(answers) })
    }

    /// Says a line to it.
    pub(super) fn tell(&mut self, line: &str) -> io::Result<()> {
        match &mut self.orders {
            Some(orders) => writeln!(orders, "{line}"),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Waits for its next line. What went wrong with it stands on standard error.
    pub(super) fn hear(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the clients' process has ended too early"));
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.orders = None;
        // Its last words are not awaited: what it was for is over, or has failed already.
        let _ = self.process.wait();
    }
}

/// In the child: says a line to the parent.
pub(super) fn answer(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
