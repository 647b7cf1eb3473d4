//! Tests the business context: what a flow knows, what a branch adds, and that there is an end to it.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use forebear_context::fields::{self, FIELDS_MAX, TEXT_MAX_BYTES, Value};
use forebear_context::{flow, flow_id};

use crate::support::{finish, panic_quietly, pause, resource};

/// What is dropped is counted for the whole process: one test that drops some runs at a time.
fn counting() -> MutexGuard<'static, ()> {
    static COUNTING: Mutex<()> = Mutex::new(());
    COUNTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All fields, as text: `a=1 b=x`.
fn all() -> String {
    let mut text = Vec::new();
    fields::for_each(|key, value| text.push(format!("{key}={value}")));
    let collected = fields::collect().into_iter().map(|(key, value)| format!("{key}={value}"));
    assert_eq!(text, collected.collect::<Vec<_>>());
    text.join(" ")
}

fn in_flow<R>(f: impl FnOnce() -> R) -> R {
    finish(flow("test", async { f() }))
}

#[test]
fn a_field_is_seen_by_the_whole_flow_in_the_order_in_which_it_was_set() {
    in_flow(|| {
        fields::set("b", 1);
        fields::set("a", "x");
        fields::set("b", 2);
        assert_eq!(all(), "b=2 a=x");
        assert_eq!((fields::get("b"), fields::get("c")), (Some(2.into()), None));
        // What descends from the flow writes on the same page.
        resource("child").run_in_async_scope(|| fields::set("c", true));
        assert_eq!(all(), "b=2 a=x c=true");
    });
    assert_eq!(all(), "");
}

#[test]
fn every_sort_of_value_reads_back_and_prints() {
    let check = |value: Value, want: Value, text: &str| {
        in_flow(|| {
            fields::set("k", value);
            assert_eq!(fields::get("k"), Some(want));
            assert_eq!(all(), format!("k={text}"));
        });
    };
    check("a".into(), Value::Str("a".into()), "a");
    check(String::from("b").into(), Value::Str("b".into()), "b");
    check(Cow::Borrowed("c").into(), Value::Str("c".into()), "c");
    check((-1_i64).into(), Value::I64(-1), "-1");
    check((-2_i32).into(), Value::I64(-2), "-2");
    check(u64::MAX.into(), Value::U64(u64::MAX), "18446744073709551615");
    check(3_u32.into(), Value::U64(3), "3");
    check(4_usize.into(), Value::U64(4), "4");
    check(0.5.into(), Value::F64(0.5), "0.5");
    check(false.into(), Value::Bool(false), "false");
}

#[test]
fn a_branch_is_seen_by_its_own_work_only() {
    in_flow(|| {
        fields::set("k", "flow");
        let spawned = fields::sync_scope([("k", "branch"), ("more", "1")], || {
            // The branch hides what the flow has under the same key.
            assert_eq!(all(), "k=branch more=1");
            fields::set("k", "flow again");
            assert_eq!(fields::get("k"), Some("branch".into()));
            resource("spawned in the branch")
        });
        assert_eq!(all(), "k=flow again");
        spawned.run_in_async_scope(|| assert_eq!(all(), "k=branch more=1"));
    });
}

#[test]
fn branches_add_up_however_they_are_nested() {
    fields::sync_scope([("a", 1), ("b", 1)], || {
        fields::sync_scope([("b", 2), ("c", 2)], || assert_eq!(all(), "a=1 b=2 c=2"));
        assert_eq!(all(), "a=1 b=1");
    });
    // Here the inner one is made before the outer one runs.
    let inner = fields::scope([("b", 2), ("c", 2)], async {
        pause().await;
        all()
    });
    assert_eq!(finish(fields::scope([("a", 1), ("b", 1)], inner)), "a=1 b=2 c=2");
    assert_eq!(all(), "");
}

#[test]
fn a_flow_begins_without_fields() {
    let inner = fields::sync_scope([("branch", 1)], || {
        in_flow(|| {
            fields::set("outer", 1);
            let outer = flow_id();
            in_flow(|| {
                assert_eq!(all(), "");
                assert_ne!(flow_id(), outer);
                fields::set("branch", 2);
                assert_eq!(fields::get("branch"), Some(2.into()));
            });
            assert_eq!(flow_id(), outer);
            all()
        })
    });
    assert_eq!(inner, "outer=1");
}

#[test]
fn a_field_may_be_given_before_the_flow_begins() {
    let request = forebear_context::FlowBuilder::new("request").field("requestId", "r-1");
    assert_eq!(all(), "");
    assert_eq!(finish(request.run(async { all() })), "requestId=r-1");
}

#[test]
fn the_reader_may_set_fields_and_reads_what_was_there() {
    in_flow(|| {
        fields::set("a", 1);
        fields::for_each(|_, _| fields::set("b", 2));
        assert_eq!(all(), "a=1 b=2");
    });
}

#[test]
fn there_is_an_end_to_fields_and_what_is_too_much_is_counted() {
    static KEYS: [&str; FIELDS_MAX + 2] = {
        let text = "................................................................++";
        let mut keys = [""; FIELDS_MAX + 2];
        let mut nth = 0;
        while nth < keys.len() {
            // Keys of different length are different.
            keys[nth] = text.split_at(nth).0;
            nth += 1;
        }
        keys
    };
    let _one = counting();
    let before = fields::dropped();
    in_flow(|| {
        KEYS.iter().for_each(|key| fields::set(key, 1));
        assert_eq!(fields::collect().len(), FIELDS_MAX);
        assert_eq!(fields::dropped() - before, 2);
        // What is there can be changed.
        fields::set(KEYS[0], 2);
        assert_eq!(fields::get(KEYS[0]), Some(2.into()));
        assert_eq!(fields::get(KEYS[FIELDS_MAX]), None);
    });
    fields::sync_scope(KEYS.map(|key| (key, 1)), || {
        assert_eq!(fields::collect().len(), FIELDS_MAX);
    });
    assert_eq!(fields::dropped() - before, 4);
}

#[test]
fn a_long_text_is_cut_at_a_character_and_counted() {
    let _one = counting();
    let before = fields::dropped();
    let check = |text: String, want_bytes: usize| {
        in_flow(|| {
            fields::set("k", text.clone());
            let Some(Value::Str(kept)) = fields::get("k") else { panic!("no text is kept") };
            assert_eq!(kept.len(), want_bytes);
            assert!(text.starts_with(&*kept));
        });
        fields::sync_scope([("k", text.clone())], || {
            assert_eq!(fields::get("k").map(|kept| kept.to_string().len()), Some(want_bytes));
        });
    };
    check("a".repeat(TEXT_MAX_BYTES), TEXT_MAX_BYTES);
    assert_eq!(fields::dropped(), before);
    check("a".repeat(TEXT_MAX_BYTES + 1), TEXT_MAX_BYTES);
    // Three bytes each: the last one does not fit.
    check("€".repeat(TEXT_MAX_BYTES), TEXT_MAX_BYTES / 3 * 3);
    assert_eq!(fields::dropped() - before, 4);
}

#[test]
fn without_a_flow_a_field_is_dropped_and_counted() {
    let _one = counting();
    let before = fields::dropped();
    fields::set("k", 1);
    fields::sync_scope([("branch", 1)], || fields::set("k", 1));
    assert_eq!((all().as_str(), fields::dropped() - before), ("", 2));
}

#[test]
fn numbers_of_the_same_sort_add_up() {
    finish(flow("f", async {
        fields::add("count", 1_u64);
        fields::add("count", 2_u64);
        fields::add("ms", 0.5);
        fields::add("ms", 0.25);
        fields::add("count2", u64::MAX);
        fields::add("count2", 1_u64);
        assert_eq!(fields::get("count"), Some(3_u64.into()));
        assert_eq!(fields::get("ms"), Some(0.75.into()));
        assert_eq!(fields::get("count2"), Some(u64::MAX.into()));
        fields::set("ms", "text");
        fields::add("ms", 1);
        assert_eq!(fields::get("ms"), Some(1.into()));
    }));
}

#[test]
fn a_secret_is_read_by_code_and_shown_to_nobody() {
    fields::redact("fields.secret");
    fields::redact_with("fields.card", |value| format!("…{}", value.to_string().len()).into());
    fields::redact_with("fields.panics", |_| panic_quietly("mask"));
    finish(flow("f", async {
        fields::set("fields.secret", "hunter2");
        fields::set("fields.card", "4111111111111111");
        fields::set("fields.panics", 7);
        fields::set("open", 1);
        assert_eq!(fields::get("fields.secret"), Some("hunter2".into()));
        let want = [
            ("fields.secret", "***".into()),
            ("fields.card", "…16".into()),
            ("fields.panics", "***".into()),
            ("open", 1.into()),
        ];
        assert_eq!(fields::shown(), want);
    }));
}
