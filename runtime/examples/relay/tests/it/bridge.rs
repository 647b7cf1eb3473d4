//! Uses tokio's own types in our tasks, as a library does that brings tokio.

use std::env;
use std::future::{Future, pending};
use std::io;
use std::process::{Command, Stdio};

use real_tokio::io::{AsyncReadExt, AsyncWriteExt};
use real_tokio::net::{TcpListener, TcpStream};
use real_tokio::time::{Duration, sleep, timeout};
use tokio::AsyncLocal;
use tokio::hooks::execution_async_id;
use tokio::interop::tokio_bridge::escaped_tasks;
use tokio::runtime::{Builder, LocalOptions, Runtime};
use tokio::testing::assert_quiescent;

static REQUEST: AsyncLocal<u32> = AsyncLocal::named("request");

fn builders() -> [Builder; 2] {
    let mut many = Builder::new_multi_thread();
    many.worker_threads(2);
    [Builder::new_current_thread(), many]
}

/// Runs a test on each flavour. Nothing of ours may be left of it.
fn on_each<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for mut builder in builders() {
        let runtime = builder.build().unwrap();
        let id = runtime.id();
        runtime.block_on(test());
        drop(runtime);
        assert_quiescent(id);
    }
}

/// What a library does: a socket, a timer, a file, and work on other threads.
async fn library() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = real_tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        stream.write_all(b"served").await?;
        io::Result::Ok(())
    });
    let mut read = String::new();
    TcpStream::connect(address).await?.read_to_string(&mut read).await?;
    assert_eq!(read, "served");
    server.await??;
    sleep(Duration::from_millis(2)).await;
    assert!(timeout(Duration::from_millis(1), pending::<()>()).await.is_err());
    assert_eq!(real_tokio::task::spawn_blocking(|| 7).await?, 7);
    assert!(real_tokio::fs::read_to_string("Cargo.toml").await?.contains("relay"));
    Ok(())
}

#[test]
fn a_library_works_wherever_code_of_ours_runs() {
    on_each(|| async {
        library().await.unwrap();
        tokio::spawn(library()).await.unwrap().unwrap();
        let blocking = tokio::task::spawn_blocking(|| {
            real_tokio::runtime::Handle::current().block_on(library())
        });
        blocking.await.unwrap().unwrap();
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async { tokio::task::spawn_local(library()).await })
            .await
            .unwrap()
            .unwrap();
    });
    let local = Builder::new_current_thread().build_local(LocalOptions::default()).unwrap();
    local.block_on(library()).unwrap();
    // A thread of the program's own that has entered a runtime.
    let runtime = Runtime::new().unwrap();
    let _entered = runtime.enter();
    real_tokio::runtime::Handle::current().block_on(library()).unwrap();
}

#[test]
fn a_worker_that_is_blocked_has_a_deputy_on_the_bridge_too() {
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let task = runtime.spawn(async {
        let (sender, receiver) = std::sync::mpsc::channel();
        drop(tokio::spawn(async move {
            library().await.unwrap();
            sender.send(()).unwrap();
        }));
        tokio::task::block_in_place(|| receiver.recv()).unwrap();
    });
    runtime.block_on(task).unwrap();
}

#[test]
fn what_awaits_a_library_keeps_its_context() {
    on_each(|| async {
        let task = tokio::spawn(REQUEST.scope(7, async {
            let before = execution_async_id();
            assert_eq!(before, Some(tokio::task::id()));
            for _ in 0..10 {
                library().await.unwrap();
                assert_eq!((REQUEST.get(), execution_async_id()), (Some(7), before));
            }
        }));
        task.await.unwrap();
    });
}

#[test]
fn what_escapes_is_counted_and_has_no_context() {
    let runtime = Runtime::new().unwrap();
    let (release, released) = real_tokio::sync::oneshot::channel::<()>();
    let entered = runtime.enter();
    let escaped = REQUEST.sync_scope(7, || {
        real_tokio::spawn(async {
            released.await.unwrap();
            (REQUEST.get(), execution_async_id())
        })
    });
    drop(entered);
    assert!(escaped_tasks() >= 1);
    let id = runtime.id();
    drop(runtime);
    // It outlives the runtime it came from, and is nothing to it.
    assert_quiescent(id);
    release.send(()).unwrap();
    let other = Runtime::new().unwrap();
    assert_eq!(other.block_on(escaped).unwrap(), (None, None));
}

const PROGRAM: &str = "RELAY_PROGRAM";

/// What is run again, to see what it says.
#[test]
fn the_program() {
    if env::var_os(PROGRAM).is_none() {
        return;
    }
    for mut builder in builders() {
        let runtime = builder.tokio_bridge(false).build().unwrap();
        let task = tokio::task::Builder::new().name("orders::ship");
        let library = task.spawn_on(async { sleep(Duration::ZERO).await }, runtime.handle());
        assert!(runtime.block_on(library).unwrap_err().is_panic());
        let blocking = runtime.spawn_blocking(real_tokio::runtime::Handle::current);
        assert!(runtime.block_on(blocking).unwrap_err().is_panic());
        let outer = std::panic::AssertUnwindSafe(|| runtime.block_on(library_alone()));
        assert!(std::panic::catch_unwind(outer).is_err());
        // This one is about something else.
        let other = runtime.spawn(async { panic!("there is no order") });
        assert!(runtime.block_on(other).unwrap_err().is_panic());
    }
}

async fn library_alone() {
    drop(sleep(Duration::ZERO));
}

#[test]
fn without_a_bridge_the_panic_has_a_hint() {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "bridge::the_program", "--nocapture", "--test-threads=1"])
        .env(PROGRAM, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let hints: Vec<_> = said.lines().filter(|line| line.contains("`tokio-bridge`")).collect();
    assert_eq!(hints.len(), 6, "{said}");
    let of_the_task = hints
        .iter()
        .filter(|hint| hint.starts_with("orders::ship (") && hint.contains("bridge.rs:"));
    assert_eq!(of_the_task.count(), 2, "{said}");
}
