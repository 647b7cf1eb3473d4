//! Connections through the internet.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use bytes::BytesMut;
use forebear::hooks::{Kind, hook};
use forebear::io::{Interest, Ready};
use forebear::net::{TcpListener, TcpStream};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadBuf};

use crate::support::{ANY, on_each, on_each_heard, pattern, tcp_pair};

#[test]
fn bytes_go_both_ways_until_the_end() {
    on_each(|| async {
        let (mut near, mut far) = tcp_pair().await;
        assert_eq!(near.peer_addr().unwrap(), far.local_addr().unwrap());
        assert_eq!(near.local_addr().unwrap(), far.peer_addr().unwrap());
        near.write_all(b"ping").await.unwrap();
        let mut read = [0; 4];
        far.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"ping");
        far.write_all(b"pong").await.unwrap();
        far.flush().await.unwrap();
        far.shutdown().await.unwrap();
        let mut rest = Vec::new();
        near.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"pong");
        // The other direction is still open.
        near.write_all(b"more").await.unwrap();
        far.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"more");
        drop(near);
        assert_eq!(far.read(&mut read).await.unwrap(), 0);
    });
}

#[test]
fn slices_are_read_and_written_one_after_another() {
    on_each(|| async {
        let (mut near, far) = tcp_pair().await;
        let parts = [IoSlice::new(b"pi"), IoSlice::new(b""), IoSlice::new(b"ng")];
        assert!(tokio::io::AsyncWrite::is_write_vectored(&near));
        assert_eq!(near.write_vectored(&parts).await.unwrap(), 4);
        far.readable().await.unwrap();
        let (mut first, mut second) = ([0; 3], [0; 3]);
        let mut parts = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(far.try_read_vectored(&mut parts).unwrap(), 4);
        assert_eq!((&first, &second), (b"pin", b"g\0\0"));

        near.writable().await.unwrap();
        let parts = [IoSlice::new(b"po"), IoSlice::new(b"ng")];
        assert_eq!(near.try_write_vectored(&parts).unwrap(), 4);
        let mut parts = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(poll_fn(|cx| far.poll_read_slices(cx, &mut parts)).await.unwrap(), 4);
        assert_eq!((&first, second[0]), (b"pon", b'g'));

        let parts = [IoSlice::new(b"x"), IoSlice::new(b"y")];
        assert_eq!(poll_fn(|cx| near.poll_write_slices(cx, &parts)).await.unwrap(), 2);
        assert_eq!(poll_fn(|cx| far.poll_read_slice(cx, &mut first)).await.unwrap(), 2);
    });
}

#[test]
fn what_tries_does_not_wait() {
    on_each(|| async {
        let (near, far) = tcp_pair().await;
        let mut read = [0; 8];
        assert_eq!(far.try_read(&mut read).unwrap_err().kind(), ErrorKind::WouldBlock);
        near.writable().await.unwrap();
        assert_eq!(near.try_write(b"ping").unwrap(), 4);
        far.readable().await.unwrap();
        assert_eq!(far.try_read(&mut read).unwrap(), 4);
        assert_eq!(far.try_read(&mut read).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(near);
        far.readable().await.unwrap();
        assert_eq!(far.try_read(&mut read).unwrap(), 0);
        // It goes on being the end.
        assert_eq!(far.try_read(&mut read).unwrap(), 0);
    });
}

#[test]
fn buffers_that_grow_are_read_into_behind_what_they_hold() {
    on_each(|| async {
        let (near, far) = tcp_pair().await;
        near.writable().await.unwrap();
        near.try_write(b"ping").unwrap();
        far.readable().await.unwrap();
        let mut buffer = b"<".to_vec();
        assert_eq!(far.try_read_buf(&mut buffer).unwrap(), 4);
        assert_eq!(buffer, b"<ping");
        near.try_write(b"pong").unwrap();
        far.readable().await.unwrap();
        // What does not fit is left.
        let mut buffer = BytesMut::with_capacity(3);
        assert_eq!(far.try_read_buf(&mut bytes::BufMut::limit(&mut buffer, 3)).unwrap(), 3);
        assert_eq!(&*buffer, b"pon");
        let mut small = [0; 1];
        assert_eq!(far.try_read_buf(&mut &mut small[..]).unwrap(), 1);
        assert_eq!(&small, b"g");
    });
}

#[test]
fn a_full_connection_is_writable_again_when_the_peer_has_read() {
    on_each(|| async {
        let (near, mut far) = tcp_pair().await;
        near.writable().await.unwrap();
        let chunk = pattern(64 * 1024);
        let mut written = 0;
        loop {
            match near.try_write(&chunk) {
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        let mut sink = vec![0; written];
        let (read, ready) = tokio::join!(far.read_exact(&mut sink), near.writable());
        ready.unwrap();
        assert_eq!(read.unwrap(), written);
        near.writable().await.unwrap();
        assert!(near.try_write(&chunk).unwrap() > 0);
    });
}

#[test]
fn peeking_takes_nothing() {
    on_each(|| async {
        let (near, mut far) = tcp_pair().await;
        near.writable().await.unwrap();
        near.try_write(b"ping").unwrap();
        let mut first = [0; 2];
        assert_eq!(far.peek(&mut first).await.unwrap(), 2);
        assert_eq!(&first, b"pi");
        let mut all = [0; 8];
        let mut buffer = ReadBuf::new(&mut all);
        assert_eq!(poll_fn(|cx| far.poll_peek(cx, &mut buffer)).await.unwrap(), 4);
        assert_eq!(buffer.filled(), b"ping");
        let (mut half, _) = far.split();
        assert_eq!(half.peek(&mut first).await.unwrap(), 2);
        let mut buffer = ReadBuf::new(&mut all);
        assert_eq!(poll_fn(|cx| half.poll_peek(cx, &mut buffer)).await.unwrap(), 4);
        let (mut half, _write) = far.into_split();
        assert_eq!(half.peek(&mut first).await.unwrap(), 2);
        let mut buffer = ReadBuf::new(&mut all);
        assert_eq!(poll_fn(|cx| half.poll_peek(cx, &mut buffer)).await.unwrap(), 4);
        assert_eq!(half.try_read(&mut all).unwrap(), 4);
    });
}

#[test]
fn readiness_says_for_what() {
    on_each(|| async {
        let (near, far) = tcp_pair().await;
        let both = Interest::READABLE | Interest::WRITABLE;
        let ready = far.ready(both).await.unwrap();
        assert!(ready.is_writable() && !ready.is_readable(), "{ready:?}");
        near.writable().await.unwrap();
        near.try_write(b"ping").unwrap();
        assert_eq!(far.ready(Interest::READABLE).await.unwrap(), Ready::READABLE);
        assert!(far.ready(both).await.unwrap().is_readable());
        poll_fn(|cx| far.poll_read_ready(cx)).await.unwrap();
        poll_fn(|cx| far.poll_write_ready(cx)).await.unwrap();
        drop(near);
        // What was there is read before the end is found.
        while !far.ready(Interest::READABLE).await.unwrap().is_read_closed() {
            forebear::task::yield_now().await;
        }
        assert_eq!(far.try_read(&mut [0; 8]).unwrap(), 4);
        assert!(far.ready(Interest::READABLE).await.unwrap().is_read_closed());
    });
}

#[test]
fn operations_of_ones_own_are_run_as_the_socket() {
    on_each(|| async {
        let (near, far) = tcp_pair().await;
        let mut read = [std::mem::MaybeUninit::uninit(); 8];
        let blocks = far.try_io(Interest::READABLE, || -> std::io::Result<()> {
            panic!("nothing is there to read")
        });
        assert_eq!(blocks.unwrap_err().kind(), ErrorKind::WouldBlock);
        near.writable().await.unwrap();
        near.try_write(b"ping").unwrap();
        let mut currents = Vec::new();
        let count = far.async_io(Interest::READABLE, || {
            currents.push(forebear::hooks::execution_async_id());
            SockRef::from(&far).recv(&mut read)
        });
        assert_eq!(count.await.unwrap(), 4);
        assert!(currents.iter().all(|current| *current == Some(far.id())), "{currents:?}");
        near.try_write(b"pong").unwrap();
        // It is taken to be readable still, until an operation finds otherwise.
        let count = loop {
            far.readable().await.unwrap();
            let count = far.try_io(Interest::READABLE, || SockRef::from(&far).recv(&mut read));
            match count {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                count => break count,
            }
        };
        assert_eq!(count.unwrap(), 4);
        // Saying that it would block clears the readiness.
        let blocked = far.try_io(Interest::WRITABLE, || -> std::io::Result<()> {
            Err(ErrorKind::WouldBlock.into())
        });
        assert_eq!(blocked.unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(far.try_write(b"x").unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn settings_are_kept() {
    on_each(|| async {
        let listener = TcpListener::bind(ANY).await.unwrap();
        listener.set_ttl(33).unwrap();
        assert_eq!(listener.ttl().unwrap(), 33);
        let (near, _far) = tcp_pair().await;
        for on in [true, false] {
            near.set_nodelay(on).unwrap();
            assert_eq!(near.nodelay().unwrap(), on);
            #[cfg(target_os = "linux")]
            {
                near.set_quickack(on).unwrap();
                assert_eq!(near.quickack().unwrap(), on);
            }
        }
        near.set_ttl(44).unwrap();
        assert_eq!(near.ttl().unwrap(), 44);
        assert_eq!(near.linger().unwrap(), None);
        #[expect(deprecated, reason = "it is there all the same")]
        near.set_linger(Some(Duration::from_secs(3))).unwrap();
        assert_eq!(near.linger().unwrap(), Some(Duration::from_secs(3)));
        near.set_zero_linger().unwrap();
        assert_eq!(near.linger().unwrap(), Some(Duration::ZERO));
        assert!(near.take_error().unwrap().is_none());
        let shown = format!("{near:?} {listener:?}");
        assert!(shown.contains("peer_addr: Some(127.0.0.1") && shown.contains("TcpListener"));
    });
}

#[test]
fn sockets_come_from_std_and_go_there() {
    on_each(|| async {
        let listener = std::net::TcpListener::bind(ANY).unwrap();
        let refused = TcpListener::from_std(listener.try_clone().unwrap()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert!(refused.to_string().contains("set_nonblocking(true)"), "{refused}");
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::try_from(listener).unwrap();
        let address = listener.local_addr().unwrap();
        let near = std::net::TcpStream::connect(address).unwrap();
        assert!(TcpStream::from_std(near.try_clone().unwrap()).is_err());
        near.set_nonblocking(true).unwrap();
        let mut near = TcpStream::try_from(near).unwrap();
        let (far, _) = listener.accept().await.unwrap();
        near.write_all(b"ping").await.unwrap();
        far.readable().await.unwrap();

        let far = far.into_std().unwrap();
        far.set_nonblocking(false).unwrap();
        let mut read = [0; 4];
        std::io::Read::read_exact(&mut &far, &mut read).unwrap();
        assert_eq!(&read, b"ping");
        let listener = listener.into_std().unwrap();
        assert_eq!(listener.local_addr().unwrap(), address);
        let near = near.into_std().unwrap();
        assert_eq!(near.peer_addr().unwrap(), address);
    });
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    std::net::TcpListener::bind(ANY).unwrap().local_addr().unwrap()
}

#[test]
fn where_nobody_listens_connecting_is_refused() {
    on_each_heard(|heard| async move {
        let refused = TcpStream::connect(nobody()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let attempts = heard.ids_of_kind(Kind::TCP_STREAM);
        assert_eq!(attempts.len(), 1);
        let told = heard.sequence(attempts[0]);
        assert!(told.starts_with("init before after") && told.ends_with("destroy:Dropped"));
    });
}

#[test]
fn addresses_are_tried_one_after_another() {
    on_each(|| async {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let there = listener.local_addr().unwrap();
        let stream = TcpStream::connect(&[nobody(), there][..]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), there);
        let refused = TcpStream::connect(&[nobody(), nobody()][..]).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let nowhere = TcpStream::connect(&[][..]).await.unwrap_err();
        assert_eq!(nowhere.kind(), ErrorKind::InvalidInput);

        let taken = TcpListener::bind(there).await.unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        let any = ANY.parse().unwrap();
        let second = TcpListener::bind(&[there, any][..]).await.unwrap();
        assert_ne!(second.local_addr().unwrap(), there);
        let foreign = TcpListener::bind("192.0.2.1:0").await.unwrap_err();
        assert_eq!(foreign.kind(), ErrorKind::AddrNotAvailable);
        assert_eq!(TcpListener::bind(&[][..]).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_peer_that_resets_is_an_error_on_both_sides() {
    on_each(|| async {
        let (near, mut far) = tcp_pair().await;
        near.set_zero_linger().unwrap();
        drop(near);
        let error = far.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let error = far.write_all(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        far.shutdown().await.unwrap();
    });
}

#[test]
fn a_writer_that_waits_is_told_when_the_peer_goes() {
    on_each(|| async {
        let (mut near, far) = tcp_pair().await;
        let writer = forebear::spawn(async move {
            let chunk = pattern(64 * 1024);
            loop {
                if let Err(error) = near.write_all(&chunk).await {
                    break error.kind();
                }
            }
        });
        // It fills what fits, and waits; then the end of the connection wakes it.
        far.readable().await.unwrap();
        drop(far);
        let kind = writer.await.unwrap();
        assert!([ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&kind), "{kind}");
    });
}

#[test]
fn one_direction_can_be_closed() {
    on_each(|| async {
        let (mut near, mut far) = tcp_pair().await;
        near.shutdown_std(Shutdown::Read).unwrap();
        assert_eq!(near.read(&mut [0; 1]).await.unwrap(), 0);
        near.write_all(b"x").await.unwrap();
        near.shutdown_std(Shutdown::Write).unwrap();
        assert_eq!(near.write_all(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        let mut read = Vec::new();
        far.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"x");
        // A connection that is gone is closed without an error.
        drop(far);
        near.shutdown_std(Shutdown::Both).unwrap();
    });
}

#[test]
fn an_accepted_connection_has_its_listener_as_trigger() {
    on_each(|| async {
        let runtime = forebear::runtime::Handle::current().id();
        let made = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let notes = made.clone();
        let _hook = hook()
            .kinds([Kind::TCP_STREAM])
            .runtime(runtime)
            .init(move |r| notes.lock().unwrap().push((r.id(), r.trigger_id(), r.creator_id())))
            .enable()
            .unwrap();
        let listener = TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        let me = forebear::hooks::execution_async_id();
        let near = TcpStream::connect(address).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let again = TcpStream::connect(address).await.unwrap();
        let (polled, _) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        let want = [
            (near.id(), me, me),
            (far.id(), Some(listener.id()), me),
            (again.id(), me, me),
            (polled.id(), Some(listener.id()), me),
        ];
        assert_eq!(*made.lock().unwrap(), want);
    });
}
