//! Is the queue in the memory of this process. What it loses with the process is found in the store.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{Mutex as TaskMutex, mpsc};

use crate::queue::{Delivery, QueueError};
use crate::shipping::Parcel;

/// So many parcels may be on their way; who sends more waits.
const CAPACITY: usize = 1024;

/// The queue.
#[derive(Debug)]
pub(crate) struct Embedded {
    sending: mpsc::Sender<Parcel>,
    /// Used by one task at a time, so nobody waits for it.
    taking: TaskMutex<mpsc::Receiver<Parcel>>,
    put_off: Mutex<Vec<Parcel>>,
}

impl Embedded {
    pub(super) fn new() -> Embedded {
        let (sending, taking) = mpsc::channel(CAPACITY);
        Embedded { sending, taking: TaskMutex::new(taking), put_off: Mutex::default() }
    }

    pub(super) async fn put(&self, parcel: Parcel) -> Result<(), QueueError> {
        self.sending.send(parcel).await.map_err(|_| QueueError::Closed)
    }

    pub(super) async fn take(&self) -> Result<Delivery, QueueError> {
        let parcel = self.taking.lock().await.recv().await;
        parcel.map(delivery).ok_or(QueueError::Closed)
    }

    pub(super) fn try_take(&self) -> Option<Delivery> {
        self.taking.try_lock().ok()?.try_recv().ok().map(delivery)
    }

    pub(super) fn put_off(&self, parcel: Parcel) {
        self.put_off.lock().unwrap_or_else(PoisonError::into_inner).push(parcel);
    }

    pub(super) fn reclaim(&self) -> Vec<Delivery> {
        let mut put_off = self.put_off.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *put_off).into_iter().map(delivery).collect()
    }

    pub(super) fn left(&self) -> usize {
        self.put_off.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

fn delivery(parcel: Parcel) -> Delivery {
    Delivery { parcel, entry: String::new() }
}
