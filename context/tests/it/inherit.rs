//! Tests which new resources take a value over.

use forebear_context::{AsyncLocal, fields, flow};
use forebear_hooks::life::{Birth, Life};
use forebear_hooks::{AsyncResource, Inherit, Kind};

use crate::support::{finish, resource};

static ALWAYS: AsyncLocal<u32> = AsyncLocal::named("always");
static POOL: AsyncLocal<u32> = AsyncLocal::named("pool").recurring();
static SAME_TASK: AsyncLocal<u32> = AsyncLocal::named("same task").inherit(Inherit::SameTask);
static NEVER: AsyncLocal<u32> = AsyncLocal::named("never").inherit(Inherit::Never);

fn all_set<R>(f: impl FnOnce() -> R) -> R {
    let never = || NEVER.sync_scope(4, f);
    ALWAYS.sync_scope(1, || POOL.sync_scope(2, || SAME_TASK.sync_scope(3, never)))
}

/// Always, recurring, same task, never.
fn seen() -> [bool; 4] {
    let set = [ALWAYS.get(), POOL.get(), SAME_TASK.get(), NEVER.get()];
    std::array::from_fn(|nth| match set[nth] {
        Some(value) => value as usize == nth + 1,
        None => false,
    })
}

const SCOPE: [bool; 4] = [true; 4];
const SAME: [bool; 4] = [true, true, true, false];
const OTHER: [bool; 4] = [true, true, false, false];
const RECURRING: [bool; 4] = [false, true, false, false];
const NOTHING: [bool; 4] = [false; 4];

#[test]
fn each_kind_takes_over_what_the_rule_of_each_key_says() {
    let of_kind = |kind| {
        let life = all_set(|| Life::begin(Birth::new(kind, || "x")));
        let seen = life.run(|_| seen());
        life.end(forebear_hooks::Reason::Completed);
        seen
    };
    for (kind, want) in [
        (Kind::TASK, OTHER),
        (Kind::BLOCKING, OTHER),
        (Kind::BLOCK_ON, SAME),
        (Kind::TIMER, SAME),
        (Kind::TCP_STREAM, SAME),
        (Kind::FUTURE, SAME),
        (Kind::new("DB_QUERY"), SAME),
        (Kind::INTERVAL, RECURRING),
        (Kind::TCP_LISTENER, RECURRING),
        (Kind::UNIX_LISTENER, RECURRING),
    ] {
        assert_eq!(of_kind(kind), want, "{kind}");
    }
    all_set(|| assert_eq!(seen(), SCOPE));
}

#[test]
fn a_flow_takes_over_what_a_timer_does_and_has_fields_of_its_own() {
    let (values, field) = all_set(|| {
        finish(flow("outer", async {
            fields::set("k", 1);
            flow("inner", async { (seen(), fields::get("k")) }).await
        }))
    });
    assert_eq!((values, field), (SAME, None));
}

#[test]
fn what_is_said_about_one_resource_counts_more_than_its_kind() {
    let built = |resource: AsyncResource| resource.run_in_async_scope(seen);
    let builder = || AsyncResource::builder(Kind::OTHER);
    assert_eq!(all_set(|| built(builder().recurring().build())), RECURRING);
    assert_eq!(all_set(|| built(builder().root().build())), NOTHING);
    assert_eq!(all_set(|| built(builder().build())), SAME);
}

#[test]
fn what_is_not_taken_over_does_not_come_back_further_down() {
    let task = all_set(|| Life::begin(Birth::new(Kind::TASK, || "task")));
    let timer = task.run(|_| Life::begin(Birth::new(Kind::TIMER, || "timer")));
    assert_eq!(timer.run(|_| seen()), OTHER);
    let interval = task.run(|_| Life::begin(Birth::new(Kind::INTERVAL, || "interval")));
    let spawned = interval.run(|_| Life::begin(Birth::new(Kind::TASK, || "spawned")));
    assert_eq!(spawned.run(|_| seen()), RECURRING);
}

#[test]
fn a_resource_keeps_what_it_was_made_with() {
    let made = ALWAYS.sync_scope(1, || resource("made"));
    ALWAYS.sync_scope(5, || made.run_in_async_scope(|| assert_eq!(ALWAYS.get(), Some(1))));
    ALWAYS.sync_exit(|| made.run_in_async_scope(|| assert_eq!(ALWAYS.get(), Some(1))));
}
