//! A service in which something is wrong, for who wants to see how that looks: `wedged`, `leaky`,
//! `busy`, `panic`, `many N`, or `healthy`, in which nothing is.
//!
//! ```text
//! cargo run -p forebear-inspector --example planted wedged &
//! cargo run -p forebear-inspector --bin forebear tree $!
//! ```
//!
//! It ends when its standard input does.

#![allow(clippy::print_stdout, reason = "an example talks to whoever has started it")]

use std::future::pending;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use forebear::hooks::{AsyncResource, Kind};
use forebear::runtime::{Builder, Runtime};
use forebear::time::{Sleep, interval, sleep};
use forebear::{fields, flow, inspect, spawn, task};

/// What a pool would keep.
static POOL: Mutex<Vec<AsyncResource>> = Mutex::new(Vec::new());

/// What nobody drops.
static FORGOTTEN: Mutex<Vec<Pin<Box<Sleep>>>> = Mutex::new(Vec::new());

fn main() -> io::Result<()> {
    inspect::declare_field("accountId");
    inspect::install_panic_hook();
    let mut args = std::env::args().skip(1);
    let what = args.next().unwrap_or_default();
    let workers = if what == "wedged" { 1 } else { 2 };
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers)
        .name("planted")
        .inspect(true)
        .build()?;
    inspect::dump_on_signal()?;
    match what.as_str() {
        "wedged" => wedge(&runtime),
        "leaky" => runtime.block_on(leak()),
        "busy" => runtime.block_on(be_busy()),
        "panic" => runtime.block_on(panic_once()),
        "many" => {
            let count = args.next().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
            runtime.block_on(be_many(count));
        }
        _ => runtime.block_on(be_healthy()),
    }
    writeln!(io::stdout(), "ready")?;
    io::stdin().read_to_end(&mut Vec::new())?;
    runtime.shutdown_background();
    Ok(())
}

/// The one worker is blocked by a task of account 42, and others wait for it.
fn wedge(runtime: &Runtime) {
    let (entered, is_entered) = mpsc::channel();
    runtime.spawn(async move {
        let request = flow("POST /orders", async move {
            fields::set("accountId", 42);
            let ship = task::Builder::new().name("ship").spawn(ship(entered));
            ship.await
        });
        request.await
    });
    // The worker is inside: from here on nothing runs any more.
    let _ = is_entered.recv();
    runtime.spawn(async { sleep(Duration::from_millis(1)).await });
}

async fn ship(entered: mpsc::Sender<()>) {
    sleep(Duration::from_millis(5)).await;
    let (keep, never) = mpsc::channel::<()>();
    // A task that blocks its worker: what must not be, and happens.
    let _ = entered.send(());
    let _ = never.recv();
    drop(keep);
}

/// A task nobody will wake, a timer never dropped, a context kept by a pool.
async fn leak() {
    let maker = spawn(flow("GET /leak", async {
        fields::set("accountId", 7);
        drop(task::Builder::new().name("nobody wakes me").spawn(pending::<()>()));
        let connection = AsyncResource::new(Kind::new("DB_CONNECTION"));
        POOL.lock().expect("nobody panics with it").push(connection);
        let timer = Box::pin(sleep(Duration::from_secs(3600)));
        FORGOTTEN.lock().expect("nobody panics with it").push(timer);
    }));
    let _ = maker.await;
}

/// A task panics that a request has made.
async fn panic_once() {
    let request = spawn(flow("POST /orders", async {
        fields::set("accountId", 42);
        let ship = async { panic!("out of parcels") };
        task::Builder::new().name("ship").spawn::<_>(ship).await
    }));
    let _: Result<Result<(), _>, _> = request.await;
}

/// One task takes most of a core, others little.
async fn be_busy() {
    drop(task::Builder::new().name("hog").spawn(async {
        loop {
            let until = std::time::Instant::now() + Duration::from_millis(4);
            while std::time::Instant::now() < until {
                std::hint::spin_loop();
            }
            task::yield_now().await;
        }
    }));
    for _ in 0..3 {
        drop(task::Builder::new().name("lamb").spawn(tick()));
    }
    drop(task::Builder::new().name("breeder").spawn(async {
        loop {
            drop(task::Builder::new().name("child").spawn(sleep(Duration::from_secs(3600))));
            sleep(Duration::from_millis(10)).await;
        }
    }));
    task::yield_now().await;
}

async fn tick() {
    let mut ticks = interval(Duration::from_millis(5));
    loop {
        ticks.tick().await;
    }
}

async fn be_many(count: usize) {
    for _ in 0..count {
        drop(spawn(sleep(Duration::from_secs(3600))));
    }
    // Each is polled once and then waits.
    while inspect::snapshot().resources().iter().filter(|r| r.kind == Kind::TIMER).count() < count {
        sleep(Duration::from_millis(10)).await;
    }
}

/// Requests come and go; each has a task that goes on after it, and timers that are given up.
async fn be_healthy() {
    for _ in 0..4 {
        drop(task::Builder::new().name("client").spawn(async {
            loop {
                let request = flow("GET /", async {
                    fields::set("accountId", 1);
                    drop(spawn(sleep(Duration::from_millis(30))));
                    let both = forebear::time::timeout(Duration::from_secs(60), spawn(tick_once()));
                    both.await
                });
                let _ = request.await;
            }
        }));
    }
    drop(spawn(tick()));
    task::yield_now().await;
}

async fn tick_once() {
    sleep(Duration::from_millis(2)).await;
}
