//! Tests `forebear::serve` with clients of HTTP/2, of TLS, and with plain sockets that do what no
//! well-behaved client does. curl stands beside it.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where and why")]

#[path = "../shared/support.rs"]
mod support; // a server on a runtime of its own, and clients
mod app; // what it serves
#[path = "../shared/tls.rs"]
mod tls; // what it may speak
mod basics; // it answers
mod slow; // peers that take their time
mod rude; // peers that break off, and worse
mod http2; // peers that speak HTTP/2
mod end; // it ends
mod tree; // who descends from whom
mod handshake; // what comes before HTTP, and after it
