//! Polls futures by hand, catches what they throw, and records what they tell.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use forebear_context::testing::Recorder;
use forebear_context::tracker;
use forebear_hooks::{AsyncResource, HookHandle, Kind, RuntimeId, create_hook};

pub(crate) fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls until there is an output.
pub(crate) fn finish<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    for _ in 0..1000 {
        if let Poll::Ready(output) = poll(future.as_mut()) {
            return output;
        }
    }
    panic!("pending after a thousand polls");
}

/// Is pending once.
pub(crate) async fn pause() {
    let mut is_paused = false;
    poll_fn(|_| match std::mem::replace(&mut is_paused, true) {
        false => Poll::Pending,
        true => Poll::Ready(()),
    })
    .await;
}

/// Polls each future once per round, until all are done.
pub(crate) fn interleave<F: Future<Output = ()>>(futures: impl IntoIterator<Item = F>) {
    let mut waiting: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    while !waiting.is_empty() {
        waiting.retain_mut(|future| poll(future.as_mut()).is_pending());
    }
}

/// Panics without a word on standard error.
pub(crate) fn panic_quietly(message: &'static str) -> ! {
    resume_unwind(Box::new(message))
}

/// Returns what `f` panicked with, `None` if it did not.
pub(crate) fn panic_of<R>(f: impl FnOnce() -> R) -> Option<String> {
    let payload = catch_unwind(AssertUnwindSafe(f)).err()?;
    Some(text_of(&*payload))
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    match payload.downcast_ref::<&str>() {
        Some(text) => (*text).to_owned(),
        None => payload.downcast_ref::<String>().cloned().unwrap_or_default(),
    }
}

/// Calls something when it is dropped.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A resource that stands for a task: what is made in its scope descends from it.
pub(crate) fn resource(name: &'static str) -> AsyncResource {
    AsyncResource::builder(Kind::OTHER).name(name).build()
}

/// Records what descends from a resource.
pub(crate) fn record_under(root: &AsyncResource) -> HookHandle<Recorder> {
    create_hook(Recorder::new()).under(root.id()).enable().unwrap()
}

/// Names a runtime that no other test uses, and enables the tracker.
pub(crate) fn runtime() -> RuntimeId {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    tracker::ensure_enabled();
    RuntimeId::from_u32(NEXT.fetch_add(1, Ordering::Relaxed)).unwrap()
}
