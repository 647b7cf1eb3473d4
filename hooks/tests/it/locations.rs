//! Checks that a resource says where in the program it was made: the caller's own line.

use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use forebear_hooks::life::{Birth, Life};
use forebear_hooks::{
    AsyncResource, Closures, HookHandle, Kind, hook, instrument, instrument_stream,
};

use crate::support::alone;

struct Empty;

impl futures_core::Stream for Empty {
    type Item = ();

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<()>> {
        Poll::Ready(None)
    }
}

type Seen = Arc<Mutex<Vec<&'static Location<'static>>>>;

fn watch() -> (HookHandle<Closures>, Seen) {
    let seen = Seen::default();
    let place = seen.clone();
    let hook = hook().init(move |r| place.lock().unwrap().push(r.location())).enable().unwrap();
    (hook, seen)
}

#[track_caller]
fn here() -> &'static Location<'static> {
    Location::caller()
}

#[test]
fn every_constructor_tells_the_callers_line() {
    let _alone = alone();
    let (_hook, seen) = watch();
    // Each line makes both, so the two locations differ in their column only.
    let new = (here(), AsyncResource::new(Kind::OTHER));
    let built = (here(), AsyncResource::builder(Kind::OTHER).name("a").build());
    let future = (here(), instrument(async {}));
    let stream = (here(), instrument_stream(Empty));
    let life = (here(), Life::begin(Birth::new(Kind::TASK, || "task")));
    let want = [new.0, built.0, future.0, stream.0, life.0].map(|want| (want.file(), want.line()));
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let seen: Vec<_> = seen.iter().map(|seen| (seen.file(), seen.line())).collect();
    assert_eq!(seen, want);
}

#[test]
fn a_location_that_was_said_counts() {
    let _alone = alone();
    let (_hook, seen) = watch();
    let said = here();
    drop(Life::begin(Birth::new(Kind::TASK, || "task").location(said)));
    assert_eq!(*seen.lock().unwrap(), [said]);
}

#[test]
fn a_label_is_the_name_else_the_name_of_the_code() {
    let _alone = alone();
    let labels = Arc::new(Mutex::new(Vec::new()));
    let seen = labels.clone();
    let _hook = hook()
        .init(move |r| {
            let of_code = r.static_label();
            seen.lock().unwrap().push((r.label().to_owned(), of_code, r.is_named()));
        })
        .enable()
        .unwrap();
    async fn ship() {}
    drop(instrument(ship()));
    drop(instrument(async { ship().await }));
    let name = String::from("order 7");
    drop(AsyncResource::builder(Kind::OTHER).name(name).build());
    drop(AsyncResource::builder(Kind::OTHER).name("constant").build());
    let labels = labels.lock().unwrap();
    let code = concat!(module_path!(), "::a_label_is_the_name_else_the_name_of_the_code");
    let ship = format!("{code}::ship");
    assert_eq!(labels[0].0, ship);
    assert_eq!(labels[1].0, code);
    assert_eq!(labels[2], ("order 7".to_owned(), "AsyncResource", true));
    assert_eq!(labels[3], ("constant".to_owned(), "constant", true));
}
