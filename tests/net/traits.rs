//! The traits of other crates.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;

use forebear::net::unix::pipe;
use forebear::net::{UnixStream, tcp, unix};
use hyper::rt;

use crate::support::{on_each, pattern, tcp_pair};

/// What a socket must be to be used in most places.
#[test]
fn sockets_and_halves_are_what_users_need_them_to_be() {
    fn ordinary<T: Send + Sync + Unpin + std::fmt::Debug + 'static>() {}
    fn reads<T: tokio::io::AsyncRead + futures_io::AsyncRead + rt::Read + Send + Unpin>() {}
    fn writes<T: tokio::io::AsyncWrite + futures_io::AsyncWrite + rt::Write + Send + Unpin>() {}
    fn safe_to_unwind<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    fn numbered<T: std::os::fd::AsFd + std::os::fd::AsRawFd>() {}

    macro_rules! all {
        ($check:ident: $($type:ty),*) => { $($check::<$type>();)* };
    }
    all!(ordinary: forebear::net::TcpListener, forebear::net::TcpStream, forebear::net::TcpSocket);
    all!(ordinary: forebear::net::UdpSocket, forebear::net::UnixListener, UnixStream);
    all!(ordinary: forebear::net::UnixDatagram, forebear::net::UnixSocket, unix::SocketAddr);
    all!(ordinary: pipe::Sender, pipe::Receiver, tcp::OwnedReadHalf, tcp::OwnedWriteHalf);
    all!(ordinary: unix::OwnedReadHalf, unix::OwnedWriteHalf, tcp::ReuniteError, unix::UCred);
    all!(ordinary: forebear::io::unix::AsyncFd<std::fs::File>);
    all!(reads: forebear::net::TcpStream, tcp::ReadHalf<'_>, tcp::OwnedReadHalf);
    all!(reads: UnixStream, unix::ReadHalf<'_>, unix::OwnedReadHalf, pipe::Receiver);
    all!(writes: forebear::net::TcpStream, tcp::WriteHalf<'_>, tcp::OwnedWriteHalf);
    all!(writes: UnixStream, unix::WriteHalf<'_>, unix::OwnedWriteHalf, pipe::Sender);
    all!(safe_to_unwind: forebear::net::TcpListener, forebear::net::TcpStream, UnixStream);
    all!(safe_to_unwind: forebear::net::UdpSocket, forebear::net::UnixDatagram, pipe::Sender);
    all!(safe_to_unwind: tcp::OwnedReadHalf, forebear::io::unix::AsyncFd<std::fs::File>);
    all!(numbered: forebear::net::TcpListener, forebear::net::TcpStream, forebear::net::TcpSocket);
    all!(numbered: forebear::net::UdpSocket, forebear::net::UnixListener, UnixStream);
    all!(numbered: forebear::net::UnixDatagram, forebear::net::UnixSocket);
    all!(numbered: pipe::Sender, pipe::Receiver, forebear::io::unix::AsyncFd<std::fs::File>);
}

/// Futures that are made are sent to other threads.
#[test]
fn what_sockets_return_can_be_sent() {
    fn sent<T: Send>(_: T) {}
    let runtime = forebear::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (mut near, _far) = UnixStream::pair().unwrap();
        let listener = forebear::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let udp = forebear::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        sent(listener.accept());
        sent(forebear::net::TcpStream::connect("localhost:1"));
        sent(forebear::net::TcpListener::bind("localhost:1"));
        sent(UnixStream::connect("a"));
        sent(udp.send_to(b"x", "localhost:1"));
        sent(udp.connect("localhost:1"));
        sent(udp.recv(&mut [0; 1]));
        sent(near.readable());
        sent(near.ready(forebear::io::Interest::READABLE));
        sent(near.async_io(forebear::io::Interest::READABLE, || Ok(())));
        let (read, _write) = near.split();
        sent(read.readable());
        let file = std::fs::File::open("/dev/null").unwrap();
        if let Ok(fd) = forebear::io::unix::AsyncFd::new(file) {
            sent(fd.readable());
        }
    });
}

#[test]
fn futures_io_reads_and_writes() {
    use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
    on_each(|| async {
        let (mut near, far) = tcp_pair().await;
        near.write_all(b"ping").await.unwrap();
        let parts = [IoSlice::new(b"po"), IoSlice::new(b"ng")];
        assert_eq!(near.write_vectored(&parts).await.unwrap(), 4);
        near.flush().await.unwrap();
        near.close().await.unwrap();
        let (mut read, mut write) = far.into_split();
        let mut both = Vec::new();
        read.read_to_end(&mut both).await.unwrap();
        assert_eq!(both, b"pingpong");
        write.write_all(b"back").await.unwrap();
        write.close().await.unwrap();
        let mut back = [0; 4];
        let (one, two) = back.split_at_mut(1);
        let mut slices = [std::io::IoSliceMut::new(one), std::io::IoSliceMut::new(two)];
        assert_eq!(near.read_vectored(&mut slices).await.unwrap(), 4);
        assert_eq!(&back, b"back");
        assert_eq!(write.write_all(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);

        let (mut sender, mut receiver) = pipe::pipe().unwrap();
        sender.write_all(b"ping").await.unwrap();
        receiver.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"ping");
    });
}

/// Reads through hyper's trait until the buffer is full or the end has come.
async fn hyper_read(
    reader: &mut (impl rt::Read + Unpin),
    buffer: &mut [MaybeUninit<u8>],
) -> Vec<u8> {
    let mut buffer = rt::ReadBuf::uninit(buffer);
    loop {
        let before = buffer.filled().len();
        poll_fn(|cx| Pin::new(&mut *reader).poll_read(cx, buffer.unfilled())).await.unwrap();
        if buffer.filled().len() == before {
            return buffer.filled().to_vec();
        }
    }
}

#[test]
fn hyper_reads_and_writes() {
    on_each(|| async {
        let (near, far) = UnixStream::pair().unwrap();
        let (mut read, _keep) = far.into_split();
        let sent = pattern(100_000);
        let copy = sent.clone();
        let writer = forebear::spawn(async move {
            let mut near = near;
            let mut rest = &copy[..];
            while !rest.is_empty() {
                let count = poll_fn(|cx| rt::Write::poll_write(Pin::new(&mut near), cx, rest));
                rest = &rest[count.await.unwrap()..];
            }
            assert!(rt::Write::is_write_vectored(&near));
            let parts = [IoSlice::new(b"e"), IoSlice::new(b"nd")];
            let last =
                poll_fn(|cx| rt::Write::poll_write_vectored(Pin::new(&mut near), cx, &parts)).await;
            assert_eq!(last.unwrap(), 3);
            poll_fn(|cx| rt::Write::poll_flush(Pin::new(&mut near), cx)).await.unwrap();
            poll_fn(|cx| rt::Write::poll_shutdown(Pin::new(&mut near), cx)).await.unwrap();
        });
        let mut buffer = vec![MaybeUninit::uninit(); 200_000];
        let got = hyper_read(&mut read, &mut buffer).await;
        assert!(got[..sent.len()] == sent && &got[sent.len()..] == b"end");
        writer.await.unwrap();
        // A buffer without room is not an error.
        assert!(hyper_read(&mut read, &mut []).await.is_empty());
    });
}

/// Buffers whose room holds nothing yet keep what they hold, and get what comes behind it.
#[test]
fn tokio_reads_to_room_that_holds_nothing() {
    use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
    on_each(|| async {
        let (mut near, mut far) = tcp_pair().await;
        near.write_all(b"ping").await.unwrap();
        let mut bytes = [MaybeUninit::uninit(); 16];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        buffer.put_slice(b"<");
        poll_fn(|cx| Pin::new(&mut far).poll_read(cx, &mut buffer)).await.unwrap();
        assert_eq!((buffer.filled(), buffer.initialized().len()), (&b"<ping"[..], 5));
        near.write_all(b"pong").await.unwrap();
        poll_fn(|cx| Pin::new(&mut far).poll_read(cx, &mut buffer)).await.unwrap();
        assert_eq!((buffer.filled(), buffer.remaining()), (&b"<pingpong"[..], 7));
    });
}
