//! Sets up tokio: the multi-thread flavour with everything enabled, as `#[tokio::main]` does.

use std::future::Future;
use std::time::Duration;

use ::tokio::runtime::{Builder, Runtime};
use ::tokio::task::{self, JoinHandle};
use ::tokio::time;

use crate::peer::{Peer, Sure};

pub(super) struct Tokio(Runtime);

impl Tokio {
    pub(super) fn start(workers: usize) -> Tokio {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(workers).enable_all();
        Tokio(builder.build().expect("the system has threads for a bench"))
    }
}

impl Peer for Tokio {
    type Join<T: Send + 'static> = Sure<JoinHandle<T>>;

    fn spawn<F>(future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Sure(task::spawn(future))
    }

    fn spawn_from_outside<F>(&self, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Sure(self.0.spawn(future))
    }

    fn spawn_blocking<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> Self::Join<R> {
        Sure(task::spawn_blocking(f))
    }

    fn detach<T: Send + 'static>(join: Self::Join<T>) {
        drop(join);
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        time::sleep(duration)
    }

    fn yield_now() -> impl Future<Output = ()> + Send + 'static {
        task::yield_now()
    }
}
