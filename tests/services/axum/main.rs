//! Tests axum on `forebear::serve`: what of it runs as it is, what has a counterpart of ours, and what
//! needs tokio's timers or tasks.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where and why")]

#[path = "../shared/support.rs"]
mod support; // a server on a runtime of its own, and clients
mod entered; // a service inside of tokio
mod routes; // extractors, and who is at the other end
mod time; // layers that need a timer
mod events; // server-sent events
mod websocket; // and what goes both ways
