//! Checks what a snapshot knows of tasks, timers and sockets that were there before anybody looked.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::{pending, poll_fn};
use std::io;
use std::task::Poll;
use std::time::Duration;

use forebear::hooks::waits::Until;
use forebear::hooks::{AsyncId, Kind, LiveState};
use forebear::inspect::{self, Edge, Leaks, ResourceInfo, Snapshot};
use forebear::net::{TcpListener, TcpStream};
use forebear::runtime::{Builder, Handle};
use forebear::task::{Builder as Task, JoinHandle};
use forebear::time::sleep;

fn run<T>(test: impl Future<Output = T>) -> T {
    Builder::new_multi_thread().worker_threads(2).build().unwrap().block_on(test)
}

fn spawn<T: Send + 'static>(
    name: &'static str,
    future: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    Task::new().name(name).spawn(future)
}

/// Looks until it is as it should be: a task may still be on its way.
async fn look_until(is_it: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let began = std::time::Instant::now();
    loop {
        let snapshot = inspect::snapshot_of(Handle::current().id());
        if is_it(&snapshot) {
            return snapshot;
        }
        let late = began.elapsed() > Duration::from_secs(20);
        assert!(!late, "{}", inspect::Tree::new(snapshot));
        sleep(Duration::from_millis(1)).await;
    }
}

async fn look_until_idle(task: AsyncId) -> ResourceInfo {
    let is_idle = |r: &ResourceInfo| r.state == Some(LiveState::Idle);
    let snapshot = look_until(|snapshot| snapshot.get(task).is_some_and(is_idle)).await;
    snapshot.get(task).unwrap().clone()
}

#[test]
fn what_a_task_waits_for_is_known_by_its_wakers() {
    run(async {
        let timed = spawn("timed", async { sleep(Duration::from_secs(100)).await });
        let timed_id = timed.id();
        let joins = spawn("joins", timed);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepts = spawn("accepts", async move { listener.accept().await });
        let found = look_until_idle(accepts.id()).await;
        let accepting = &found.waits[0];
        assert_eq!((found.waits.len(), accepting.until), (1, Until::Readable));
        let listener = inspect::snapshot().get(accepting.on).unwrap().clone();
        assert_eq!(listener.kind, Kind::TCP_LISTENER);

        let client = TcpStream::connect(address).await.unwrap();
        let (server, _) = accepts.await.unwrap().unwrap();
        let reads = spawn("reads", async move {
            client.readable().await?;
            io::Result::Ok(client)
        });
        assert_eq!(look_until_idle(reads.id()).await.waits[0].until, Until::Readable);

        let found = look_until_idle(timed_id).await;
        let Until::Due(left) = found.waits[0].until else { panic!("{found:?}") };
        assert!(left > Duration::from_secs(50) && left <= Duration::from_secs(100), "{left:?}");
        let timer = inspect::snapshot().get(found.waits[0].on).unwrap().clone();
        assert_eq!((timer.kind, timer.creator), (Kind::TIMER, Some(timed_id)));
        assert!(timer.due.is_some());

        let found = look_until_idle(joins.id()).await;
        assert_eq!((found.waits[0].on, found.waits[0].until), (timed_id, Until::Ended));
        let tree = inspect::tree().edge(Edge::WaitingOn).to_string();
        let below = tree.lines().skip_while(|line| !line.contains("task joins")).nth(1).unwrap();
        assert!(below.contains("task timed"), "{tree}");
        drop(server);
        joins.abort();
        reads.abort();
    });
}

#[test]
fn a_task_never_wakes_if_and_only_if_nobody_has_its_waker() {
    run(async {
        let (sender, receiver) = forebear::sync::oneshot::channel::<()>();
        // One that is woken by another, one by a timer, one by a task that it joins.
        let by_channel = spawn("by channel", receiver);
        let by_timer = spawn("by timer", sleep(Duration::from_secs(100)));
        let by_timer_id = by_timer.id();
        let by_join = spawn("by join", by_timer);
        for id in [by_channel.id(), by_timer_id, by_join.id()] {
            let found = look_until_idle(id).await;
            assert!(!found.never_wakes(), "{found:?}");
            assert_eq!(found.wakers, Some(1), "{found:?}");
        }
        // Nobody has the waker of these: not even if it was cloned and dropped inside.
        let never = spawn("never", pending::<()>());
        let cloned = spawn("cloned", async {
            poll_fn(|cx| {
                drop(vec![cx.waker().clone(); 20]);
                Poll::<()>::Pending
            })
            .await;
        });
        for id in [never.id(), cloned.id()] {
            let found = look_until_idle(id).await;
            assert!(found.never_wakes(), "{found:?}");
        }
        let leaks = Leaks::of(inspect::snapshot_of(Handle::current().id()));
        let mut ids: Vec<AsyncId> = leaks.all().iter().flat_map(|leak| leak.ids.clone()).collect();
        ids.sort_unstable();
        assert_eq!(ids, [never.id(), cloned.id()], "{leaks}");
        drop(sender);
        let _ = by_channel.await.unwrap();
        [never.abort_handle(), cloned.abort_handle(), by_join.abort_handle()]
            .iter()
            .for_each(forebear::task::AbortHandle::abort);
    });
}

#[test]
fn polls_and_times_are_counted_from_when_somebody_wants_them() {
    run(async {
        let (sender, mut receiver) = forebear::sync::mpsc::channel::<()>(1);
        let counted = spawn("counted", async move {
            while receiver.recv().await.is_some() {
                let until = std::time::Instant::now() + Duration::from_millis(2);
                while std::time::Instant::now() < until {
                    std::hint::spin_loop();
                }
            }
        });
        let before = look_until_idle(counted.id()).await;
        assert_eq!(before.counts, None);
        let counting = inspect::count().unwrap();
        let me = forebear::hooks::execution_async_id();
        for _ in 0..10 {
            sender.send(()).await.unwrap();
            look_until_idle(counted.id()).await;
        }
        let found = look_until_idle(counted.id()).await;
        let counts = found.counts.unwrap();
        assert!(counts.polls >= 10 && counts.wakes >= 10, "{counts:?}");
        assert!(counts.busy >= Duration::from_millis(20), "{counts:?}");
        assert!(counts.longest_poll >= Duration::from_millis(2), "{counts:?}");
        assert_eq!(counts.woken_by, me, "{counts:?}");
        drop(counting);
        assert_eq!(look_until_idle(counted.id()).await.counts, None);
        drop(sender);
        counted.await.unwrap();
    });
}

#[test]
fn a_task_that_wakes_itself_is_found_out() {
    run(async {
        let counting = inspect::count().unwrap();
        let restless = spawn("restless", async {
            let mut left = 100;
            poll_fn(|cx| {
                left -= 1;
                cx.waker().wake_by_ref();
                if left == 0 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            pending::<()>().await;
        });
        let found = look_until_idle(restless.id()).await;
        assert_eq!(found.counts.unwrap().self_wakes, 100);
        restless.abort();
        drop(counting);
    });
}
