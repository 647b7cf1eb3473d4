//! Says which program is to be begun, and how.

use std::ffi::OsStr;
use std::future::Future;
use std::io;
use std::os::unix::process::CommandExt;
use std::panic::Location;
use std::path::Path;
use std::process::{Command as Std, ExitStatus, Output, Stdio};

use crate::process::Child;
use crate::process::child::Making;

/// Begins a program: std's [`Command`](std::process::Command), whose children are waited for
/// without blocking.
///
/// # Hooks
/// Each child is a resource of kind `PROCESS`, named after its program: see [`Child`].
///
/// # Examples
/// ```
/// use forebear::process::Command;
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let output = Command::new("echo").arg("shipped").output().await?;
/// assert_eq!(output.stdout, b"shipped\n");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Command {
    std: Std,
    kill_on_drop: bool,
}

impl Command {
    /// Names a program, which is looked for in the `PATH` unless it has a slash. It has no
    /// arguments yet, and takes over the environment, the folder, and the input and outputs of this
    /// process.
    #[must_use]
    pub fn new<S: AsRef<OsStr>>(program: S) -> Command {
        Command::from(Std::new(program))
    }

    /// Returns std's command behind this one.
    #[must_use]
    pub fn as_std(&self) -> &Std {
        &self.std
    }

    /// Returns std's command behind this one, to change it.
    pub fn as_std_mut(&mut self) -> &mut Std {
        &mut self.std
    }

    /// Returns std's command behind this one. What was said about dropping is lost.
    #[must_use]
    pub fn into_std(self) -> Std {
        self.std
    }

    /// Adds an argument.
    pub fn arg<S: AsRef<OsStr>>(&mut self, argument: S) -> &mut Command {
        self.std.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args<I, S>(&mut self, arguments: I) -> &mut Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.std.args(arguments);
        self
    }

    /// Sets what the program is told that it is called.
    pub fn arg0<S: AsRef<OsStr>>(&mut self, argument: S) -> &mut Command {
        self.std.arg0(argument);
        self
    }

    /// Sets a variable of the child's environment.
    pub fn env<K, V>(&mut self, key: K, value: V) -> &mut Command
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.std.env(key, value);
        self
    }

    /// Sets variables of the child's environment.
    pub fn envs<I, K, V>(&mut self, variables: I) -> &mut Command
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.std.envs(variables);
        self
    }

    /// Takes a variable out of the child's environment.
    pub fn env_remove<K: AsRef<OsStr>>(&mut self, key: K) -> &mut Command {
        self.std.env_remove(key);
        self
    }

    /// Takes all variables out of the child's environment.
    pub fn env_clear(&mut self) -> &mut Command {
        self.std.env_clear();
        self
    }

    /// Sets the folder that the program runs in.
    pub fn current_dir<P: AsRef<Path>>(&mut self, folder: P) -> &mut Command {
        self.std.current_dir(folder);
        self
    }

    /// Says what the child reads: what this process does, unless told otherwise.
    pub fn stdin<T: Into<Stdio>>(&mut self, stdin: T) -> &mut Command {
        self.std.stdin(stdin);
        self
    }

    /// Says where the child writes to: where this process does, unless told otherwise.
    pub fn stdout<T: Into<Stdio>>(&mut self, stdout: T) -> &mut Command {
        self.std.stdout(stdout);
        self
    }

    /// Says where the child writes its errors to: where this process does, unless told otherwise.
    pub fn stderr<T: Into<Stdio>>(&mut self, stderr: T) -> &mut Command {
        self.std.stderr(stderr);
        self
    }

    /// Says whether dropping the [`Child`], or what waits for it, kills the process: not unless told
    /// otherwise.
    pub fn kill_on_drop(&mut self, kill_on_drop: bool) -> &mut Command {
        self.kill_on_drop = kill_on_drop;
        self
    }

    /// Returns whether dropping the [`Child`] kills the process.
    #[must_use]
    pub fn get_kill_on_drop(&self) -> bool {
        self.kill_on_drop
    }

    /// Sets the user that the child runs as.
    pub fn uid(&mut self, id: u32) -> &mut Command {
        self.std.uid(id);
        self
    }

    /// Sets the group of users that the child runs as.
    pub fn gid(&mut self, id: u32) -> &mut Command {
        self.std.gid(id);
        self
    }

    /// Puts the child into a group of processes: 0 begins one of its own, which Ctrl-C at the
    /// terminal does not reach.
    pub fn process_group(&mut self, group: i32) -> &mut Command {
        self.std.process_group(group);
        self
    }

    /// Begins the program.
    ///
    /// It returns when the program runs, which takes about a millisecond; it does not wait for
    /// anything else.
    ///
    /// # Errors
    /// When there is no such program, it may not be run, or the system has no process or descriptor
    /// for it. Then nothing runs.
    ///
    /// # Panics
    /// Outside a runtime.
    ///
    /// # Hooks
    /// A resource of kind `PROCESS`, and one of kind `PIPE` for each input or output that is piped,
    /// whose trigger is the process. See [`Child`].
    #[track_caller]
    pub fn spawn(&mut self) -> io::Result<Child> {
        self.spawn_with(Std::spawn)
    }

    /// Begins the program by a function of your own, which calls one of std's.
    ///
    /// # Errors
    /// Those of the function, and as [`spawn`](Command::spawn).
    ///
    /// # Panics
    /// Outside a runtime.
    ///
    /// # Hooks
    /// As [`spawn`](Command::spawn).
    #[track_caller]
    pub fn spawn_with(
        &mut self,
        with: impl FnOnce(&mut Std) -> io::Result<std::process::Child>,
    ) -> io::Result<Child> {
        let making = Making::here(Location::caller(), &self.std, self.kill_on_drop);
        making.watch(with(&mut self.std)?)
    }

    /// Begins the program, and waits until it has ended.
    ///
    /// Inputs and outputs that are piped are closed at once.
    ///
    /// # Errors
    /// As [`spawn`](Command::spawn); and when the runtime has ended.
    ///
    /// # Panics
    /// Outside a runtime.
    ///
    /// # Cancel safety
    /// Dropping it goes on as dropping a [`Child`] does.
    ///
    /// # Hooks
    /// As [`spawn`](Command::spawn).
    #[track_caller]
    pub fn status(&mut self) -> impl Future<Output = io::Result<ExitStatus>> + Send + use<> {
        let child = self.spawn();
        async move {
            let mut child = child?;
            // Whoever waits for these would be waited for.
            drop((child.stdin.take(), child.stdout.take(), child.stderr.take()));
            child.wait().await
        }
    }

    /// Begins the program, and collects what it writes until it has ended.
    ///
    /// Its outputs are piped, whatever was said of them.
    ///
    /// # Errors
    /// As [`spawn`](Command::spawn); and when the runtime has ended.
    ///
    /// # Panics
    /// Outside a runtime.
    ///
    /// # Cancel safety
    /// Dropping it loses what was collected, and goes on as dropping a [`Child`] does.
    ///
    /// # Hooks
    /// As [`spawn`](Command::spawn).
    #[track_caller]
    pub fn output(&mut self) -> impl Future<Output = io::Result<Output>> + Send + use<> {
        self.std.stdout(Stdio::piped());
        self.std.stderr(Stdio::piped());
        let child = self.spawn();
        async move { child?.wait_with_output().await }
    }
}

impl From<Std> for Command {
    fn from(std: Std) -> Command {
        Command { std, kill_on_drop: false }
    }
}
