//! Says why a task has no output.

use std::any::Any;
use std::fmt;

use crate::hooks::AsyncId;
use crate::primitive::Mutex;

/// A task ended without an output: it panicked, or it was cancelled.
pub struct JoinError {
    id: AsyncId,
    cause: Cause,
}

enum Cause {
    Cancelled,
    /// In a lock only because a payload may be `!Sync`.
    Panicked(Mutex<Box<dyn Any + Send>>),
}

impl JoinError {
    pub(crate) fn cancelled(id: AsyncId) -> JoinError {
        JoinError { id, cause: Cause::Cancelled }
    }

    pub(crate) fn panicked(id: AsyncId, payload: Box<dyn Any + Send>) -> JoinError {
        JoinError { id, cause: Cause::Panicked(Mutex::new(payload)) }
    }

    /// Returns which task it was.
    #[must_use]
    pub fn id(&self) -> AsyncId {
        self.id
    }

    /// Says whether the task was aborted, or ended with its runtime.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.cause, Cause::Cancelled)
    }

    /// Says whether the task panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        !self.is_cancelled()
    }

    /// Returns what the task panicked with.
    ///
    /// # Panics
    /// If it did not panic: see [`try_into_panic`](JoinError::try_into_panic).
    #[must_use]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(error) => panic!("`into_panic` of an error that is no panic: {error}"),
        }
    }

    /// Returns what the task panicked with.
    ///
    /// # Errors
    /// Returns the error itself if the task was cancelled.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, JoinError> {
        match self.cause {
            Cause::Panicked(payload) => {
                let mut payload = payload.lock();
                Ok(std::mem::replace(&mut *payload, Box::new(())))
            }
            Cause::Cancelled => Err(self),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let JoinError { id, cause } = self;
        let Cause::Panicked(payload) = cause else {
            return write!(f, "task {id} was cancelled");
        };
        match message(&**payload.lock()) {
            Some(message) => write!(f, "task {id} panicked: {message}"),
            None => write!(f, "task {id} panicked"),
        }
    }
}

/// Returns what a panic said, if it was a text.
fn message(payload: &(dyn Any + Send)) -> Option<&str> {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for JoinError {}

impl From<JoinError> for std::io::Error {
    fn from(error: JoinError) -> std::io::Error {
        std::io::Error::other(error)
    }
}
