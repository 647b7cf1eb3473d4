//! Sets up async-executor, with the timers of async-io and the thread pool of blocking.

use std::future::Future;
use std::thread;
use std::time::Duration;

use async_executor::{Executor, Task};

use crate::peer::Peer;

/// The executor of a program that uses async-executor: one, and static.
static EXECUTOR: Executor<'static> = Executor::new();

pub(super) struct Smol {
    /// Closed to let the threads end.
    stop: async_channel::Sender<()>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Smol {
    pub(super) fn start(workers: usize) -> Smol {
        let (stop, stopped) = async_channel::bounded::<()>(1);
        let run = |stopped: async_channel::Receiver<()>| {
            move || {
                // It ends with an error, which says that the other end is closed.
                let _ = async_io::block_on(EXECUTOR.run(stopped.recv()));
            }
        };
        let threads = (0..workers).map(|_| thread::spawn(run(stopped.clone()))).collect();
        Smol { stop, threads }
    }
}

impl Drop for Smol {
    fn drop(&mut self) {
        self.stop.close();
        for thread in self.threads.drain(..) {
            thread.join().expect("no thread of a bench fails");
        }
    }
}

impl Peer for Smol {
    type Join<T: Send + 'static> = Task<T>;

    fn spawn<F>(future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        EXECUTOR.spawn(future)
    }

    fn spawn_from_outside<F>(&self, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        EXECUTOR.spawn(future)
    }

    fn spawn_blocking<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> Self::Join<R> {
        blocking::unblock(f)
    }

    fn detach<T: Send + 'static>(join: Self::Join<T>) {
        join.detach();
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        futures_lite::future::block_on(future)
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        let timer = async_io::Timer::after(duration);
        async move {
            timer.await;
        }
    }

    fn yield_now() -> impl Future<Output = ()> + Send + 'static {
        futures_lite::future::yield_now()
    }
}
