//! Tests how trees and lineages read: the text of real resources, and what may be shown of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use forebear_context::inspect::{
    Label, ResourceInfo, Site, Snapshot, Tree, lineage, snapshot_of, tree_of,
};
use forebear_context::{AsyncLocal, FlowBuilder, OwnedAsyncLocal, fields, inspect, tracker};
use forebear_hooks::life::{Birth, Life};
use forebear_hooks::{AsyncId, Kind, Reason, RuntimeId};

use crate::support::{panic_quietly, runtime};

fn begin(runtime: RuntimeId, kind: Kind, name: &'static str) -> Life {
    Life::begin(Birth::new(kind, || "code").name(name).runtime(runtime))
}

/// Replaces ids by the names in the order in which they first appear, and ages by `1s`.
fn golden(text: &str) -> String {
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        let words = line.split(' ').map(|word| {
            let number = word.trim_start_matches('#').trim_end_matches([')', ',']);
            let is_id = word.starts_with('#') && number.parse::<u64>().is_ok();
            let age = word.trim_end_matches(')');
            let is_age = age.starts_with(|c: char| c.is_ascii_digit()) && age.ends_with('s');
            let place = word.split_once(".rs:").map(|(file, _)| format!("{file}.rs"));
            match (is_id, is_age, place) {
                (true, ..) => {
                    let next = ids.len() + 1;
                    word.replace(number, &ids.entry(number).or_insert(next).to_string())
                }
                (_, true, _) => word.replace(age, "1s"),
                (.., Some(file)) => file,
                _ => word.to_owned(),
            }
        });
        lines.push(words.collect::<Vec<_>>().join(" "));
    }
    lines.join("\n")
}

#[track_caller]
fn check(runtime: RuntimeId, want: &[&str]) {
    assert_eq!(golden(&tree_of(runtime).to_string()), want.join("\n"));
}

#[test]
fn a_tree_of_real_resources_reads_as_it_should() {
    let runtime = runtime();
    let main = begin(runtime, Kind::BLOCK_ON, "main");
    let accept = main.run(|_| begin(runtime, Kind::TASK, "accept"));
    let listener = accept.run(|_| begin(runtime, Kind::TCP_LISTENER, "0.0.0.0:80"));
    let request = accept.run(|_| begin(runtime, Kind::TASK, "request"));
    let ship = request.run(|_| begin(runtime, Kind::TASK, "ship"));
    let timer = ship.run(|_| Life::begin(Birth::new(Kind::TIMER, || "sleep").runtime(runtime)));
    request.end(Reason::Completed);
    let audit = accept.run(|_| Life::begin(Birth::new(Kind::TASK, || "audit").root()));
    check(
        runtime,
        &[
            "· #1 block on main context/tests/it/tree.rs  1s",
            "└─ · #2 task accept context/tests/it/tree.rs  1s",
            "   ├─ · #3 tcp listener 0.0.0.0:80 context/tests/it/tree.rs  1s",
            "   └─ † #4 task request context/tests/it/tree.rs  gone",
            "      └─ · #5 task ship context/tests/it/tree.rs  1s",
            "         └─ · #6 timer sleep context/tests/it/tree.rs  1s",
            "· #7 task audit context/tests/it/tree.rs  1s  ~~ link #2",
        ],
    );
    let text = lineage(timer.id()).to_string();
    assert_eq!(
        golden(&text),
        [
            "· #1 timer sleep context/tests/it/tree.rs  1s",
            "  triggered by · #2 task ship context/tests/it/tree.rs  1s",
            "  triggered by † #3 task request context/tests/it/tree.rs  gone",
            "  triggered by · #4 task accept context/tests/it/tree.rs  1s",
            "  triggered by · #5 block on main context/tests/it/tree.rs  1s",
        ]
        .join("\n")
    );
    drop((listener, timer, ship, audit, accept, main));
    assert!(tree_of(runtime).is_empty());
    assert_eq!(tree_of(runtime).to_string(), "");
}

#[test]
fn many_leaves_that_look_the_same_are_one_line() {
    let runtime = runtime();
    let parent = begin(runtime, Kind::TASK, "parent");
    let leaves: Vec<Life> =
        (0..1204).map(|_| parent.run(|_| begin(runtime, Kind::TIMER, "conn"))).collect();
    let other = parent.run(|_| begin(runtime, Kind::TIMER, "other"));
    check(
        runtime,
        &[
            "· #1 task parent context/tests/it/tree.rs  1s",
            "├─ · x 1,204 timer conn context/tests/it/tree.rs  (newest #2, oldest 1s)",
            "└─ · #3 timer other context/tests/it/tree.rs  1s",
        ],
    );
    drop((leaves, other));
}

#[test]
fn values_are_shown_only_if_that_was_declared() {
    static SECRET: AsyncLocal<String> = AsyncLocal::named("secret");
    static USER: AsyncLocal<u32> = AsyncLocal::named("user").inspectable(|id| format!("u-{id}"));
    let runtime = runtime();
    inspect::declare_field("treeShown");
    let tenant: OwnedAsyncLocal<u32> =
        AsyncLocal::named("tenant").inspectable(|id: &u32| id.to_string()).into();
    let begin = || begin(runtime, Kind::TASK, "request");
    let life = SECRET.sync_scope("hunter2".to_owned(), || {
        USER.sync_scope(7, || {
            tenant.sync_scope(9, || {
                let fields = [("treeShown", "a"), ("treeHidden", "hunter3")];
                fields::sync_scope(fields, begin)
            })
        })
    });
    let line = "· #1 task request context/tests/it/tree.rs  1s  treeShown=a  user=u-7";
    check(runtime, &[format!("{line}  tenant=9").as_str()]);
    // A key that is gone shows nothing any more.
    drop(tenant);
    check(runtime, &[line]);
    drop(life);
    // What could be taken for another key and its value stands between quotes.
    let life = USER.sync_exit(|| fields::sync_scope([("treeShown", "a  admin=\"yes\"")], begin));
    let forged = r#"· #1 task request context/tests/it/tree.rs  1s  treeShown="a  admin=\"yes\"""#;
    check(runtime, &[forged]);
    drop(life);
    // The fields of a flow, and of the branch that hides them.
    let builder = FlowBuilder::new("f").field("treeShown", 1).field("treeHidden", 2);
    let flow = builder.run(async {});
    let shown = inspect::snapshot().get(flow.id().unwrap()).unwrap().context.clone();
    assert_eq!(*shown, [(Label::constant("treeShown"), "1".to_owned())]);
}

#[test]
fn a_text_that_cannot_be_made_hurts_nobody() {
    static BAD: AsyncLocal<u32> =
        AsyncLocal::named("bad").inspectable(|_| panic_quietly("no text"));
    static LONG: AsyncLocal<u32> = AsyncLocal::named("long").inspectable(|_| "ä".repeat(100_000));
    let runtime = runtime();
    let life = BAD.sync_scope(1, || LONG.sync_scope(1, || begin(runtime, Kind::TASK, "t")));
    let shown = snapshot_of(runtime).get(life.id()).unwrap().context.clone();
    assert_eq!(shown[0], (Label::constant("bad"), "<panicked>".to_owned()));
    assert!(shown[1].1.starts_with("ää") && shown[1].1.len() < 1000);
}

#[test]
fn texts_from_outside_cannot_write_lines_or_move_the_cursor() {
    static USER: AsyncLocal<&str> = AsyncLocal::named("nl").inspectable(|text| (*text).to_owned());
    let runtime = runtime();
    let life = USER.sync_scope("a\n\u{1b}[2J\u{202e}b", || {
        begin(runtime, Kind::new("BAD\nKIND"), "x\r\n└─ ▶ #1 task forged\u{9b}")
    });
    let tree = tree_of(runtime).to_string();
    for text in [tree, lineage(life.id()).to_string()] {
        assert_eq!(text.lines().count(), 1, "{text}");
        let is_harmful = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(is_harmful), "{text:?}");
        assert!(text.contains("nl=a\\n\\u{1b}[2J\\u{202e}b"), "{text}");
    }
}

#[test]
fn a_lineage_of_a_hundred_thousand_is_looked_at_without_recursion() {
    const DEPTH: usize = 100_000;
    let runtime = runtime();
    let mut lives = vec![begin(runtime, Kind::TASK, "root")];
    for _ in 1..DEPTH {
        let child = lives.last().unwrap().run(|_| begin(runtime, Kind::TASK, "child"));
        lives.push(child);
    }
    let start = Instant::now();
    assert_eq!(snapshot_of(runtime).resources().len(), DEPTH);
    let text = tree_of(runtime).to_string();
    assert_eq!(text.lines().count(), DEPTH);
    assert!(text.lines().all(|line| line.len() < 400));
    let text = lineage(lives[DEPTH - 1].id()).to_string();
    assert!(text.lines().count() < 100, "{text}");
    assert!(text.ends_with("and so on\n"), "{text}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    drop(lives);
    assert_eq!(tracker::len_of(runtime), 0);
}

#[test]
fn a_hundred_thousand_children_of_one_parent_are_drawn() {
    let runtime = runtime();
    let parent = begin(runtime, Kind::TASK, "parent");
    let lives: Vec<(Life, Life)> = (0..50_000)
        .map(|_| {
            let child = parent.run(|_| begin(runtime, Kind::TASK, "child"));
            let below = child.run(|_| begin(runtime, Kind::TIMER, "below"));
            (child, below)
        })
        .collect();
    assert_eq!(tree_of(runtime).to_string().lines().count(), 3);
    let unfolded = tree_of(runtime).fold_above(usize::MAX);
    assert_eq!(unfolded.to_string().lines().count(), 100_001);
    drop(lives);
}

#[test]
fn triggers_that_lead_in_a_circle_are_drawn_once() {
    let info = |raw: u64, trigger: u64| {
        let id = AsyncId::from_u64(raw).unwrap();
        let mut info = ResourceInfo::new(id, Kind::TASK, "x", Site::new("x.rs", 1, 1));
        info.trigger = AsyncId::from_u64(trigger);
        info
    };
    // The first hangs below the circle: it is no way into it.
    let base = u64::MAX - 10;
    let circle = [info(base, base + 2), info(base + 1, base + 3), info(base + 2, base + 1)];
    let circle = [&circle[..], &[info(base + 3, base + 2)]].concat();
    let text = Tree::new(Snapshot::of(circle)).to_string();
    for raw in base..base + 4 {
        let count = text.matches(&format!("· #{raw} ")).count();
        assert!(count == 1 || (count == 2 && text.contains("↺")), "#{raw} in\n{text}");
    }
    assert_eq!(text.lines().filter(|line| line.contains('↺')).count(), 1, "{text}");
    assert_eq!(text.lines().count(), 5, "{text}");
}
