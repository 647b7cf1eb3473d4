//! Says who gets what of the page.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use forebear_context::inspect::{Leaks, Query, Snapshot};
use forebear_hooks::AsyncId;

use super::http::{Refusal, Request, answer, begin_events, send_event};
use super::view::{self, Look, Rows};
use crate::args::{Options, Target};
use crate::attach::{Service, WithCounts};
use crate::output::say;
use crate::{Failure, Verdict};

const PAGE: &str = include_str!("page.html");

/// How often the page is told of something new.
const PERIOD: Duration = Duration::from_secs(1);

/// So many connections are served at once.
const CONNECTIONS_MAX: usize = 64;

/// So many rows are sent at once.
const ROWS_MAX: usize = 1000;

/// So much of a request that is refused is read.
const REST_MAX_BYTES: u64 = 1 << 20;

const JSON: &str = "application/json";

pub(crate) fn run(options: &Options) -> Result<Verdict, Failure> {
    let target = options.target()?.clone();
    let service = Service::connect(&target)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
    let port = listener.local_addr()?.port();
    let token = new_token()?;
    say(&format!("http://127.0.0.1:{port}/?token={token}\n"))?;
    let site = Arc::new(Site {
        token,
        hosts: [format!("127.0.0.1:{port}"), format!("localhost:{port}")],
        target,
        service: Mutex::new(Some(service)),
        latest: Mutex::new(Latest::default()),
        connections: AtomicUsize::new(0),
    });
    loop {
        let (stream, _) = listener.accept()?;
        let site = site.clone();
        if site.connections.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
            site.connections.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        thread::spawn(move || {
            // How it ended is the affair of the browser.
            let _ = site.serve(stream);
            site.connections.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Returns what nobody can guess.
fn new_token() -> io::Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut token = String::new();
    for byte in bytes {
        // Writing to a text does not fail.
        let _ = write!(token, "{byte:02x}");
    }
    Ok(token)
}

struct Site {
    token: String,
    hosts: [String; 2],
    target: Target,
    /// `None` after the connection broke: it is made again when somebody asks.
    service: Mutex<Option<Service>>,
    latest: Mutex<Latest>,
    connections: AtomicUsize,
}

/// The last snapshot, and what was made of it.
#[derive(Default)]
struct Latest {
    number: u64,
    taken: Option<Instant>,
    snapshot: Arc<Snapshot>,
    /// What was a leak in the snapshot before.
    leaks_before: Option<Leaks>,
    leaks: Option<Arc<Leaks>>,
    rows: Option<(u64, Look, Arc<Rows>)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Site {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let request = match Request::read(&mut stream)? {
            Ok(request) => request,
            Err(Refusal::Bad) => return refuse(&mut stream, "400 Bad Request", b"bad"),
            Err(Refusal::NotGet) => {
                return refuse(&mut stream, "405 Method Not Allowed", b"only GET");
            }
        };
        if !self.hosts.contains(&request.host) {
            return answer(&mut stream, "421 Misdirected Request", "text/plain", b"not here");
        }
        if !is_same(request.get("token"), &self.token) {
            let what = b"the address that was printed ends with a token";
            return answer(&mut stream, "403 Forbidden", "text/plain", what);
        }
        match self.respond(&request, &mut stream) {
            Ok(()) => Ok(()),
            Err(Trouble::Stream(error)) => Err(error),
            Err(Trouble::Wrong(what)) => {
                answer(&mut stream, "400 Bad Request", "text/plain", what.as_bytes())
            }
            Err(Trouble::Gone(what)) => {
                answer(&mut stream, "502 Bad Gateway", "text/plain", what.as_bytes())
            }
        }
    }

    fn respond(&self, request: &Request, stream: &mut TcpStream) -> Result<(), Trouble> {
        let is_new = request.get("new") == "1";
        let json = match request.path.as_str() {
            "/" => {
                answer(stream, "200 OK", "text/html", PAGE.as_bytes())?;
                return Ok(());
            }
            "/events" => return self.send_events(stream),
            "/rows" => {
                let (look, rows) = self.rows(request, is_new)?;
                let number = |key: &str| request.get(key).parse().unwrap_or(0);
                let ids = request.get("toggled").split(',').filter_map(|id| id.parse().ok());
                let toggled: HashSet<AsyncId> = ids.filter_map(AsyncId::from_u64).collect();
                let count = number("count").clamp(1, ROWS_MAX);
                rows.page(&toggled, !look.query.is_empty(), number("from"), count)
            }
            "/resource" => {
                let id = request.get("id").parse().ok().and_then(AsyncId::from_u64);
                let id = id.ok_or_else(|| Trouble::Wrong("which resource?".to_owned()))?;
                view::detail(&*self.snapshot(is_new)?, id)
            }
            "/leaks" => {
                self.snapshot(is_new)?;
                let leaks = lock(&self.latest).leaks.clone();
                leaks.map_or_else(|| "{\"leaks\":[]}".to_owned(), |leaks| view::leaks(&leaks))
            }
            "/alive" => view::alive(&*self.snapshot(is_new)?),
            "/contexts" => view::contexts(&*self.snapshot(is_new)?),
            "/export" => {
                let look = look(request)?;
                let text = view::export(&*self.snapshot(is_new)?, &look, request.get("format"));
                let text =
                    text.ok_or_else(|| Trouble::Wrong("text, json, dot or folded".into()))?;
                answer(stream, "200 OK", "text/plain", text.as_bytes())?;
                return Ok(());
            }
            "/trace" => {
                // On a connection of its own: others need not wait until it is over.
                let ms = request.get("ms").parse().unwrap_or(1000).min(60_000);
                let mut trace = Vec::new();
                let mut service = Service::connect(&self.target)?;
                service.trace(Duration::from_millis(ms), &mut trace)?;
                answer(stream, "200 OK", JSON, &trace)?;
                return Ok(());
            }
            _ => {
                answer(stream, "404 Not Found", "text/plain", b"there is no such thing")?;
                return Ok(());
            }
        };
        answer(stream, "200 OK", JSON, json.as_bytes())?;
        Ok(())
    }

    /// Tells the page every second that there is something new, as long as it listens.
    fn send_events(&self, stream: &mut TcpStream) -> Result<(), Trouble> {
        begin_events(stream)?;
        loop {
            match self.snapshot(true) {
                Ok(snapshot) => {
                    let (number, leaks) = {
                        let latest = lock(&self.latest);
                        (latest.number, latest.leaks.clone())
                    };
                    let leaks = leaks.unwrap_or_else(|| Arc::new(Leaks::of(Snapshot::default())));
                    send_event(stream, "snapshot", &view::summary(&snapshot, number, &leaks))?;
                }
                Err(Trouble::Gone(what)) => {
                    let what = forebear_context::inspect::json_text(&what);
                    send_event(stream, "gone", &what)?;
                }
                Err(trouble) => return Err(trouble),
            }
            thread::sleep(PERIOD);
        }
    }

    /// Returns the last snapshot; a new one if that is wanted and it is old. Of several who want one
    /// at once, the first gets it for all.
    fn snapshot(&self, is_new: bool) -> Result<Arc<Snapshot>, Trouble> {
        let mut service = lock(&self.service);
        {
            let latest = lock(&self.latest);
            let is_young = latest.taken.is_some_and(|taken| taken.elapsed() < PERIOD / 2);
            if is_young || (latest.taken.is_some() && !is_new) {
                return Ok(latest.snapshot.clone());
            }
        }
        let mut connected = match service.take() {
            Some(service) => service,
            None => Service::connect(&self.target)?,
        };
        let snapshot = Arc::new(connected.snapshot(WithCounts::Yes)?);
        *service = Some(connected);
        let found = Leaks::of((*snapshot).clone());
        let mut latest = lock(&self.latest);
        let confirmed =
            latest.leaks_before.as_ref().map(|before| found.clone().confirmed_by(before));
        latest.leaks = confirmed.map(Arc::new);
        latest.leaks_before = Some(found);
        latest.number += 1;
        latest.taken = Some(Instant::now());
        latest.snapshot = snapshot.clone();
        Ok(snapshot)
    }

    fn rows(&self, request: &Request, is_new: bool) -> Result<(Look, Arc<Rows>), Trouble> {
        let look = look(request)?;
        let snapshot = self.snapshot(is_new)?;
        let number = {
            let latest = lock(&self.latest);
            match &latest.rows {
                Some((number, known, rows)) if *number == latest.number && *known == look => {
                    return Ok((look, rows.clone()));
                }
                _ => latest.number,
            }
        };
        let rows = Arc::new(Rows::of(&snapshot, &look));
        lock(&self.latest).rows = Some((number, look.clone(), rows.clone()));
        Ok((look, rows))
    }
}

/// Answers a request that was not read to its end. What is left of it is read: a connection that is
/// closed before that takes the answer along.
fn refuse(stream: &mut TcpStream, status: &str, what: &[u8]) -> io::Result<()> {
    answer(stream, status, "text/plain", what)?;
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut stream.take(REST_MAX_BYTES), &mut io::sink())?;
    Ok(())
}

fn look(request: &Request) -> Result<Look, Trouble> {
    let query: Query =
        request.get("filter").parse().map_err(|error| Trouble::Wrong(format!("{error}")))?;
    let edge = match request.get("edge") {
        "" => Ok(Default::default()),
        edge => edge.parse().map_err(|error| Trouble::Wrong(format!("{error}"))),
    };
    Ok(Look { edge: edge?, query, is_unfolded: request.get("unfold") == "1" })
}

/// Compares without telling by the time it takes how much was right.
fn is_same(one: &str, other: &str) -> bool {
    let differ = |(a, b): (u8, u8)| a ^ b;
    let pairs = one.bytes().zip(other.bytes());
    one.len() == other.len() && pairs.map(differ).fold(0, |all, bits| all | bits) == 0
}

/// Why something cannot be shown.
enum Trouble {
    /// It was asked in a wrong way.
    Wrong(String),
    /// The service is not there.
    Gone(String),
    /// The browser is not there.
    Stream(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Stream(error)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        Trouble::Gone(failure.what)
    }
}
