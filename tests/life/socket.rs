//! Makes the sockets of a row, and lets one end write to the other, if the row lets it come so far.

use std::env;
use std::fs;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use forebear::io::Interest;
use forebear::io::unix::AsyncFd;
use forebear::net::unix::pipe::{self, Receiver, Sender};
use forebear::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};

use crate::leaf::Stage;
use crate::subject::{beside, comes};

pub(crate) fn tcp_listener(stage: &Stage) -> TcpListener {
    // `bind` does nothing before it is polled, and where this is called nothing ever may be.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    stage.name("listener", listener.id());
    listener
}

pub(crate) async fn tcp(stage: Arc<Stage>, listener: TcpListener) {
    let connected = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    stage.name("connected", connected.id());
    let (accepted, _) = listener.accept().await.unwrap();
    stage.name("accepted", accepted.id());
    if comes(stage.ending) {
        let written = poll_fn(|cx| connected.poll_write_slice(cx, b"x")).await.unwrap();
        assert_eq!(written, 1);
    }
    let mut byte = [0];
    let read = beside(&stage, poll_fn(|cx| accepted.poll_read_slice(cx, &mut byte))).await.unwrap();
    assert_eq!((read, byte), (1, *b"x"));
}

/// A path that no other row has. The file goes with the value.
pub(crate) struct Path(PathBuf);

impl Path {
    fn new() -> Path {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Relaxed: all that counts is that no number comes twice.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Path(env::temp_dir().join(format!("forebear-life-{}-{number}.sock", process::id())))
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

pub(crate) fn unix_listener(stage: &Stage) -> (UnixListener, Path) {
    let path = Path::new();
    let listener = UnixListener::bind(&path.0).unwrap();
    stage.name("listener", listener.id());
    (listener, path)
}

pub(crate) async fn unix(stage: Arc<Stage>, (listener, path): (UnixListener, Path)) {
    let connected = UnixStream::connect(&path.0).await.unwrap();
    stage.name("connected", connected.id());
    let (accepted, _) = listener.accept().await.unwrap();
    stage.name("accepted", accepted.id());
    if comes(stage.ending) {
        let written = poll_fn(|cx| connected.poll_write_slice(cx, b"x")).await.unwrap();
        assert_eq!(written, 1);
    }
    let mut byte = [0];
    let read = beside(&stage, poll_fn(|cx| accepted.poll_read_slice(cx, &mut byte))).await.unwrap();
    assert_eq!((read, byte), (1, *b"x"));
}

pub(crate) fn unix_pair(stage: &Stage) -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    stage.name("near", near.id());
    stage.name("far", far.id());
    (near, far)
}

pub(crate) async fn halves(stage: Arc<Stage>, (near, far): (UnixStream, UnixStream)) {
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    if comes(stage.ending) {
        let written = poll_fn(|cx| near_write.poll_write_slice(cx, b"x")).await.unwrap();
        assert_eq!(written, 1);
    }
    let mut byte = [0];
    let read = beside(&stage, poll_fn(|cx| far_read.poll_read_slice(cx, &mut byte))).await.unwrap();
    assert_eq!((read, byte), (1, *b"x"));
    // One half outlives the other, and with it the resource.
    drop(far_read);
    assert_eq!(poll_fn(|cx| far_write.poll_write_slice(cx, b"y")).await.unwrap(), 1);
    assert_eq!(poll_fn(|cx| near_read.poll_read_slice(cx, &mut byte)).await.unwrap(), 1);
}

pub(crate) fn udp_pair(stage: &Stage) -> (UdpSocket, UdpSocket) {
    let bind = |name| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let socket = UdpSocket::from_std(socket).unwrap();
        stage.name(name, socket.id());
        socket
    };
    (bind("near"), bind("far"))
}

pub(crate) async fn udp(stage: Arc<Stage>, (near, far): (UdpSocket, UdpSocket)) {
    let to = far.local_addr().unwrap();
    if comes(stage.ending) {
        assert_eq!(near.send_to(b"x", to).await.unwrap(), 1);
    }
    let mut byte = [0];
    let (read, from) = beside(&stage, far.recv_from(&mut byte)).await.unwrap();
    assert_eq!((read, from), (1, near.local_addr().unwrap()));
}

pub(crate) fn datagram_pair(stage: &Stage) -> (UnixDatagram, UnixDatagram) {
    let (near, far) = UnixDatagram::pair().unwrap();
    stage.name("near", near.id());
    stage.name("far", far.id());
    (near, far)
}

pub(crate) async fn datagram(stage: Arc<Stage>, (near, far): (UnixDatagram, UnixDatagram)) {
    if comes(stage.ending) {
        assert_eq!(near.send(b"x").await.unwrap(), 1);
    }
    let mut byte = [0];
    assert_eq!(beside(&stage, far.recv(&mut byte)).await.unwrap(), 1);
}

pub(crate) fn pipe(stage: &Stage) -> (Sender, Receiver) {
    let (near, far) = pipe::pipe().unwrap();
    stage.name("near", near.id());
    stage.name("far", far.id());
    (near, far)
}

pub(crate) async fn through_pipe(stage: Arc<Stage>, (near, far): (Sender, Receiver)) {
    if comes(stage.ending) {
        assert_eq!(poll_fn(|cx| near.poll_write_slice(cx, b"x")).await.unwrap(), 1);
    }
    let mut byte = [0];
    let read = beside(&stage, poll_fn(|cx| far.poll_read_slice(cx, &mut byte))).await.unwrap();
    assert_eq!((read, byte), (1, *b"x"));
}

type Std = std::os::unix::net::UnixStream;

pub(crate) fn async_fd(stage: &Stage) -> (Std, AsyncFd<Std>) {
    let (near, far) = Std::pair().unwrap();
    far.set_nonblocking(true).unwrap();
    let far = AsyncFd::with_interest(far, Interest::READABLE).unwrap();
    stage.name("far", far.id());
    (near, far)
}

pub(crate) async fn through_fd(stage: Arc<Stage>, (mut near, far): (Std, AsyncFd<Std>)) {
    if comes(stage.ending) {
        near.write_all(b"x").unwrap();
    }
    let mut byte = [0];
    let read = far.async_io(Interest::READABLE, |mut far| far.read(&mut byte));
    assert_eq!(beside(&stage, read).await.unwrap(), 1);
    assert_eq!(byte, *b"x");
}
