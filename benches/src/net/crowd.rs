//! Clients that are connected and keep silent, thousands of them.

use std::io::{self, BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::child::{Child, answer};

/// The descriptors that a process needs beside its connections.
const DESCRIPTORS_BESIDE: u64 = 100;

/// The clients, in a process of their own, since each end of a connection is a descriptor.
pub(crate) struct Crowd(Child);

impl Crowd {
    /// Connects so many clients. Each has had one message echoed, so that the server has a task for
    /// it that waits.
    pub(crate) fn connect(address: SocketAddr, clients: usize) -> io::Result<Crowd> {
        let arguments = ["--crowd".to_owned(), address.to_string(), clients.to_string()];
        let mut child = Child::start(&arguments)?;
        child.hear()?;
        Ok(Crowd(child))
    }

    /// Lets them go, and waits until they have.
    pub(crate) fn disperse(self) {
        drop(self.0);
    }
}

/// Allows this process as many connections as the system lets it have, up to `wanted`. Returns how
/// many.
pub(crate) fn allow_connections(wanted: usize) -> io::Result<usize> {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let most = usize::try_from(most.saturating_sub(DESCRIPTORS_BESIDE)).unwrap_or(usize::MAX);
    Ok(wanted.min(most))
}

/// The child: connects, and holds the connections until its input ends.
///
/// # Errors
/// When the arguments are not those that `Crowd` gives, or the server answers wrongly.
pub fn be_crowd(arguments: &[String]) -> io::Result<()> {
    let strange =
        || io::Error::new(io::ErrorKind::InvalidInput, "--crowd is for this program alone");
    let [address, clients] = arguments else { return Err(strange()) };
    let address: SocketAddr = address.parse().map_err(|_| strange())?;
    let clients: usize = clients.parse().map_err(|_| strange())?;
    if allow_connections(clients)? < clients {
        return Err(io::Error::other("the system does not let a process have so many connections"));
    }
    let mut connections = Vec::with_capacity(clients);
    for _ in 0..clients {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"?")?;
        stream.read_exact(&mut [0])?;
        connections.push(stream);
    }
    answer("ready")?;
    // Until the parent closes its end.
    let _ = io::stdin().lock().lines().count();
    Ok(())
}
