//! Clients that send the next request as soon as they have the answer to the last.
//!
//! One thread with one loop over all connections, without an async runtime: what it measures is not
//! to depend on what is measured.

use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::child::{Child, answer};
use super::client::Client;
use super::cores::use_only;
use super::{Cores, Exchange};
use crate::spread::quantile;

/// As many clients as ask at the same time.
const CONNECTIONS: usize = 64;

/// An answer that takes longer than this never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The clients, in a process of their own.
pub(crate) struct Load(Child);

/// What the clients saw.
pub(crate) struct Seen {
    pub(crate) time: Duration,
    /// How long the answer took to half of the requests, and to all but one in a hundred.
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Load {
    /// Starts the process, on the clients' core if it is to have one, and lets it connect.
    pub(crate) fn start(
        exchange: Exchange,
        address: SocketAddr,
        cores: Option<Cores>,
    ) -> io::Result<Load> {
        let core = cores.map_or("any".to_owned(), |cores| cores.clients().to_string());
        let arguments =
            ["--load".to_owned(), exchange.name().to_owned(), address.to_string(), core];
        let mut child = Child::start(&arguments)?;
        child.hear()?;
        Ok(Load(child))
    }

    /// Lets the clients send so many requests, and waits for the last answer.
    pub(crate) fn run(&mut self, requests: usize) -> io::Result<Seen> {
        self.0.tell(&requests.to_string())?;
        let line = self.0.hear()?;
        let seen = Seen::parse(&line);
        seen.ok_or_else(|| io::Error::other(format!("the clients said: {line}")))
    }
}

impl Seen {
    fn parse(line: &str) -> Option<Seen> {
        let numbers: Option<Vec<u64>> = line.split(' ').map(|word| word.parse().ok()).collect();
        let [time, p50, p99] = numbers?.try_into().ok()?;
        let [time, p50, p99] = [time, p50, p99].map(Duration::from_nanos);
        Some(Seen { time, p50, p99 })
    }
}

/// The child: connects, then sends so many requests as each line of its input says.
///
/// # Errors
/// When the arguments are not those that `Load` gives, or the server answers wrongly.
pub fn be_load(arguments: &[String]) -> io::Result<()> {
    let strange =
        || io::Error::new(io::ErrorKind::InvalidInput, "--load is for this program alone");
    let [exchange, address, core] = arguments else { return Err(strange()) };
    let exchange = Exchange::named(exchange).ok_or_else(strange)?;
    let address: SocketAddr = address.parse().map_err(|_| strange())?;
    if let Ok(core) = core.parse() {
        use_only(core)?;
    }
    let mut clients = Clients::connect(address, exchange)?;
    answer("ready")?;
    for line in io::stdin().lock().lines() {
        let requests = line?.parse().map_err(|_| strange())?;
        answer(&clients.run(requests)?)?;
    }
    Ok(())
}

struct Clients {
    poll: Poll,
    clients: Vec<Client>,
    request: &'static [u8],
}

impl Clients {
    fn connect(address: SocketAddr, exchange: Exchange) -> io::Result<Clients> {
        let poll = Poll::new()?;
        let mut clients = Vec::with_capacity(CONNECTIONS);
        for token in 0..CONNECTIONS {
            let mut client = Client::connect(address, exchange)?;
            client.register(poll.registry(), Token(token))?;
            clients.push(client);
        }
        Ok(Clients { poll, clients, request: exchange.request() })
    }

    /// Sends so many requests. Returns the line for the parent.
    fn run(&mut self, requests: usize) -> io::Result<String> {
        let Clients { poll, clients, request } = self;
        let mut latencies: Vec<Duration> = Vec::with_capacity(requests);
        let mut events = Events::with_capacity(CONNECTIONS);
        let begun = Instant::now();
        let mut begun_requests = requests.min(CONNECTIONS);
        for client in &mut clients[..begun_requests] {
            client.ask(request)?;
        }
        while latencies.len() < requests {
            match poll.poll(&mut events, Some(PATIENCE)) {
                // So it says when the process was stopped for a while.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            if events.is_empty() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the server does not answer"));
            }
            for event in &events {
                let client = &mut clients[event.token().0];
                let Some(latency) = client.go_on(request)? else { continue };
                latencies.push(latency);
                if begun_requests < requests {
                    begun_requests += 1;
                    client.ask(request)?;
                }
            }
        }
        let time = begun.elapsed();
        latencies.sort_unstable();
        let [p50, p99] = [0.5, 0.99].map(|part| quantile(&latencies, part).as_nanos());
        Ok(format!("{} {p50} {p99}", time.as_nanos()))
    }
}
