//! Runs a test on each sort of runtime, and checks that nothing is left behind.

use std::future::Future;
use std::panic::Location;
use std::sync::{Arc, Mutex};

use forebear::hooks::{AsyncId, HookHandle, Kind, create_hook, hook};
use forebear::runtime::{Builder, Runtime, UnhandledPanic};
use forebear::testing::{Recorder, assert_quiescent};

/// A runtime of the current-thread flavour, for what depends on the order of things.
pub(crate) fn current_thread() -> Runtime {
    Builder::new_current_thread().unhandled_panic(UnhandledPanic::Ignore).build().unwrap()
}

pub(crate) fn multi_thread(workers: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers).unhandled_panic(UnhandledPanic::Ignore).build().unwrap()
}

/// Runs `test` on every sort of runtime, under a recorder that checks the lives it hears of.
pub(crate) fn on_each<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for runtime in [current_thread(), multi_thread(1), multi_thread(3)] {
        check(runtime, |_| test());
    }
}

/// Runs `test` on a runtime, under a recorder, and checks afterwards that every life is told to
/// its end and the id map is empty.
pub(crate) fn check<F: Future<Output = ()>>(
    runtime: Runtime,
    test: impl FnOnce(HookHandle<Arc<Recorder>>) -> F,
) {
    let id = runtime.id();
    let recorder = Arc::new(Recorder::new());
    let enabled = create_hook(recorder.clone()).runtime(id).enable().unwrap();
    runtime.block_on(test(enabled));
    drop(runtime);
    assert_quiescent(id);
}

/// A hook that notes where things of one kind are made.
pub(crate) struct Places {
    seen: Arc<Mutex<Vec<(AsyncId, &'static Location<'static>)>>>,
    _hook: Box<dyn std::any::Any>,
}

impl Places {
    /// Watches a runtime.
    pub(crate) fn watch(runtime: &Runtime, kind: Kind) -> Places {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let theirs = seen.clone();
        let hook = hook()
            .init(move |resource| {
                theirs.lock().unwrap().push((resource.id(), resource.location()));
            })
            .kinds([kind])
            .runtime(runtime.id())
            .enable()
            .unwrap();
        Places { seen, _hook: Box::new(hook) }
    }

    /// Makes something, and checks that it was made on the line of the call.
    #[track_caller]
    pub(crate) fn check_last_of<T>(&self, what: &str, make: impl FnOnce() -> T) -> T {
        let here = Location::caller();
        let it = make();
        let (_, made) = *self.seen.lock().unwrap().last().expect("something was made");
        assert_eq!((made.file(), made.line()), (here.file(), here.line()), "{what}");
        it
    }
}
