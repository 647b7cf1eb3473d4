//! Writes down what hooks hear, as one line of text that a test can compare.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use forebear_hooks::{AsyncResource, Closures, HookBuilder, Kind, hook};

/// Lets one test of this process run at a time. One that failed lets the next one go on.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lines in the order in which they were written, whoever wrote them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn new() -> Log {
        Log::default()
    }

    pub(crate) fn write(&self, line: impl Display) {
        self.lines().push(line.to_string());
    }

    /// Takes what was written since the last time.
    pub(crate) fn take(&self) -> String {
        std::mem::take(&mut *self.lines()).join(", ")
    }

    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A hook that writes all it hears: `x.before a` if its name is `x` and the resource's is `a`.
    pub(crate) fn hook(&self, name: &'static str) -> HookBuilder<Closures> {
        let logs = || self.clone();
        let (init, before, after) = (logs(), logs(), logs());
        let (promise_resolve, destroy) = (logs(), logs());
        hook()
            .init(move |r| {
                let event = if r.is_replayed() { "replay" } else { "init" };
                init.write(format_args!("{name}.{event} {}", r.label()));
            })
            .before(move |r| before.write(format_args!("{name}.before {}", r.label())))
            .after(move |r| after.write(format_args!("{name}.after {}", r.label())))
            .promise_resolve(move |r, outcome| {
                promise_resolve.write(format_args!("{name}.resolve {} {outcome:?}", r.label()));
            })
            .destroy(move |r, reason| {
                destroy.write(format_args!("{name}.destroy {} {reason:?}", r.label()));
            })
    }
}

pub(crate) fn resource(name: &'static str) -> AsyncResource {
    AsyncResource::builder(Kind::OTHER).name(name).build()
}

pub(crate) fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Panics without a line on standard error.
pub(crate) fn panic_quietly(message: &'static str) -> ! {
    resume_unwind(Box::new(message))
}

/// Runs `f` to its panic and says what that carried.
pub(crate) fn panic_of(f: impl FnOnce()) -> Option<&'static str> {
    catch_unwind(AssertUnwindSafe(f)).err().and_then(|carried| carried.downcast_ref().copied())
}

/// Writes a line when it is dropped.
#[derive(Debug)]
pub(crate) struct Drops(pub(crate) Log, pub(crate) &'static str);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.write(format_args!("drop {}", self.1));
    }
}
