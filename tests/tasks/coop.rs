//! Tests that tasks which never have to wait take turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use forebear::io::{AsyncReadExt, AsyncWriteExt};
use forebear::net::{TcpListener, TcpStream};
use forebear::task::{self, coop};
use forebear::time::{Duration, Instant, interval_at, sleep_until, timeout};

use crate::support::{check, current_thread, on_each};

/// What one poll may find ready.
const BUDGET_UNITS: u32 = 128;

/// Returns two ends of a connection.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    (near, far)
}

/// Counts how often `step` was ready before another task had its turn.
async fn steps_until_others_run(mut step: impl AsyncFnMut()) -> u32 {
    let others = Arc::new(AtomicBool::new(false));
    let theirs = others.clone();
    // Relaxed: both run on this thread.
    let other = task::spawn(async move { theirs.store(true, Ordering::Relaxed) });
    let mut steps = 0;
    while !others.load(Ordering::Relaxed) {
        step().await;
        steps += 1;
        assert!(steps < 10_000, "the other task never runs");
    }
    other.await.unwrap();
    steps
}

#[test]
fn a_socket_that_always_has_something_to_read_does_not_keep_others_out() {
    check(current_thread(), async |_| {
        let (mut near, mut far) = connection().await;
        near.write_all(&[7; 20_000]).await.unwrap();
        // From then on it is known to be ready.
        assert_eq!(far.read_u8().await.unwrap(), 7);
        let steps =
            steps_until_others_run(async || assert_eq!(far.read_u8().await.unwrap(), 7)).await;
        assert!((2..=BUDGET_UNITS + 1).contains(&steps), "{steps}");
    });
}

#[test]
fn a_socket_that_can_always_be_written_does_not_keep_others_out() {
    check(current_thread(), async |_| {
        let (mut near, far) = connection().await;
        let writes = task::spawn(async move {
            near.write_u8(7).await.unwrap();
            let others = Arc::new(AtomicBool::new(false));
            let theirs = others.clone();
            drop(task::spawn(async move { theirs.store(true, Ordering::Relaxed) }));
            let mut writes = 0;
            while !others.load(Ordering::Relaxed) {
                near.write_u8(7).await.unwrap();
                writes += 1;
            }
            writes
        });
        let writes = writes.await.unwrap();
        assert!((2..=BUDGET_UNITS + 1).contains(&writes), "{writes}");
        drop(far);
    });
}

#[test]
fn timers_that_are_due_do_not_keep_others_out() {
    check(current_thread(), async |_| {
        let start = Instant::now();
        let slept = steps_until_others_run(async || sleep_until(start).await).await;
        assert!((2..=BUDGET_UNITS + 1).contains(&slept), "{slept}");
        let long_ago = start.checked_sub(Duration::from_secs(1)).unwrap();
        let mut ticks = interval_at(long_ago, Duration::from_nanos(1));
        let ticked = steps_until_others_run(async || _ = ticks.tick().await).await;
        assert!((2..=BUDGET_UNITS + 1).contains(&ticked), "{ticked}");
    });
}

#[test]
fn tasks_that_are_complete_do_not_keep_others_out() {
    check(current_thread(), async |_| {
        let mut done: Vec<_> = (0..1000).map(|_| task::spawn(async {})).collect();
        while done.iter().any(|task| !task.is_finished()) {
            task::yield_now().await;
        }
        let joined = steps_until_others_run(async || done.pop().unwrap().await.unwrap()).await;
        assert!((2..=BUDGET_UNITS + 1).contains(&joined), "{joined}");
    });
}

#[test]
fn consume_budget_lets_others_go_first_and_unconstrained_does_not() {
    check(current_thread(), async |_| {
        let consumed = steps_until_others_run(task::consume_budget).await;
        assert!((2..=BUDGET_UNITS + 1).contains(&consumed), "{consumed}");
        let alone = Arc::new(AtomicU32::new(0));
        let mine = alone.clone();
        let other = task::spawn(async move { mine.load(Ordering::Relaxed) });
        task::unconstrained(async {
            for _ in 0..1000 {
                task::consume_budget().await;
                assert!(coop::has_budget_remaining());
                alone.fetch_add(1, Ordering::Relaxed);
            }
        })
        .await;
        assert_eq!(other.await.unwrap(), 1000);
    });
}

#[test]
fn a_timeout_is_seen_behind_a_future_that_uses_up_every_budget() {
    on_each(async || {
        let greedy = async {
            loop {
                task::consume_budget().await;
            }
        };
        let limited = task::spawn(timeout(Duration::from_millis(5), greedy));
        assert!(limited.await.unwrap().is_err());
    });
}

#[test]
fn a_task_knows_its_id_also_inside_what_lives_in_it() {
    on_each(async || {
        assert_eq!(task::try_id(), None, "block_on is no task");
        let task = task::spawn(async {
            let inside = forebear::flow("a flow", async { task::id() }).await;
            let innermost =
                forebear::flow("another", async { forebear::hooks::execution_async_id().unwrap() });
            (task::id(), inside, innermost.await)
        });
        let id = task.id();
        let (own, inside, innermost) = task.await.unwrap();
        assert_eq!((own, inside), (id, id));
        assert_ne!(innermost, id);
        let job = task::spawn_blocking(task::id);
        let id = job.id();
        assert_eq!(job.await.unwrap(), id);
    });
}

#[test]
fn the_destructor_of_a_cancelled_task_knows_its_id() {
    struct Tells(Arc<AtomicU32>);

    impl Drop for Tells {
        fn drop(&mut self) {
            let is_known = task::try_id().is_some();
            self.0.store(1 + u32::from(is_known), Ordering::Relaxed);
        }
    }

    on_each(async || {
        let told = Arc::new(AtomicU32::new(0));
        let tells = Tells(told.clone());
        let task = task::spawn(async move {
            let _tells = tells;
            std::future::pending::<()>().await;
        });
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(told.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn outside_a_task_the_panic_says_what_to_do() {
    let told = std::panic::catch_unwind(task::id).unwrap_err();
    let told = told.downcast_ref::<&str>().unwrap();
    assert!(told.contains("spawn") && told.contains("try_id"), "{told}");
}
