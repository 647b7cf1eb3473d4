//! Asks for jobs that stand in for calls which block: what they are called, and who wanted them.

use std::panic::Location;
use std::sync::Arc;

use crate::enter;
use crate::hooks::Kind;
use crate::hooks::life::Birth;
use crate::scheduler::Shared;
use crate::spawn::{spawn_blocking_on, spawn_promised_on};
use crate::task::JoinHandle;

/// Where, and by which name, something was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) label: fn() -> &'static str,
    pub(crate) location: &'static Location<'static>,
}

/// Makes a [`Request`] of this name by the caller of the function that it stands in.
#[cfg(feature = "fs")]
macro_rules! request {
    ($label:literal) => {
        crate::io::request::Request { label: || $label, location: std::panic::Location::caller() }
    };
}

#[cfg(feature = "fs")]
pub(crate) use request;

impl Request {
    /// Begins a job.
    pub(crate) fn begin<R: Send + 'static>(
        self,
        job: impl FnOnce() -> R + Send + 'static,
    ) -> JoinHandle<R> {
        self.with_runtime(|shared| spawn_blocking_on(shared, self.birth(), job))
    }

    /// Begins a job that will be done, even if the runtime ends first. `None` if it is ending.
    pub(crate) fn promise<R: Send + 'static>(
        self,
        job: impl FnOnce() -> R + Send + 'static,
    ) -> Option<JoinHandle<R>> {
        self.with_runtime(|shared| spawn_promised_on(shared, self.birth(), job))
    }

    fn birth(self) -> Birth {
        Birth::new(Kind::BLOCKING, self.label).location(self.location)
    }

    fn with_runtime<R>(self, f: impl FnOnce(&Arc<Shared>) -> R) -> R {
        match enter::try_with_current(f) {
            Ok(result) => result,
            Err(error) => {
                panic!("{error} ({} was asked for at {})", (self.label)(), self.location)
            }
        }
    }
}
