//! Connections in one direction.

use std::fs::File;
use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::OwnedFd;

use forebear::hooks::Kind;
use forebear::io::Interest;
use forebear::net::unix::pipe;
use rustix::fs::{Mode, OFlags, fcntl_getfl, mkfifoat, open};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Folder, on_each, on_each_heard, pattern};

#[test]
fn bytes_go_one_way_until_the_end() {
    on_each_heard(|heard| async move {
        let (mut sender, mut receiver) = pipe::pipe().unwrap();
        assert_eq!(heard.ids_of_kind(Kind::PIPE).len(), 2);
        sender.write_all(b"ping").await.unwrap();
        let mut read = [0; 4];
        receiver.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"ping");
        // Nothing but dropping it ends it.
        sender.shutdown().await.unwrap();
        sender.write_all(b"pong").await.unwrap();
        drop(sender);
        let mut rest = Vec::new();
        receiver.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"pong");

        let (mut sender, receiver) = pipe::pipe().unwrap();
        drop(receiver);
        assert_eq!(sender.write_all(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn what_tries_does_not_wait() {
    on_each(|| async {
        let (sender, receiver) = pipe::pipe().unwrap();
        let mut read = [0; 8];
        assert_eq!(receiver.try_read(&mut read).unwrap_err().kind(), ErrorKind::WouldBlock);
        sender.writable().await.unwrap();
        assert!(sender.ready(Interest::WRITABLE).await.unwrap().is_writable());
        assert_eq!(sender.try_write(b"ping").unwrap(), 4);
        let parts = [IoSlice::new(b"po"), IoSlice::new(b"ng")];
        assert_eq!(sender.try_write_vectored(&parts).unwrap(), 4);
        receiver.readable().await.unwrap();
        assert!(receiver.ready(Interest::READABLE).await.unwrap().is_readable());
        let mut parts = [IoSliceMut::new(&mut read[..4])];
        assert_eq!(receiver.try_read_vectored(&mut parts).unwrap(), 4);
        let mut buffer = Vec::with_capacity(8);
        assert_eq!(receiver.try_read_buf(&mut buffer).unwrap(), 4);
        assert_eq!((&read[..4], &*buffer), (&b"ping"[..], &b"pong"[..]));
        let blocked = receiver.try_io(|| Ok(rustix::io::read(&receiver, &mut read)?));
        assert_eq!(blocked.unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(sender.try_io(|| Ok(rustix::io::write(&sender, b"x")?)).unwrap(), 1);
        poll_fn(|cx| receiver.poll_read_ready(cx)).await.unwrap();
        poll_fn(|cx| sender.poll_write_ready(cx)).await.unwrap();
        assert!(format!("{sender:?} {receiver:?}").starts_with("Sender"));
    });
}

#[test]
fn a_full_pipe_waits_for_its_reader() {
    on_each(|| async {
        let (mut sender, mut receiver) = pipe::pipe().unwrap();
        let sent = pattern(1024 * 1024);
        let copy = sent.clone();
        let writer = forebear::spawn(async move { sender.write_all(&copy).await });
        let mut read = Vec::new();
        receiver.read_to_end(&mut read).await.unwrap();
        writer.await.unwrap().unwrap();
        assert!(read == sent);
    });
}

#[test]
fn pipes_with_a_name_are_opened() {
    on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("fifo");
        mkfifoat(rustix::fs::CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        let nobody = pipe::OpenOptions::new().open_sender(&path).unwrap_err();
        assert_eq!(nobody.raw_os_error(), Some(rustix::io::Errno::NXIO.raw_os_error()));
        let mut receiver = pipe::OpenOptions::new().open_receiver(&path).unwrap();
        let mut sender = pipe::OpenOptions::new().open_sender(&path).unwrap();
        sender.write_all(b"ping").await.unwrap();
        drop(sender);
        let mut read = Vec::new();
        receiver.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"ping");
        drop(receiver);
        #[cfg(target_os = "linux")]
        {
            let sender = pipe::OpenOptions::new().read_write(true).open_sender(&path).unwrap();
            sender.writable().await.unwrap();
            assert_eq!(sender.try_write(b"x").unwrap(), 1);
        }
        let file = folder.join("file");
        std::fs::write(&file, b"").unwrap();
        let refused = pipe::OpenOptions::new().open_receiver(&file).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        // Unchecked, it is the system that refuses to watch a file.
        let refused = pipe::OpenOptions::new().unchecked(true).open_receiver(&file).unwrap_err();
        assert!(refused.raw_os_error().is_some(), "{refused}");
        let missing = pipe::OpenOptions::new().open_receiver(folder.join("no")).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn descriptors_come_and_go() {
    on_each(|| async {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let wrong = pipe::Sender::from_owned_fd(read.try_clone().unwrap()).unwrap_err();
        assert_eq!(wrong.to_string(), "the pipe is not open to write");
        let wrong = pipe::Receiver::from_file(File::from(write.try_clone().unwrap())).unwrap_err();
        assert_eq!(wrong.to_string(), "the pipe is not open to read");
        // It puts them into non-blocking mode.
        let mut sender = pipe::Sender::from_owned_fd(write).unwrap();
        let receiver = pipe::Receiver::from_file(File::from(read)).unwrap();
        sender.write_all(b"ping").await.unwrap();

        let fd = receiver.into_nonblocking_fd().unwrap();
        assert!(fcntl_getfl(&fd).unwrap().contains(OFlags::NONBLOCK));
        let receiver = pipe::Receiver::from_owned_fd_unchecked(fd).unwrap();
        receiver.readable().await.unwrap();
        let fd: OwnedFd = receiver.into_blocking_fd().unwrap();
        assert!(!fcntl_getfl(&fd).unwrap().contains(OFlags::NONBLOCK));
        let mut read = [0; 4];
        File::from(fd).read_exact(&mut read).unwrap();
        assert_eq!(&read, b"ping");
        let fd = sender.into_blocking_fd().unwrap();
        let mut file = File::from(fd);
        assert_eq!(file.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let sender = pipe::Sender::from_file_unchecked(file).unwrap();
        drop(sender.into_nonblocking_fd().unwrap());

        let null = open("/dev/null", OFlags::WRONLY, Mode::empty()).unwrap();
        let wrong = pipe::Sender::from_owned_fd(null).unwrap_err();
        assert_eq!(wrong.to_string(), "it is no pipe");
    });
}
