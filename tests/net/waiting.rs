//! Who gives up, who waits with many others, and whose runtime ends.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::sync::Arc;
use std::task::{Context, Waker};

use forebear::hooks::Kind;
use forebear::io::Interest;
use forebear::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixStream};
use forebear::runtime::Runtime;
use forebear::task::yield_now;
use forebear::testing::assert_quiescent;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{ANY, Counter, on_each, on_each_heard, poll_once, tcp_pair};

#[test]
fn giving_up_loses_no_connection() {
    on_each(|| async {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..20 {
            assert!(poll_once(listener.accept()).is_pending());
            let near = TcpStream::connect(address).await.unwrap();
            // Given up with the connection there, or not yet known to be.
            let early = poll_once(listener.accept());
            let (far, peer) = match early {
                std::task::Poll::Ready(accepted) => accepted.unwrap(),
                std::task::Poll::Pending => listener.accept().await.unwrap(),
            };
            assert_eq!((peer, far.peer_addr().unwrap()), (near.local_addr().unwrap(), peer));
        }
    });
}

#[test]
fn giving_up_loses_no_bytes_and_no_messages() {
    on_each(|| async {
        let (mut near, mut far) = tcp_pair().await;
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        for value in 0..50 {
            let mut byte = [0];
            assert!(poll_once(far.peek(&mut byte)).is_pending());
            assert!(poll_once(far.readable()).is_pending());
            assert!(poll_once(far.read(&mut byte)).is_pending());
            near.write_all(&[value]).await.unwrap();
            far.readable().await.unwrap();
            drop((far.readable(), far.peek(&mut [0])));
            assert_eq!((far.read(&mut byte).await.unwrap(), byte), (1, [value]));

            assert!(poll_once(receiver.recv(&mut byte)).is_pending());
            sender.send(&[value]).await.unwrap();
            receiver.readable().await.unwrap();
            drop(receiver.recv(&mut [0]));
            assert_eq!((receiver.recv(&mut byte).await.unwrap(), byte), (1, [value]));
        }
    });
}

#[test]
fn a_connection_that_is_given_up_ends() {
    on_each_heard(|heard| async move {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let connect = TcpStream::connect(listener.local_addr().unwrap());
        // Within the machine it may stand at once.
        drop(poll_once(connect));
        let attempts = heard.ids_of_kind(Kind::TCP_STREAM);
        assert_eq!(attempts.len(), 1);
        assert!(heard.sequence(attempts[0]).ends_with("destroy:Dropped"));
    });
}

#[test]
fn many_wait_for_one_event() {
    on_each(|| async {
        let (near, far) = tcp_pair().await;
        let far = Arc::new(far);
        let waiters: Vec<_> = (0..200)
            .map(|number| {
                let far = far.clone();
                forebear::spawn(async move {
                    let interest = match number % 3 {
                        0 => Interest::READABLE,
                        1 => Interest::READABLE | Interest::ERROR,
                        _ => return far.peek(&mut [0; 1]).await.map(drop),
                    };
                    far.ready(interest).await.map(drop)
                })
            })
            .collect();
        // Some give up among those who stay.
        let given_up: Vec<_> = waiters.iter().skip(10).step_by(7).collect();
        for _ in 0..20 {
            yield_now().await;
        }
        given_up.iter().for_each(|waiter| waiter.abort());
        near.writable().await.unwrap();
        near.try_write(b"x").unwrap();
        for waiter in waiters {
            match waiter.await {
                Ok(woken) => woken.unwrap(),
                Err(error) => assert!(error.is_cancelled()),
            }
        }
    });
}

#[test]
fn many_accept_from_one_listener() {
    on_each(|| async {
        const MANY: usize = 60;
        let listener = Arc::new(TcpListener::bind(ANY).await.unwrap());
        let address = listener.local_addr().unwrap();
        let acceptors: Vec<_> = (0..MANY)
            .map(|_| {
                let listener = listener.clone();
                forebear::spawn(async move { listener.accept().await.unwrap().1 })
            })
            .collect();
        let mut near = Vec::new();
        for _ in 0..MANY {
            near.push(TcpStream::connect(address).await.unwrap());
        }
        let mut want: Vec<_> = near.iter().map(|near| near.local_addr().unwrap()).collect();
        let mut got = Vec::new();
        for acceptor in acceptors {
            got.push(acceptor.await.unwrap());
        }
        want.sort();
        got.sort();
        assert_eq!(got, want);
    });
}

/// Of those who poll, the last one is woken; those who await are woken all.
#[test]
fn the_last_one_who_polls_is_woken() {
    on_each(|| async {
        let (near, far) = UnixStream::pair().unwrap();
        let counters: [Arc<Counter>; 3] = std::array::from_fn(|_| Arc::default());
        let poll = |counter: &Arc<Counter>| {
            let waker = Waker::from(counter.clone());
            far.poll_read_ready(&mut Context::from_waker(&waker)).is_pending()
        };
        assert!(poll(&counters[0]) && poll(&counters[1]));
        let mut awaiting = Box::pin(far.readable());
        let waker = Waker::from(counters[2].clone());
        let mut cx = Context::from_waker(&waker);
        assert!(awaiting.as_mut().poll(&mut cx).is_pending());
        assert!(awaiting.as_mut().poll(&mut cx).is_pending());
        near.writable().await.unwrap();
        near.try_write(b"x").unwrap();
        far.ready(Interest::READABLE).await.unwrap();
        // What is noted is seen before who waits for it is woken.
        while counters[1].count() == 0 || counters[2].count() == 0 {
            yield_now().await;
        }
        assert_eq!(counters.each_ref().map(|counter| counter.count()), [0, 1, 1]);
    });
}

/// A writer that waits is not woken by what comes to be read, and the other way round.
#[test]
fn directions_are_woken_apart() {
    on_each(|| async {
        let (near, far) = UnixStream::pair().unwrap();
        near.writable().await.unwrap();
        while near.try_write(&[0; 64 * 1024]).is_ok() {}
        let counter = Arc::<Counter>::default();
        let waker = Waker::from(counter.clone());
        assert!(near.poll_write_ready(&mut Context::from_waker(&waker)).is_pending());
        far.writable().await.unwrap();
        far.try_write(b"x").unwrap();
        near.readable().await.unwrap();
        assert_eq!(near.try_read(&mut [0; 1]).unwrap(), 1);
        assert_eq!(counter.count(), 0);
        far.readable().await.unwrap();
        while far.try_read(&mut [0; 64 * 1024]).is_ok() {}
        near.writable().await.unwrap();
        // What is noted is seen before who waits for it is woken.
        while counter.count() == 0 {
            yield_now().await;
        }
        assert_eq!(counter.count(), 1);
    });
}

#[test]
fn sockets_that_outlive_their_runtime_return_errors() {
    for runtime in
        [forebear::runtime::Builder::new_current_thread().build().unwrap(), Runtime::new().unwrap()]
    {
        let id = runtime.id();
        let (listener, near, far, udp) = runtime.block_on(async {
            let listener = TcpListener::bind(ANY).await.unwrap();
            let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (far, _) = listener.accept().await.unwrap();
            assert!(far.try_read(&mut [0; 1]).is_err());
            (listener, near, far, UdpSocket::bind(ANY).await.unwrap())
        });
        let counter = Arc::<Counter>::default();
        let waker = Waker::from(counter.clone());
        let mut cx = Context::from_waker(&waker);
        let mut accept = Box::pin(listener.accept());
        assert!(accept.as_mut().poll(&mut cx).is_pending());
        let mut readable = Box::pin(far.readable());
        assert!(readable.as_mut().poll(&mut cx).is_pending());
        let mut byte = [0];
        assert!(near.poll_read_slice(&mut cx, &mut byte).is_pending());
        drop(runtime);
        assert_eq!(counter.count(), 3, "who waits is woken");
        let is_gone = |error: std::io::Error| {
            assert!(error.to_string().contains("runtime of this resource has ended"), "{error}");
        };
        let now = |poll: std::task::Poll<std::io::Result<()>>| match poll {
            std::task::Poll::Ready(result) => is_gone(result.unwrap_err()),
            std::task::Poll::Pending => panic!("it would wait for ever"),
        };
        now(accept.as_mut().poll(&mut cx).map_ok(drop));
        now(readable.as_mut().poll(&mut cx));
        now(near.poll_read_slice(&mut cx, &mut byte).map_ok(drop));
        now(near.poll_write_slice(&mut cx, b"x").map_ok(drop));
        now(poll_once(udp.recv(&mut byte)).map_ok(drop));
        now(poll_once(udp.send_to(b"x", udp.local_addr().unwrap())).map_ok(drop));
        is_gone(near.try_read(&mut byte).unwrap_err());
        is_gone(near.try_write(b"x").unwrap_err());
        drop((accept, readable));
        // Taken out of it, a socket is as good as before.
        let near = near.into_std().unwrap();
        std::io::Write::write_all(&mut &near, b"x").unwrap();
        let far = far.into_std().unwrap();
        far.set_nonblocking(false).unwrap();
        std::io::Read::read_exact(&mut &far, &mut byte).unwrap();
        assert_eq!(byte, *b"x");
        drop((listener, udp));
        assert_quiescent(id);
    }
}

#[test]
fn tasks_that_wait_for_sockets_are_cancelled_with_their_runtime() {
    let runtime = Runtime::new().unwrap();
    let id = runtime.id();
    let (waits, is_waiting) = std::sync::mpsc::channel();
    runtime.block_on(async {
        for _ in 0..20 {
            let waits = waits.clone();
            forebear::spawn(async move {
                let (near, far) = tcp_pair().await;
                let (sender, receiver) = UnixDatagram::pair().unwrap();
                let (mut byte, mut first) = ([0], [0]);
                let mut waiting = Box::pin(async {
                    tokio::join!(receiver.recv(&mut byte), far.readable(), far.peek(&mut first))
                });
                poll_fn(|cx| {
                    assert!(waiting.as_mut().poll(cx).is_pending());
                    std::task::Poll::Ready(())
                })
                .await;
                waits.send(()).unwrap();
                let _done = waiting.await;
                drop((near, sender));
            });
        }
    });
    (0..20).for_each(|_| is_waiting.recv().unwrap());
    drop(runtime);
    assert_quiescent(id);
}

#[test]
fn making_a_socket_for_a_runtime_that_has_ended_is_an_error() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    drop(runtime);
    let _entered = handle.enter();
    let error = UnixStream::pair().unwrap_err();
    assert!(error.to_string().contains("has ended"), "{error}");
    let bind = poll_once(TcpListener::bind(ANY));
    assert!(matches!(bind, std::task::Poll::Ready(Err(_))));
    let lookup = poll_once(forebear::net::lookup_host("localhost:80"));
    match lookup {
        std::task::Poll::Ready(Err(error)) => {
            assert!(error.to_string().contains("has ended"), "{error}");
        }
        _ => panic!("a lookup that nobody makes"),
    }
    assert_ne!(error.kind(), ErrorKind::WouldBlock);
    assert_quiescent(handle.id());
}

/// A read that fell short has found the end: that is known without asking the system again, and the
/// next byte is told of all the same.
#[cfg(target_os = "linux")]
#[test]
fn a_read_that_falls_short_is_the_last() {
    on_each_heard(|heard| async move {
        let (mut near, mut far) = tcp_pair().await;
        let id = far.id();
        let tries = || heard.sequence(id).matches("before").count();
        near.write_all(b"x").await.unwrap();
        assert_eq!(far.read(&mut [0; 8]).await.unwrap(), 1);
        let before = tries();
        assert!(poll_once(far.read(&mut [0; 8])).is_pending());
        assert_eq!(far.try_read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(tries(), before);
        // A read that is filled, or that its caller tries, is not: it is asked once more.
        near.write_all(b"yz").await.unwrap();
        far.readable().await.unwrap();
        while far.peek(&mut [0; 2]).await.unwrap() < 2 {}
        assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 1);
        assert_eq!(far.try_read(&mut [0; 8]).unwrap(), 1);
        let before = tries();
        assert!(poll_once(far.read(&mut [0; 8])).is_pending());
        assert_eq!(tries(), before + 1);
    });
}

/// Who has just connected, or was just made, need not be waited for.
#[test]
fn the_first_operation_is_tried_at_once() {
    on_each(|| async {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        near.write_all(b"x").await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        assert_eq!(far.try_write(b"y").unwrap(), 1);
        assert!(poll_once(far.readable()).is_ready());
        while far.try_read(&mut [0; 1]).is_err() {
            far.readable().await.unwrap();
        }
        assert_eq!(far.try_read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(poll_once(far.readable()).is_pending());
        let socket = UdpSocket::bind(ANY).await.unwrap();
        assert_eq!(socket.try_send_to(b"x", socket.local_addr().unwrap()).unwrap(), 1);
        let (sender, _receiver) = UnixDatagram::pair().unwrap();
        assert_eq!(sender.try_send(b"x").unwrap(), 1);
    });
}
