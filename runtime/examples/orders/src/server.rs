//! Accepts connections, so many at a time, and makes a task of each.

use std::sync::Arc;

use forebear::net::TcpListener;
use forebear::task::{self, JoinHandle};
use forebear::time::{Duration, Instant, sleep, timeout_at};
use tokio::sync::{Semaphore, watch};

use crate::connection;
use crate::log;
use crate::routes::Service;

/// How long to wait after a connection could not be accepted. Most often the process has too many
/// open files, and trying again at once would only burn time.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// The service, reachable.
#[derive(Debug)]
pub(crate) struct Server {
    accepting: JoinHandle<()>,
    /// One permit for each connection that may be served: its task holds it.
    room: Arc<Semaphore>,
    connections_max: u32,
    ending: watch::Sender<bool>,
}

impl Server {
    /// Begins to accept connections.
    pub(crate) fn start(listener: TcpListener, service: Arc<Service>) -> Server {
        let connections_max = service.limits.connections_max;
        let room = Arc::new(Semaphore::new(connections_max as usize));
        let ending = watch::Sender::new(false);
        let accepting = accept(listener, service, room.clone(), ending.subscribe());
        let accepting = task::Builder::new().name("accept").spawn(accepting);
        Server { accepting, room, connections_max, ending }
    }

    /// Accepts no more, lets what is in flight finish, and returns how many connections were left
    /// at the deadline.
    pub(crate) async fn end(self, deadline: Instant) -> usize {
        self.accepting.abort();
        // It ends as cancelled, which is what was asked for.
        let _ = self.accepting.await;
        self.ending.send_replace(true);
        let all_closed = timeout_at(deadline, self.room.acquire_many(self.connections_max));
        match all_closed.await {
            Ok(_) => 0,
            Err(_elapsed) => self.connections_max as usize - self.room.available_permits(),
        }
    }
}

async fn accept(
    listener: TcpListener,
    service: Arc<Service>,
    room: Arc<Semaphore>,
    ending: watch::Receiver<bool>,
) {
    // The semaphore is never closed. While there is no room, clients wait in the system's backlog.
    while let Ok(permit) = room.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, client)) => {
                let trigger = stream.id();
                let (service, ending) = (service.clone(), ending.clone());
                let serve = async move {
                    connection::serve((stream, client), service, ending).await;
                    drop(permit);
                };
                drop(task::Builder::new().name("connection").trigger(trigger).spawn(serve));
            }
            Err(error) => {
                log::warn("no connection accepted", &[("error", &error)]);
                sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}
