//! Tests taking all values along at once.

use std::sync::{Arc, Mutex};

use forebear_context::{AsyncLocal, Snapshot, fields, flow};
use forebear_hooks::{AsyncResource, Kind, hook};

use crate::support::{finish, pause, resource};

static A: AsyncLocal<u32> = AsyncLocal::named("a");
static B: AsyncLocal<u32> = AsyncLocal::named("b");

fn seen() -> (Option<u32>, Option<u32>) {
    (A.get(), B.get())
}

fn both() -> Snapshot {
    A.sync_scope(1, || B.sync_scope(2, Snapshot::capture))
}

#[test]
fn a_snapshot_has_all_values_of_its_place_and_none_of_another() {
    let snapshot = both();
    assert_eq!(seen(), (None, None));
    assert_eq!(snapshot.sync_scope(seen), (Some(1), Some(2)));
    A.sync_scope(9, || {
        assert_eq!(snapshot.sync_scope(seen), (Some(1), Some(2)));
        assert_eq!(Snapshot::default().sync_scope(seen), (None, None));
        assert_eq!(seen(), (Some(9), None));
    });
}

#[test]
fn a_future_and_a_function_run_in_the_context_they_are_bound_to() {
    let snapshot = both();
    let future = A.scope(
        9,
        snapshot.scope(async {
            pause().await;
            seen()
        }),
    );
    assert_eq!(finish(future), (Some(1), Some(2)));
    let bound = snapshot.clone().bind_once(|add: u32| A.get().map(|a| a + add));
    assert_eq!(A.sync_scope(9, || bound(10)), Some(11));
    let seen_there = std::thread::spawn(move || snapshot.sync_scope(seen)).join().unwrap();
    assert_eq!(seen_there, (Some(1), Some(2)));
}

#[test]
fn a_value_that_is_set_inside_stays_inside() {
    let snapshot = both();
    snapshot.sync_scope(|| {
        std::mem::forget(A.enter(5));
        assert_eq!(seen(), (Some(5), Some(2)));
    });
    assert_eq!(snapshot.sync_scope(seen), (Some(1), Some(2)));
}

#[test]
fn a_snapshot_takes_the_flow_along() {
    let snapshot = finish(flow("request", async {
        fields::set("k", 1);
        Snapshot::capture()
    }));
    // The flow is over; what was captured in it still writes on its page.
    snapshot.sync_scope(|| fields::set("late", 2));
    assert_eq!(snapshot.sync_scope(|| fields::get("late")), Some(2.into()));
    assert_eq!(fields::get("k"), None);
}

#[test]
fn hooks_see_the_context_of_the_resource_in_all_five_events() {
    let kind = Kind::new("SNAPSHOT_TEST");
    let told = Arc::new(Mutex::new(Vec::new()));
    let note = |event: &'static str| {
        let told = told.clone();
        move |r: &forebear_hooks::Resource<'_>| {
            let of_resource = Snapshot::of(r).sync_scope(seen);
            told.lock().unwrap().push((event, of_resource));
        }
    };
    let (resolve, destroy) = (note("promise_resolve"), note("destroy"));
    let _hook = hook()
        .kinds([kind])
        .init(note("init"))
        .before(note("before"))
        .after(note("after"))
        .promise_resolve(move |r, _| resolve(r))
        .destroy(move |r, _| destroy(r))
        .enable()
        .unwrap();
    let resource = both().sync_scope(|| AsyncResource::new(kind));
    A.sync_scope(9, || {
        resource.run_in_async_scope(|| resource.resolve());
        resource.emit_destroy();
    });
    let events = ["init", "before", "promise_resolve", "after", "destroy"];
    assert_eq!(*told.lock().unwrap(), events.map(|event| (event, (Some(1), Some(2)))));
}

#[test]
fn a_snapshot_keeps_values_and_nothing_else() {
    static HELD: AsyncLocal<Arc<()>> = AsyncLocal::named("held");
    let value = Arc::new(());
    let (snapshot, maker) =
        HELD.sync_scope(value.clone(), || (Snapshot::capture(), resource("maker")));
    drop(maker);
    assert_eq!(Arc::strong_count(&value), 2);
    drop(snapshot);
    assert_eq!(Arc::strong_count(&value), 1);
}
