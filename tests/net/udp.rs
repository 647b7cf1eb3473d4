//! Messages through the internet.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use bytes::BytesMut;
use forebear::hooks::Kind;
use forebear::io::Interest;
use forebear::net::UdpSocket;
use socket2::SockRef;
use tokio::io::ReadBuf;

use crate::support::{ANY, on_each, on_each_heard, pattern, poll_once};

async fn bind() -> UdpSocket {
    UdpSocket::bind(ANY).await.unwrap()
}

/// Two sockets that are connected to each other.
async fn pair() -> (UdpSocket, UdpSocket) {
    let (near, far) = (bind().await, bind().await);
    near.connect(far.local_addr().unwrap()).await.unwrap();
    far.connect(near.local_addr().unwrap()).await.unwrap();
    (near, far)
}

#[test]
fn messages_go_where_they_are_addressed() {
    on_each(|| async {
        let (near, far) = (bind().await, bind().await);
        let (here, there) = (near.local_addr().unwrap(), far.local_addr().unwrap());
        assert!(near.peer_addr().is_err());
        let mut read = [0; 8];
        assert_eq!(near.send_to(b"ping", there).await.unwrap(), 4);
        assert_eq!(far.recv_from(&mut read).await.unwrap(), (4, here));
        assert_eq!(poll_fn(|cx| near.poll_send_to(cx, b"", there)).await.unwrap(), 0);
        assert_eq!(far.recv_from(&mut read).await.unwrap(), (0, here));
        assert_eq!(near.try_send_to(b"pong", there).unwrap(), 4);
        far.readable().await.unwrap();
        assert_eq!(far.try_recv_from(&mut read).unwrap(), (4, here));
        let blocked = far.try_recv_from(&mut read).unwrap_err();
        assert_eq!(blocked.kind(), ErrorKind::WouldBlock);
        near.send_to(b"ping", there).await.unwrap();
        let mut buffer = ReadBuf::new(&mut read);
        assert_eq!(poll_fn(|cx| far.poll_recv_from(cx, &mut buffer)).await.unwrap(), here);
        assert_eq!(buffer.filled(), b"ping");
        assert_eq!(near.send_to(b"x", &[][..]).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn connected_sockets_need_no_addresses() {
    on_each(|| async {
        let (near, far) = pair().await;
        assert_eq!(near.peer_addr().unwrap(), far.local_addr().unwrap());
        let mut read = [0; 8];
        assert_eq!(near.send(b"ping").await.unwrap(), 4);
        assert_eq!(far.recv(&mut read).await.unwrap(), 4);
        assert_eq!(poll_fn(|cx| near.poll_send(cx, b"pong")).await.unwrap(), 4);
        let mut buffer = ReadBuf::new(&mut read);
        poll_fn(|cx| far.poll_recv(cx, &mut buffer)).await.unwrap();
        assert_eq!(buffer.filled(), b"pong");
        assert_eq!(near.try_send(b"ping").unwrap(), 4);
        poll_fn(|cx| far.poll_recv_ready(cx)).await.unwrap();
        poll_fn(|cx| far.poll_send_ready(cx)).await.unwrap();
        assert_eq!(far.try_recv(&mut read).unwrap(), 4);
        assert_eq!(far.try_recv(&mut read).unwrap_err().kind(), ErrorKind::WouldBlock);
        // What a stranger sends is not received.
        let stranger = bind().await;
        stranger.send_to(b"stranger", far.local_addr().unwrap()).await.unwrap();
        near.send(b"friend").await.unwrap();
        assert_eq!(far.recv(&mut read).await.unwrap(), 6);
        let both = Interest::READABLE | Interest::WRITABLE;
        assert!(near.ready(both).await.unwrap().is_writable());
    });
}

#[test]
fn messages_are_received_behind_what_buffers_hold() {
    on_each(|| async {
        let (near, far) = pair().await;
        let mut buffer = b"<".to_vec();
        near.send(b"ping").await.unwrap();
        assert_eq!(far.recv_buf(&mut buffer).await.unwrap(), 4);
        near.send(b"pong").await.unwrap();
        far.readable().await.unwrap();
        assert_eq!(far.try_recv_buf(&mut buffer).unwrap(), 4);
        assert_eq!(buffer, b"<pingpong");
        let here = near.local_addr().unwrap();
        let mut buffer = BytesMut::with_capacity(16);
        near.send(b"ping").await.unwrap();
        assert_eq!(far.recv_buf_from(&mut buffer).await.unwrap(), (4, here));
        near.send(b"pong").await.unwrap();
        far.readable().await.unwrap();
        assert_eq!(far.try_recv_buf_from(&mut buffer).unwrap(), (4, here));
        assert_eq!(&*buffer, b"pingpong");
        let blocked = far.try_recv_buf_from(&mut buffer).unwrap_err();
        assert_eq!(blocked.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn what_does_not_fit_is_lost_and_what_is_too_long_is_refused() {
    on_each(|| async {
        let (near, far) = pair().await;
        near.send(b"longer than that").await.unwrap();
        near.send(b"next").await.unwrap();
        let mut read = [0; 6];
        assert_eq!(far.recv(&mut read).await.unwrap(), 6);
        assert_eq!(&read, b"longer");
        assert_eq!(far.recv(&mut read).await.unwrap(), 4);
        assert_eq!(&read[..4], b"next");
        let error = near.send(&pattern(70_000)).await.unwrap_err();
        assert!(error.raw_os_error().is_some(), "{error}");
        near.send(b"still").await.unwrap();
        assert_eq!(far.recv(&mut read).await.unwrap(), 5);
    });
}

#[test]
fn peeking_takes_nothing() {
    on_each(|| async {
        let (near, far) = pair().await;
        let here = near.local_addr().unwrap();
        assert_eq!(far.try_peek(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(far.try_peek_from(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(far.try_peek_sender().unwrap_err().kind(), ErrorKind::WouldBlock);
        near.send(b"ping").await.unwrap();
        let mut read = [0; 8];
        assert_eq!(far.peek(&mut read).await.unwrap(), 4);
        assert_eq!(far.try_peek(&mut read).unwrap(), 4);
        assert_eq!(far.peek_from(&mut read).await.unwrap(), (4, here));
        assert_eq!(far.try_peek_from(&mut read).unwrap(), (4, here));
        assert_eq!(far.peek_sender().await.unwrap(), here);
        assert_eq!(far.try_peek_sender().unwrap(), here);
        assert_eq!(poll_fn(|cx| far.poll_peek_sender(cx)).await.unwrap(), here);
        let mut buffer = ReadBuf::new(&mut read);
        poll_fn(|cx| far.poll_peek(cx, &mut buffer)).await.unwrap();
        assert_eq!(buffer.filled(), b"ping");
        buffer.clear();
        assert_eq!(poll_fn(|cx| far.poll_peek_from(cx, &mut buffer)).await.unwrap(), here);
        assert_eq!(buffer.filled(), b"ping");
        assert_eq!(far.recv(&mut read).await.unwrap(), 4);
    });
}

/// The system tells of a message that nobody took by an error of the next operation. After that the
/// socket goes on, and who waits does wait: nothing spins.
#[test]
fn a_message_that_nobody_takes_is_an_error_once() {
    on_each_heard(|heard| async move {
        let (near, far) = pair().await;
        let there = far.local_addr().unwrap();
        drop(far);
        near.send(b"ping").await.unwrap();
        let refused = near.recv(&mut [0; 8]).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert!(near.take_error().unwrap().is_none());

        assert!(poll_once(near.recv(&mut [0; 8])).is_pending());
        let tries = heard.sequence(near.id()).matches("before").count();
        for _ in 0..10 {
            assert!(poll_once(near.recv(&mut [0; 8])).is_pending());
        }
        assert_eq!(heard.sequence(near.id()).matches("before").count(), tries);

        // Nor does it take the socket for closed, so that a writer who must wait would try for
        // ever.
        let mut tries = 0;
        let blocked = near.async_io(Interest::WRITABLE, || -> std::io::Result<()> {
            tries += 1;
            assert!(tries < 100, "it spins");
            Err(ErrorKind::WouldBlock.into())
        });
        assert!(poll_once(blocked).is_pending());

        let far = UdpSocket::bind(there).await.unwrap();
        far.send_to(b"back", near.local_addr().unwrap()).await.unwrap();
        assert_eq!(near.recv(&mut [0; 8]).await.unwrap(), 4);
        near.send(b"there").await.unwrap();
        assert_eq!(far.recv(&mut [0; 8]).await.unwrap(), 5);
    });
}

#[test]
fn operations_of_ones_own_are_possible() {
    on_each(|| async {
        let (near, far) = pair().await;
        let sent = near.async_io(Interest::WRITABLE, || SockRef::from(&near).send(b"ping")).await;
        assert_eq!(sent.unwrap(), 4);
        far.readable().await.unwrap();
        let mut read = [std::mem::MaybeUninit::uninit(); 8];
        let count = far.try_io(Interest::READABLE, || SockRef::from(&far).recv(&mut read));
        assert_eq!(count.unwrap(), 4);
    });
}

#[test]
fn settings_are_kept() {
    on_each(|| async {
        let socket = bind().await;
        for on in [true, false] {
            socket.set_broadcast(on).unwrap();
            assert_eq!(socket.broadcast().unwrap(), on);
            socket.set_multicast_loop_v4(on).unwrap();
            assert_eq!(socket.multicast_loop_v4().unwrap(), on);
        }
        socket.set_ttl(33).unwrap();
        assert_eq!(socket.ttl().unwrap(), 33);
        socket.set_multicast_ttl_v4(5).unwrap();
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 5);
        socket.set_tos_v4(0x10).unwrap();
        assert_eq!(socket.tos_v4().unwrap(), 0x10);
        assert!(socket.join_multicast_v6(&Ipv6Addr::LOCALHOST, 0).is_err());
        assert!(socket.leave_multicast_v6(&Ipv6Addr::LOCALHOST, 0).is_err());
        assert!(socket.join_multicast_v4(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST).is_err());
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.device().unwrap(), None);
            assert!(socket.bind_device(Some(b"no such device")).is_err());
        }
        assert!(format!("{socket:?}").contains("local_addr: Some(127.0.0.1"));
    });
}

/// Skips what the machine has no IPv6 for.
#[test]
fn settings_of_the_newer_protocol_are_kept() {
    on_each(|| async {
        let Ok(socket) = UdpSocket::bind("[::1]:0").await else { return };
        for on in [true, false] {
            socket.set_multicast_loop_v6(on).unwrap();
            assert_eq!(socket.multicast_loop_v6().unwrap(), on);
        }
        #[cfg(target_os = "linux")]
        {
            socket.set_tclass_v6(0x20).unwrap();
            assert_eq!(socket.tclass_v6().unwrap(), 0x20);
        }
        let other = UdpSocket::bind("[::1]:0").await.unwrap();
        socket.send_to(b"ping", other.local_addr().unwrap()).await.unwrap();
        let from = other.recv_from(&mut [0; 8]).await.unwrap().1;
        assert_eq!(from, socket.local_addr().unwrap());
    });
}

#[test]
fn what_is_sent_to_a_group_reaches_its_members() {
    on_each(|| async {
        let group = Ipv4Addr::new(239, 255, 77, 77);
        let member = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        member.join_multicast_v4(group, Ipv4Addr::LOCALHOST).unwrap();
        let sender = bind().await;
        sender.set_multicast_loop_v4(true).unwrap();
        let port = member.local_addr().unwrap().port();
        SockRef::from(&sender).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
        sender.send_to(b"all", SocketAddr::from((group, port))).await.unwrap();
        let mut read = [0; 8];
        let (count, from) = member.recv_from(&mut read).await.unwrap();
        assert_eq!((&read[..count], from), (&b"all"[..], sender.local_addr().unwrap()));
        member.leave_multicast_v4(group, Ipv4Addr::LOCALHOST).unwrap();
        assert!(member.leave_multicast_v4(group, Ipv4Addr::LOCALHOST).is_err());
    });
}

#[test]
fn sockets_come_from_std_and_go_there() {
    on_each(|| async {
        let socket = std::net::UdpSocket::bind(ANY).unwrap();
        let refused = UdpSocket::from_std(socket.try_clone().unwrap()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        socket.set_nonblocking(true).unwrap();
        let socket = UdpSocket::try_from(socket).unwrap();
        let near = bind().await;
        near.send_to(b"ping", socket.local_addr().unwrap()).await.unwrap();
        socket.readable().await.unwrap();
        let socket = socket.into_std().unwrap();
        assert_eq!(socket.recv(&mut [0; 8]).unwrap(), 4);
    });
}

#[test]
fn tasks_share_a_socket() {
    on_each_heard(|heard| async move {
        const EACH: usize = 50;
        let (near, far) = pair().await;
        let (near, far) = (Arc::new(near), Arc::new(far));
        let receivers: Vec<_> = (0..4)
            .map(|_| {
                let far = far.clone();
                forebear::spawn(async move {
                    let mut sum = 0;
                    for _ in 0..EACH {
                        let mut byte = [0; 1];
                        far.recv(&mut byte).await.unwrap();
                        sum += usize::from(byte[0]);
                    }
                    sum
                })
            })
            .collect();
        let senders: Vec<_> = (1..=4)
            .map(|value| {
                let near = near.clone();
                forebear::spawn(async move {
                    for _ in 0..EACH {
                        near.send(&[value]).await.unwrap();
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.await.unwrap();
        }
        let mut sum = 0;
        for receiver in receivers {
            sum += receiver.await.unwrap();
        }
        assert_eq!(sum, EACH * (1 + 2 + 3 + 4));
        assert_eq!(heard.ids_of_kind(Kind::UDP_SOCKET).len(), 2);
        let label = near.local_addr().unwrap().to_string();
        assert_eq!(heard.ids_labelled(&label), [near.id()]);
    });
}
