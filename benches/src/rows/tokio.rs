//! Sets up tokio: the multi-thread flavour with everything enabled, as `#[tokio::main]` does.

use std::future::Future;
use std::io;
use std::net::TcpListener as StdListener;
use std::time::Duration;

use ::tokio::io::{AsyncReadExt, AsyncWriteExt};
use ::tokio::net::{TcpListener, TcpStream};
use ::tokio::runtime::{Builder, Runtime};
use ::tokio::task::{self, JoinHandle};
use ::tokio::time;
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::peer::{Network, Peer, Sure};

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

impl Network for Tokio {
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Http = TokioIo<TcpStream>;

    fn listen(listener: StdListener) -> io::Result<TcpListener> {
        TcpListener::from_std(listener)
    }

    async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.read(buffer).await
    }

    async fn write_all(stream: &mut TcpStream, data: &[u8]) -> io::Result<()> {
        stream.write_all(data).await
    }

    fn http(stream: TcpStream) -> TokioIo<TcpStream> {
        TokioIo::new(stream)
    }

    fn timer() -> impl hyper::rt::Timer + Send + Sync + 'static {
        TokioTimer::new()
    }
}
