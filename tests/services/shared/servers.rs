//! Starts real servers of others for a test, each with a folder and a port of its own: PostgreSQL and
//! Redis. They end with the test.
//!
//! That they are installed is for `tests/run` to see to: a test that has no server fails.

#![allow(dead_code, reason = "each of the tests uses a part of it")]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getuid, kill_process};

/// After so long, a server will not come any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of this test's own, gone with it.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        // Relaxed: only that no number comes twice matters.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("forebear-{name}-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns a port that nobody uses, as far as can be known.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} does not come");
        thread::park_timeout(Duration::from_millis(20));
    }
}

/// A PostgreSQL server, with a password.
#[derive(Debug)]
pub(crate) struct Postgres {
    server: Option<Child>,
    pub(crate) port: u16,
    folder: Folder,
}

/// Returns a program of PostgreSQL's, which Debian keeps out of the path.
fn postgres_program(name: &str) -> Command {
    let found = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = found.map(|version| version.path().join("bin").join(name));
    let mut program = Command::new(found.filter(|path| path.exists()).max().unwrap_or(name.into()));
    // It refuses to be run by root.
    if getuid().is_root() {
        program.uid(user_id("postgres")).current_dir("/");
    }
    program
}

fn user_id(name: &str) -> u32 {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let user = users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    user.and_then(|rest| rest.split(':').nth(1)).unwrap().parse().unwrap()
}

impl Postgres {
    pub(crate) fn start() -> Postgres {
        let folder = Folder::new("postgres");
        if getuid().is_root() {
            chown(&folder.0, Some(user_id("postgres")), None).unwrap();
        }
        let password = folder.0.join("password");
        fs::write(&password, "secret").unwrap();
        let data = folder.0.join("data");
        let made = postgres_program("initdb")
            .args(["-U", "shop", "-E", "UTF8", "--locale=C", "--no-sync"])
            .args(["--auth-local=trust", "--auth-host=scram-sha-256"])
            .arg("--pwfile")
            .arg(&password)
            .arg("-D")
            .arg(&data)
            .output()
            .expect("there is no initdb");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut postgres = Postgres { server: None, port: free_port(), folder };
        postgres.begin();
        postgres
    }

    fn data(&self) -> PathBuf {
        self.folder.0.join("data")
    }

    /// Starts the server, and waits until it is ready.
    pub(crate) fn begin(&mut self) {
        let log = fs::File::create(self.folder.0.join("log")).unwrap();
        let server = postgres_program("postgres")
            .args(["-F", "-h", "127.0.0.1", "-p", &self.port.to_string(), "-D"])
            .arg(self.data())
            .arg("-k")
            .arg(&self.folder.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.server = Some(server);
        until("PostgreSQL", || {
            let said = fs::read_to_string(self.data().join("postmaster.pid"));
            said.is_ok_and(|said| said.lines().nth(7).is_some_and(|line| line.trim() == "ready"))
        });
    }

    /// Ends the server at once: whoever is connected is told, and is not any more.
    pub(crate) fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = kill_process(Pid::from_child(&server), Signal::QUIT);
            let _ = server.wait();
        }
    }

    /// Says where it is, for who connects by TCP and with the password.
    pub(crate) fn url(&self) -> String {
        format!("postgres://shop:secret@127.0.0.1:{}/postgres", self.port)
    }

    /// Says where its socket is.
    pub(crate) fn socket(&self) -> &Path {
        &self.folder.0
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A Redis server.
#[derive(Debug)]
pub(crate) struct Redis {
    server: Option<Child>,
    pub(crate) port: u16,
    folder: Folder,
}

impl Redis {
    pub(crate) fn start() -> Redis {
        let mut redis = Redis { server: None, port: free_port(), folder: Folder::new("redis") };
        redis.begin();
        redis
    }

    /// Starts the server, and waits until it answers. What was there before is there again.
    pub(crate) fn begin(&mut self) {
        let port = self.port.to_string();
        let server = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "always", "--dir"])
            .arg(&self.folder.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("there is no redis-server");
        self.server = Some(server);
        until("Redis", || self.ask("PING") == "+PONG\r\n");
    }

    /// Ends the server at once.
    pub(crate) fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// Asks it something whose answer is one line, or the beginning of which is enough.
    pub(crate) fn ask(&self, command: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return String::new();
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = [0; 4096];
        let asked = stream.write_all(format!("{command}\r\n").as_bytes());
        let read = asked.and_then(|()| stream.read(&mut answer)).unwrap_or(0);
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}
