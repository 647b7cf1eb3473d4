//! Signals: which resources listeners are, and what is told of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use forebear::hooks::Kind;
use forebear::signal;
use forebear::signal::unix::{Signal, SignalKind};
use forebear::time::{Duration, timeout};
use futures_lite::StreamExt;
use rustix::process::{getpid, kill_process};

use crate::support::on_each;

fn send(signal: rustix::process::Signal) {
    kill_process(getpid(), signal).unwrap();
}

#[test]
fn a_listener_is_a_resource_with_the_name_of_its_signal() {
    on_each(|heard| async move {
        let line = line!() + 1;
        let mut listener = signal::unix::signal(SignalKind::window_change()).unwrap();
        let id = listener.id();
        assert_eq!(heard.ids_labelled("SIGWINCH"), [id]);
        assert_eq!(heard.ids_of_kind(Kind::SIGNAL), [id]);
        assert_eq!((heard.location(id).file(), heard.location(id).line()), (file!(), line));
        assert_eq!(heard.sequence(id), "init");
        send(rustix::process::Signal::WINCH);
        listener.recv().await.unwrap();
        drop(listener);
        assert!(heard.sequence(id).starts_with("init before after"));
        assert!(heard.sequence(id).ends_with("after destroy:Dropped"));
    });
}

#[test]
fn a_listener_is_a_stream() {
    on_each(|_| async move {
        let mut listener = signal::unix::signal(SignalKind::user_defined1()).unwrap();
        for _ in 0..3 {
            send(rustix::process::Signal::USR1);
            assert_eq!(listener.next().await, Some(()));
        }
    });
}

#[test]
fn ctrl_c_is_a_resource_from_its_first_poll_to_its_end() {
    on_each(|heard| async move {
        let line = line!() + 1;
        let pressed = signal::ctrl_c();
        assert!(format!("{pressed:?}").contains("is_begun: false"));
        assert_eq!(heard.ids_of_kind(Kind::SIGNAL), []);
        assert!(timeout(Duration::from_millis(1), pressed).await.is_err());
        let ids = heard.ids_labelled("SIGINT");
        assert_eq!(ids.len(), 1);
        assert_eq!((heard.location(ids[0]).file(), heard.location(ids[0]).line()), (file!(), line));
        assert!(heard.sequence(ids[0]).ends_with("destroy:Dropped"));
    });
}

#[test]
fn a_listener_ends_with_its_runtime() {
    let mut kept: Vec<Signal> = Vec::new();
    for mut builder in crate::support::builders() {
        let runtime = builder.build().unwrap();
        let listen = || signal::unix::signal(SignalKind::user_defined2()).unwrap();
        kept.push(runtime.block_on(async { listen() }));
    }
    let other = forebear::runtime::Runtime::new().unwrap();
    for mut listener in kept {
        assert_eq!(other.block_on(listener.recv()), None);
    }
}

#[test]
fn without_a_runtime_the_panic_says_where() {
    let listen = || signal::unix::signal(SignalKind::hangup());
    let payload = catch_unwind(AssertUnwindSafe(listen)).unwrap_err();
    let message = payload.downcast_ref::<String>().unwrap();
    assert!(message.contains("Runtime::enter") && message.contains("signals.rs"), "{message}");
}
