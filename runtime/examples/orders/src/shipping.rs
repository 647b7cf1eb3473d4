//! Lets orders wait for some time after they were placed, and then sends them to be shipped.
//!
//! Each order that waits is a task named `ship`, a child of the request that placed it: what it logs
//! carries the fields of that request, long after it was answered.

use std::sync::Arc;

use forebear::fields;
use forebear::hooks::{AsyncId, execution_async_id};
use forebear::task;
use forebear::time::{Duration, Instant, sleep, timeout_at};
use tokio::select;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::log;
use crate::order::Order;
use crate::queue::Queue;

/// How many orders may wait to be shipped. Beyond that, clients are asked to come back later.
const WAITING_MAX: u32 = 100_000;

/// An order on its way, with what the log and the tree should know of where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parcel {
    pub(crate) order: i64,
    pub(crate) account_id: String,
    /// Empty if it is not known any more.
    pub(crate) request_id: String,
    /// The task that has sent it, if that was in this process.
    pub(crate) origin: Option<AsyncId>,
}

impl Parcel {
    /// Makes one of an order that the flow which is running has placed.
    pub(crate) fn of(order: &Order) -> Parcel {
        let request_id = fields::get("requestId").map(|id| id.to_string());
        Parcel {
            order: order.id,
            account_id: order.account_id.clone(),
            request_id: request_id.unwrap_or_default(),
            origin: None,
        }
    }
}

/// All orders that wait to be shipped.
#[derive(Debug)]
pub(crate) struct Shipping {
    queue: Queue,
    after: Duration,
    /// One permit for each order that may wait: its task holds it.
    room: Arc<Semaphore>,
    /// Says that waiting is over.
    hurry: watch::Sender<bool>,
}

impl Shipping {
    pub(crate) fn new(queue: Queue, after: Duration) -> Shipping {
        let room = Arc::new(Semaphore::new(WAITING_MAX as usize));
        Shipping { queue, after, room, hurry: watch::Sender::new(false) }
    }

    /// Keeps room for one order, to be asked for before the order is stored.
    pub(crate) fn reserve(&self) -> Option<Reserved> {
        self.room.clone().try_acquire_owned().ok().map(Reserved)
    }

    /// Lets an order wait, and sends it.
    pub(crate) fn begin(&self, parcel: Parcel, reserved: Reserved) {
        let (queue, after) = (self.queue.clone(), self.after);
        let mut hurry = self.hurry.subscribe();
        let ship = async move {
            let _reserved = reserved;
            select! {
                () = sleep(after) => {}
                _ = hurry.wait_for(|hurry| *hurry) => {}
            }
            send(&queue, parcel).await;
        };
        // Nobody waits for it: it ends by itself, or is hurried on by `flush`.
        drop(task::Builder::new().name("ship").spawn(ship));
    }

    /// Sends at once what an earlier run has left.
    pub(crate) fn take_over(&self, parcels: Vec<Parcel>) {
        let (queue, room) = (self.queue.clone(), self.room.clone());
        let ship = async move {
            for parcel in parcels {
                // The semaphore is never closed.
                let Ok(_reserved) = room.acquire().await else { return };
                send(&queue, parcel).await;
            }
        };
        drop(task::Builder::new().name("ship").spawn(ship));
    }

    /// Sends at once what still waits, and returns how many orders were left at the deadline.
    pub(crate) async fn flush(&self, deadline: Instant) -> usize {
        self.hurry.send_replace(true);
        let all_sent = timeout_at(deadline, self.room.acquire_many(WAITING_MAX));
        match all_sent.await {
            Ok(_) => 0,
            Err(_elapsed) => WAITING_MAX as usize - self.room.available_permits(),
        }
    }
}

/// What cannot be sent stays in the store, and is found there by the next run.
async fn send(queue: &Queue, mut parcel: Parcel) {
    let order = parcel.order;
    parcel.origin = execution_async_id();
    if let Err(error) = queue.put(parcel).await {
        log::error("not sent to be shipped", &[("order", &order), ("error", &error)]);
    }
}

/// Room for one order.
#[derive(Debug)]
#[must_use]
pub(crate) struct Reserved(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);
