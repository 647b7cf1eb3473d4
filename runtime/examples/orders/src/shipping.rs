//! Ships orders some time after they were placed.
//!
//! Each order that waits is a task named `ship`, a child of the request that placed it: its log lines
//! carry the fields of that request, long after it was answered.

use std::sync::Arc;

use forebear::task;
use forebear::time::{Duration, Instant, sleep, timeout_at};
use tokio::select;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::log;
use crate::store::Store;

/// How many orders may wait to be shipped. Beyond that, clients are asked to come back later.
const WAITING_MAX: u32 = 100_000;

/// All orders that wait to be shipped.
#[derive(Debug)]
pub(crate) struct Shipping {
    store: Store,
    after: Duration,
    /// One permit for each order that may wait: its task holds it.
    room: Arc<Semaphore>,
    /// Says that waiting is over.
    hurry: watch::Sender<bool>,
}

impl Shipping {
    pub(crate) fn new(store: Store, after: Duration) -> Shipping {
        let room = Arc::new(Semaphore::new(WAITING_MAX as usize));
        Shipping { store, after, room, hurry: watch::Sender::new(false) }
    }

    /// Keeps room for one order, to be asked for before the order is stored.
    pub(crate) fn reserve(&self) -> Option<Reserved> {
        self.room.clone().try_acquire_owned().ok().map(Reserved)
    }

    /// Lets an order wait, and ships it.
    pub(crate) fn begin(&self, order: i64, reserved: Reserved) {
        let (store, after) = (self.store.clone(), self.after);
        let mut hurry = self.hurry.subscribe();
        let ship = async move {
            let _reserved = reserved;
            select! {
                () = sleep(after) => {}
                _ = hurry.wait_for(|hurry| *hurry) => {}
            }
            match store.ship(order).await {
                Ok(()) => log::info("order shipped", &[("order", &order)]),
                Err(error) => log::error("not shipped", &[("order", &order), ("error", &error)]),
            }
        };
        // Nobody waits for it: it ends by itself, or is hurried on by `flush`.
        drop(task::Builder::new().name("ship").spawn(ship));
    }

    /// Ships at once what still waits, and returns how many orders were left at the deadline.
    pub(crate) async fn flush(&self, deadline: Instant) -> usize {
        self.hurry.send_replace(true);
        let all_shipped = timeout_at(deadline, self.room.acquire_many(WAITING_MAX));
        match all_shipped.await {
            Ok(_) => 0,
            Err(_elapsed) => WAITING_MAX as usize - self.room.available_permits(),
        }
    }
}

/// Room for one order.
#[derive(Debug)]
#[must_use]
pub(crate) struct Reserved(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);
