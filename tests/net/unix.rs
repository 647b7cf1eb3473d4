//! Connections within the machine.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, FromRawFd, IntoRawFd};
use std::os::unix::net;

use forebear::hooks::{Kind, hook};
use forebear::io::{Interest, Ready};
use forebear::net::{UnixListener, UnixSocket, UnixStream};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Folder, on_each, on_each_heard};

#[test]
fn bytes_go_both_ways_until_the_end() {
    on_each_heard(|heard| async move {
        let folder = Folder::new();
        let path = folder.join("a.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let mut near = UnixStream::connect(&path).await.unwrap();
        let (mut far, peer) = listener.accept().await.unwrap();
        assert!(peer.is_unnamed() && near.local_addr().unwrap().is_unnamed());
        assert_eq!(near.peer_addr().unwrap().as_pathname(), Some(&*path));
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*path));
        assert_eq!(heard.ids_labelled(&path.display().to_string()), [listener.id()]);
        near.write_all(b"ping").await.unwrap();
        near.shutdown().await.unwrap();
        let mut read = Vec::new();
        far.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"ping");
        far.write_all(b"pong").await.unwrap();
        drop(far);
        read.clear();
        near.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"pong");
        assert_eq!(near.write_all(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert!(listener.take_error().unwrap().is_none());
        assert!(near.take_error().unwrap().is_none());
        let shown = format!("{listener:?} {near:?}");
        assert!(shown.contains("UnixListener") && shown.contains("UnixStream"), "{shown}");
    });
}

#[test]
fn what_tries_does_not_wait() {
    on_each(|| async {
        let (near, far) = UnixStream::pair().unwrap();
        let mut read = [0; 8];
        assert_eq!(far.try_read(&mut read).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(near.ready(Interest::WRITABLE).await.unwrap(), Ready::WRITABLE);
        assert_eq!(near.try_write(b"ping").unwrap(), 4);
        let parts = [IoSlice::new(b"po"), IoSlice::new(b"ng")];
        assert_eq!(near.try_write_vectored(&parts).unwrap(), 4);
        far.readable().await.unwrap();
        poll_fn(|cx| far.poll_read_ready(cx)).await.unwrap();
        poll_fn(|cx| far.poll_write_ready(cx)).await.unwrap();
        assert_eq!(far.try_read(&mut read[..4]).unwrap(), 4);
        let mut buffer = Vec::with_capacity(8);
        assert_eq!(far.try_read_buf(&mut buffer).unwrap(), 4);
        assert_eq!((&read[..4], &*buffer), (&b"ping"[..], &b"pong"[..]));
        near.shutdown_std(Shutdown::Both).unwrap();
        far.readable().await.unwrap();
        assert_eq!(far.try_read(&mut read).unwrap(), 0);
    });
}

#[test]
fn the_other_end_says_whose_it_is() {
    on_each(|| async {
        let (near, _far) = UnixStream::pair().unwrap();
        let peer = near.peer_cred().unwrap();
        assert_eq!(peer.uid(), rustix::process::getuid().as_raw());
        assert_eq!(peer.gid(), rustix::process::getgid().as_raw());
        #[cfg(target_os = "linux")]
        assert_eq!(peer.pid(), i32::try_from(std::process::id()).ok());
        assert_eq!(peer, near.peer_cred().unwrap());
    });
}

#[test]
fn where_nobody_listens_connecting_fails() {
    on_each_heard(|heard| async move {
        let folder = Folder::new();
        let path = folder.join("a.sock");
        let missing = UnixStream::connect(&path).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(UnixListener::bind(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
        let address = listener.local_addr().unwrap();
        drop(listener);
        // The file is still there.
        let refused = UnixStream::connect_addr(&address).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let long = UnixListener::bind(folder.join("a".repeat(200))).unwrap_err();
        assert_eq!(long.kind(), ErrorKind::InvalidInput);
        let long = UnixStream::connect("a".repeat(200)).await.unwrap_err();
        assert_eq!(long.kind(), ErrorKind::InvalidInput);
        assert!(heard.ids_of_kind(Kind::UNIX_STREAM).is_empty());
    });
}

/// The system does not tell when there is room again, so it is an error and not a wait.
#[cfg(target_os = "linux")]
#[test]
fn too_many_that_wait_to_be_accepted_are_an_error() {
    on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("a.sock");
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&path).unwrap();
        let listener = socket.listen(1).unwrap();
        let mut waiting = Vec::new();
        let error = loop {
            match UnixStream::connect(&path).await {
                Ok(stream) => waiting.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        for _ in &waiting {
            listener.accept().await.unwrap();
        }
        UnixStream::connect(&path).await.unwrap();
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_needs_no_file() {
    on_each_heard(|heard| async move {
        let name = format!("\0forebear-net-{}", std::process::id());
        let listener = UnixListener::bind(&name).unwrap();
        let near = UnixStream::connect(&name).await.unwrap();
        let (_far, _) = listener.accept().await.unwrap();
        let address = near.peer_addr().unwrap();
        assert_eq!(address.as_abstract_name(), Some(&name.as_bytes()[1..]));
        assert!(address.as_pathname().is_none() && !address.is_unnamed());
        assert_eq!(heard.ids_labelled(&name.replace('\0', "@")), [listener.id()]);
        let again = UnixStream::connect_addr(&address).await.unwrap();
        assert_eq!(format!("{:?}", again.peer_addr().unwrap()), format!("{address:?}"));
        let std = net::SocketAddr::from(address);
        let second = UnixListener::bind_addr(&std.into()).unwrap_err();
        assert_eq!(second.kind(), ErrorKind::AddrInUse);
    });
}

#[test]
fn a_socket_becomes_a_listener_a_connection_or_carries_messages() {
    on_each(|| async {
        let folder = Folder::new();
        let (here, there) = (folder.join("here"), folder.join("there"));
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&there).unwrap();
        let listener = socket.listen(8).unwrap();
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&here).unwrap();
        let near = socket.connect(&there).await.unwrap();
        assert_eq!(near.local_addr().unwrap().as_pathname(), Some(&*here));
        let (_far, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.as_pathname(), Some(&*here));

        let socket = UnixSocket::new_datagram().unwrap();
        socket.bind(folder.join("messages")).unwrap();
        let messages = socket.datagram().unwrap();
        assert!(messages.local_addr().unwrap().as_pathname().is_some());

        let datagram = || UnixSocket::new_datagram().unwrap();
        let error = datagram().listen(1).unwrap_err();
        assert_eq!(error.to_string(), "this is a socket for messages");
        let error = datagram().connect(&there).await.unwrap_err();
        assert_eq!(error.to_string(), "this is a socket for messages");
        let error = UnixSocket::new_stream().unwrap().datagram().unwrap_err();
        assert_eq!(error.to_string(), "this is a socket for connections");
        let error = UnixSocket::new_stream().unwrap().connect(folder.join("no")).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn sockets_come_from_std_and_go_there() {
    on_each(|| async {
        let folder = Folder::new();
        let listener = net::UnixListener::bind(folder.join("a")).unwrap();
        let refused = UnixListener::from_std(listener.try_clone().unwrap()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        listener.set_nonblocking(true).unwrap();
        let listener = UnixListener::try_from(listener).unwrap();
        let near = net::UnixStream::connect(folder.join("a")).unwrap();
        assert!(UnixStream::from_std(near.try_clone().unwrap()).is_err());
        near.set_nonblocking(true).unwrap();
        let mut near = UnixStream::try_from(near).unwrap();
        let (far, _) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        near.write_all(b"ping").await.unwrap();
        far.readable().await.unwrap();
        let far = far.into_std().unwrap();
        let mut read = [0; 4];
        std::io::Read::read_exact(&mut &far, &mut read).unwrap();
        assert_eq!(&read, b"ping");
        assert!(listener.into_std().unwrap().local_addr().unwrap().as_pathname().is_some());
    });
}

#[test]
#[expect(unsafe_code, reason = "a socket is taken over by its number")]
fn sockets_are_taken_over_and_given_away_by_number() {
    let folder = Folder::new();
    let socket = UnixSocket::new_stream().unwrap();
    socket.bind(folder.join("a")).unwrap();
    let number = socket.into_raw_fd();
    // SAFETY: I1 of `net::raw_fd`: the number is the one that was just given away.
    let socket = unsafe { UnixSocket::from_raw_fd(number) };
    let address = socket2::SockRef::from(&socket).local_addr().unwrap();
    assert_eq!(address.as_pathname(), Some(&*folder.join("a")));
}

#[test]
fn an_accepted_connection_has_its_listener_as_trigger() {
    on_each(|| async {
        let folder = Folder::new();
        let runtime = forebear::runtime::Handle::current().id();
        let made = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let notes = made.clone();
        let _hook = hook()
            .kinds([Kind::UNIX_STREAM])
            .runtime(runtime)
            .init(move |r| notes.lock().unwrap().push((r.id(), r.trigger_id())))
            .enable()
            .unwrap();
        let listener = UnixListener::bind(folder.join("a")).unwrap();
        let near = UnixStream::connect(folder.join("a")).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let me = forebear::hooks::execution_async_id();
        assert_eq!(*made.lock().unwrap(), [(near.id(), me), (far.id(), Some(listener.id()))]);
    });
}

/// A read ends where a descriptor came with the bytes, although more is there and no edge will
/// tell.
#[test]
fn a_connection_that_carries_descriptors_is_read_on() {
    on_each(|| async {
        let (near, mut far) = UnixStream::pair().unwrap();
        near.writable().await.unwrap();
        for part in [b"one ", b"two "] {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut extra = SendAncillaryBuffer::new(&mut space);
            let carried = [near.as_fd()];
            assert!(extra.push(SendAncillaryMessage::ScmRights(&carried)));
            let sent = sendmsg(&near, &[IoSlice::new(part)], &mut extra, SendFlags::empty());
            assert_eq!(sent.unwrap(), 4);
        }
        assert_eq!(near.try_write(b"three").unwrap(), 5);
        let mut read = Vec::with_capacity(64);
        let mut reads = 0;
        while read.len() < 13 {
            assert!(far.read_buf(&mut read).await.unwrap() > 0);
            reads += 1;
        }
        assert_eq!(read, b"one two three");
        assert!(reads > 1, "the system glued what it must not");
    });
}
