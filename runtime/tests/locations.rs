//! Checks that every resource says the line of the program where it was made, not one of ours.

#![allow(clippy::unwrap_used, reason = "a test says by panicking that it failed")]

use std::collections::HashMap;
use std::future::{Future, pending, poll_fn};
use std::panic::Location;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use forebear::hooks::{AsyncId, HookHandle, hook};
use forebear::net::{TcpListener, TcpSocket, TcpStream, UdpSocket, lookup_host};
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

/// Checks that the resource was made on this line of this file.
#[track_caller]
fn check_line(seen: &Seen, what: &str, id: AsyncId, line: u32) {
    let made = seen.lock().unwrap()[&id];
    assert_eq!((made.file(), made.line()), (file!(), line), "{what}");
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

const ANY: &str = "127.0.0.1:0";

#[test]
fn internet_sockets_say_where_they_were_made() {
    let runtime = Runtime::new().unwrap();
    let (seen, _watch) = watch(&runtime);
    let seen = &seen;
    let listen = || {
        let listener = std::net::TcpListener::bind(ANY).unwrap();
        listener.set_nonblocking(true).unwrap();
        listener
    };
    let dial = |listener: &TcpListener| {
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    runtime.block_on(async {
        check(seen, "bind", TcpListener::bind(ANY).await.unwrap().id());
        check(seen, "from_std", TcpListener::from_std(listen()).unwrap().id());
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(ANY.parse().unwrap()).unwrap();
        check(seen, "listen", socket.listen(1).unwrap().id());
        let listener = TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        check(seen, "connect", TcpStream::connect(address).await.unwrap().id());
        check(seen, "accept", listener.accept().await.unwrap().0.id());
        let socket = TcpSocket::new_v4().unwrap();
        check(seen, "TcpSocket::connect", socket.connect(address).await.unwrap().id());
        let stream = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap().0;
        check_line(seen, "poll_accept", stream.id(), line!() - 1);
        check(seen, "from_std", TcpStream::from_std(dial(&listener)).unwrap().id());
        check(seen, "try_into", TcpStream::try_from(dial(&listener)).unwrap().id());

        check(seen, "UdpSocket::bind", UdpSocket::bind(ANY).await.unwrap().id());
        let socket = std::net::UdpSocket::bind(ANY).unwrap();
        socket.set_nonblocking(true).unwrap();
        check(seen, "UdpSocket::from_std", UdpSocket::from_std(socket).unwrap().id());
    });
}

#[cfg(unix)]
#[test]
fn unix_sockets_and_descriptors_say_where_they_were_made() {
    use forebear::io::Interest;
    use forebear::io::unix::AsyncFd;
    use forebear::net::unix::pipe;
    use forebear::net::{UnixDatagram, UnixListener, UnixSocket, UnixStream};
    use std::os::unix::net;

    let folder = std::env::temp_dir().join(format!("forebear-locations-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name);
    let runtime = Runtime::new().unwrap();
    let (seen, _watch) = watch(&runtime);
    let seen = &seen;
    let pair = || {
        let (one, other) = net::UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        drop(other);
        one
    };
    runtime.block_on(async {
        let listener = UnixListener::bind(path("a")).unwrap();
        check_line(seen, "UnixListener::bind", listener.id(), line!() - 1);
        let address = listener.local_addr().unwrap();
        check(seen, "connect", UnixStream::connect(path("a")).await.unwrap().id());
        check(seen, "accept", listener.accept().await.unwrap().0.id());
        check(seen, "connect_addr", UnixStream::connect_addr(&address).await.unwrap().id());
        let socket = UnixSocket::new_stream().unwrap();
        check(seen, "UnixSocket::connect", socket.connect(path("a")).await.unwrap().id());
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(path("b")).unwrap();
        check(seen, "UnixSocket::listen", socket.listen(1).unwrap().id());
        let socket = UnixSocket::new_datagram().unwrap();
        check(seen, "UnixSocket::datagram", socket.datagram().unwrap().id());
        check(seen, "UnixStream::pair", UnixStream::pair().unwrap().1.id());
        check(seen, "UnixStream::from_std", UnixStream::from_std(pair()).unwrap().id());
        check(seen, "UnixDatagram::bind", UnixDatagram::bind(path("c")).unwrap().id());
        check(seen, "UnixDatagram::unbound", UnixDatagram::unbound().unwrap().id());
        check(seen, "UnixDatagram::pair", UnixDatagram::pair().unwrap().1.id());
        check(seen, "pipe", pipe::pipe().unwrap().1.id());
        check(seen, "AsyncFd::new", AsyncFd::new(pair()).unwrap().id());
        let both = Interest::READABLE | Interest::WRITABLE;
        check(seen, "with_interest", AsyncFd::with_interest(pair(), both).unwrap().id());
        check(seen, "try_new", AsyncFd::try_new(pair()).unwrap().id());
        check(seen, "register", AsyncFd::register(pair()).unwrap().id());
    });
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn lookups_say_who_wanted_the_address() {
    let runtime = Runtime::new().unwrap();
    let (seen, _watch) = watch(&runtime);
    let seen = &seen;
    runtime.block_on(async {
        let socket = UdpSocket::bind(ANY).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        // Where `localhost` has no address of this family, the lookup was made all the same.
        check(seen, "lookup_host", job(seen, lookup_host("localhost:1")).await);
        check(seen, "TcpListener::bind", job(seen, TcpListener::bind("localhost:0")).await);
        check(seen, "TcpStream::connect", job(seen, TcpStream::connect(("localhost", port))).await);
        check(seen, "UdpSocket::connect", job(seen, socket.connect(("localhost", port))).await);
        check(seen, "send_to", job(seen, socket.send_to(b"x", ("localhost", port))).await);
    });
}

/// Returns the id of the blocking job that a future has.
async fn job<F: Future>(seen: &Seen, future: F) -> AsyncId {
    let before = seen.lock().unwrap().clone();
    let _done = future.await;
    let after = seen.lock().unwrap();
    let mut new = after.keys().copied().filter(|id| !before.contains_key(id)).collect::<Vec<_>>();
    // The job comes before the sockets that it finds the addresses of.
    new.sort();
    new[0]
}

#[cfg(all(unix, feature = "signal"))]
#[test]
fn signals_say_where_they_were_listened_to() {
    use forebear::signal::ctrl_c;
    use forebear::signal::unix::{SignalKind, signal};
    let runtime = Runtime::new().unwrap();
    let (seen, _watch) = watch(&runtime);
    let seen = &seen;
    runtime.block_on(async {
        check(seen, "signal", signal(SignalKind::hangup()).unwrap().id());
        check(seen, "ctrl_c", newest(seen, || polled(ctrl_c())));
    });
}

/// Polls a future once, and returns it.
#[cfg(all(unix, feature = "signal"))]
fn polled<F: Future + Unpin>(mut future: F) -> F {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let _polled = std::pin::Pin::new(&mut future).poll(&mut cx);
    future
}

#[cfg(all(unix, feature = "process"))]
#[test]
fn processes_say_where_they_were_begun() {
    use forebear::process::Command;
    let runtime = Runtime::new().unwrap();
    let (seen, _watch) = watch(&runtime);
    let seen = &seen;
    runtime.block_on(async {
        let mut command = Command::new("true");
        check(seen, "spawn", command.spawn().unwrap().resource_id());
        check(seen, "status", newest(seen, || command.status()));
        check(seen, "spawn_with", newest(seen, || command.spawn_with(|std| std.spawn()).unwrap()));
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
        let first = poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx))).await;
        assert!(first.is_pending());
    });
}

fn check_known(seen: &Seen, id: AsyncId) {
    assert!(seen.lock().unwrap().contains_key(&id));
}
