//! Tests, in a process of its own, that memory of what is gone is bounded: this floods it.

use forebear_context::inspect::{lineage, tree_of};
use forebear_context::tracker;
use forebear_hooks::life::{Birth, Life};
use forebear_hooks::{Kind, Reason, RuntimeId};

const ANCESTORS_MAX: usize = 4096;

fn begin(runtime: RuntimeId) -> Life {
    Life::begin(Birth::new(Kind::TASK, || "respawns").runtime(runtime))
}

#[test]
fn a_task_that_respawns_itself_for_ever_takes_no_more_memory() {
    tracker::ensure_enabled();
    let runtime = RuntimeId::from_u32(1).unwrap();
    let mut task = begin(runtime);
    for generation in 1..=100_000_u64 {
        let next = task.run(|_| begin(runtime));
        task.end(Reason::Completed);
        task = next;
        if generation % 10_000 == 0 {
            let stats = tracker::stats();
            assert_eq!(stats.alive, 1);
            assert!(stats.remembered <= ANCESTORS_MAX, "{stats:?}");
            // What is forgotten is counted: nothing is lost without a word.
            assert_eq!(stats.remembered as u64 + stats.forgotten, generation, "{stats:?}");
        }
    }
    // The nearest ancestors are there, and where the tree ends it says so.
    assert!(lineage(task.id()).resources().len() > 16);
    let text = tree_of(runtime).to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("gone  (triggered by #"), "{text}");
    assert!(lines.iter().any(|line| line.contains(&format!("· {} task", task.id()))), "{text}");
    assert!(lines.len() <= 20, "{text}");
}
