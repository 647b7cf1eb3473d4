//! Reports the panic of a task that nobody waits for.

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
