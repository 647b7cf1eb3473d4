//! Serves the page: what is alive in a service, in a browser.
//!
//! The server runs in this process, not in the service, which pays for snapshots only while somebody
//! looks. It listens on the loopback interface, wants a token that is in the address it prints, and
//! answers only who names it by an address of this machine: a page from elsewhere cannot ask it by a
//! name of its own.

mod http; // requests and answers
mod view; // what of a snapshot is shown
mod serve; // who gets what

pub(crate) use serve::run;
