//! Much at once: no edge is lost, however operations and events fall together.

use std::future::poll_fn;
use std::io::IoSlice;
use std::sync::Arc;

use forebear::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixStream};
use forebear::task::yield_now;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::support::{ANY, on_each, pattern, tcp_pair};

/// How much more is done where there is time.
fn factor() -> usize {
    if std::env::var_os("FOREBEAR_LONG").is_some() { 50 } else { 1 }
}

/// A row of numbers that look random and are always the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// Sends so many bytes in parts of all sizes, yielding now and then.
async fn send(mut writer: impl AsyncWrite + Unpin, length: usize, seed: u64) {
    let data = pattern(length);
    let mut numbers = Numbers(seed);
    let mut rest = &data[..];
    while !rest.is_empty() {
        let part = rest.len().min(1 + numbers.below(20_000));
        writer.write_all(&rest[..part]).await.unwrap();
        rest = &rest[part..];
        if numbers.below(4) == 0 {
            yield_now().await;
        }
    }
    writer.shutdown().await.unwrap();
}

/// Receives in parts of all sizes until the end, and checks what came.
async fn receive(mut reader: impl AsyncRead + Unpin, length: usize, seed: u64) {
    let mut numbers = Numbers(seed);
    let mut got = Vec::new();
    let mut buffer = vec![0; 30_000];
    loop {
        let room = 1 + numbers.below(buffer.len());
        let count = reader.read(&mut buffer[..room]).await.unwrap();
        if count == 0 {
            break;
        }
        got.extend_from_slice(&buffer[..count]);
        if numbers.below(4) == 0 {
            yield_now().await;
        }
    }
    assert!(got == pattern(length), "{} of {length} bytes came, or came wrong", got.len());
}

#[test]
fn streams_lose_nothing_under_load() {
    on_each(|| async {
        const CONNECTIONS: u64 = 16;
        let length = 200_000 * factor();
        let mut tasks = Vec::new();
        for seed in 0..CONNECTIONS {
            if seed % 2 == 0 {
                let (near, far) = tcp_pair().await;
                let ((near_read, near_write), (far_read, far_write)) =
                    (near.into_split(), far.into_split());
                tasks.push(forebear::spawn(send(near_write, length, seed)));
                tasks.push(forebear::spawn(send(far_write, length, seed + 100)));
                tasks.push(forebear::spawn(receive(near_read, length, seed + 200)));
                tasks.push(forebear::spawn(receive(far_read, length, seed + 300)));
            } else {
                let (near, far) = UnixStream::pair().unwrap();
                let ((near_read, near_write), (far_read, far_write)) =
                    (near.into_split(), far.into_split());
                tasks.push(forebear::spawn(send(near_write, length, seed)));
                tasks.push(forebear::spawn(send(far_write, length, seed + 100)));
                tasks.push(forebear::spawn(receive(near_read, length, seed + 200)));
                tasks.push(forebear::spawn(receive(far_read, length, seed + 300)));
            }
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// Each byte is an edge of its own, and each answer races with the next wait.
#[test]
fn single_bytes_go_to_and_fro() {
    on_each(|| async {
        let rounds = 500 * factor();
        let mut tasks = Vec::new();
        for _ in 0..8 {
            let (mut near, mut far) = tcp_pair().await;
            tasks.push(forebear::spawn(async move {
                for _ in 0..rounds {
                    near.write_all(b"x").await.unwrap();
                    assert_eq!(near.read(&mut [0; 64]).await.unwrap(), 1);
                }
            }));
            tasks.push(forebear::spawn(async move {
                while far.read(&mut [0; 64]).await.unwrap() > 0 {
                    far.write_all(b"y").await.unwrap();
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// Readiness of the caller's own: `readable`, then tries until it would block.
#[test]
fn what_is_tried_by_hand_loses_nothing() {
    on_each(|| async {
        let length = 500_000 * factor();
        let (near, far) = tcp_pair().await;
        let writer = forebear::spawn(async move {
            let data = pattern(length);
            let mut rest = &data[..];
            while !rest.is_empty() {
                near.writable().await.unwrap();
                if let Ok(count) = near.try_write(&rest[..rest.len().min(7000)]) {
                    rest = &rest[count..];
                }
            }
        });
        let mut got = Vec::new();
        let mut buffer = [0; 5000];
        loop {
            far.readable().await.unwrap();
            match far.try_read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => got.extend_from_slice(&buffer[..count]),
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
            }
        }
        writer.await.unwrap();
        assert!(got == pattern(length));
    });
}

/// The system takes only so many slices at once: less than all is moved although there is room.
#[test]
fn more_slices_than_the_system_takes_are_written() {
    on_each(|| async {
        const SLICES: usize = 3000;
        let (near, mut far) = tcp_pair().await;
        let writer = forebear::spawn(async move {
            let data = pattern(SLICES);
            let mut slices: Vec<IoSlice<'_>> = data.chunks(1).map(IoSlice::new).collect();
            let mut rest = &mut slices[..];
            while !rest.is_empty() {
                let count = poll_fn(|cx| near.poll_write_slices(cx, rest)).await.unwrap();
                IoSlice::advance_slices(&mut rest, count);
            }
        });
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.unwrap();
        writer.await.unwrap();
        assert_eq!(got, pattern(SLICES));
    });
}

/// A read ends where urgent data is, although more is there and no edge will tell.
#[cfg(target_os = "linux")]
#[test]
fn what_comes_behind_urgent_data_is_read() {
    on_each(|| async {
        for _ in 0..20 {
            let (near, mut far) = tcp_pair().await;
            near.writable().await.unwrap();
            near.try_write(b"before").unwrap();
            socket2::SockRef::from(&near).send_out_of_band(b"!").unwrap();
            near.try_write(b"behind").unwrap();
            let mut got = Vec::with_capacity(64);
            while got.len() < 12 {
                assert!(far.read_buf(&mut got).await.unwrap() > 0);
            }
            assert_eq!(got, b"beforebehind");
        }
    });
}

#[test]
fn messages_lose_nothing_where_the_sender_waits() {
    on_each(|| async {
        let count = 5_000 * factor();
        let (near, far) = UnixDatagram::pair().unwrap();
        let sender = forebear::spawn(async move {
            for number in 0..count {
                near.send(&number.to_ne_bytes()).await.unwrap();
            }
        });
        let mut buffer = [0; 8];
        for number in 0..count {
            far.recv(&mut buffer).await.unwrap();
            assert_eq!(usize::from_ne_bytes(buffer), number);
        }
        sender.await.unwrap();
    });
}

#[test]
fn questions_and_answers_by_message_lose_no_edge() {
    on_each(|| async {
        let rounds = 1_000 * factor();
        let (near, far) =
            (UdpSocket::bind(ANY).await.unwrap(), UdpSocket::bind(ANY).await.unwrap());
        near.connect(far.local_addr().unwrap()).await.unwrap();
        let echo = forebear::spawn(async move {
            let mut buffer = [0; 8];
            for _ in 0..rounds {
                let (count, from) = far.recv_from(&mut buffer).await.unwrap();
                far.send_to(&buffer[..count], from).await.unwrap();
            }
        });
        let mut buffer = [0; 8];
        for number in 0..rounds {
            near.send(&number.to_ne_bytes()).await.unwrap();
            near.recv(&mut buffer).await.unwrap();
            assert_eq!(usize::from_ne_bytes(buffer), number);
        }
        echo.await.unwrap();
    });
}

#[test]
fn connections_come_and_go() {
    on_each(|| async {
        let count = 300 * factor();
        let listener = Arc::new(TcpListener::bind(ANY).await.unwrap());
        let address = listener.local_addr().unwrap();
        let server = forebear::spawn(async move {
            for _ in 0..count {
                let (mut stream, _) = listener.accept().await.unwrap();
                forebear::spawn(async move {
                    let mut byte = [0];
                    // Some clients leave without a word.
                    if stream.read(&mut byte).await.unwrap_or(0) == 1 {
                        let _ = stream.write_all(&byte).await;
                    }
                });
            }
        });
        for number in 0..count {
            let mut stream = TcpStream::connect(address).await.unwrap();
            if number % 3 > 0 {
                stream.write_all(b"x").await.unwrap();
            }
            if number % 3 > 1 {
                assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 1);
            }
        }
        server.await.unwrap();
    });
}
