//! Starts a server on a runtime of its own, and talks to it over plain sockets.
//!
//! Nothing here waits for a time to pass: it waits for a condition, and gives up, loudly, at a
//! deadline. When a server has ended, nothing of it may be left, and all that it told must be as the
//! laws say.

#![allow(dead_code, reason = "each of the tests uses a part of it")]

use std::future::IntoFuture;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use forebear::hooks::{HookHandle, create_hook};
use forebear::inspect;
use forebear::net::TcpListener;
use forebear::runtime::{Builder, Runtime};
use forebear::serve::{Ended, Serve, Serving};
use forebear::sync::oneshot;
use forebear::testing::{Recorder, assert_quiescent};

/// After so long, what a test waits for will not come any more.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "at the deadline it is still not so that {what}");
        thread::park_timeout(ms(2));
    }
}

/// What lives when nobody is connected: the listener, and the task that accepts.
const IDLE: usize = 2;

/// A server on two workers.
pub(crate) struct Server {
    pub(crate) runtime: Runtime,
    pub(crate) address: SocketAddr,
    troubles: Arc<Mutex<Vec<String>>>,
    end: Option<oneshot::Sender<()>>,
    ended: mpsc::Receiver<std::io::Result<Ended>>,
    heard: HookHandle<Arc<Recorder>>,
}

impl Server {
    /// Starts one, which `make` describes.
    pub(crate) fn start<M, W>(
        make: impl FnOnce(TcpListener) -> Serve<TcpListener, M, W> + Send + 'static,
    ) -> Server
    where
        Serve<TcpListener, M, W>: IntoFuture<IntoFuture = Serving>,
    {
        let runtime = Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let recorder = create_hook(Arc::new(Recorder::new()));
        let heard = recorder.runtime(runtime.id()).enable().unwrap();
        let troubles = Arc::<Mutex<Vec<String>>>::default();
        let (end, signal) = oneshot::channel();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let log = troubles.clone();
        let serving = make(listener)
            .on_trouble(move |trouble| log.lock().unwrap().push(trouble.to_string()))
            .with_graceful_shutdown(async { signal.await.unwrap_or_default() })
            .into_future();
        let (done, ended) = mpsc::channel();
        runtime.spawn(async move { done.send(serving.await).unwrap() });
        let server = Server { runtime, address, troubles, end: Some(end), ended, heard };
        server.comes_to_rest();
        server
    }

    pub(crate) fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).unwrap())
    }

    /// Says whether nobody listens any more.
    pub(crate) fn refuses(&self) -> bool {
        TcpStream::connect(self.address).is_err()
    }

    pub(crate) fn live(&self) -> usize {
        let snapshot = inspect::snapshot_of(self.runtime.id());
        snapshot.resources().iter().filter(|resource| !resource.is_gone()).count()
    }

    pub(crate) fn tree(&self) -> String {
        inspect::tree_of(self.runtime.id()).to_string()
    }

    pub(crate) fn troubles(&self) -> Vec<String> {
        self.troubles.lock().unwrap().clone()
    }

    /// Waits until something of this sort was told.
    #[track_caller]
    pub(crate) fn trouble(&self, part: &str) {
        let is_told = || self.troubles().iter().any(|trouble| trouble.contains(part));
        until(&format!("{part:?} is told"), is_told);
    }

    /// Waits until nobody is connected, and nothing of those who were is left.
    #[track_caller]
    pub(crate) fn comes_to_rest(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.live() != IDLE {
            assert!(Instant::now() < deadline, "there is more than the server:\n{}", self.tree());
            thread::park_timeout(ms(2));
        }
    }

    /// Lets it end.
    pub(crate) fn begin_to_end(&mut self) {
        self.end.take().unwrap().send(()).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ended(&self) -> Ended {
        self.ended.recv_timeout(PATIENCE).expect("it does not end").unwrap()
    }

    /// Ends it: nothing may be left of it.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Ended {
        self.comes_to_rest();
        self.begin_to_end();
        let ended = self.ended();
        self.vanish();
        ended
    }

    /// Ends its runtime: nothing may be left of it.
    #[track_caller]
    pub(crate) fn vanish(self) {
        let Server { runtime, heard, .. } = self;
        let id = runtime.id();
        drop(runtime);
        heard.assert_ended();
        assert_quiescent(id);
    }
}

/// A client of HTTP/1 that reads no more than it must.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// The head of a request that has no body.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")
}

impl Client {
    pub(crate) fn new(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream: BufReader::new(stream) }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send(get(path));
        self.answer()
    }

    /// Reads an answer.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        self.try_answer().expect("no answer comes")
    }

    /// Reads an answer, whole, unless the connection ends before it begins.
    #[track_caller]
    pub(crate) fn try_answer(&mut self) -> Option<Answer> {
        let mut answer = self.head()?;
        if answer.header("transfer-encoding").is_some() {
            answer.body = self.chunks();
        } else {
            let length = answer.header("content-length").unwrap_or("0").parse().unwrap();
            let mut body = vec![0; length];
            self.stream.read_exact(&mut body).unwrap();
            answer.body = String::from_utf8(body).unwrap();
        }
        Some(answer)
    }

    /// Reads the head of an answer.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Option<Answer> {
        let first = self.line()?;
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        let status = status.and_then(|status| status.parse().ok());
        let Some(status) = status else { panic!("this is no answer: {first:?}") };
        let mut headers = Vec::new();
        loop {
            let line = self.line().expect("the connection ends in a head");
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_owned(), value.to_owned()));
        }
        Some(Answer { status, headers, body: String::new() })
    }

    fn chunks(&mut self) -> String {
        let mut body = String::new();
        loop {
            let chunk = self.chunk();
            if chunk.is_empty() {
                return body;
            }
            body.push_str(&chunk);
        }
    }

    /// Reads a chunk of a body; the last one is empty.
    #[track_caller]
    pub(crate) fn chunk(&mut self) -> String {
        let size = usize::from_str_radix(&self.line().unwrap(), 16).unwrap();
        let mut chunk = vec![0; size];
        self.stream.read_exact(&mut chunk).unwrap();
        assert_eq!(self.line().unwrap(), "");
        String::from_utf8(chunk).unwrap()
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// Takes a little of what has come; returns how much.
    pub(crate) fn take_some(&mut self) -> usize {
        self.stream.read(&mut [0; 16 * 1024]).unwrap()
    }

    /// Reads what comes until the end.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest);
        rest
    }

    /// Says whether the server has closed the connection, with nothing left to read.
    #[track_caller]
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.stream.read(&mut [0]).unwrap() == 0
    }
}
