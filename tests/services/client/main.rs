//! Tests the client with a pool of connections: whom they belong to, and what goes wrong with them.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where and why")]

#[path = "../serve/app.rs"]
mod app; // what is asked
#[path = "../shared/support.rs"]
mod support; // a server on a runtime of its own
#[path = "../shared/tls.rs"]
mod tls; // and one that speaks TLS
mod pool; // whom connections belong to
mod trouble; // what goes wrong
