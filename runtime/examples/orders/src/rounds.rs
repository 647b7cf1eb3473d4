//! Makes the rounds, now and then: ships again what was put off, and says how many orders there are.

use std::sync::Arc;

use forebear::flow;
use forebear::task::{self, JoinHandle};
use forebear::time::{Duration, Instant, MissedTickBehavior, interval_at};

use crate::consumer::Worker;
use crate::log;
use crate::store::Counts;

/// Begins to make them. They end when they are aborted; what was being shipped then is put off.
pub(crate) fn start(worker: Arc<Worker>, every: Duration) -> JoinHandle<()> {
    let rounds = async move {
        let mut ticks = interval_at(Instant::now() + every, every);
        // Who was late once makes one round, not several.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            flow("rounds", make(&worker)).await;
        }
    };
    task::Builder::new().name("rounds").spawn(rounds)
}

async fn make(worker: &Worker) {
    let again = worker.ship_put_off().await;
    match worker.count().await {
        Ok(Counts { placed, shipped }) => log::info(
            "made the rounds",
            &[("placed", &placed), ("shipped", &shipped), ("triedAgain", &again)],
        ),
        Err(error) => log::error("the rounds failed", &[("error", &error)]),
    }
}
