//! Drives every sort of socket through its public methods, against the real system: what works,
//! what fails, what is given up, and what many do at once.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::cast_possible_truncation, reason = "patterns of bytes")]

mod support; // runs a test on each flavour of the runtime
mod tcp; // connections through the internet
mod tcp_socket; // sockets before they are connections
mod udp; // messages through the internet
mod unix; // connections within the machine
mod datagram; // messages within the machine
mod pipe; // connections in one direction
mod halves; // the two halves of a connection
mod fd; // any descriptor
mod names; // what is looked up
mod waiting; // who gives up, who waits with many others, and whose runtime ends
mod load; // much at once
mod traits; // the traits of other crates
