//! Looks names up where that may block.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::net::ToSocketAddrs as _;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::blocking::outcome;
use crate::hooks::Kind;
use crate::hooks::life::Birth;
use crate::net::address::Sought;
use crate::net::{Addresses, ToSocketAddrs, runtime_for};
use crate::spawn::spawn_blocking_on;
use crate::task::JoinHandle;

/// Looks up the addresses of a host.
///
/// An address stands for itself. A name is looked up, by the system's own ways, on the blocking
/// pool, from the first poll on.
///
/// # Errors
/// When the name is not known, or cannot be looked up now.
///
/// # Panics
/// If a name is looked up outside a runtime.
///
/// # Cancel safety
/// Dropping it gives the lookup up if it has not started; else it goes on, and its result is
/// dropped.
///
/// # Hooks
/// For a name, a resource of kind `BLOCKING`, made in the first poll.
///
/// # Examples
/// ```
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let mut addresses = forebear::net::lookup_host("localhost:80").await?;
/// assert!(addresses.all(|address| address.ip().is_loopback()));
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn lookup_host<T: ToSocketAddrs>(host: T) -> LookupHost {
    LookupHost::new(&host, Location::caller())
}

/// The future of [`lookup_host`].
#[must_use = "futures do nothing unless polled"]
pub struct LookupHost {
    state: State,
    location: &'static Location<'static>,
}

enum State {
    Sought(Sought),
    Asked(JoinHandle<io::Result<Vec<SocketAddr>>>),
    Done,
}

impl LookupHost {
    pub(super) fn new(
        target: &(impl ToSocketAddrs + ?Sized),
        location: &'static Location<'static>,
    ) -> LookupHost {
        LookupHost { state: State::Sought(target.sought()), location }
    }

    fn ask(&self, host: String, port: u16) -> JoinHandle<io::Result<Vec<SocketAddr>>> {
        let birth = Birth::new(Kind::BLOCKING, || "lookup")
            .name(format!("lookup {host}:{port}"))
            .location(self.location);
        let look_up = move || Ok((host.as_str(), port).to_socket_addrs()?.collect());
        spawn_blocking_on(runtime_for(self.location).shared(), birth, look_up)
    }
}

impl Future for LookupHost {
    type Output = io::Result<Addresses>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Addresses>> {
        let mut job = match std::mem::replace(&mut self.state, State::Done) {
            State::Sought(Sought::Known(addresses)) => return Poll::Ready(Ok(addresses)),
            State::Sought(Sought::Nonsense(error)) => return Poll::Ready(Err(error)),
            State::Sought(Sought::Name { host, port }) => self.ask(host, port),
            State::Asked(job) => job,
            State::Done => panic!("a lookup was polled after it had returned the addresses"),
        };
        let Poll::Ready(joined) = Pin::new(&mut job).poll(cx) else {
            self.state = State::Asked(job);
            return Poll::Pending;
        };
        Poll::Ready(outcome(joined)?.map(Addresses::several))
    }
}

impl Drop for LookupHost {
    fn drop(&mut self) {
        if let State::Asked(job) = &self.state {
            job.abort();
        }
    }
}

impl fmt::Debug for LookupHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("LookupHost");
        match &self.state {
            State::Sought(sought) => f.field("sought", sought),
            State::Asked(job) => f.field("job", job),
            State::Done => f.field("done", &true),
        };
        f.finish_non_exhaustive()
    }
}
