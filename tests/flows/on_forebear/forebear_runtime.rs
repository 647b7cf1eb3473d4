//! Names what the scenarios use, of forebear.

pub(super) use forebear::net::{TcpListener, TcpStream};
pub(super) use forebear::task::{JoinSet, spawn_blocking, yield_now};
pub(super) use forebear::time::{interval, sleep, timeout};
pub(super) use forebear::{join, select, spawn, spawn_root};

use forebear::runtime::Builder;
use forebear::testing;

/// Runs a future on a runtime, of which nothing is left afterwards.
#[track_caller]
pub(super) fn run(future: impl Future<Output = ()>) {
    let runtime = Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let id = runtime.id();
    runtime.block_on(future);
    drop(runtime);
    testing::assert_quiescent(id);
}
