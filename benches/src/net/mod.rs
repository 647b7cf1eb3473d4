//! Serves clients over loopback sockets, on the runtime that is measured.
//!
//! The clients are another process, so that the processor time of this one is the server's alone.
//! It is the deciding figure: how many requests a second brings depends on who shares a core with
//! whom, what one costs the server does not.

mod serve; // the server
mod cores; // who runs where
mod child; // how the clients' process is talked to
mod client; // one connection of it
mod load; // clients that ask and ask
mod crowd; // clients that keep silent

pub(crate) use cores::Cores;
pub use crowd::be_crowd;
pub(crate) use crowd::{Crowd, allow_connections};
pub(crate) use load::Load;
pub use load::be_load;
pub(crate) use serve::serve;

/// What a client and the server send each other, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// 64 bytes, and the same back.
    EchoSmall,
    /// 16 KiB, and the same back.
    EchoLarge,
    /// An HTTP request, and a greeting.
    Hello,
    /// An HTTP request, and a greeting after a millisecond: the answer awaits a spawned task that
    /// sleeps.
    HelloSleep,
}

impl Exchange {
    /// All of them, in the order of the table.
    pub const ALL: [Exchange; 4] =
        [Exchange::EchoSmall, Exchange::EchoLarge, Exchange::Hello, Exchange::HelloSleep];

    /// Returns the name in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Exchange::EchoSmall => "echo_64",
            Exchange::EchoLarge => "echo_16k",
            Exchange::Hello => "http_hello",
            Exchange::HelloSleep => "http_sleep",
        }
    }

    /// Returns the exchange of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Exchange> {
        Exchange::ALL.into_iter().find(|exchange| exchange.name() == name)
    }

    /// Returns how many requests one measurement sends: about a second's worth.
    #[must_use]
    pub fn requests(self) -> usize {
        match self {
            Exchange::EchoSmall | Exchange::Hello => 150_000,
            Exchange::EchoLarge => 100_000,
            Exchange::HelloSleep => 40_000,
        }
    }

    /// Returns what a client sends.
    fn request(self) -> &'static [u8] {
        match self {
            Exchange::EchoSmall => &[b'a'; 64],
            Exchange::EchoLarge => &[b'a'; 16 * 1024],
            Exchange::Hello | Exchange::HelloSleep => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        }
    }

    /// Says whether it is spoken through hyper.
    fn is_http(self) -> bool {
        matches!(self, Exchange::Hello | Exchange::HelloSleep)
    }
}
