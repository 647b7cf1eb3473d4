//! Holds the programs whose instructions are counted: small, fixed, and free of chance.
//!
//! Each is one thread's work: on the multi-thread flavour with a single worker where that will
//! do, since that is the loop services run on; on the current-thread flavour where the clock has to
//! stand still or both ends of a connection are served. Work that comes in numbers comes in waves,
//! so that twice the operations are twice the waves and no table is larger.

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::io;
use std::net::Ipv4Addr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use forebear::hooks::life::{Birth, Life};
use forebear::hooks::{AsyncHook, HookHandle, Kind, Outcome, Reason, create_hook};
use forebear::net::{TcpListener, TcpStream};
use forebear::runtime::{Builder, Runtime};
use forebear::task::yield_now;
use forebear::time::sleep;
use forebear::{AsyncLocal, Lineage, spawn};
use tokio::sync::oneshot;

/// A program, and how often it does its operation when it is counted.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// Enough of them that what happens now and then, such as a look at the driver, happens often.
    pub(crate) operations: u64,
    pub(crate) run: fn(u64),
}

/// All of them, in the order of the table.
pub(crate) const PROGRAMS: [Program; 14] = [
    program("spawn_join", 4000, |n| bare(spawn_join(n))),
    program("spawn_seq", 4000, |n| bare(spawn_seq(n))),
    program("spawn_seq_hooked", 4000, |n| hooked(spawn_seq(n))),
    program("spawn_seq_default", 4000, |n| by_default(spawn_seq(n))),
    program("chained_spawn", 4000, |n| bare(chained_spawn(n))),
    program("yield", 20_000, |n| bare(yield_many(n))),
    program("ping_pong", 2000, |n| bare(ping_pong(n))),
    program("timers_fire", 2000, |n| paused(timers_fire(n))),
    program("timers_cancel", 4000, |n| bare(timers_cancel(n))),
    program("tcp_echo", 500, tcp_echo),
    program("life", 10_000, lives),
    program("life_hooked", 10_000, hooked_lives),
    program("local_with", 20_000, local_with),
    program("local_scope", 20_000, local_scope),
];

const fn program(name: &'static str, operations: u64, run: fn(u64)) -> Program {
    Program { name, operations, run }
}

/// So many tasks are alive at once where a program has many.
const WAVE: u64 = 100;

/// As many as a service with a tracer, metrics and a leak detector has.
const HOOKS: usize = 5;

/// Listens to all five events and does nothing.
struct Empty;

impl AsyncHook for Empty {}

/// The context value that the default row sets.
static REQUEST_ID: AsyncLocal<u64> = AsyncLocal::named("request_id");

fn one_worker() -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1);
    builder
}

fn start(builder: &mut Builder) -> Runtime {
    builder.build().expect("the system has a thread for a program")
}

/// Runs `work` as a task of the runtime, and ends it.
fn run(runtime: &Runtime, work: impl Future<Output = ()> + Send + 'static) {
    runtime.block_on(runtime.spawn(work)).expect("no program fails");
}

fn bare(work: impl Future<Output = ()> + Send + 'static) {
    run(&start(one_worker().lineage(Lineage::Off)), work);
}

fn hooked(work: impl Future<Output = ()> + Send + 'static) {
    let mut builder = one_worker();
    builder.lineage(Lineage::Off);
    for _ in 0..HOOKS {
        builder.hook(create_hook(Empty));
    }
    run(&start(&mut builder), work);
}

/// With the id map, lineage and one context value.
fn by_default(work: impl Future<Output = ()> + Send + 'static) {
    let runtime = start(&mut one_worker());
    REQUEST_ID.sync_scope(7, || run(&runtime, work));
}

/// By a clock that stands, and moves to the next timer when there is nothing else to do.
fn paused(work: impl Future<Output = ()> + Send + 'static) {
    let mut builder = Builder::new_current_thread();
    run(&start(builder.lineage(Lineage::Off).start_paused(true)), work);
}

async fn trivial(n: u64) -> u64 {
    black_box(n)
}

/// Does `wave` with numbers of operations that make `n` together.
async fn in_waves<F: Future<Output = ()>>(n: u64, wave: impl Fn(u64) -> F) {
    let mut left = n;
    while left > 0 {
        let size = left.min(WAVE);
        wave(size).await;
        left -= size;
    }
}

async fn spawn_join(n: u64) {
    in_waves(n, async |size| {
        let joins: Vec<_> = (0..size).map(|i| spawn(trivial(i))).collect();
        for join in joins {
            join.await.expect("no program fails");
        }
    })
    .await;
}

async fn spawn_seq(n: u64) {
    for i in 0..n {
        spawn(trivial(i)).await.expect("no program fails");
    }
}

async fn chained_spawn(n: u64) {
    let (done, end) = oneshot::channel();
    drop(spawn(link(n, done)));
    end.await.expect("the chain does not break");
}

fn link(left: u64, done: oneshot::Sender<()>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        if left == 0 {
            done.send(()).expect("somebody waits for the end of the chain");
        } else {
            drop(spawn(link(left - 1, done)));
        }
    })
}

/// How many tasks yield to each other.
const YIELDERS: u64 = 10;

async fn yield_many(n: u64) {
    let yielder = async |times| {
        for _ in 0..times {
            yield_now().await;
        }
    };
    let joins: Vec<_> = (0..YIELDERS).map(|_| spawn(yielder(n / YIELDERS))).collect();
    for join in joins {
        join.await.expect("no program fails");
    }
}

async fn ping_pong(n: u64) {
    for _ in 0..n {
        let pair = spawn(async {
            let (ping, pinged) = oneshot::channel::<()>();
            let (pong, ponged) = oneshot::channel::<()>();
            let other = spawn(async move {
                pinged.await.expect("the other plays, too");
                pong.send(()).expect("the other plays, too");
            });
            ping.send(()).expect("the other plays, too");
            ponged.await.expect("the other plays, too");
            other.await.expect("the other plays, too");
        });
        pair.await.expect("no program fails");
    }
}

/// The sleeps of a wave are spread over so many milliseconds, from the first number on.
const SLEEP_MS: (u64, u64) = (10, 41);

async fn timers_fire(n: u64) {
    in_waves(n, async |size| {
        let duration = |i| Duration::from_millis(SLEEP_MS.0 + i % SLEEP_MS.1);
        let joins: Vec<_> =
            (0..size).map(|i| spawn(async move { sleep(duration(i)).await })).collect();
        for join in joins {
            join.await.expect("no program fails");
        }
    })
    .await;
}

async fn timers_cancel(n: u64) {
    for i in 0..n {
        let mut sleep = pin!(sleep(Duration::from_millis(1000 + i % 1000)));
        poll_fn(|cx| {
            assert!(sleep.as_mut().poll(cx).is_pending(), "it has a second to go");
            Poll::Ready(())
        })
        .await;
    }
}

const MESSAGE: [u8; 64] = [7; 64];

/// One connection, whose ends are two tasks.
fn tcp_echo(n: u64) {
    let mut builder = Builder::new_current_thread();
    builder.lineage(Lineage::Off);
    let work = async move {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let client = spawn(async move {
            let stream = TcpStream::connect(address).await?;
            let mut answer = MESSAGE;
            for _ in 0..n {
                write_all(&stream, &MESSAGE).await?;
                read_exact(&stream, &mut answer).await?;
            }
            io::Result::Ok(())
        });
        let (stream, _) = listener.accept().await?;
        let mut message = MESSAGE;
        for _ in 0..n {
            read_exact(&stream, &mut message).await?;
            write_all(&stream, &message).await?;
        }
        client.await?
    };
    start(&mut builder).block_on(work).expect("loopback does not fail");
}

async fn write_all(stream: &TcpStream, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        let written = poll_fn(|cx| stream.poll_write_slice(cx, data)).await?;
        data = &data[written..];
    }
    Ok(())
}

async fn read_exact(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match poll_fn(|cx| stream.poll_read_slice(cx, &mut buffer[filled..])).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    Ok(())
}

fn lives(n: u64) {
    for _ in 0..n {
        let life = Life::begin(Birth::new(Kind::TASK, || "life"));
        life.run(|running| running.promise_resolve(Outcome::Ready));
        life.end(Reason::Completed);
    }
}

fn hooked_lives(n: u64) {
    let enable = || create_hook(Empty).enable().expect("the process has no other hook");
    let hooks: Vec<HookHandle<Empty>> = (0..HOOKS).map(|_| enable()).collect();
    lives(n);
    drop(hooks);
}

fn local_with(n: u64) {
    REQUEST_ID.sync_scope(7, || {
        for _ in 0..n {
            black_box(REQUEST_ID.with(|id| id.copied()));
        }
    });
}

fn local_scope(n: u64) {
    for i in 0..n {
        REQUEST_ID.sync_scope(i, || black_box(()));
    }
}

#[cfg(test)]
mod tests {
    use super::PROGRAMS;

    #[test]
    fn every_program_ends() {
        for program in &PROGRAMS {
            (program.run)(20);
        }
    }
}
