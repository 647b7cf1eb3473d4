//! Any descriptor.

use std::fs::File;
use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use crate::support::{on_each, on_each_heard, poll_once, tcp_pair};
use forebear::hooks::Kind;
use forebear::io::unix::{AsyncFd, TryIoError};
use forebear::io::{Interest, Ready};

/// One end as it is, and one that is watched.
fn pair() -> (UnixStream, AsyncFd<UnixStream>) {
    let (near, far) = UnixStream::pair().unwrap();
    far.set_nonblocking(true).unwrap();
    (near, AsyncFd::new(far).unwrap())
}

#[test]
fn operations_are_tried_when_the_descriptor_is_ready() {
    on_each_heard(|heard| async move {
        let (mut near, mut far) = pair();
        let mut read = [0; 8];
        let blocked = far.try_io(Interest::READABLE, |mut far| far.read(&mut read)).unwrap_err();
        assert_eq!(blocked.kind(), ErrorKind::WouldBlock);
        // Nothing was tried: the system has not said that something is there.
        assert_eq!(heard.sequence(far.id()), "init");
        near.write_all(b"ping").unwrap();
        let mut current = None;
        let count = far.async_io(Interest::READABLE, |mut far| {
            current = forebear::hooks::execution_async_id();
            far.read(&mut read)
        });
        assert_eq!((count.await.unwrap(), current), (4, Some(far.id())));
        near.write_all(b"pong").unwrap();
        let count = far.async_io_mut(Interest::READABLE, |far| far.read(&mut read));
        assert_eq!(count.await.unwrap(), 4);
        assert_eq!(far.try_io_mut(Interest::WRITABLE, |far| far.write(b"x")).unwrap(), 1);
        assert_eq!(far.try_io(Interest::WRITABLE, |mut far| far.write(b"y")).unwrap(), 1);
        near.read_exact(&mut read[..2]).unwrap();
        assert_eq!(&read[..2], b"xy");
        let told = format!("{far:?}");
        assert!(told.starts_with("AsyncFd { id:") && told.contains("UnixStream"), "{told}");
        assert_eq!(heard.ids_of_kind(Kind::ASYNC_FD), [far.id()]);
    });
}

#[test]
fn readiness_stays_until_somebody_clears_it() {
    on_each_heard(|heard| async move {
        let (mut near, far) = pair();
        near.write_all(b"ping").unwrap();
        let guard = far.readable().await.unwrap();
        assert_eq!(guard.ready(), Ready::READABLE);
        drop(guard);
        far.readable().await.unwrap().retain_ready();
        assert_eq!(heard.sequence(far.id()), "init");
        // Still there, as nobody has said otherwise.
        let mut guard = far.readable().await.unwrap();
        assert_eq!(guard.get_ref().id(), far.id());
        let mut read = [0; 8];
        let count = guard.try_io(|far| far.get_ref().read(&mut read)).unwrap().unwrap();
        assert_eq!((count, heard.sequence(far.id()).as_str()), (4, "init before after"));
        let blocks = guard.try_io(|far| far.get_ref().read(&mut read)).unwrap_err();
        assert_eq!(blocks.to_string(), "the operation would block");
        assert!(guard.ready().is_empty());
        assert!(poll_once(far.readable()).is_pending());
        near.write_all(b"pong").unwrap();
        let mut guard = far.readable().await.unwrap();
        assert_eq!(guard.get_inner().peer_addr().unwrap().as_pathname(), None);
        let error = guard.try_io(|_| Err::<(), _>(ErrorKind::Other.into())).unwrap();
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Other);
        let before = heard.sequence(far.id());
        guard.clear_ready();
        assert_eq!(heard.sequence(far.id()), format!("{before} before after"));
        assert!(poll_once(far.readable()).is_pending());
    });
}

#[test]
fn a_part_of_it_is_cleared() {
    on_each(|| async {
        let (mut near, far) = pair();
        near.write_all(b"ping").unwrap();
        far.readable().await.unwrap().retain_ready();
        far.writable().await.unwrap().retain_ready();
        let mut guard = far.ready(Interest::READABLE | Interest::WRITABLE).await.unwrap();
        assert_eq!(guard.ready(), Ready::READABLE | Ready::WRITABLE);
        guard.clear_ready_matching(Ready::READABLE);
        assert_eq!(guard.ready(), Ready::WRITABLE);
        guard.clear_ready_matching(Ready::READABLE | Ready::WRITABLE);
        assert!(guard.ready().is_empty());
        assert!(poll_once(far.writable()).is_pending());
        drop(near);
        // What is closed stays so.
        let mut guard = far.readable().await.unwrap();
        guard.clear_ready();
        assert!(far.readable().await.unwrap().ready().is_read_closed());
    });
}

/// What became ready after a guard was made is not lost when the guard clears what it knows.
#[test]
fn news_are_not_cleared() {
    on_each(|| async {
        let (mut near, far) = pair();
        near.write_all(b"old").unwrap();
        let mut guard = far.readable().await.unwrap();
        near.write_all(b"new").unwrap();
        // What comes later is told later: when this is known, so is that.
        let (mut second, later) = pair();
        second.write_all(b"later").unwrap();
        later.readable().await.unwrap().retain_ready();
        guard.clear_ready();
        let mut read = [0; 8];
        let count = far.async_io(Interest::READABLE, |mut far| far.read(&mut read));
        assert_eq!(count.await.unwrap(), 6);
    });
}

#[test]
fn guards_may_change_the_object() {
    on_each(|| async {
        let (mut near, mut far) = pair();
        near.write_all(b"ping").unwrap();
        let mut read = [0; 8];
        let mut guard = far.readable_mut().await.unwrap();
        assert_eq!(guard.ready(), Ready::READABLE);
        let count = guard.try_io(|far| far.get_mut().read(&mut read)).unwrap().unwrap();
        assert_eq!(count, 4);
        assert_eq!(guard.get_mut().get_mut().write(b"x").unwrap(), 1);
        assert!(guard.get_ref().get_ref().peer_addr().is_ok());
        assert!(guard.get_inner().local_addr().is_ok());
        let blocks: Result<_, TryIoError> = guard.try_io(|far| far.get_mut().read(&mut read));
        assert!(blocks.is_err());
        assert!(format!("{guard:?}").contains("is_readable: false"));
        drop(guard);
        let mut guard = far.writable_mut().await.unwrap();
        assert_eq!(guard.get_inner_mut().write(b"y").unwrap(), 1);
        guard.clear_ready_matching(Ready::READABLE);
        guard.retain_ready();
        assert!(guard.ready().is_writable());
        guard.clear_ready();
        assert!(guard.ready().is_empty());
        drop(guard);
        near.read_exact(&mut read[..2]).unwrap();
        near.write_all(b"more").unwrap();
        let mut guard = far.ready_mut(Interest::READABLE).await.unwrap();
        guard.try_io(|far| far.get_mut().read(&mut read)).unwrap().unwrap();
        drop(guard);
        near.write_all(b"more").unwrap();
        poll_fn(|cx| far.poll_read_ready(cx).map_ok(drop)).await.unwrap();
        poll_fn(|cx| far.poll_read_ready_mut(cx).map_ok(drop)).await.unwrap();
        poll_fn(|cx| far.poll_write_ready(cx).map_ok(drop)).await.unwrap();
        poll_fn(|cx| far.poll_write_ready_mut(cx).map_ok(drop)).await.unwrap();
    });
}

/// A closure that replaces the object it is lent: the pair that is open is that of the first.
#[test]
fn an_object_that_is_replaced_in_the_middle_ends() {
    on_each_heard(|heard| async move {
        let (mut near, mut far) = pair();
        let first = far.id();
        near.write_all(b"ping").unwrap();
        let (_other, replacement) = pair();
        let second = replacement.id();
        let mut guard = far.readable_mut().await.unwrap();
        let old = guard.try_io(|far| Ok(std::mem::replace(far, replacement))).unwrap().unwrap();
        drop(guard);
        assert_eq!((old.id(), far.id()), (first, second));
        assert_eq!(heard.sequence(first), "init before after");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn timers_and_counters_of_the_system_are_watched() {
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    on_each_heard(|heard| async move {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).unwrap();
        let timer = AsyncFd::with_interest(timer, Interest::READABLE).unwrap();
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: 0, tv_nsec: 1_000_000 },
        };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &once).unwrap();
        let mut count = [0; 8];
        let read = timer.async_io(Interest::READABLE, |fd| Ok(rustix::io::read(fd, &mut count)?));
        assert_eq!(read.await.unwrap(), 8);
        assert_eq!(u64::from_ne_bytes(count), 1);

        // A bare number, whose owner is somewhere else.
        let counter = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).unwrap();
        let watched: AsyncFd<std::os::fd::RawFd> = AsyncFd::try_new(counter.as_raw_fd()).unwrap();
        assert_eq!(watched.as_raw_fd(), counter.as_raw_fd());
        // It is called what the object is.
        assert_eq!(heard.ids_labelled("i32"), [watched.id()]);
        rustix::io::write(&counter, &7_u64.to_ne_bytes()).unwrap();
        let mut guard = watched.readable().await.unwrap();
        guard.try_io(|_| Ok(rustix::io::read(&counter, &mut count)?)).unwrap().unwrap();
        assert_eq!(u64::from_ne_bytes(count), 7);
        assert_eq!(watched.into_inner(), counter.as_raw_fd());
    });
}

#[test]
fn what_cannot_be_watched_is_given_back() {
    on_each_heard(|heard| async move {
        let error = AsyncFd::try_new(File::open("Cargo.toml").unwrap()).unwrap_err();
        let text = error.to_string();
        assert!(std::error::Error::source(&error).is_some());
        let (file, cause) = error.into_parts();
        assert_eq!(cause.to_string(), text);
        assert_eq!(cause.kind(), ErrorKind::PermissionDenied);
        assert!(file.metadata().unwrap().is_file());
        let interest = Interest::READABLE;
        let error = AsyncFd::try_with_interest(file, interest).unwrap_err();
        assert_eq!(std::io::Error::from(error).kind(), ErrorKind::PermissionDenied);
        assert!(AsyncFd::new(-1).is_err());
        assert!(AsyncFd::with_interest(-1, interest).is_err());
        assert!(AsyncFd::register(-1).is_err());
        assert!(AsyncFd::register_with_interest(-1, interest).is_err());
        assert!(heard.ids_of_kind(Kind::ASYNC_FD).is_empty());

        // One descriptor cannot be watched twice, until it is given back.
        let (near, far) = pair();
        assert!(AsyncFd::new(far.as_raw_fd()).is_err());
        let far: UnixStream = far.into_inner();
        let far = AsyncFd::new(OwnedFd::from(far)).unwrap();
        assert_eq!(far.as_fd().as_raw_fd(), far.as_raw_fd());
        drop(near);
        assert!(far.readable().await.unwrap().ready().is_read_closed());
    });
}

#[cfg(target_os = "linux")]
#[test]
fn urgent_data_is_waited_for() {
    on_each(|| async {
        let (near, far) = tcp_pair().await;
        let far = far.into_std().unwrap();
        let urgent = AsyncFd::with_interest(far, Interest::PRIORITY).unwrap();
        assert!(poll_once(urgent.ready(Interest::PRIORITY)).is_pending());
        socket2::SockRef::from(&near).send_out_of_band(b"!").unwrap();
        let guard = urgent.ready(Interest::PRIORITY).await.unwrap();
        assert!(guard.ready().is_priority(), "{guard:?}");
    });
}

#[test]
fn errors_are_waited_for() {
    on_each(|| async {
        let (receiver, sender) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
        let sender = AsyncFd::with_interest(sender, Interest::ERROR).unwrap();
        assert!(poll_once(sender.ready(Interest::ERROR)).is_pending());
        drop(receiver);
        assert!(sender.ready(Interest::ERROR).await.unwrap().ready().is_error());
    });
}
