//! Serves orders over HTTP and keeps them in SQLite: a small service as a user would write it.
//!
//! Read the modules in this order: it is the way of a request.

mod config; // what can be set from outside
mod server; // who is let in
mod connection; // how a client is served
mod stream; // and when it is given up
mod routes; // what a request wants
mod request_id; // what it is called
mod body; // what it brings
mod order; // what an order is
mod store; // where it is kept
mod shipping; // what happens to it later
mod reply; // what the client gets
mod log; // what the operator gets
mod debug; // what the curious get
mod signals; // how it all ends

use std::error::Error;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use forebear::net::TcpListener;
use forebear::runtime::Builder;
use forebear::time::Instant;
use tokio::select;

use crate::config::Config;
use crate::routes::Service;
use crate::server::Server;
use crate::shipping::Shipping;
use crate::signals::Signals;
use crate::store::Store;

/// SQLite does one thing at a time: more threads would only wait for it.
const BLOCKING_THREADS_MAX: usize = 4;

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
    let database = config.database.display();
    let store = Store::open(&config.database).await;
    let store = store.map_err(|error| format!("cannot open {database}: {error}"))?;
    let left_over = store.ship_left_over().await?;
    if left_over > 0 {
        log::info("shipped what an earlier run had left", &[("orders", &left_over)]);
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, config.port));
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    greet(listener.local_addr()?, &config.database);

    let shipping = Shipping::new(store.clone(), config.ship_after);
    let service = Arc::new(Service { store, shipping, limits: config.limits });
    let server = Server::start(listener, service.clone());
    let signal = signals.next().await;
    log::info("ending", &[("signal", &signal)]);
    select! {
        () = end(server, &service, Instant::now() + config.shutdown) => {}
        signal = signals.next() => log::warn("ended at once", &[("signal", &signal)]),
    }
    Ok(())
}

/// Lets requests and orders come to their end, and says what did not.
async fn end(server: Server, service: &Service, deadline: Instant) {
    let connections_left = server.end(deadline).await;
    let orders_left = service.shipping.flush(deadline).await;
    let left: [(&str, &dyn std::fmt::Display); 2] =
        [("connectionsLeft", &connections_left), ("ordersLeft", &orders_left)];
    if connections_left + orders_left > 0 {
        log::warn("ended, but not with everything done", &left);
    } else {
        log::info("ended", &left);
    }
}

fn greet(address: SocketAddr, database: &Path) {
    let database = database.display();
    let greeting = format!(
        "orders listens on http://{address} and keeps its orders in {database}\n\n\
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
