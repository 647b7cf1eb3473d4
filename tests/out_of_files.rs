//! A process that may open nothing more: what needs a descriptor is an error, again and again, and
//! not a wait; and it goes on where it was when there is room.
//!
//! In a process of its own, because the limit is the process's.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::File;
use std::io;
use std::net;
use std::path::Path;
use std::process::Stdio;

use forebear::fs;
use forebear::io::AsyncReadExt;
use forebear::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixStream, unix::pipe};
use forebear::process::Command;
use forebear::runtime::{Builder, Runtime};
use forebear::signal::unix::{SignalKind, signal};
use forebear::testing::assert_quiescent;
use forebear::time::{Duration, timeout};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Longer than all of it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Opens files until the system refuses.
fn fill() -> Vec<File> {
    let files = std::iter::from_fn(|| File::open(Path::new("/dev/null")).ok());
    files.collect()
}

#[track_caller]
fn is_full<T>(result: io::Result<T>) {
    let error = result.err().expect("there is a descriptor left");
    assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::MFILE.raw_os_error()), "{error}");
}

#[test]
fn what_needs_a_descriptor_is_refused_until_there_is_one() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(128), maximum: limit.maximum }).unwrap();
    for runtime in [Builder::new_current_thread().build().unwrap(), Runtime::new().unwrap()] {
        let id = runtime.id();
        let test = async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let near = net::TcpStream::connect(address).unwrap();
            let mut file = fs::File::open("Cargo.toml").await.unwrap();
            let mut files = fill();
            assert!(files.len() > 10, "only {} descriptors", files.len());
            // The connection waits in the queue of the system, and is told each time.
            for _ in 0..3 {
                is_full(listener.accept().await);
            }
            is_full(TcpStream::connect(address).await);
            is_full(TcpListener::bind("127.0.0.1:0").await);
            is_full(UdpSocket::bind("127.0.0.1:0").await);
            is_full(UnixStream::pair());
            is_full(UnixStream::connect("nowhere").await);
            is_full(UnixDatagram::unbound());
            is_full(pipe::pipe());
            is_full(Runtime::new());
            is_full(fs::read("Cargo.toml").await);
            is_full(fs::read_dir(".").await);
            is_full(fs::File::open("Cargo.toml").await);
            is_full(file.try_clone().await);
            is_full(signal(SignalKind::user_defined1()));
            is_full(Command::new("true").stdin(Stdio::piped()).spawn());
            // A thread may still be closing what the child before had been given.
            let mut status = Command::new("true").status().await;
            while status.is_ok() {
                files.extend(fill());
                status = Command::new("true").status().await;
            }
            is_full(status);
            // What is open goes on.
            file.read_exact(&mut [0; 8]).await.unwrap();
            drop(files);
            let (far, peer) = listener.accept().await.unwrap();
            assert_eq!((peer, far.local_addr().unwrap()), (near.local_addr().unwrap(), address));
        };
        let done = runtime.block_on(async { timeout(PATIENCE, test).await });
        assert!(done.is_ok(), "it hangs");
        drop(runtime);
        assert_quiescent(id);
    }
}
