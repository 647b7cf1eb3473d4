//! Holds tasks that are ready: a queue per worker, and one for everybody else.

pub(crate) mod inject; // what comes from outside the workers
mod slot; // what a worker runs next
pub(crate) mod local; // what a worker queues for itself
