//! Carries orders to whoever ships them: through the memory of this process, or through a stream of
//! Redis if `REDIS_URL` says so.
//!
//! What was taken and is not done stays with the queue, and can be reclaimed: after a failure, or
//! after the end of who had taken it.

mod embedded;
mod redis;

use std::fmt;
use std::sync::Arc;

use ::redis::RedisError;
use forebear::time::error::Elapsed;

use crate::config::RedisConfig;
use crate::queue::embedded::Embedded;
use crate::queue::redis::RedisQueue;
use crate::shipping::Parcel;

/// The way from those who place orders to those who ship them.
#[derive(Clone, Debug)]
pub(crate) enum Queue {
    Embedded(Arc<Embedded>),
    Redis(Arc<RedisQueue>),
}

/// A parcel that was taken, and has to be reported done, or put off.
#[derive(Debug)]
#[must_use]
pub(crate) struct Delivery {
    pub(crate) parcel: Parcel,
    /// By which Redis knows it.
    entry: String,
}

impl Queue {
    pub(crate) async fn open(redis: Option<&RedisConfig>) -> Result<Queue, QueueError> {
        Ok(match redis {
            Some(config) => Queue::Redis(Arc::new(RedisQueue::open(config).await?)),
            None => Queue::Embedded(Arc::new(Embedded::new())),
        })
    }

    /// Sends a parcel. Waits if too many are on their way.
    pub(crate) async fn put(&self, parcel: Parcel) -> Result<(), QueueError> {
        match self {
            Queue::Embedded(queue) => queue.put(parcel).await,
            Queue::Redis(queue) => queue.put(parcel).await,
        }
    }

    /// Waits for a parcel. Only one task may wait. If it is dropped, nothing is lost.
    pub(crate) async fn take(&self) -> Result<Delivery, QueueError> {
        match self {
            Queue::Embedded(queue) => queue.take().await,
            Queue::Redis(queue) => queue.take().await,
        }
    }

    /// Says that a parcel has arrived.
    pub(crate) async fn done(&self, delivery: Delivery) -> Result<(), QueueError> {
        match self {
            Queue::Embedded(_) => Ok(()),
            Queue::Redis(queue) => queue.done(&delivery.entry).await,
        }
    }

    /// Says that a parcel has not arrived, and should be tried again later.
    pub(crate) fn put_off(&self, delivery: Delivery) {
        match self {
            Queue::Embedded(queue) => queue.put_off(delivery.parcel),
            // Redis knows that it was not done.
            Queue::Redis(_) => {}
        }
    }

    /// Returns what was taken long ago and not done.
    pub(crate) async fn reclaim(&self) -> Result<Vec<Delivery>, QueueError> {
        match self {
            Queue::Embedded(queue) => Ok(queue.reclaim()),
            Queue::Redis(queue) => queue.reclaim().await,
        }
    }

    /// Takes what is there already, without waiting.
    pub(crate) fn try_take(&self) -> Option<Delivery> {
        match self {
            Queue::Embedded(queue) => queue.try_take(),
            // What is there stays there, for the next run or for another process.
            Queue::Redis(_) => None,
        }
    }

    /// Says how many parcels this process alone knows of, and has put off.
    pub(crate) fn left(&self) -> usize {
        match self {
            Queue::Embedded(queue) => queue.left(),
            Queue::Redis(_) => 0,
        }
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Queue::Embedded(_) => "its memory",
            Queue::Redis(_) => "Redis",
        })
    }
}

/// The queue could not do it.
#[derive(Debug)]
pub(crate) enum QueueError {
    Redis(RedisError),
    /// No connection could be had.
    Connection(std::io::Error),
    /// No answer came in time.
    TooSlow,
    /// What came is no parcel; it was thrown away.
    NoParcel(String),
    /// It has ended.
    Closed,
}

impl From<RedisError> for QueueError {
    fn from(error: RedisError) -> QueueError {
        QueueError::Redis(error)
    }
}

impl From<std::io::Error> for QueueError {
    fn from(error: std::io::Error) -> QueueError {
        QueueError::Connection(error)
    }
}

impl From<Elapsed> for QueueError {
    fn from(_: Elapsed) -> QueueError {
        QueueError::TooSlow
    }
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueueError::Redis(error) => write!(f, "redis: {error}"),
            QueueError::Connection(error) => write!(f, "no connection: {error}"),
            QueueError::TooSlow => f.write_str("redis does not answer in time"),
            QueueError::NoParcel(entry) => write!(f, "entry {entry} of the stream is no parcel"),
            QueueError::Closed => f.write_str("the queue has ended"),
        }
    }
}

impl std::error::Error for QueueError {}
