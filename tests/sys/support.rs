//! Runs a test on each flavour of the runtime, and checks that nothing is left of what it made.

use std::env;
use std::fs;
use std::future::Future;
use std::ops::Deref;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use forebear::hooks::{
    AsyncHook, AsyncId, Events, HookHandle, Outcome, Reason, Resource, create_hook,
};
use forebear::runtime::{Builder, Runtime};
use forebear::testing::{Recorder, assert_quiescent};
use forebear::time::{Duration, timeout};

/// A test that takes longer has come to a stand.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A runtime of each flavour.
pub(crate) fn builders() -> [Builder; 2] {
    let mut two_workers = Builder::new_multi_thread();
    two_workers.worker_threads(2);
    [Builder::new_current_thread(), two_workers]
}

/// Runs a test on one thread and on two workers. Everything it made must be gone when it and its
/// runtime have ended, and must have been told as the laws say.
#[track_caller]
pub(crate) fn on_each<F: Future>(test: impl Fn(Heard) -> F) {
    for mut builder in builders() {
        let runtime = builder.build().unwrap();
        let id = runtime.id();
        let heard = Heard::of(&runtime);
        let future = test(heard.clone());
        let done = runtime.block_on(async { timeout(PATIENCE, future).await });
        assert!(done.is_ok(), "it hangs: {}", heard.transcript());
        drop(runtime);
        heard.assert_ended();
        assert_quiescent(id);
    }
}

/// What was told of the runtime of a test.
#[derive(Clone)]
pub(crate) struct Heard(Arc<HookHandle<Arc<Listener>>>);

#[derive(Default)]
pub(crate) struct Listener {
    recorder: Recorder,
    births: Mutex<Vec<Birth>>,
}

/// What a recorder does not keep of an `init`.
#[derive(Clone, Copy)]
struct Birth {
    id: AsyncId,
    location: &'static Location<'static>,
    trigger: Option<AsyncId>,
}

impl Heard {
    pub(crate) fn of(runtime: &Runtime) -> Heard {
        let listener = create_hook(Arc::new(Listener::default()));
        Heard(Arc::new(listener.runtime(runtime.id()).enable().unwrap()))
    }

    /// Returns the ids and lives of what has this label.
    pub(crate) fn lives(&self, label: &str) -> Vec<(AsyncId, String)> {
        let ids = self.ids_labelled(label).into_iter();
        ids.map(|id| (id, self.sequence(id))).collect()
    }

    /// Returns where a resource was made.
    pub(crate) fn location(&self, id: AsyncId) -> &'static Location<'static> {
        self.birth(id).location
    }

    /// Returns what caused a resource.
    pub(crate) fn trigger(&self, id: AsyncId) -> Option<AsyncId> {
        self.birth(id).trigger
    }

    fn birth(&self, id: AsyncId) -> Birth {
        let births = self.0.births.lock().unwrap();
        *births.iter().find(|birth| birth.id == id).unwrap()
    }
}

impl Deref for Heard {
    type Target = Recorder;

    fn deref(&self) -> &Recorder {
        &self.0.recorder
    }
}

impl AsyncHook for Listener {
    fn events(&self) -> Events {
        self.recorder.events()
    }

    fn init(&self, resource: &Resource<'_>) {
        let (id, trigger) = (resource.id(), resource.trigger_id());
        let birth = Birth { id, location: resource.location(), trigger };
        self.births.lock().unwrap().push(birth);
        self.recorder.init(resource);
    }

    fn before(&self, resource: &Resource<'_>) {
        self.recorder.before(resource);
    }

    fn after(&self, resource: &Resource<'_>) {
        self.recorder.after(resource);
    }

    fn promise_resolve(&self, resource: &Resource<'_>, outcome: Outcome) {
        self.recorder.promise_resolve(resource, outcome);
    }

    fn destroy(&self, resource: &Resource<'_>, reason: Reason) {
        self.recorder.destroy(resource, reason);
    }
}

/// A folder that goes with the value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Folder {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Relaxed: all that counts is that no number comes twice.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("forebear-sys-{}-{number}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}
