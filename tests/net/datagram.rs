//! Messages within the machine.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::unix::net;

use bytes::BytesMut;
use forebear::io::Interest;
use forebear::net::UnixDatagram;
use socket2::SockRef;
use tokio::io::ReadBuf;

use crate::support::{Folder, on_each, on_each_heard, pattern, poll_once};

#[test]
fn messages_go_where_they_are_addressed() {
    on_each_heard(|heard| async move {
        let folder = Folder::new();
        let (here, there) = (folder.join("here"), folder.join("there"));
        let (near, far) = (UnixDatagram::bind(&here).unwrap(), UnixDatagram::bind(&there).unwrap());
        assert_eq!(heard.ids_labelled(&here.display().to_string()), [near.id()]);
        let mut read = [0; 8];
        assert_eq!(near.send_to(b"ping", &there).await.unwrap(), 4);
        let (count, sender) = far.recv_from(&mut read).await.unwrap();
        assert_eq!((count, sender.as_pathname()), (4, Some(&*here)));
        let sent = poll_fn(|cx| near.poll_send_to(cx, b"pong", &there)).await;
        assert_eq!(sent.unwrap(), 4);
        let mut buffer = ReadBuf::new(&mut read);
        let sender = poll_fn(|cx| far.poll_recv_from(cx, &mut buffer)).await.unwrap();
        assert_eq!((buffer.filled(), sender.as_pathname()), (&b"pong"[..], Some(&*here)));
        assert_eq!(near.try_send_to(b"ping", &there).unwrap(), 4);
        far.readable().await.unwrap();
        assert_eq!(far.try_recv_from(&mut read).unwrap().1.as_pathname(), Some(&*here));
        let mut buffer = BytesMut::with_capacity(16);
        near.send_to(b"ping", &there).await.unwrap();
        let (count, sender) = far.recv_buf_from(&mut buffer).await.unwrap();
        assert_eq!((count, sender.as_pathname()), (4, Some(&*here)));
        // Whoever has no name sends all the same.
        let nameless = UnixDatagram::unbound().unwrap();
        assert!(nameless.local_addr().unwrap().is_unnamed());
        nameless.send_to(b"pong", &there).await.unwrap();
        far.readable().await.unwrap();
        let (count, sender) = far.try_recv_buf_from(&mut buffer).unwrap();
        assert_eq!((count, sender.is_unnamed(), &*buffer), (4, true, &b"pingpong"[..]));
        nameless.send_to(b"x", &there).await.unwrap();
        assert!(far.recv_from(&mut read).await.unwrap().1.is_unnamed());

        let missing = near.send_to(b"x", folder.join("nowhere")).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        let taken = UnixDatagram::bind(&there).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        drop(far);
        let refused = near.send_to(b"x", &there).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn connected_sockets_need_no_addresses() {
    on_each(|| async {
        let folder = Folder::new();
        let far = UnixDatagram::bind(folder.join("there")).unwrap();
        let near = UnixDatagram::unbound().unwrap();
        assert_eq!(near.send(b"x").await.unwrap_err().kind(), ErrorKind::NotConnected);
        near.connect(folder.join("there")).unwrap();
        assert!(near.peer_addr().unwrap().as_pathname().is_some());
        let mut read = [0; 8];
        assert_eq!(near.send(b"ping").await.unwrap(), 4);
        assert_eq!(far.recv(&mut read).await.unwrap(), 4);
        assert_eq!(poll_fn(|cx| near.poll_send(cx, b"pong")).await.unwrap(), 4);
        let mut buffer = ReadBuf::new(&mut read);
        poll_fn(|cx| far.poll_recv(cx, &mut buffer)).await.unwrap();
        assert_eq!(buffer.filled(), b"pong");
        assert_eq!(near.try_send(b"ping").unwrap(), 4);
        poll_fn(|cx| far.poll_recv_ready(cx)).await.unwrap();
        poll_fn(|cx| near.poll_send_ready(cx)).await.unwrap();
        assert_eq!(far.try_recv(&mut read).unwrap(), 4);
        assert_eq!(far.try_recv(&mut read).unwrap_err().kind(), ErrorKind::WouldBlock);
        let mut buffer = Vec::with_capacity(8);
        near.send(b"ping").await.unwrap();
        assert_eq!(far.recv_buf(&mut buffer).await.unwrap(), 4);
        near.send(b"pong").await.unwrap();
        far.readable().await.unwrap();
        assert_eq!(far.try_recv_buf(&mut buffer).unwrap(), 4);
        assert_eq!(buffer, b"pingpong");
        assert!(near.connect(folder.join("nowhere")).is_err());
    });
}

#[test]
fn a_sender_waits_for_a_slow_receiver() {
    on_each(|| async {
        let (near, far) = UnixDatagram::pair().unwrap();
        near.writable().await.unwrap();
        let message = pattern(1024);
        let mut sent = 0;
        loop {
            match near.try_send(&message) {
                Ok(_) => sent += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(poll_once(near.send(&message)).is_pending());
        let waiting = forebear::spawn(async move { near.send(&message).await.map(|_| near) });
        let mut read = [0; 2048];
        for _ in 0..=sent {
            assert_eq!(far.recv(&mut read).await.unwrap(), 1024);
        }
        let near = waiting.await.unwrap().unwrap();
        let long = near.send(&pattern(4 * 1024 * 1024)).await.unwrap_err();
        assert!(long.raw_os_error().is_some(), "{long}");
    });
}

#[test]
fn closed_directions_are_told() {
    on_each(|| async {
        let (near, far) = UnixDatagram::pair().unwrap();
        near.send(b"last").await.unwrap();
        near.shutdown(Shutdown::Both).unwrap();
        assert_eq!(near.send(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(far.recv(&mut [0; 8]).await.unwrap(), 4);
        drop(near);
        let refused = far.send(b"x").await.unwrap_err();
        assert!(refused.raw_os_error().is_some(), "{refused}");
        // That passes: connected to somebody else, a writer who must wait does wait.
        let folder = Folder::new();
        let other = UnixDatagram::bind(folder.join("other")).unwrap();
        far.connect(folder.join("other")).unwrap();
        far.send(b"ping").await.unwrap();
        assert_eq!(other.recv(&mut [0; 8]).await.unwrap(), 4);
        let mut tries = 0;
        let blocked = far.async_io(Interest::WRITABLE, || -> std::io::Result<()> {
            tries += 1;
            assert!(tries < 100, "it spins");
            Err(ErrorKind::WouldBlock.into())
        });
        assert!(poll_once(blocked).is_pending());
        assert!(format!("{far:?}").contains("UnixDatagram"));
        assert!(far.take_error().is_ok());
    });
}

#[test]
fn operations_of_ones_own_are_possible() {
    on_each(|| async {
        let (near, far) = UnixDatagram::pair().unwrap();
        let sent = near.async_io(Interest::WRITABLE, || SockRef::from(&near).send(b"ping")).await;
        assert_eq!(sent.unwrap(), 4);
        assert!(far.ready(Interest::READABLE).await.unwrap().is_readable());
        let mut read = [std::mem::MaybeUninit::uninit(); 8];
        let count = far.try_io(Interest::READABLE, || SockRef::from(&far).recv(&mut read));
        assert_eq!(count.unwrap(), 4);
    });
}

#[test]
fn sockets_come_from_std_and_go_there() {
    on_each(|| async {
        let (near, far) = net::UnixDatagram::pair().unwrap();
        let refused = UnixDatagram::from_std(near.try_clone().unwrap()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        near.set_nonblocking(true).unwrap();
        let near = UnixDatagram::try_from(near).unwrap();
        near.send(b"ping").await.unwrap();
        assert_eq!(far.recv(&mut [0; 8]).unwrap(), 4);
        let near = near.into_std().unwrap();
        near.set_nonblocking(false).unwrap();
        far.send(b"pong").unwrap();
        assert_eq!(near.recv(&mut [0; 8]).unwrap(), 4);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_needs_no_file() {
    on_each(|| async {
        let name = |end: &str| format!("\0forebear-net-{}-{end}", std::process::id());
        let near = UnixDatagram::bind(name("near")).unwrap();
        let far = UnixDatagram::bind(name("far")).unwrap();
        let address = far.local_addr().unwrap();
        near.async_io(Interest::WRITABLE, || {
            let to = socket2::SockAddr::unix(name("far"))?;
            SockRef::from(&near).send_to(b"ping", &to)
        })
        .await
        .unwrap();
        let mut buffer = Vec::with_capacity(8);
        let (_, sender) = far.recv_buf_from(&mut buffer).await.unwrap();
        assert_eq!(sender.as_abstract_name(), Some(&name("near").as_bytes()[1..]));
        assert_eq!(address.as_abstract_name(), Some(&name("far").as_bytes()[1..]));
    });
}
