//! Takes parcels from the queue and ships them, a few at a time. Each is a flow, with the fields of the
//! request that placed the order and a link to who has sent it.

use std::fmt;
use std::sync::Arc;

use forebear::FlowBuilder;
use forebear::task::{self, JoinHandle};
use forebear::time::{Duration, Instant, sleep, timeout_at};
use tokio::select;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::carrier::{Carrier, CarrierError};
use crate::log;
use crate::queue::{Delivery, Queue};
use crate::shipping::Parcel;
use crate::store::{Counts, Store, StoreError};

/// How many parcels are shipped at once.
const HANDS: u32 = 16;

/// How long to wait when the queue gives nothing.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);

/// How long the end may take at least: enough to see that there is nothing to do.
const MOMENT: Duration = Duration::from_millis(500);

/// Who ships.
pub(crate) struct Consumer {
    taking: JoinHandle<()>,
    worker: Arc<Worker>,
    hands: Arc<Semaphore>,
    ending: watch::Sender<bool>,
}

impl Consumer {
    /// Begins to take parcels.
    pub(crate) fn start(queue: Queue, store: Store, carrier: Option<Carrier>) -> Consumer {
        let worker = Arc::new(Worker { queue, store, carrier });
        let hands = Arc::new(Semaphore::new(HANDS as usize));
        let ending = watch::Sender::new(false);
        let taking = take_all(worker.clone(), hands.clone(), ending.subscribe());
        let taking = task::Builder::new().name("consume").spawn(taking);
        Consumer { taking, worker, hands, ending }
    }

    pub(crate) fn worker(&self) -> Arc<Worker> {
        self.worker.clone()
    }

    /// Takes no more from outside, ships what is here already, and returns how many parcels were left
    /// at the deadline.
    pub(crate) async fn end(mut self, deadline: Instant) -> usize {
        self.ending.send_replace(true);
        let all_done = async {
            // It ends when it has seen the end, or has panicked, which was reported.
            let _ = (&mut self.taking).await;
            self.hands.acquire_many(HANDS).await.is_ok()
        };
        let deadline = deadline.max(Instant::now() + MOMENT);
        let busy = match timeout_at(deadline, all_done).await {
            Ok(_) => 0,
            Err(_elapsed) => HANDS as usize - self.hands.available_permits(),
        };
        busy + self.worker.queue.left()
    }
}

async fn take_all(worker: Arc<Worker>, hands: Arc<Semaphore>, mut ending: watch::Receiver<bool>) {
    // The semaphore is never closed.
    while let Ok(hand) = hands.clone().acquire_owned().await {
        let taken = select! {
            biased;
            _ = ending.wait_for(|ending| *ending) => None,
            taken = worker.queue.take() => Some(taken),
        };
        match taken {
            Some(Ok(delivery)) => worker.clone().begin(delivery, hand),
            Some(Err(error)) => {
                log::warn("the queue gives nothing", &[("error", &error)]);
                select! {
                    () = sleep(PAUSE_AFTER_ERROR) => {}
                    _ = ending.wait_for(|ending| *ending) => {}
                }
            }
            None => match worker.queue.try_take() {
                Some(delivery) => worker.clone().begin(delivery, hand),
                None => return,
            },
        }
    }
}

/// What shipping needs.
#[derive(Debug)]
pub(crate) struct Worker {
    queue: Queue,
    store: Store,
    carrier: Option<Carrier>,
}

impl Worker {
    fn begin(self: Arc<Self>, delivery: Delivery, hand: OwnedSemaphorePermit) {
        let deliver = async move {
            self.deliver(delivery).await;
            drop(hand);
        };
        // Nobody waits for it: `end` waits for its hand.
        drop(task::Builder::new().name("deliver").spawn(deliver));
    }

    /// Ships a parcel. What fails is put off.
    pub(crate) async fn deliver(&self, delivery: Delivery) {
        let Parcel { request_id, account_id, origin, .. } = &delivery.parcel;
        let mut flow = FlowBuilder::new("ship order").field("accountId", account_id.clone());
        if !request_id.is_empty() {
            flow = flow.field("requestId", request_id.clone());
        }
        if let Some(origin) = origin {
            flow = flow.link(*origin);
        }
        flow.run(self.deliver_in_flow(delivery)).await;
    }

    async fn deliver_in_flow(&self, delivery: Delivery) {
        let order = delivery.parcel.order;
        match self.ship(&delivery.parcel).await {
            Ok(()) => {
                log::info("order shipped", &[("order", &order)]);
                if let Err(error) = self.queue.done(delivery).await {
                    // It comes again, and is found to be shipped.
                    log::warn("not reported done", &[("order", &order), ("error", &error)]);
                }
            }
            Err(error) => {
                log::error("not shipped", &[("order", &order), ("error", &error)]);
                self.queue.put_off(delivery);
            }
        }
    }

    async fn ship(&self, parcel: &Parcel) -> Result<(), ShipError> {
        if self.store.is_shipped(parcel.order).await? {
            return Ok(());
        }
        if let Some(carrier) = &self.carrier {
            carrier.announce(parcel).await?;
        }
        Ok(self.store.ship(parcel.order).await?)
    }

    /// Ships again what was put off, and returns how much that was.
    pub(crate) async fn ship_put_off(&self) -> usize {
        let deliveries = match self.queue.reclaim().await {
            Ok(deliveries) => deliveries,
            Err(error) => {
                log::warn("nothing can be reclaimed", &[("error", &error)]);
                return 0;
            }
        };
        let count = deliveries.len();
        for delivery in deliveries {
            self.deliver(delivery).await;
        }
        count
    }

    pub(crate) async fn count(&self) -> Result<Counts, StoreError> {
        self.store.count().await
    }
}

/// A parcel could not be shipped.
#[derive(Debug)]
enum ShipError {
    Store(StoreError),
    Carrier(CarrierError),
}

impl From<StoreError> for ShipError {
    fn from(error: StoreError) -> ShipError {
        ShipError::Store(error)
    }
}

impl From<CarrierError> for ShipError {
    fn from(error: CarrierError) -> ShipError {
        ShipError::Carrier(error)
    }
}

impl fmt::Display for ShipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShipError::Store(error) => error.fmt(f),
            ShipError::Carrier(error) => error.fmt(f),
        }
    }
}
