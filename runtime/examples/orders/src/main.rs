//! Serves orders over HTTP, keeps them in a database and ships them by way of a queue: a small service
//! as a user would write it.
//!
//! Read the modules in this order: it is the way of a request, and then of its order.

mod config; // what can be set from outside
mod routes; // what a request wants
mod request_id; // what it is called
mod body; // what it brings
mod order; // what an order is
mod store; // where it is kept
mod reply; // what the client gets
mod shipping; // what happens to it later
mod queue; // where it waits for that
mod consumer; // who does it
mod carrier; // and whom that is told
mod rounds; // what is done now and then
mod log; // what the operator gets
mod debug; // what the curious get
mod signals; // how it all ends

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use forebear::net::TcpListener;
use forebear::runtime::Builder;
use forebear::serve::Ended;
use forebear::sync::oneshot;
use forebear::task::{self, JoinHandle};
use forebear::time::Instant;
use tokio::select;

use crate::carrier::Carrier;
use crate::config::{Config, Limits};
use crate::consumer::Consumer;
use crate::queue::Queue;
use crate::routes::Service;
use crate::shipping::Shipping;
use crate::signals::Signals;
use crate::store::Store;

/// SQLite does one thing at a time: more threads would only wait for it.
const BLOCKING_THREADS_MAX: usize = 4;

/// The head of a request must fit in here; it is answered with 431 if it does not.
const HEAD_BYTES_MAX: usize = 16 * 1024;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error("orders cannot run", &[("error", &error)]);
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let config = Config::from_env()?;
    debug::show_fields();
    let runtime = Builder::new_multi_thread()
        .thread_name("orders")
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), Box<dyn Error>> {
    let mut signals = Signals::listen()?;
    let store = Store::open(&config.database).await;
    let store = store.map_err(|error| format!("cannot open {}: {error}", config.database))?;
    let queue = Queue::open(config.redis.as_ref()).await;
    let queue = queue.map_err(|error| format!("cannot open the queue: {error}"))?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, config.port));
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    greet(listener.local_addr()?, &config.database, &queue);

    let carrier = config.carrier.map(Carrier::new);
    let consumer = Consumer::start(queue.clone(), store.clone(), carrier);
    let shipping = Shipping::new(queue, config.ship_after);
    let left_over = store.unshipped().await?;
    if !left_over.is_empty() {
        log::info("an earlier run has left something to ship", &[("orders", &left_over.len())]);
        shipping.take_over(left_over);
    }
    let rounds = rounds::start(consumer.worker(), config.rounds_every);
    let service = Arc::new(Service { store, shipping });
    let server = Server::start(listener, service.clone(), config.limits);

    let signal = signals.next().await;
    log::info("ending", &[("signal", &signal)]);
    rounds.abort();
    select! {
        () = end(server, &service, consumer, Instant::now() + config.shutdown) => {}
        signal = signals.next() => log::warn("ended at once", &[("signal", &signal)]),
    }
    Ok(())
}

/// The service, reachable.
struct Server {
    serving: JoinHandle<io::Result<Ended>>,
    end: oneshot::Sender<()>,
}

impl Server {
    fn start(listener: TcpListener, service: Arc<Service>, limits: Limits) -> Server {
        let (end, ending) = oneshot::channel::<()>();
        let serving = forebear::serve(listener, routes::router(service))
            .max_connections(limits.connections_max)
            .head_timeout(limits.header_timeout)
            .body_timeout(limits.body_timeout)
            .idle_timeout(limits.idle_timeout)
            .write_timeout(limits.write_timeout)
            .shutdown_timeout(limits.shutdown)
            .configure_http1(|http1| {
                http1.max_buf_size(HEAD_BYTES_MAX);
            })
            .on_trouble(|trouble| match trouble.peer() {
                Some(client) => {
                    let pairs: [(&str, &dyn Display); 2] = [("client", &client), ("why", trouble)];
                    log::info("connection given up", &pairs);
                }
                None => log::warn("no connection accepted", &[("why", trouble)]),
            })
            .with_graceful_shutdown(async { drop(ending.await) });
        let serving = task::Builder::new().name("accept").spawn(serving.into_future());
        Server { serving, end }
    }

    /// Accepts no more, lets what is in flight finish, and returns how many connections were left.
    async fn end(self) -> Result<usize, Box<dyn Error>> {
        // Nobody hears it if the server has failed, which the next line says.
        let _ = self.end.send(());
        Ok(self.serving.await??.connections_left)
    }
}

/// Lets requests and orders come to their end, and says what did not.
async fn end(server: Server, service: &Service, consumer: Consumer, deadline: Instant) {
    let connections_left = server.end().await.unwrap_or_else(|error| {
        log::error("the server has failed", &[("error", &error)]);
        0
    });
    // The consumer goes on until everything that waited has gone through it.
    let orders_left = service.shipping.flush(deadline).await + consumer.end(deadline).await;
    let left: [(&str, &dyn Display); 2] =
        [("connectionsLeft", &connections_left), ("ordersLeft", &orders_left)];
    if connections_left + orders_left > 0 {
        log::warn("ended, but not with everything done", &left);
    } else {
        log::info("ended", &left);
    }
}

fn greet(address: SocketAddr, database: &impl Display, queue: &Queue) {
    let greeting = format!(
        "orders listens on http://{address} and keeps its orders in {database}; they are shipped \
         through {queue}\n\n\
         \x20 curl -d '{{\"item\":\"book\",\"quantity\":2,\"accountId\":\"a-1\"}}' \
         http://{address}/orders\n\
         \x20 curl http://{address}/orders/1\n\
         \x20 curl http://{address}/healthz\n\n\
         What it is doing right now, and why: curl http://{address}/debug/tree\n\
         Ctrl-C ends it.\n\n"
    );
    // Without anybody to greet it serves all the same.
    let _ = io::stdout().lock().write_all(greeting.as_bytes());
}
