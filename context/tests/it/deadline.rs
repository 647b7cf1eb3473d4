//! Tests the deadline, as a word that travels.

use std::time::{Duration, Instant};

use forebear_context::{FlowBuilder, deadline, flow};
use forebear_hooks::Kind;

use crate::support::{finish, pause, resource};

#[test]
fn a_deadline_is_seen_by_what_is_made_under_it_and_only_shortened() {
    let now = Instant::now();
    let (soon, late) = (now + Duration::from_secs(5), now + Duration::from_secs(50));
    finish(deadline::until(soon, async {
        assert_eq!(deadline::current(), Some(soon));
        pause().await;
        deadline::sync_until(late, || assert_eq!(deadline::current(), Some(soon)));
        finish(flow("inside", async { assert_eq!(deadline::current(), Some(soon)) }));
        let task = resource("task");
        task.run_in_async_scope(|| assert_eq!(deadline::current(), Some(soon)));
        let interval = forebear_hooks::AsyncResource::new(Kind::INTERVAL);
        interval.run_in_async_scope(|| assert_eq!(deadline::current(), None));
    }));
    assert_eq!((deadline::current(), deadline::remaining()), (None, None));
}

#[test]
fn what_is_over_has_nothing_left() {
    let past = Instant::now();
    deadline::sync_until(past, || assert_eq!(deadline::remaining(), Some(Duration::ZERO)));
}

#[test]
fn a_flow_can_be_given_one() {
    let soon = Instant::now() + Duration::from_secs(5);
    let work = FlowBuilder::new("timed").deadline(soon).run(async { deadline::current() });
    assert_eq!(finish(work), Some(soon));
}
