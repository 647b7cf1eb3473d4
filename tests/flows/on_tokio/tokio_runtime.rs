//! Names what the scenarios use, of tokio. Its tasks are given a life and a context.

pub(super) use tokio::net::{TcpListener, TcpStream};
pub(super) use tokio::task::yield_now;
pub(super) use tokio::time::{interval, sleep, timeout};
pub(super) use tokio::{join, select};

use forebear_hooks::{AsyncResource, Instrumented, Kind};
use tokio::runtime::Builder;
use tokio::task::{AbortHandle, JoinError, JoinHandle};

#[track_caller]
fn task<F: Future>(future: F) -> Instrumented<F> {
    AsyncResource::new(Kind::TASK).instrument(future)
}

#[track_caller]
pub(super) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(task(future))
}

#[track_caller]
pub(super) fn spawn_root<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let root = AsyncResource::builder(Kind::TASK).root().build();
    tokio::spawn(root.instrument(future))
}

pub(super) fn spawn_blocking<R: Send + 'static>(
    f: impl FnOnce() -> R + Send + 'static,
) -> JoinHandle<R> {
    let job = AsyncResource::new(Kind::BLOCKING);
    tokio::task::spawn_blocking(move || job.run_in_async_scope(f))
}

/// A set of tasks that have a life.
pub(super) struct JoinSet<T>(tokio::task::JoinSet<T>);

impl<T: Send + 'static> JoinSet<T> {
    pub(super) fn new() -> JoinSet<T> {
        JoinSet(tokio::task::JoinSet::new())
    }

    pub(super) fn spawn(
        &mut self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> AbortHandle {
        self.0.spawn(task(future))
    }

    pub(super) async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.0.join_next().await
    }
}

/// Runs a future on a runtime.
#[track_caller]
pub(super) fn run(future: impl Future<Output = ()>) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(task(future));
}
