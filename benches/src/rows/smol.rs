//! Sets up async-executor, with the timers of async-io and the thread pool of blocking.

use std::future::Future;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use async_executor::{Executor, Task};
use async_io::Async;
use futures_lite::{AsyncReadExt, AsyncWriteExt};

use super::smol_hyper::{SmolIo, SmolTimer};
use crate::peer::{Network, Peer};

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

impl Network for Smol {
    type Listener = Async<TcpListener>;
    type Stream = Async<TcpStream>;
    type Http = SmolIo;

    fn listen(listener: TcpListener) -> io::Result<Async<TcpListener>> {
        Async::new_nonblocking(listener)
    }

    async fn accept(listener: &Async<TcpListener>) -> io::Result<Async<TcpStream>> {
        let (stream, _) = listener.accept().await?;
        stream.get_ref().set_nodelay(true)?;
        Ok(stream)
    }

    async fn read(stream: &mut Async<TcpStream>, buffer: &mut [u8]) -> io::Result<usize> {
        stream.read(buffer).await
    }

    async fn write_all(stream: &mut Async<TcpStream>, data: &[u8]) -> io::Result<()> {
        stream.write_all(data).await
    }

    fn http(stream: Async<TcpStream>) -> SmolIo {
        SmolIo::new(stream)
    }

    fn timer() -> impl hyper::rt::Timer + Send + Sync + 'static {
        SmolTimer
    }
}
