//! Puts `forebear::serve` under load, beside the same hyper service on tokio: 64 connections with
//! keep-alive, each server in a process of its own with two workers.
//!
//! It says requests per second, CPU time of the server per request, and how long requests took. That
//! no request fails is checked always. With `FOREBEAR_LONG=1` and optimised code it lasts a minute
//! each, and neither CPU time nor the 99th percentile may be above tokio's:
//!
//! ```text
//! FOREBEAR_LONG=1 cargo test --release -p forebear-tests-services --test load -- --nocapture
//! ```

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where and why")]

use std::convert::Infallible;
use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Lines, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use forebear::interop::hyper::TokioIo;
use forebear::serve::{self, HyperService};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CONNECTIONS: usize = 64;

const WORKERS: usize = 2;

/// Which server a child process is to be.
const ROLE: &str = "FOREBEAR_LOAD_ROLE";

/// How the machine's own noise may differ between two runs of a minute.
const NOISE: f64 = 1.05;

async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello, world".to_owned()))
}

fn serve_on_forebear() {
    let runtime = forebear::runtime::Builder::new_multi_thread().worker_threads(WORKERS).build();
    runtime.unwrap().block_on(async {
        let listener = forebear::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        announce(listener.local_addr().unwrap());
        let serving = serve::serve(listener, HyperService::new(service_fn(hello)));
        // Accepting is a task, as it is on the other side.
        forebear::spawn(serving.into_future()).await.unwrap().unwrap();
    });
}

fn serve_on_tokio() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
    runtime.unwrap().block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        announce(listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                tokio::spawn(async move {
                    let mut http1 = hyper::server::conn::http1::Builder::new();
                    // Ours has one; this one would need a timer of tokio's for it.
                    http1.header_read_timeout(None);
                    let serving = http1.serve_connection(TokioIo::new(stream), service_fn(hello));
                    let _ = serving.await;
                });
            }
        });
        serving.await.unwrap();
    });
}

/// What a child says first, so that what libtest says is not taken for it.
const HERE: &str = "the server listens on ";

fn announce(address: SocketAddr) {
    writeln!(io::stdout().lock(), "\n{HERE}{address}").unwrap();
}

/// Is no test, but what a child process does that a test has started.
#[test]
fn a_child_is_what_it_was_told_to_be() {
    match env::var(ROLE).as_deref() {
        Ok("forebear") => serve_on_forebear(),
        Ok("tokio") => serve_on_tokio(),
        Ok(role) => panic!("there is no {role}"),
        Err(_) => {}
    }
}

struct Server {
    child: Child,
    address: SocketAddr,
    /// Kept open: after a minute libtest says something there, and would give up if nobody could read it.
    _said: Lines<BufReader<ChildStdout>>,
}

impl Server {
    fn start(role: &str) -> Server {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "a_child_is_what_it_was_told_to_be", "--nocapture"])
            .env(ROLE, role)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = said.find_map(|line| Some(line.unwrap().strip_prefix(HERE)?.to_owned()));
        Server { child, address: address.unwrap().parse().unwrap(), _said: said }
    }

    /// Returns the time that its threads have worked so far, in whole hundredths of a second.
    fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name of the program, between parentheses, may hold anything.
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap());
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What one run has shown.
struct Figures {
    requests_per_second: f64,
    cpu_micros: f64,
    p50: Duration,
    p99: Duration,
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: load\r\n\r\n";

/// Asks over one connection until the time is over; returns how long each answer took.
async fn ask(address: SocketAddr, until: Instant) -> io::Result<Vec<Duration>> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut took, mut answer) = (Vec::new(), [0; 1024]);
    while Instant::now() < until {
        let begun = Instant::now();
        stream.write_all(REQUEST).await?;
        let mut filled = 0;
        while !answer[..filled].ends_with(b"hello, world") {
            match stream.read(&mut answer[filled..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        if !answer.starts_with(b"HTTP/1.1 200 ") {
            return Err(io::Error::other(String::from_utf8_lossy(&answer[..filled]).into_owned()));
        }
        took.push(begun.elapsed());
    }
    Ok(took)
}

fn load(role: &str, time: Duration) -> Figures {
    let server = Server::start(role);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (begun, before) = (Instant::now(), server.cpu_time());
    let mut took = runtime.block_on(async {
        let until = begun + time;
        let asking: Vec<_> =
            (0..CONNECTIONS).map(|_| tokio::spawn(ask(server.address, until))).collect();
        let mut took = Vec::new();
        for asked in asking {
            took.extend(asked.await.unwrap().expect("a request was lost"));
        }
        took
    });
    let (elapsed, worked) = (begun.elapsed(), server.cpu_time() - before);
    took.sort_unstable();
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
    let figures = Figures {
        requests_per_second: took.len() as f64 / elapsed.as_secs_f64(),
        cpu_micros: worked.as_secs_f64() * 1e6 / took.len() as f64,
        p50: at(0.5),
        p99: at(0.99),
    };
    let Figures { requests_per_second, cpu_micros, p50, p99 } = figures;
    let line = format!(
        "{role:>8}: {requests_per_second:7.0} requests/s, {cpu_micros:5.1} µs of CPU each, \
         p50 {p50:?}, p99 {p99:?}, no error"
    );
    let _ = writeln!(io::stderr(), "{line}");
    figures
}

#[test]
fn it_takes_no_more_than_tokio_and_loses_nothing() {
    let is_long = env::var("FOREBEAR_LONG").is_ok_and(|value| value == "1");
    let time = Duration::from_secs(if is_long { 60 } else { 5 });
    let tokio = load("tokio", time);
    let ours = load("forebear", time);
    assert!(ours.requests_per_second > 0.0);
    if is_long && !cfg!(debug_assertions) {
        assert!(ours.cpu_micros <= tokio.cpu_micros * NOISE, "more CPU time than tokio");
        assert!(ours.p99.as_secs_f64() <= tokio.p99.as_secs_f64() * NOISE, "slower than tokio");
    }
}
