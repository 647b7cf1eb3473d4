//! Reports the panic of a task that nobody waits for.

use std::any::Any;
use std::io::Write;

use crate::enter;
use crate::hooks::Resource;

/// What happens when a task panics and its `JoinHandle` is gone. The process's panic hook has
/// said already what the panic was; it cannot say whose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnhandledPanic {
    /// A line on standard error names the task.
    #[default]
    Report,
    /// Nothing.
    Ignore,
    /// A line on standard error names the task, and the runtime ends: all its tasks are cancelled.
    ShutdownRuntime,
}

/// How tokio begins to say that its runtime is not there.
const TOKIO_MISSING: &str = "there is no reactor running";

/// Says who asked for tokio's own runtime, if that is what a panic is about: the panic hook has said
/// neither who it was nor what can be done.
#[cold]
pub(crate) fn hint(task: &Resource<'_>, payload: &(dyn Any + Send)) {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    if !text.is_some_and(|text| text.starts_with(TOKIO_MISSING)) {
        return;
    }
    let (id, label, location) = (task.id(), task.label(), task.location());
    // Standard error may be closed, which is no reason to fail.
    let _ = writeln!(
        std::io::stderr(),
        "{label} ({id}, made at {location}) uses a library that needs tokio's own runtime; forebear's \
         feature `tokio-bridge` puts one beside it"
    );
}

/// Does what the runtime's policy says.
pub(crate) fn handle(task: &Resource<'_>) {
    let mut policy = UnhandledPanic::default();
    if let Some(handle) = enter::current() {
        policy = handle.shared().config.unhandled_panic;
        if policy == UnhandledPanic::ShutdownRuntime {
            handle.shared().begin_ending();
        }
    }
    if policy != UnhandledPanic::Ignore {
        let (id, label, location) = (task.id(), task.label(), task.location());
        // Standard error may be closed, which is no reason to fail.
        let _ = writeln!(
            std::io::stderr(),
            "task {id} {label} (spawned at {location}) panicked, and nobody waits for it"
        );
    }
}
