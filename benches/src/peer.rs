//! Names what the programs need of a runtime, so that each program is written once.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A runtime that is being measured. Dropping it ends it.
pub(crate) trait Peer: 'static {
    /// Waits for a task. Dropping it may cancel the task or not.
    type Join<T: Send + 'static>: Future<Output = T> + Send + Unpin + 'static;

    /// Runs `f`, and what it spawns, in the context that this row is to have.
    fn with_context<R>(&self, f: impl FnOnce() -> R) -> R {
        f()
    }

    /// Spawns from a task of this runtime.
    fn spawn<F>(future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Spawns from a thread that is not the runtime's.
    fn spawn_from_outside<F>(&self, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Runs a closure that may block on a thread that is there for that.
    fn spawn_blocking<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> Self::Join<R>;

    /// Lets the task run without anybody waiting for it.
    fn detach<T: Send + 'static>(join: Self::Join<T>);

    /// Waits on this thread, which is not the runtime's.
    fn block_on<F: Future>(&self, future: F) -> F::Output;

    /// Waits for so long.
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send + 'static;

    /// Lets other tasks go first, in the runtime's own way.
    fn yield_now() -> impl Future<Output = ()> + Send + 'static;
}

/// A runtime with sockets, each as its users have them. All functions are called by its tasks.
pub(crate) trait Network: Peer {
    type Listener: Send + Sync + 'static;
    type Stream: Send + 'static;

    /// What hyper reads and writes.
    type Http: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static;

    /// Takes over a listener, which does not block.
    fn listen(listener: TcpListener) -> io::Result<Self::Listener>;

    /// Waits for a connection, and lets it send small messages at once.
    fn accept(
        listener: &Self::Listener,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send + '_;

    /// Reads some bytes. None are the end.
    fn read<'a>(
        stream: &'a mut Self::Stream,
        buffer: &'a mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a;

    /// Writes all bytes.
    fn write_all<'a>(
        stream: &'a mut Self::Stream,
        data: &'a [u8],
    ) -> impl Future<Output = io::Result<()>> + Send + 'a;

    /// Shows a connection to hyper.
    fn http(stream: Self::Stream) -> Self::Http;

    /// Gives hyper timers.
    fn timer() -> impl hyper::rt::Timer + Send + Sync + 'static;
}

/// Waits for a task that does not fail.
pub(crate) struct Sure<J>(pub(crate) J);

impl<J, T, E> Future for Sure<J>
where
    J: Future<Output = Result<T, E>> + Unpin,
    E: std::fmt::Debug,
{
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(cx).map(|result| result.expect("no task of a bench fails"))
    }
}
