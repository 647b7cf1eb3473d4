//! Listens to signals as a program does that was written for tokio: what it may name, and what it
//! may rely on.
//!
//! The same file is a test of the package `forebear-tests`, where `tokio` is tokio. Signals are the
//! process's, so each test has some of its own.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says by panicking that it failed")]

use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::pin::pin;
use std::process::{self, Command};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

fn is_free<T: Send + Sync>() {}

/// Sends this process a signal, and returns when it has been sent.
fn send(kind: SignalKind) {
    let number = format!("-{}", kind.as_raw_value());
    let itself = process::id().to_string();
    assert!(Command::new("kill").args([number, itself]).status().unwrap().success());
}

/// Polls a future once, and drops it if it is not ready.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn every_signal_that_has_a_name_is_heard() {
    is_free::<(Signal, SignalKind)>();
    for kind in [
        SignalKind::alarm(),
        SignalKind::hangup(),
        SignalKind::io(),
        SignalKind::pipe(),
        SignalKind::quit(),
        SignalKind::terminate(),
        SignalKind::window_change(),
    ] {
        let mut listener = signal(kind).unwrap();
        assert_eq!(poll_once(listener.recv()), Poll::Pending, "{kind:?} has not come");
        send(kind);
        assert_eq!(listener.recv().await, Some(()), "{kind:?}");
        assert_eq!(poll_once(poll_fn(|cx| listener.poll_recv(cx))), Poll::Pending);
    }
}

#[test]
fn kinds_are_numbers() {
    assert_eq!(SignalKind::from_raw(15), SignalKind::terminate());
    assert_eq!(SignalKind::from(2), SignalKind::interrupt());
    assert_eq!(i32::from(SignalKind::child()), 17);
    assert_eq!(SignalKind::interrupt().as_raw_value(), 2);
}

/// What comes while nobody waits is one signal for whoever waits next.
#[tokio::test]
async fn signals_are_kept_and_counted_as_one() {
    let kind = SignalKind::user_defined1();
    let (mut one, mut other) = (signal(kind).unwrap(), signal(kind).unwrap());
    send(kind);
    send(kind);
    assert_eq!(one.recv().await, Some(()));
    // The second may have come after the first was taken.
    while poll_once(one.recv()).is_ready() {}
    assert_eq!(other.recv().await, Some(()));
    drop(one);
    // Who stopped to listen takes nothing away from the others, and the process goes on.
    while poll_once(other.recv()).is_ready() {}
    send(kind);
    assert_eq!(other.recv().await, Some(()));
    drop(other);
    send(kind);
}

#[tokio::test]
async fn a_task_waits_for_a_signal() {
    let kind = SignalKind::user_defined2();
    let mut listener = signal(kind).unwrap();
    let task = tokio::spawn(async move { listener.recv().await });
    tokio::task::yield_now().await;
    send(kind);
    assert_eq!(task.await.unwrap(), Some(()));
}

#[tokio::test]
async fn what_cannot_be_listened_to_is_an_error() {
    for number in [9, 19, -1, 1000] {
        assert!(signal(SignalKind::from_raw(number)).is_err(), "{number}");
    }
}

#[test]
fn ctrl_c_is_waited_for() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    // Nothing happens before it is polled.
    let pressed = signal::ctrl_c();
    runtime.block_on(async {
        let mut pressed = pin!(pressed);
        let early = timeout(Duration::from_millis(1), &mut pressed).await;
        assert!(early.is_err());
        send(SignalKind::interrupt());
        pressed.await.unwrap();
        let again = tokio::spawn(async { signal::ctrl_c().await });
        let mut seen = signal(SignalKind::interrupt()).unwrap();
        while !again.is_finished() {
            send(SignalKind::interrupt());
            seen.recv().await;
        }
        again.await.unwrap().unwrap();
    });
}

#[test]
fn a_broken_number_says_so() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let error = signal(SignalKind::from_raw(9)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Other | ErrorKind::InvalidInput), "{error}");
    assert!(error.to_string().contains('9'), "{error}");
}
