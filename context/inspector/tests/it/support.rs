//! Starts a service with something planted in it, and runs the command against it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A service in a process of its own, with a folder of its own for its socket.
pub(crate) struct Service {
    child: Child,
    folder: PathBuf,
}

fn example(name: &str) -> PathBuf {
    let command = Path::new(env!("CARGO_BIN_EXE_forebear"));
    command.parent().unwrap().join("examples").join(name)
}

/// Makes a folder that no other test has. Its path is short: those of sockets must be.
pub(crate) fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("fi-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

impl Service {
    /// Starts one and waits until it is as it should be.
    pub(crate) fn start(args: &[&str]) -> Service {
        let folder = folder();
        let mut child = Command::new(example("planted"))
            .args(args)
            .env("FOREBEAR_INSPECT_DIR", &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Service { child, folder }
    }

    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join(format!("{}.sock", self.child.id()))
    }

    pub(crate) fn stderr(&mut self) -> impl BufRead + use<> {
        BufReader::new(self.child.stderr.take().unwrap())
    }

    /// Lets it end by itself.
    pub(crate) fn end(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }

    /// Runs the command. The first word may be followed by the id of the process.
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        let pid = self.pid();
        let mut args = vec![words[0], pid.as_str()];
        args.extend(&words[1..]);
        run_in(&self.folder, &args)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It ends by itself when its standard input does; but it may be wedged.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What the command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn has(&self, code: i32, texts: &[&str]) -> &Said {
        assert_eq!(self.code, code, "{self:#?}");
        for text in texts {
            let is_there = self.out.contains(text) || self.err.contains(text);
            assert!(is_there, "{text:?} in\n{}\n{}", self.out, self.err);
        }
        self
    }
}

/// Runs the command with the sockets of this folder.
pub(crate) fn run_in(folder: &Path, args: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_forebear"))
        .args(args)
        .env("FOREBEAR_INSPECT_DIR", folder)
        .output()
        .unwrap();
    let Output { status, stdout, stderr } = output;
    Said {
        code: status.code().unwrap_or(-1),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}
