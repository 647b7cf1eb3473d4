//! Tests the service from outside: the real program, over plain sockets.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where and why")]

mod support; // starts the service, and talks to it
mod carrier; // whom it calls itself
mod service; // every answer it can give, every client it must bear
mod memory; // what is left of a load
