//! Begins a program as a process of its own, and talks to it.
//!
//! The program is this file of tests once more, told by a variable of the environment which program
//! to be.

use std::env;
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Which program to be.
pub(crate) const PROGRAM: &str = "RENAMED_PROGRAM";

/// An answer that takes longer does not come.
const PATIENCE: Duration = Duration::from_secs(60);

const ANNOUNCEMENT: &str = "listening on ";

/// Says where a program listens.
pub(crate) fn announce(address: SocketAddr) {
    log(format_args!("{ANNOUNCEMENT}{address}"));
}

/// Says what a program has to say.
pub(crate) fn log(said: fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    // Nobody may be there any more to hear it.
    let _ = writeln!(out, "{said}");
}

/// A program that runs, until this is dropped.
pub(crate) struct Program {
    child: Child,
    said: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
}

impl Program {
    pub(crate) fn begin(name: &str) -> Program {
        Program::begin_with(name, &[])
    }

    pub(crate) fn begin_with(name: &str, variables: &[(&str, String)]) -> Program {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "the_program", "--nocapture", "--test-threads=1"])
            .env(PROGRAM, name)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        // The framework of tests may have begun the line.
        while !line.contains(ANNOUNCEMENT) {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "{name} has ended");
        }
        let address = line.rsplit(ANNOUNCEMENT).next().unwrap().trim().parse().unwrap();
        Program { child, said, address }
    }

    /// Waits until the program says something that has this in it.
    pub(crate) fn says(&mut self, wanted: &str) {
        let mut line = String::new();
        while !line.contains(wanted) {
            line.clear();
            assert!(self.said.read_line(&mut line).unwrap() > 0, "it never says {wanted}");
        }
    }

    pub(crate) fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { lines: BufReader::new(stream.try_clone().unwrap()), stream }
    }

    /// Asks the program to end, waits until it has, and returns what it said last.
    pub(crate) fn end(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let mut said = String::new();
        self.said.read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success());
        said
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody who is connected.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    #[track_caller]
    pub(crate) fn hears(&mut self, line: &str) {
        assert_eq!(self.line(), line);
    }

    pub(crate) fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.lines.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads until the other side has nothing more to say. It may have cut the connection.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.lines.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
        rest
    }
}
