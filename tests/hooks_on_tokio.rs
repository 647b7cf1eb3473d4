//! Checks that instrumented work has the same lives on tokio: hooks stand on no executor of ours.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use forebear_hooks::{
    AsyncId, AsyncResource, Closures, Frame, FrameKey, HookHandle, Inherit, Kind,
    execution_async_id, hook, instrument, instrument_stream, trigger_async_id,
};
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

/// What a hook heard of each resource: a letter per event, then why it ended.
type Lives = Arc<Mutex<BTreeMap<AsyncId, String>>>;

fn watch(kinds: impl IntoIterator<Item = Kind>) -> (HookHandle<Closures>, Lives) {
    let lives = Lives::default();
    let book = |event: &'static str| {
        let lives = lives.clone();
        move |id| lives.lock().unwrap().entry(id).or_default().push_str(event)
    };
    let (init, before, after) = (book("i"), book("b"), book("a"));
    let (resolve, destroy) = (book("r"), lives.clone());
    let hook = hook()
        .kinds(kinds)
        .init(move |r| init(r.id()))
        .before(move |r| before(r.id()))
        .after(move |r| after(r.id()))
        .promise_resolve(move |r, _| resolve(r.id()))
        .destroy(move |r, reason| {
            let mut lives = destroy.lock().unwrap();
            lives.entry(r.id()).or_default().push_str(&format!(" {reason:?}"));
        })
        .enable()
        .unwrap();
    (hook, lives)
}

/// Says which lives there were, each once, and how many of each.
fn count(lives: &Lives) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for life in lives.lock().unwrap().values() {
        *counts.entry(life.clone()).or_default() += 1;
    }
    counts
}

fn of_kind(kind: Kind) -> AsyncResource {
    AsyncResource::builder(kind).name("work").build()
}

#[test]
fn lives_on_two_workers_are_whole_and_ids_are_exact() {
    let kind = Kind::new("ON_TWO_WORKERS");
    let (_hook, lives) = watch([kind]);
    runtime().block_on(async {
        let tasks: Vec<_> = (0..200)
            .map(|_| {
                let it = of_kind(kind);
                let id = it.id();
                tokio::spawn(it.instrument(async move {
                    for _ in 0..3 {
                        assert_eq!(execution_async_id(), Some(id));
                        tokio::task::yield_now().await;
                    }
                    let child = instrument(async { (execution_async_id(), trigger_async_id()) });
                    let child_id = child.id();
                    assert_eq!(child.await, (child_id, Some(id)));
                    assert_eq!(execution_async_id(), Some(id));
                }))
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(execution_async_id(), None);
    });
    assert_eq!(count(&lives), [("ibabababra Completed".to_owned(), 200)].into());
}

#[test]
fn aborted_panicked_and_abandoned_futures_say_how_they_ended() {
    let kind = Kind::new("ENDINGS");
    let (_hook, lives) = watch([kind]);
    let runtime = runtime();
    runtime.block_on(async {
        let (started, mut is_started) = tokio::sync::mpsc::unbounded_channel();
        let aborted = tokio::spawn(of_kind(kind).instrument(async move {
            started.send(()).unwrap();
            std::future::pending::<()>().await;
        }));
        is_started.recv().await.unwrap();
        aborted.abort();
        assert!(aborted.await.unwrap_err().is_cancelled());

        let panicked = tokio::spawn(of_kind(kind).instrument(async {
            std::panic::resume_unwind(Box::new("as planned"));
        }));
        assert!(panicked.await.unwrap_err().is_panic());

        let sleep = tokio::time::sleep(Duration::from_secs(3600));
        let late = of_kind(kind).instrument(sleep);
        assert!(tokio::time::timeout(Duration::from_millis(1), late).await.is_err());

        // The timer of this one must be asked again before it may end.
        let sleep = tokio::time::sleep(Duration::from_millis(5));
        let slept = tokio::time::timeout(Duration::from_secs(60), of_kind(kind).instrument(sleep));
        slept.await.unwrap();
    });
    let (started, is_started) = std::sync::mpsc::channel();
    runtime.spawn(of_kind(kind).instrument(async move {
        started.send(()).unwrap();
        std::future::pending::<()>().await;
    }));
    is_started.recv().unwrap();
    drop(runtime);
    // How often tokio polls is its own business: of the pairs only the last one is compared, in
    // which the result is decided or the future is dropped.
    let mut ends = BTreeMap::new();
    for life in lives.lock().unwrap().values() {
        assert!(life.starts_with("iba"), "{life}");
        *ends.entry(life[1..].trim_start_matches("ba").to_owned()).or_default() += 1;
    }
    let want = [(" Cancelled", 3), (" Panicked", 1), ("bra Completed", 1)];
    assert_eq!(ends, want.map(|(end, count)| (end.to_owned(), count)).into());
}

/// The ticks of a tokio interval, a few of them.
struct Ticks {
    interval: tokio::time::Interval,
    left: u32,
}

impl futures_core::Stream for Ticks {
    type Item = u32;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u32>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        std::task::ready!(self.interval.poll_tick(cx));
        self.left -= 1;
        Poll::Ready(Some(self.left))
    }
}

#[test]
fn a_stream_of_ticks_lives_until_its_end() {
    // The kind of all instrumented streams: nobody else in this binary makes one.
    let (_hook, lives) = watch([Kind::STREAM]);
    let items = runtime().block_on(async {
        let interval = tokio::time::interval(Duration::from_millis(1));
        let mut stream = Box::pin(instrument_stream(Ticks { interval, left: 3 }));
        let mut items = Vec::new();
        while let Some(item) =
            std::future::poll_fn(|cx| futures_core::Stream::poll_next(stream.as_mut(), cx)).await
        {
            items.push(item);
        }
        items
    });
    assert_eq!(items, [2, 1, 0]);
    let lives = lives.lock().unwrap();
    let life = lives.values().next().unwrap();
    assert_eq!(lives.len(), 1);
    // A poll that found no tick is a pair, too, so their number depends on the clock.
    assert!(life.starts_with("ibaba") && life.ends_with("bra Completed"), "{life}");
    assert_eq!(life.replace("ba", ""), "ibra Completed");
}

#[test]
fn context_follows_instrumented_work_from_thread_to_thread() {
    let key = Arc::new(FrameKey::new(Inherit::Always));
    runtime().block_on(async {
        let tasks: Vec<_> = (0..100_u32)
            .map(|number| {
                let frame = Frame::empty().with(&key, Arc::new(number));
                let key = key.clone();
                let seen = move || Frame::with_current(|frame| frame.get(&key).copied());
                let work = async move {
                    for _ in 0..10 {
                        assert_eq!(seen(), Some(number));
                        let entered = Frame::empty().enter();
                        assert_eq!(seen(), None);
                        drop(entered);
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                };
                tokio::spawn(frame.sync_scope(|| instrument(work)))
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(Frame::current().is_empty());
    });
}

#[test]
fn a_scope_runs_as_the_resource_and_leaves_it_alive() {
    let kind = Kind::new("SCOPED_ON_TOKIO");
    let (_hook, lives) = watch([kind]);
    runtime().block_on(async {
        let pool = Arc::new(of_kind(kind));
        let id = pool.id();
        let tasks = [0, 1].map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                pool.scope(async {
                    tokio::task::yield_now().await;
                    assert_eq!(execution_async_id(), Some(id));
                })
                .await;
                assert_eq!(execution_async_id(), None);
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
        Arc::into_inner(pool).unwrap().emit_destroy();
    });
    let lives = count(&lives);
    let (life, _) = lives.first_key_value().unwrap();
    // Two polls of each, in whatever order two workers open and close them.
    assert!(life.starts_with('i') && life.ends_with(" Completed"), "{life}");
    assert_eq!(life.matches('b').count(), 4);
    assert_eq!(life[..9].matches('a').count(), 4);
}
