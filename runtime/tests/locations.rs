//! Checks that every resource says the line of the program where it was made, not one of ours.

#![allow(clippy::unwrap_used, reason = "a test says by panicking that it failed")]

use std::collections::HashMap;
use std::future::{Future, pending};
use std::panic::Location;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use forebear::hooks::{AsyncId, HookHandle, hook};
use forebear::net::{TcpListener, TcpStream};
use forebear::runtime::{Handle, Runtime};
use forebear::task;
use forebear::time::{self, Duration, Instant};

type Seen = Arc<Mutex<HashMap<AsyncId, &'static Location<'static>>>>;

/// Remembers where each resource of the runtime was made.
fn watch(runtime: &Runtime) -> (Seen, HookHandle<impl Sized + use<>>) {
    let seen = Seen::default();
    let theirs = seen.clone();
    let init = move |resource: &forebear::hooks::Resource<'_>| {
        theirs.lock().unwrap().insert(resource.id(), resource.location());
    };
    (seen, hook().init(init).runtime(runtime.id()).enable().unwrap())
}

/// Checks that the resource was made on the line of the call.
#[track_caller]
fn check(seen: &Seen, what: &str, id: AsyncId) {
    let here = Location::caller();
    let made = seen.lock().unwrap()[&id];
    assert_eq!((made.file(), made.line()), (here.file(), here.line()), "{what}");
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn tasks_say_where_they_were_spawned() {
    let runtime = Runtime::new().unwrap();
    let (seen, _watch) = watch(&runtime);
    let seen = &seen;
    check(seen, "Runtime::spawn", runtime.spawn(async {}).id());
    check(seen, "Runtime::spawn_blocking", runtime.spawn_blocking(|| ()).id());
    check(seen, "Handle::spawn", runtime.handle().spawn(async {}).id());
    check(seen, "Handle::spawn_root", runtime.handle().spawn_root(async {}).id());
    check(seen, "Handle::spawn_blocking", runtime.handle().spawn_blocking(|| ()).id());
    runtime.block_on(async {
        check(seen, "spawn", forebear::spawn(async {}).id());
        check(seen, "spawn_root", forebear::spawn_root(async {}).id());
        check(seen, "spawn_blocking", task::spawn_blocking(|| ()).id());
        check(seen, "Builder::spawn", task::Builder::new().name("a").spawn(async {}).id());
        let (builder, here) = (task::Builder::new(), Handle::current());
        check(seen, "Builder::spawn_on", builder.spawn_on(async {}, &here).id());
        check(seen, "Builder::spawn_blocking", task::Builder::new().spawn_blocking(|| ()).id());
    });
    check(seen, "Runtime::block_on", runtime.block_on(current()));
    check(seen, "Handle::block_on", runtime.handle().block_on(current()));
}

/// Returns the id of what runs it.
async fn current() -> AsyncId {
    forebear::hooks::execution_async_id().unwrap()
}

#[test]
fn timers_say_where_they_were_made() {
    let runtime = Runtime::new().unwrap();
    let (seen, _watch) = watch(&runtime);
    let seen = &seen;
    runtime.block_on(async {
        check(seen, "sleep", time::sleep(MS).id().unwrap());
        check(seen, "sleep_until", time::sleep_until(Instant::now()).id().unwrap());
        check(seen, "interval", time::interval(MS).id());
        check(seen, "interval_at", time::interval_at(Instant::now(), MS).id());
        check(seen, "timeout", newest(seen, || time::timeout(MS, pending::<()>())));
        let now = Instant::now();
        check(seen, "timeout_at", newest(seen, || time::timeout_at(now, pending::<()>())));
    });
}

/// Returns the id of what `make` makes, which does not tell it.
#[track_caller]
fn newest<T>(seen: &Seen, make: impl FnOnce() -> T) -> AsyncId {
    let before = seen.lock().unwrap().clone();
    let _made = make();
    let after = seen.lock().unwrap();
    *after.keys().find(|id| !before.contains_key(id)).unwrap()
}

#[test]
fn sockets_and_signals_say_where_they_were_made() {
    let runtime = Runtime::new().unwrap();
    let (seen, _watch) = watch(&runtime);
    let seen = &seen;
    let unbound = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    runtime.block_on(async {
        check(seen, "bind", TcpListener::bind("127.0.0.1:0").await.unwrap().id());
        check(seen, "from_std", TcpListener::from_std(unbound()).unwrap().id());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        check(seen, "connect", TcpStream::connect(address).await.unwrap().id());
        check(seen, "accept", listener.accept().await.unwrap().0.id());
        #[cfg(all(unix, feature = "signal"))]
        {
            use forebear::signal::{SignalKind, ctrl_c, signal};
            check(seen, "signal", signal(SignalKind::hangup()).unwrap().id());
            check(seen, "ctrl_c", newest(seen, || (ctrl_c(),)));
        }
    });
}

#[test]
fn without_a_runtime_the_panic_names_the_callers_line_and_the_cure() {
    let make = || drop(time::sleep(MS));
    let told = std::panic::catch_unwind(make).unwrap_err();
    let message = told.downcast_ref::<String>().unwrap();
    assert!(message.contains("Runtime::enter") && message.contains("locations.rs"), "{message}");
    let spawned = std::panic::catch_unwind(|| drop(forebear::spawn(async {}))).unwrap_err();
    let message = spawned.downcast_ref::<String>().unwrap();
    assert!(message.contains("Runtime::enter"), "{message}");
    assert!(Handle::try_current().is_err());
}

#[test]
fn a_future_that_is_not_polled_has_begun_all_the_same() {
    let runtime = Runtime::new().unwrap();
    let (seen, _watch) = watch(&runtime);
    runtime.block_on(async {
        let mut sleep = std::pin::pin!(time::sleep(MS));
        check_known(&seen, sleep.id().unwrap());
        let first = std::future::poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx))).await;
        assert!(first.is_pending());
    });
}

fn check_known(seen: &Seen, id: AsyncId) {
    assert!(seen.lock().unwrap().contains_key(&id));
}
