//! Sockets before they are connections.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::time::Duration;

use forebear::net::TcpSocket;

use crate::support::{ANY, on_each};

fn any() -> SocketAddr {
    ANY.parse().unwrap()
}

#[test]
fn a_socket_becomes_a_listener_or_a_connection() {
    on_each(|| async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(any()).unwrap();
        let address = socket.local_addr().unwrap();
        let listener = socket.listen(8).unwrap();
        assert_eq!(listener.local_addr().unwrap(), address);

        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(any()).unwrap();
        let from = socket.local_addr().unwrap();
        let near = socket.connect(address).await.unwrap();
        assert_eq!(near.local_addr().unwrap(), from);
        let (far, peer) = listener.accept().await.unwrap();
        assert_eq!((peer, far.peer_addr().unwrap()), (from, from));

        let taken = TcpSocket::new_v4().unwrap().bind(address).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        drop(listener);
        let refused = TcpSocket::new_v4().unwrap().connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let other = TcpSocket::new_v6().unwrap().connect(address).await.unwrap_err();
        assert!(other.raw_os_error().is_some(), "{other}");
    });
}

#[test]
fn settings_are_kept_and_passed_on() {
    on_each(|| async {
        let socket = TcpSocket::new_v4().unwrap();
        for on in [true, false, true] {
            socket.set_keepalive(on).unwrap();
            assert_eq!(socket.keepalive().unwrap(), on);
            socket.set_reuseaddr(on).unwrap();
            assert_eq!(socket.reuseaddr().unwrap(), on);
            socket.set_reuseport(on).unwrap();
            assert_eq!(socket.reuseport().unwrap(), on);
            socket.set_nodelay(on).unwrap();
            assert_eq!(socket.nodelay().unwrap(), on);
        }
        socket.set_send_buffer_size(32 * 1024).unwrap();
        assert!(socket.send_buffer_size().unwrap() >= 32 * 1024);
        socket.set_recv_buffer_size(32 * 1024).unwrap();
        assert!(socket.recv_buffer_size().unwrap() >= 32 * 1024);
        assert_eq!(socket.linger().unwrap(), None);
        #[expect(deprecated, reason = "it is there all the same")]
        socket.set_linger(Some(Duration::from_secs(3))).unwrap();
        assert_eq!(socket.linger().unwrap(), Some(Duration::from_secs(3)));
        socket.set_zero_linger().unwrap();
        assert_eq!(socket.linger().unwrap(), Some(Duration::ZERO));
        socket.set_tos_v4(0x10).unwrap();
        assert_eq!(socket.tos_v4().unwrap(), 0x10);
        assert!(socket.take_error().unwrap().is_none());
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.device().unwrap(), None);
            assert!(socket.bind_device(Some(b"no such device")).is_err());
            let six = TcpSocket::new_v6().unwrap();
            six.set_tclass_v6(0x20).unwrap();
            assert_eq!(six.tclass_v6().unwrap(), 0x20);
        }

        socket.bind(any()).unwrap();
        let listener = socket.listen(1).unwrap();
        // Both say that they share it, so both may have it.
        let second = TcpSocket::new_v4().unwrap();
        second.set_reuseport(true).unwrap();
        second.bind(listener.local_addr().unwrap()).unwrap();
        let second = second.listen(u32::MAX).unwrap();
        assert_eq!(listener.local_addr().unwrap(), second.local_addr().unwrap());
        let connecting = TcpSocket::new_v4().unwrap();
        connecting.set_nodelay(true).unwrap();
        let near = connecting.connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(near.nodelay().unwrap());
    });
}

#[test]
#[expect(unsafe_code, reason = "a socket is taken over by its number")]
fn sockets_are_taken_over_and_given_away_by_number() {
    on_each(|| async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(any()).unwrap();
        let address = socket.local_addr().unwrap();
        let number = socket.as_raw_fd();
        let raw = socket.into_raw_fd();
        assert_eq!(raw, number);
        // SAFETY: I1 of `net::raw_fd`: the number is the one that was just given away.
        let socket = unsafe { TcpSocket::from_raw_fd(raw) };
        assert_eq!(socket.local_addr().unwrap(), address);
        let listener = socket.listen(1).unwrap();

        let made = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let made = made.unwrap();
        made.set_nonblocking(true).unwrap();
        let socket = TcpSocket::from_std_stream(made.into());
        let near = socket.connect(address).await.unwrap();
        assert_eq!(near.peer_addr().unwrap(), address);
        drop(listener);
    });
}
