//! Runs a test on each flavour of the runtime, and checks that nothing is left of its sockets.

use std::env;
use std::fs;
use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use forebear::hooks::{HookHandle, create_hook};
use forebear::io::Interest;
use forebear::net::{TcpListener, TcpStream};
use forebear::runtime::{Builder, Runtime};
use forebear::testing::{Recorder, assert_quiescent};
use forebear::time::{Duration, timeout};

/// A test that takes longer has come to a stand.
fn patience() -> Duration {
    Duration::from_secs(if env::var_os("FOREBEAR_LONG").is_some() { 1800 } else { 60 })
}

/// Any port of this machine.
pub(crate) const ANY: &str = "127.0.0.1:0";

/// Runs a test on one thread and on two workers. Everything it made must be gone when it and its
/// runtime have ended, and must have been told as the laws say.
#[track_caller]
pub(crate) fn on_each<F: Future>(test: impl Fn() -> F) {
    on_each_heard(|_| test());
}

/// As [`on_each`], for a test that wants to know what was told.
#[track_caller]
pub(crate) fn on_each_heard<F: Future>(test: impl Fn(Heard) -> F) {
    for workers in [None, Some(2)] {
        let runtime = match workers {
            None => Builder::new_current_thread().build().unwrap(),
            Some(workers) => Builder::new_multi_thread().worker_threads(workers).build().unwrap(),
        };
        let id = runtime.id();
        let heard = hear(&runtime);
        let future = test(Heard(heard.clone()));
        let done = runtime.block_on(async { timeout(patience(), future).await });
        assert!(done.is_ok(), "it hangs with {workers:?} workers");
        drop(runtime);
        heard.assert_ended();
        assert_quiescent(id);
    }
}

fn hear(runtime: &Runtime) -> Arc<HookHandle<Arc<Recorder>>> {
    let recorder = create_hook(Arc::new(Recorder::new()));
    Arc::new(recorder.runtime(runtime.id()).enable().unwrap())
}

/// What was told of the runtime of a test.
pub(crate) struct Heard(Arc<HookHandle<Arc<Recorder>>>);

impl std::ops::Deref for Heard {
    type Target = Recorder;

    fn deref(&self) -> &Recorder {
        &self.0
    }
}

/// Two ends of a TCP connection.
pub(crate) async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    // It is taken to be readable until it is found not to be, while nothing is reported meanwhile.
    while far.ready(Interest::READABLE | Interest::WRITABLE).await.unwrap().is_readable() {
        assert_eq!(far.try_read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    (near, far)
}

/// A folder that goes with the value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Folder {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Relaxed: all that counts is that no number comes twice.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("forebear-net-{}-{number}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Polls a future once, and drops it if it is not ready.
pub(crate) fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A waker that counts how often it is called.
#[derive(Default)]
pub(crate) struct Counter(AtomicUsize);

impl Counter {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Bytes that tell where they come from.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}
