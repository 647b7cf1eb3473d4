//! Measures in another process, turn by turn, what cannot be switched off again in this one.
//!
//! The id map, once a runtime has wanted it, is kept for the life of the process. So a runtime
//! without one has a process of its own; it waits until it is told how often to do what it does,
//! and answers how long that took. Both ends speak in lines, each a number.

use std::env;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The argument that makes this executable such a process; behind it stands the name.
const FLAG: &str = "--elsewhere";

/// A subject that lives in another process. It ends when this is dropped.
#[derive(Debug)]
pub struct Elsewhere {
    process: Child,
    /// `None` once it has been told to end.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Elsewhere {
    /// Starts this executable again, to be the subject of that name.
    ///
    /// # Panics
    /// If the system has no process for it.
    #[must_use]
    pub fn start(name: &str) -> Elsewhere {
        let program = env::current_exe().expect("the system knows what it runs");
        let mut command = Command::new(program);
        command.args([FLAG, name]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the system has a process for a bench");
        let orders = process.stdin.take();
        let answers = process.stdout.take().expect("its output was asked for");
        Elsewhere { process, orders, answers: BufReader::new(answers) }
    }

    /// Has it done so many times.
    ///
    /// # Panics
    /// If the other process has failed.
    pub fn run(&mut self, n: u64) -> Duration {
        let orders = self.orders.as_mut().expect("it ends with this value");
        let mut answer = String::new();
        writeln!(orders, "{n}")
            .and_then(|()| self.answers.read_line(&mut answer))
            .expect("the other process listens until it is told to end");
        Duration::from_nanos(answer.trim().parse().expect("it answers with a number"))
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        // It reads no further line and ends.
        drop(self.orders.take());
        // How it ended is of no consequence any more.
        let _ = self.process.wait();
    }
}

/// Returns which subject this process is to be, if it was started for that.
#[must_use]
pub fn asked_to_be() -> Option<String> {
    let mut arguments = env::args().skip(1);
    (arguments.next()? == FLAG).then(|| arguments.next()).flatten()
}

/// Does what it is told until there are no more orders.
///
/// # Errors
/// When the other end is gone in the middle.
pub fn serve(subject: &mut dyn FnMut(u64) -> Duration) -> io::Result<()> {
    for order in io::stdin().lines() {
        let n = order?.trim().parse().map_err(io::Error::other)?;
        let mut out = io::stdout().lock();
        writeln!(out, "{}", subject(n).as_nanos())?;
        out.flush()?;
    }
    Ok(())
}
