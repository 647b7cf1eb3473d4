//! A server in a process that may open nothing more: it says so once, tries again now and then, burns
//! no time meanwhile, and goes on when there is room.
//!
//! In a process of its own, because the limit is the process's.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where and why")]

use std::convert::Infallible;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use forebear::net::TcpListener;
use forebear::runtime::Runtime;
use forebear::serve::{self, Body};
use forebear::sync::oneshot;
use forebear::testing::assert_quiescent;
use hyper::{Request, Response};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

const PATIENCE: Duration = Duration::from_secs(60);

/// So long it is watched while it cannot accept.
const WATCH: Duration = Duration::from_secs(1);

/// How much of that it may work: a loop without a pause would work all of it.
const WORK_MAX: Duration = Duration::from_millis(250);

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

async fn hello(_: Request<Body>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello".to_owned()))
}

#[track_caller]
fn ask(mut client: &TcpStream) {
    client.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nhello") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

#[test]
fn a_server_that_cannot_accept_tries_again_and_burns_no_time() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(128), maximum: limit.maximum }).unwrap();
    let runtime = Runtime::new().unwrap();
    let id = runtime.id();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (end, signal) = oneshot::channel::<()>();
    let tries = Arc::new(AtomicUsize::new(0));
    let (told, telling) = mpsc::channel();
    let serving = {
        let tries = tries.clone();
        serve::serve(listener, tower::service_fn(hello))
            .on_trouble(move |trouble| {
                assert!(trouble.is_accept(), "{trouble}");
                tries.fetch_add(1, Ordering::Relaxed);
                told.send(trouble.to_string()).unwrap();
            })
            .with_graceful_shutdown(async { signal.await.unwrap() })
    };
    let serving = runtime.spawn(serving.into_future());

    let early = TcpStream::connect(address).unwrap();
    early.set_read_timeout(Some(PATIENCE)).unwrap();
    ask(&early);
    // One descriptor is left for the client whom the server then cannot accept.
    let mut files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(files.len() > 10, "only {} descriptors", files.len());
    files.pop();
    let late = TcpStream::connect(address).unwrap();
    late.set_read_timeout(Some(PATIENCE)).unwrap();
    let said = telling.recv_timeout(PATIENCE).unwrap();
    assert!(said.contains("no connection can be accepted"), "{said}");

    let (begun, worked, tried) = (Instant::now(), cpu_time(), tries.load(Ordering::Relaxed));
    while begun.elapsed() < WATCH {
        // Who is there is served all the while.
        ask(&early);
        std::thread::park_timeout(WATCH / 20);
    }
    let tries = tries.load(Ordering::Relaxed) - tried;
    let worked = cpu_time() - worked;
    assert!(tries <= 30, "{tries} tries");
    assert!(worked < WORK_MAX, "it worked for {worked:?}");

    drop(files);
    ask(&late);
    end.send(()).unwrap();
    drop((early, late));
    let ended = runtime.block_on(serving).unwrap().unwrap();
    assert_eq!((ended.accepted, ended.connections_left), (2, 0));
    drop(runtime);
    assert_quiescent(id);
}
