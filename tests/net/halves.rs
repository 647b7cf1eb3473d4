//! The two halves of a connection.

use std::error::Error;
use std::io::ErrorKind;

use forebear::hooks::Kind;
use forebear::io::Interest;
use forebear::net::unix::{self, ReuniteError as UnixReuniteError};
use forebear::net::{UnixStream, tcp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{on_each, on_each_heard, pattern, tcp_pair};

#[test]
fn two_tasks_use_one_connection_which_is_one_resource() {
    on_each_heard(|heard| async move {
        let (near, far) = tcp_pair().await;
        let id = far.id();
        let (mut near_read, mut near_write) = near.into_split();
        let (mut far_read, mut far_write) = far.into_split();
        assert_eq!((far_read.id(), far_write.id()), (id, id));
        // What comes is sent back by two tasks, one half each.
        let (give, mut take) = tokio::sync::mpsc::unbounded_channel::<Vec<u8>>();
        let reader = forebear::spawn(async move {
            let mut buffer = vec![0; 1000];
            loop {
                let count = far_read.read(&mut buffer).await.unwrap();
                if count == 0 {
                    break;
                }
                give.send(buffer[..count].to_vec()).unwrap();
            }
        });
        let writer = forebear::spawn(async move {
            while let Some(part) = take.recv().await {
                far_write.write_all(&part).await.unwrap();
            }
        });
        let sent = pattern(300_000);
        let copy = sent.clone();
        let source = forebear::spawn(async move { near_write.write_all(&copy).await.unwrap() });
        let mut back = Vec::new();
        near_read.read_to_end(&mut back).await.unwrap();
        assert!(back == sent, "{} bytes came back", back.len());
        for task in [source, reader, writer] {
            task.await.unwrap();
        }
        assert_eq!(heard.ids_of_kind(Kind::TCP_STREAM).len(), 2);
        let told = heard.sequence(id);
        assert_eq!((told.matches("init").count(), told.matches("destroy").count()), (1, 1));
    });
}

#[test]
fn dropping_the_half_that_writes_tells_the_other_end() {
    on_each(|| async {
        let (near, mut far) = tcp_pair().await;
        let (mut read, write) = near.into_split();
        drop(write);
        assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 0);
        far.write_all(b"x").await.unwrap();
        assert_eq!(read.read(&mut [0; 1]).await.unwrap(), 1);

        let (near, mut far) = UnixStream::pair().unwrap();
        let (mut read, write) = near.into_split();
        write.forget();
        far.write_all(b"x").await.unwrap();
        assert_eq!(read.read(&mut [0; 1]).await.unwrap(), 1);
        assert_eq!(far.try_read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(read);
        assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 0);

        let (near, mut far) = UnixStream::pair().unwrap();
        let (read, mut write) = near.into_split();
        write.shutdown().await.unwrap();
        assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(write.write_all(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        drop((read, write));
    });
}

#[test]
fn halves_of_one_connection_are_put_together_again() {
    on_each(|| async {
        let (near, far) = tcp_pair().await;
        let (here, id) = (near.local_addr().unwrap(), near.id());
        let (read, write) = near.into_split();
        assert_eq!((read.local_addr().unwrap(), write.local_addr().unwrap()), (here, here));
        assert_eq!(read.peer_addr().unwrap(), write.peer_addr().unwrap());
        assert_eq!(read.as_ref().id(), write.as_ref().id());
        let near = read.reunite(write).unwrap();
        assert_eq!((near.local_addr().unwrap(), near.id()), (here, id));
        // It is whole: nothing was told to the other end.
        assert_eq!(far.try_read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);

        let (near_read, near_write) = near.into_split();
        let (far_read, far_write) = far.into_split();
        let error: tcp::ReuniteError = near_read.reunite(far_write).unwrap_err();
        assert!(error.source().is_none() && error.to_string().contains("not of one connection"));
        let tcp::ReuniteError(near_read, far_write) = error;
        let mut near = near_write.reunite(near_read).unwrap();
        let mut far = far_read.reunite(far_write).unwrap();
        near.write_all(b"x").await.unwrap();
        assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 1);

        let (near, far) = UnixStream::pair().unwrap();
        let (near_read, _near_write) = near.into_split();
        let (_far_read, far_write) = far.into_split();
        let UnixReuniteError(near_read, far_write) = near_read.reunite(far_write).unwrap_err();
        drop::<(unix::OwnedReadHalf, unix::OwnedWriteHalf)>((near_read, far_write));
    });
}

/// The same steps with each sort of half that reads, and each that writes.
macro_rules! check_halves {
    ($read:expr, $write:expr) => {{
        let (mut read, mut write) = ($read, $write);
        let blocked = read.try_read(&mut [0; 1]).unwrap_err();
        assert_eq!(blocked.kind(), ErrorKind::WouldBlock);
        write.writable().await.unwrap();
        assert!(write.ready(Interest::WRITABLE).await.unwrap().is_writable());
        std::future::poll_fn(|cx| write.poll_write_ready(cx)).await.unwrap();
        assert_eq!(write.try_write(b"a").unwrap(), 1);
        assert_eq!(write.try_write_vectored(&[std::io::IoSlice::new(b"b")]).unwrap(), 1);
        write.write_all(b"cd").await.unwrap();
        read.readable().await.unwrap();
        assert!(read.ready(Interest::READABLE).await.unwrap().is_readable());
        std::future::poll_fn(|cx| read.poll_read_ready(cx)).await.unwrap();
        let mut byte = [0; 1];
        assert_eq!((read.try_read(&mut byte).unwrap(), byte), (1, *b"a"));
        let mut slices = [std::io::IoSliceMut::new(&mut byte)];
        assert_eq!(read.try_read_vectored(&mut slices).unwrap(), 1);
        let mut buffer = Vec::with_capacity(1);
        assert_eq!(read.try_read_buf(&mut bytes::BufMut::limit(&mut buffer, 1)).unwrap(), 1);
        let mut rest = [0; 1];
        read.read_exact(&mut rest).await.unwrap();
        assert_eq!((byte, &*buffer, rest), (*b"b", &b"c"[..], *b"d"));
    }};
}

#[test]
fn each_half_can_do_what_is_its_own() {
    on_each(|| async {
        let (mut near, mut far) = tcp_pair().await;
        check_halves!(near.split().0, far.split().1);
        let (near, far) = (near.into_split(), far.into_split());
        check_halves!(near.0, far.1);
        let (mut near, mut far) = UnixStream::pair().unwrap();
        check_halves!(near.split().0, far.split().1);
        let (near, far) = (near.into_split(), far.into_split());
        check_halves!(near.0, far.1);
    });
}

#[test]
fn borrowed_halves_are_used_at_once() {
    on_each(|| async {
        let (mut near, mut far) = tcp_pair().await;
        let echo = forebear::spawn(async move {
            let (mut read, mut write) = far.split();
            tokio::io::copy(&mut read, &mut write).await.unwrap();
        });
        let sent = pattern(300_000);
        let (mut read, mut write) = near.split();
        let mut back = vec![0; sent.len()];
        let (written, read) = tokio::join!(write.write_all(&sent), read.read_exact(&mut back));
        written.unwrap();
        read.unwrap();
        assert!(back == sent);
        let (read, mut write) = near.split();
        assert_eq!(read.as_ref().id(), write.as_ref().id());
        write.shutdown().await.unwrap();
        echo.await.unwrap();
    });
}
