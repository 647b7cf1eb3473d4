//! Starts the real service on a port of its own and talks to it over plain sockets.
//!
//! Used by every test of the package. Nothing here waits for a time to pass: it waits for a line in
//! the log, an answer or an end, and gives up, loudly, at a deadline.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use rustix::process::{Pid, Signal, kill_process};

/// After so long, what a test waits for will not come any more.
const DEADLINE: Duration = Duration::from_secs(30);

/// The service, with a database of its own.
pub(crate) struct Service {
    child: Child,
    address: SocketAddr,
    log: Arc<Log>,
    pub(crate) database: PathBuf,
}

impl Service {
    /// Starts it with these settings.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Service {
        // Relaxed: only that no number comes twice matters.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let file = format!("forebear-orders-test-{}-{number}.db", process::id());
        let database = env::temp_dir().join(file);
        remove_database(&database);
        Service::start_with(database, settings)
    }

    /// Starts it with a database that may be there.
    pub(crate) fn start_with(database: PathBuf, settings: &[(&str, &str)]) -> Service {
        let mut child = Command::new(env!("CARGO_BIN_EXE_orders"))
            .env("PORT", "0")
            .env("DATABASE_URL", &database)
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Log::default());
        log.follow(child.stdout.take().unwrap());
        log.follow(child.stderr.take().unwrap());
        let greeting = log.wait_for(&["orders listens on http://"]);
        let address = greeting.split_once("http://").unwrap().1;
        let address = address.split(' ').next().unwrap().parse().unwrap();
        Service { child, address, log, database }
    }

    /// Opens a connection.
    pub(crate) fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).unwrap())
    }

    /// Says whether nobody listens any more.
    pub(crate) fn refuses(&self) -> bool {
        TcpStream::connect(self.address).is_err()
    }

    /// Returns the answer to one request on a connection of its own.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.connect().request("GET", path, &[], "")
    }

    /// Asks again and again until the answer is as wanted.
    #[track_caller]
    pub(crate) fn get_until(&self, path: &str, is_wanted: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let answer = self.get(path);
            if is_wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "at the deadline {path} is still {answer:?}");
            // Long enough for the service to come to rest meanwhile.
            thread::park_timeout(Duration::from_millis(25));
        }
    }

    /// Waits for a line that holds all of these.
    #[track_caller]
    pub(crate) fn line(&self, parts: &[&str]) -> String {
        self.log.wait_for(parts)
    }

    /// From here on, reads the log and keeps nothing of it.
    pub(crate) fn forget_log(&self) {
        self.log.lock().is_forgetful = true;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end of the process.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the service does not end");
            // std has no wait with a deadline.
            thread::park_timeout(Duration::from_millis(5));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if thread::panicking() {
            let said = self.log.lock().lines.join("\n");
            let _ = writeln!(std::io::stderr(), "the service said:\n{said}");
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        remove_database(&self.database);
    }
}

fn remove_database(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut path = path.as_os_str().to_owned();
        path.push(suffix);
        let _ = fs::remove_file(path);
    }
}

/// What the service has written so far.
#[derive(Default)]
struct Log {
    state: Mutex<LogState>,
    has_grown: Condvar,
}

#[derive(Default)]
struct LogState {
    lines: Vec<String>,
    is_forgetful: bool,
}

impl Log {
    /// A test that has failed still wants to know what was said.
    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(self: &Arc<Self>, output: impl Read + Send + 'static) {
        let log = self.clone();
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = String::new();
            while output.read_line(&mut line).is_ok_and(|read| read > 0) {
                let mut state = log.lock();
                if !state.is_forgetful {
                    state.lines.push(line.trim_end().to_owned());
                    log.has_grown.notify_all();
                }
                drop(state);
                line.clear();
            }
        });
    }

    #[track_caller]
    fn wait_for(&self, parts: &[&str]) -> String {
        let deadline = Instant::now() + DEADLINE;
        let mut state = self.lock();
        loop {
            let has_all = |line: &&String| parts.iter().all(|part| line.contains(part));
            if let Some(line) = state.lines.iter().find(has_all) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no line holds {parts:?}");
            state = self.has_grown.wait_timeout(state, left).unwrap().0;
        }
    }
}

/// A connection to the service.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn new(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream: BufReader::new(stream) }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// Gives access to the socket, for what no well-behaved client does.
    pub(crate) fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    /// Sends a request and returns the answer.
    #[track_caller]
    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        self.send(request(method, path, headers, body));
        if method == "HEAD" { self.answer_without_body() } else { self.answer() }
    }

    /// Returns the next answer.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.answer_without_body();
        let length = answer.header("content-length").unwrap_or("0").parse().unwrap();
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        answer.body = String::from_utf8(body).unwrap();
        answer
    }

    #[track_caller]
    fn answer_without_body(&mut self) -> Answer {
        let head = self.line();
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        let status = status.and_then(|status| status.parse().ok());
        let Some(status) = status else { panic!("this is no answer: {head:?}") };
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_owned(), value.to_owned()));
        }
        Answer { status, headers, body: String::new() }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Says whether the service has closed the connection, with nothing left to read.
    #[track_caller]
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.stream.read(&mut [0]).unwrap() == 0
    }
}

/// Returns a request as it goes over the wire.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: orders\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    request + "\r\n" + body
}

/// An answer of the service.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the body, which is JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}
