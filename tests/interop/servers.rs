//! Starts a real PostgreSQL for a test, with a folder and a port of its own. It ends with the test.
//!
//! That it is installed is for `tests/run` to see to: a test that has no server fails.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// After so long, the server will not come any more.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server whose only user is `tester`, who needs no password.
#[derive(Debug)]
pub(crate) struct Postgres {
    server: Option<Child>,
    pub(crate) port: u16,
    folder: PathBuf,
}

/// Whether this is root, as whom the server refuses to run.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

fn postgres_user() -> u32 {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let user = users.lines().find_map(|line| line.strip_prefix("postgres:"));
    user.and_then(|rest| rest.split(':').nth(1)).unwrap().parse().unwrap()
}

/// Returns a program of PostgreSQL's, which Debian keeps out of the path.
fn program(name: &str) -> Command {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin").join(name));
    let mut program = Command::new(found.filter(|path| path.exists()).max().unwrap_or(name.into()));
    if is_root() {
        program.uid(postgres_user());
    }
    program.current_dir("/");
    program
}

impl Postgres {
    /// Starts a server that logs every statement.
    pub(crate) fn start() -> Postgres {
        let name = format!("forebear-interop-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        if is_root() {
            chown(&folder, Some(postgres_user()), None).unwrap();
        }
        let made = program("initdb")
            .args(["-U", "tester", "-E", "UTF8", "--locale=C", "--no-sync", "--auth=trust", "-D"])
            .arg(folder.join("data"))
            .output()
            .expect("PostgreSQL is not installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = fs::File::create(folder.join("log")).unwrap();
        let server = program("postgres")
            .args(["-F", "-h", "127.0.0.1", "-p", &port.to_string()])
            .args(["-c", "log_min_duration_statement=0", "-c", "unix_socket_directories="])
            .arg("-D")
            .arg(folder.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let postgres = Postgres { server: Some(server), port, folder };
        let began = Instant::now();
        while !postgres.is_ready() {
            assert!(began.elapsed() < PATIENCE, "PostgreSQL does not come: {}", postgres.log());
            thread::park_timeout(Duration::from_millis(20));
        }
        postgres
    }

    fn is_ready(&self) -> bool {
        let said = fs::read_to_string(self.folder.join("data").join("postmaster.pid"));
        said.is_ok_and(|said| said.lines().nth(7).is_some_and(|line| line.trim() == "ready"))
    }

    /// What the server has logged so far: each statement, with how long it took.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
