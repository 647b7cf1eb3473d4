//! Tests that work which never ends keeps nobody out: not what comes from outside, no timer and no
//! socket. On one worker, since with two the other one would help.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::thread;

use forebear::io::{AsyncReadExt, AsyncWriteExt};
use forebear::net::{TcpListener, TcpStream};
use forebear::runtime::Runtime;
use forebear::sync::{Notify, oneshot};
use forebear::task::{self, JoinHandle};
use forebear::time::{Duration, sleep, timeout};

use crate::support::{check, current_thread, multi_thread};

/// Runs `test` on one thread, and on one worker, each kept busy by `busy`.
fn beside<F: Future>(busy: fn() -> Vec<JoinHandle<()>>, test: impl Fn() -> F) {
    for runtime in [current_thread(), multi_thread(1)] {
        check(runtime, async |_| {
            let busy = busy();
            timeout(PATIENCE, test()).await.expect("somebody is kept out");
            for task in busy {
                task.abort();
                assert!(task.await.unwrap_err().is_cancelled());
            }
        });
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

/// A task that is always queued.
fn yields() -> Vec<JoinHandle<()>> {
    vec![task::spawn(async {
        loop {
            task::yield_now().await;
        }
    })]
}

/// A task that wakes itself while it is polled, which is no polite yield.
fn wakes_itself() -> Vec<JoinHandle<()>> {
    vec![task::spawn(poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    }))]
}

/// Two tasks of which each wakes the other, and goes to the front of the queue by that.
fn wake_each_other() -> Vec<JoinHandle<()>> {
    let (here, there) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let play = |mine: Arc<Notify>, other: Arc<Notify>| {
        task::spawn(async move {
            loop {
                other.notify_one();
                mine.notified().await;
            }
        })
    };
    vec![play(here.clone(), there.clone()), play(there, here)]
}

/// A task that spawns its successor, which goes to the front of the queue likewise.
fn respawns() -> Vec<JoinHandle<()>> {
    fn next(is_over: Arc<AtomicBool>) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            if !is_over.load(Ordering::Relaxed) {
                drop(task::spawn(next(is_over)));
            }
        })
    }
    struct Over(Arc<AtomicBool>);
    impl Drop for Over {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let is_over = Arc::new(AtomicBool::new(false));
    drop(task::spawn(next(is_over.clone())));
    let over = Over(is_over);
    vec![task::spawn(async move {
        let _over = over;
        std::future::pending::<()>().await;
    })]
}

const BUSY: [fn() -> Vec<JoinHandle<()>>; 4] = [yields, wakes_itself, wake_each_other, respawns];

#[test]
fn what_is_spawned_from_outside_has_its_turn() {
    for busy in BUSY {
        beside(busy, async || {
            let handle = forebear::runtime::Handle::current();
            let outside = thread::spawn(move || {
                let (tell, told) = oneshot::channel();
                let tasks: Vec<_> = (0..100).map(|_| handle.spawn(async {})).collect();
                handle.spawn(async move {
                    for task in tasks {
                        task.await.unwrap();
                    }
                    tell.send(()).unwrap();
                });
                told
            });
            outside.join().unwrap().await.unwrap();
        });
    }
}

#[test]
fn what_was_spawned_before_has_its_turn() {
    for busy in BUSY {
        beside(busy, async || {
            let others: Vec<_> = (0..1000).map(|_| task::spawn(async {})).collect();
            for other in others {
                other.await.unwrap();
            }
        });
    }
}

#[test]
fn timers_fire() {
    for busy in BUSY {
        beside(busy, async || {
            let sleeps: Vec<_> =
                (1..=20).map(|ms| task::spawn(sleep(Duration::from_millis(ms)))).collect();
            for sleep in sleeps {
                sleep.await.unwrap();
            }
        });
    }
}

#[test]
fn sockets_are_served() {
    for busy in BUSY {
        beside(busy, async || {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = task::spawn(async move {
                let (mut peer, _) = listener.accept().await.unwrap();
                for _ in 0..20 {
                    let byte = peer.read_u8().await.unwrap();
                    peer.write_u8(byte).await.unwrap();
                }
            });
            let mut peer = TcpStream::connect(address).await.unwrap();
            for i in 0..20 {
                peer.write_u8(i).await.unwrap();
                assert_eq!(peer.read_u8().await.unwrap(), i);
            }
            server.await.unwrap();
        });
    }
}

/// That everybody has a turn says nothing of when: here that is counted.
#[test]
fn the_turn_comes_after_few_polls_of_others() {
    const POLLS_MAX: u64 = 1000;
    let runtime: Runtime = multi_thread(1);
    check(runtime, async |_| {
        let polls = Arc::new(AtomicU64::new(0));
        let counted = polls.clone();
        let busy = task::spawn(async move {
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                task::yield_now().await;
            }
        });
        // The count is read by tasks of the one worker alone: so it does not grow while a thread that
        // is about to read it is kept from its core.
        let rounds = polls.clone();
        let worst = task::spawn(async move {
            let mut worst = 0;
            for _ in 0..100 {
                let before = rounds.load(Ordering::Relaxed);
                let seen = rounds.clone();
                let after = task::spawn(async move { seen.load(Ordering::Relaxed) });
                worst = worst.max(after.await.unwrap() - before);
            }
            worst
        });
        let worst = worst.await.unwrap();
        assert!(worst <= POLLS_MAX, "{worst} polls of another task came first");
        busy.abort();
        assert!(busy.await.unwrap_err().is_cancelled());
    });
}
