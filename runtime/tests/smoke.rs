//! Runs whole programs on the runtime.

use forebear::runtime::{Builder, Runtime};
use forebear::time::{Duration, Instant, sleep};

fn runtimes() -> Vec<Runtime> {
    let multi = |n| Builder::new_multi_thread().worker_threads(n).build().unwrap();
    vec![Builder::new_current_thread().build().unwrap(), multi(1), multi(2), multi(8)]
}

#[test]
fn many_tasks_are_joined() {
    for runtime in runtimes() {
        let sum: u64 = runtime.block_on(async {
            forebear::spawn(async {
                let handles: Vec<_> = (0..10_000u64).map(|n| forebear::spawn(async move { n })).collect();
                let mut sum = 0;
                for handle in handles {
                    sum += handle.await.unwrap();
                }
                sum
            })
            .await
            .unwrap()
        });
        assert_eq!(sum, 10_000 * 9_999 / 2);
    }
}

#[test]
fn timers_fire_and_tasks_yield() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let handles: Vec<_> = (0..1000u64)
                .map(|n| {
                    forebear::spawn(async move {
                        let start = Instant::now();
                        let wait = Duration::from_micros(n * 20);
                        sleep(wait).await;
                        assert!(start.elapsed() >= wait);
                        for _ in 0..10 {
                            forebear::task::yield_now().await;
                        }
                    })
                })
                .collect();
            for handle in handles {
                handle.await.unwrap();
            }
        });
    }
}

#[test]
fn blocking_and_abort_and_drop() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let job = forebear::task::spawn_blocking(|| 7);
            assert_eq!(job.await.unwrap(), 7);
            let stuck = forebear::spawn(std::future::pending::<()>());
            forebear::task::yield_now().await;
            stuck.abort();
            assert!(stuck.await.unwrap_err().is_cancelled());
            let bad = forebear::spawn(async { panic!("on purpose") });
            assert!(bad.await.unwrap_err().is_panic());
            for _ in 0..100 {
                drop(forebear::spawn(std::future::pending::<()>()));
            }
        });
    }
}

#[test]
fn sockets_echo() {
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    use std::pin::Pin;
    for runtime in runtimes() {
        runtime.block_on(async {
            let listener = forebear::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let server = forebear::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut data = [0; 5];
                let n = std::future::poll_fn(|cx| {
                    let mut buf = ReadBuf::new(&mut data);
                    let r = Pin::new(&mut stream).poll_read(cx, &mut buf);
                    r.map(|_| buf.filled().len())
                }).await;
                let n2 = std::future::poll_fn(|cx| Pin::new(&mut stream).poll_write(cx, &data[..n])).await.unwrap();
                assert_eq!(n, n2);
            });
            let mut client = forebear::net::TcpStream::connect(addr).await.unwrap();
            std::future::poll_fn(|cx| Pin::new(&mut client).poll_write(cx, b"hello")).await.unwrap();
            let mut data = [0; 5];
            let n = std::future::poll_fn(|cx| client.poll_read_slice(cx, &mut data)).await.unwrap();
            assert_eq!(&data[..n], b"hello");
            server.await.unwrap();
        });
    }
}
