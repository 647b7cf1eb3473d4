//! Sets up forebear: bare, as its builder makes it, and with hooks.

use std::future::{Future, poll_fn};
use std::io;
use std::net::TcpListener as StdListener;
use std::time::Duration;

use forebear::hooks::{AsyncHook, create_hook};
use forebear::interop::hyper::ForebearTimer;
use forebear::net::{TcpListener, TcpStream};
use forebear::runtime::{Builder, Runtime};
use forebear::task::{self, JoinHandle};
use forebear::{AsyncLocal, Lineage, time};

use crate::peer::{Network, Peer, Sure};

/// As many as a service with a tracer, metrics and a leak detector has.
const HOOKS: usize = 5;

/// Listens to all five events and does nothing.
struct Empty;

impl AsyncHook for Empty {}

/// The context value that the default row sets, and what it is.
static REQUEST_ID: AsyncLocal<u64> = AsyncLocal::named("request_id");
const REQUEST: u64 = 7;

pub(super) struct Forebear {
    runtime: Runtime,
    /// What programs find as their context value.
    request_id: Option<u64>,
}

pub(super) fn bare(workers: usize) -> Forebear {
    Forebear::start(without_lineage(workers), None)
}

pub(super) fn default(workers: usize) -> Forebear {
    Forebear::start(builder(workers), Some(REQUEST))
}

pub(super) fn hooked(workers: usize) -> Forebear {
    let mut builder = without_lineage(workers);
    for _ in 0..HOOKS {
        builder.hook(create_hook(Empty));
    }
    Forebear::start(builder, None)
}

fn builder(workers: usize) -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers);
    builder
}

fn without_lineage(workers: usize) -> Builder {
    let mut builder = builder(workers);
    builder.lineage(Lineage::Off);
    builder
}

impl Forebear {
    fn start(mut builder: Builder, request_id: Option<u64>) -> Forebear {
        let runtime = builder.build().expect("the system has threads for a bench");
        Forebear { runtime, request_id }
    }
}

impl Peer for Forebear {
    type Join<T: Send + 'static> = Sure<JoinHandle<T>>;

    fn with_context<R>(&self, f: impl FnOnce() -> R) -> R {
        match self.request_id {
            Some(id) => REQUEST_ID.sync_scope(id, f),
            None => f(),
        }
    }

    fn spawn<F>(future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Sure(forebear::spawn(future))
    }

    fn spawn_from_outside<F>(&self, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Sure(self.runtime.spawn(future))
    }

    fn spawn_blocking<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> Self::Join<R> {
        Sure(task::spawn_blocking(f))
    }

    fn detach<T: Send + 'static>(join: Self::Join<T>) {
        drop(join);
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        time::sleep(duration)
    }

    fn yield_now() -> impl Future<Output = ()> + Send + 'static {
        task::yield_now()
    }
}

impl Network for Forebear {
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Http = TcpStream;

    fn listen(listener: StdListener) -> io::Result<TcpListener> {
        TcpListener::from_std(listener)
    }

    async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| stream.poll_read_slice(cx, buffer)).await
    }

    async fn write_all(stream: &mut TcpStream, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let written = poll_fn(|cx| stream.poll_write_slice(cx, data)).await?;
            data = &data[written..];
        }
        Ok(())
    }

    fn http(stream: TcpStream) -> TcpStream {
        stream
    }

    fn timer() -> impl hyper::rt::Timer + Send + Sync + 'static {
        ForebearTimer::new()
    }
}
