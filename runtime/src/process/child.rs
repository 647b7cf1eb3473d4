//! Is a program that was begun.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::Location;
use std::path::Path;
use std::process::{Child as Std, Command, ExitStatus, Output};
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::handle::Handle;
use crate::hooks::life::{Birth, Life};
use crate::hooks::{AsyncId, Kind, Outcome, Reason};
use crate::process::abandoned::adopt;
use crate::process::exit::Exit;
use crate::process::stdio::read_all;
use crate::process::{ChildStderr, ChildStdin, ChildStdout};
use crate::scheduler::Shared;

/// A program that [`Command::spawn`](crate::process::Command::spawn) has begun.
///
/// Dropping it lets the process go on, unless the command said otherwise; when it has ended, the
/// system is let know that nobody wants to know how.
///
/// # Hooks
/// A resource of kind `PROCESS`: `init` when the program runs; a pair around each look at whether it
/// has ended, and `promise_resolve` in the one that finds so; `destroy` at its drop, `Completed` if
/// that was seen, else `Dropped`.
pub struct Child {
    /// What it reads, if that is piped.
    pub stdin: Option<ChildStdin>,
    /// What it writes, if that is piped.
    pub stdout: Option<ChildStdout>,
    /// What it writes as errors, if that is piped.
    pub stderr: Option<ChildStderr>,
    /// Apart, so that the fields above can be moved out.
    process: Process,
}

struct Process {
    state: State,
    /// `None` only on the way out.
    life: Option<Life>,
    is_killed_on_drop: bool,
}

enum State {
    Running { std: Std, exit: Exit },
    Ended(ExitStatus),
    Gone,
}

/// What is known of a child before it is begun.
pub(super) struct Making {
    shared: Arc<Shared>,
    birth: Birth,
    location: &'static Location<'static>,
    is_killed_on_drop: bool,
}

impl Making {
    /// # Panics
    /// Outside a runtime.
    pub(super) fn here(
        location: &'static Location<'static>,
        command: &Command,
        is_killed_on_drop: bool,
    ) -> Making {
        let handle = match Handle::try_current() {
            Ok(handle) => handle,
            Err(error) => panic!("{error} (a program was to be begun at {location})"),
        };
        let program = Path::new(command.get_program()).file_name().unwrap_or_default();
        let birth = Birth::new(Kind::PROCESS, || "process")
            .name(program.to_string_lossy().into_owned())
            .location(location)
            .runtime(handle.id());
        Making { shared: handle.shared().clone(), birth, location, is_killed_on_drop }
    }

    /// Takes over what was begun; or, if the system will not watch it, ends it.
    pub(super) fn watch(self, mut std: Std) -> io::Result<Child> {
        let (stdin, stdout, stderr) = (std.stdin.take(), std.stdout.take(), std.stderr.take());
        let exit = match Exit::of(std.id(), &self.shared) {
            Ok(exit) => exit,
            Err(error) => {
                // It has not ended, or cannot be known to have: its number is its own.
                let _ = std.kill();
                adopt(std);
                return Err(error);
            }
        };
        let mut process = Process {
            state: State::Running { std, exit },
            life: Some(Life::begin(self.birth)),
            is_killed_on_drop: true,
        };
        let born = process.life();
        let (shared, location) = (&self.shared, self.location);
        // If one of these fails, the process is killed with its value.
        let stdin = stdin
            .map(|pipe| ChildStdin::of(pipe.into(), shared, location, Some(born)))
            .transpose()?;
        let stdout = stdout
            .map(|pipe| ChildStdout::of(pipe.into(), shared, location, Some(born)))
            .transpose()?;
        let stderr = stderr
            .map(|pipe| ChildStderr::of(pipe.into(), shared, location, Some(born)))
            .transpose()?;
        process.is_killed_on_drop = self.is_killed_on_drop;
        Ok(Child { stdin, stdout, stderr, process })
    }
}

impl Child {
    /// Returns the number of the process, until its end has been seen: then another may have it.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        match &self.process.state {
            State::Running { std, .. } => Some(std.id()),
            State::Ended(_) | State::Gone => None,
        }
    }

    /// Returns the id of the resource.
    #[must_use]
    pub fn resource_id(&self) -> AsyncId {
        self.process.life().id()
    }

    /// Kills the process, and does not wait for its end. One that has ended is left in peace.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn start_kill(&mut self) -> io::Result<()> {
        match &mut self.process.state {
            State::Running { std, .. } => std.kill(),
            State::Ended(_) | State::Gone => Ok(()),
        }
    }

    /// Kills the process, and waits for its end.
    ///
    /// # Errors
    /// As [`start_kill`](Child::start_kill); and when the runtime has ended.
    ///
    /// # Cancel safety
    /// Once it has been polled, the process is killed.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.start_kill()?;
        self.wait().await.map(drop)
    }

    /// Waits until the process has ended. Its input is closed first: it may wait for that.
    ///
    /// It can be called again, and says the same.
    ///
    /// # Errors
    /// When the runtime has ended.
    ///
    /// # Cancel safety
    /// Safe, but the input is closed.
    ///
    /// # Hooks
    /// `before`, `promise_resolve` and `after` when the end is seen.
    pub fn wait(&mut self) -> impl Future<Output = io::Result<ExitStatus>> + Send + use<'_> {
        poll_fn(|cx| {
            drop(self.stdin.take());
            self.process.poll_wait(cx)
        })
    }

    /// Says how the process has ended; `None` if it has not.
    ///
    /// # Errors
    /// When the system cannot tell.
    ///
    /// # Hooks
    /// As [`wait`](Child::wait).
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Waits until the process has ended, and collects what it writes to outputs that are piped.
    /// Its input is closed first.
    ///
    /// # Errors
    /// When the runtime has ended, or an output cannot be read.
    ///
    /// # Cancel safety
    /// Dropping it loses what was collected, and goes on as dropping the child does.
    ///
    /// # Hooks
    /// As [`wait`](Child::wait).
    pub async fn wait_with_output(mut self) -> io::Result<Output> {
        let mut stdout = self.stdout.take().map(ChildStdout::into_watched);
        let mut stderr = self.stderr.take().map(ChildStderr::into_watched);
        let mut output = (Vec::new(), Vec::new());
        drop(self.stdin.take());
        // All at once: a process that cannot write does not end.
        let status = poll_fn(|cx| {
            let read = (
                read_all(&mut stdout, &mut output.0, cx)?,
                read_all(&mut stderr, &mut output.1, cx)?,
            );
            let ended = self.process.poll_wait(cx)?;
            match (read, ended) {
                ((Poll::Ready(()), Poll::Ready(())), Poll::Ready(status)) => {
                    Poll::Ready(io::Result::Ok(status))
                }
                _ => Poll::Pending,
            }
        });
        let status = status.await?;
        Ok(Output { status, stdout: output.0, stderr: output.1 })
    }
}

impl Process {
    fn life(&self) -> &Life {
        match &self.life {
            Some(life) => life,
            None => unreachable!("it is taken at the end"),
        }
    }

    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        let Process { state, life: Some(life), .. } = self else {
            unreachable!("its life is taken at the end")
        };
        let status = match state {
            State::Running { std, exit } => std::task::ready!(exit.poll(cx, || look(std, life)))?,
            State::Ended(status) => return Poll::Ready(Ok(*status)),
            State::Gone => unreachable!("it is so at the end only"),
        };
        *state = State::Ended(status);
        Poll::Ready(Ok(status))
    }

    fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let Process { state, life: Some(life), .. } = self else {
            unreachable!("its life is taken at the end")
        };
        let status = match state {
            State::Running { std, .. } => look(std, life)?,
            State::Ended(status) => return Ok(Some(*status)),
            State::Gone => unreachable!("it is so at the end only"),
        };
        if let Some(status) = status {
            *state = State::Ended(status);
        }
        Ok(status)
    }
}

/// Asks whether a process has ended, as code of the resource.
fn look(std: &mut Std, life: &Life) -> io::Result<Option<ExitStatus>> {
    life.run(|running| {
        let found = std.try_wait();
        if matches!(found, Ok(Some(_))) {
            running.promise_resolve(Outcome::Ready);
        }
        found
    })
}

impl Drop for Process {
    fn drop(&mut self) {
        let reason = match std::mem::replace(&mut self.state, State::Gone) {
            State::Running { mut std, exit } => {
                if self.is_killed_on_drop {
                    // It may have ended just now.
                    let _ = std.kill();
                }
                drop(exit);
                adopt(std);
                Reason::Dropped
            }
            State::Ended(_) | State::Gone => Reason::Completed,
        };
        if let Some(life) = self.life.take() {
            life.end(reason);
        }
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Child");
        f.field("resource", &self.resource_id());
        match &self.process.state {
            State::Running { std, .. } => f.field("id", &std.id()),
            State::Ended(status) => f.field("ended", status),
            State::Gone => f.field("is_gone", &true),
        };
        f.field("stdin", &self.stdin).field("stdout", &self.stdout).field("stderr", &self.stderr);
        f.finish()
    }
}
