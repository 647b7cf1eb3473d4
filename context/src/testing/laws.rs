//! Checks a log of events against the invariants of the lifecycle.
//!
//! | law | says |
//! |---|---|
//! | L1 | one `init` per id, first |
//! | L2 | `before` and `after` are paired, and nested per thread |
//! | L3 | `promise_resolve` at most once, inside a pair; where there is a result exactly once, last |
//! | L4 | one `destroy`, last |
//! | L5 | its reason is one that such a resource can have, and fits the result |
//! | L6 | current is the creator in `init`, the resource in its own events, another in `destroy` |
//! | L7 | no event of a life whose `init` was not heard |

use std::collections::HashMap;
use std::thread::ThreadId;

use forebear_hooks::{AsyncId, Kind, Outcome, Reason};

use crate::testing::{Event, Heard, Known};

/// Returns what is wrong, as sentences.
pub(super) fn check(heard: &[Heard], described: &HashMap<AsyncId, Known>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut lives: HashMap<AsyncId, Life> = HashMap::new();
    let mut stacks: HashMap<ThreadId, Vec<AsyncId>> = HashMap::new();
    for one in heard {
        let Some(known) = described.get(&one.id) else {
            wrong.push(format!("{}: L7: an event of a resource that is not known", one.id));
            continue;
        };
        let stack = stacks.entry(one.thread).or_default();
        let life = lives.entry(one.id).or_default();
        life.hear(one, known, stack, &mut |what| {
            wrong.push(format!("{} {} {}: {what}", one.id, known.kind, known.label));
        });
    }
    wrong
}

/// Kinds with a result, which is told exactly once.
fn has_result(kind: Kind) -> bool {
    [Kind::TASK, Kind::BLOCK_ON, Kind::BLOCKING, Kind::FLOW].contains(&kind)
}

/// Whether a resource of this kind ends unasked, and its owner may see so.
fn is_seen(kind: Kind) -> bool {
    [Kind::TIMER, Kind::PROCESS].contains(&kind)
}

/// The reasons for which a resource of this kind can end; of the user's own kinds all.
fn reasons_of(kind: Kind) -> &'static [Reason] {
    use Reason::{Cancelled, Completed, Dropped, Panicked, Shutdown};
    match kind {
        Kind::TASK | Kind::BLOCKING => &[Completed, Panicked, Cancelled, Shutdown],
        Kind::BLOCK_ON | Kind::FLOW | Kind::FUTURE | Kind::STREAM => {
            &[Completed, Panicked, Cancelled]
        }
        Kind::TIMER | Kind::PROCESS => &[Completed, Dropped],
        Kind::INTERVAL
        | Kind::TCP_LISTENER
        | Kind::TCP_STREAM
        | Kind::UDP_SOCKET
        | Kind::UNIX_LISTENER
        | Kind::UNIX_STREAM
        | Kind::UNIX_DATAGRAM
        | Kind::ASYNC_FD
        | Kind::PIPE
        | Kind::SIGNAL => &[Dropped],
        _ => &[Completed, Panicked, Cancelled, Dropped, Shutdown],
    }
}

/// Whether a result of a resource goes with a reason for its end.
fn fits(kind: Kind, outcome: Option<Outcome>, reason: Reason) -> bool {
    match outcome {
        Some(Outcome::Cancelled) if reason == Reason::Shutdown => true,
        Some(outcome) if has_result(kind) || kind == Kind::FUTURE => reason == outcome.into(),
        // A timer or process has completed if its owner saw that it had elapsed, or ended.
        Some(_) if is_seen(kind) => reason == Reason::Completed,
        None if is_seen(kind) => reason == Reason::Dropped,
        _ => true,
    }
}

/// What a check knows of one resource so far.
#[derive(Default)]
struct Life {
    has_begun: bool,
    /// The hook came late: what was told before that, it has not heard.
    is_replayed: bool,
    has_ended: bool,
    outcome: Option<Outcome>,
    open: usize,
}

impl Life {
    fn hear(
        &mut self,
        heard: &Heard,
        known: &Known,
        stack: &mut Vec<AsyncId>,
        wrong: &mut dyn FnMut(&str),
    ) {
        if self.has_ended {
            wrong("L4: an event after destroy");
        }
        if !self.has_begun && !matches!(heard.event, Event::Init { .. }) {
            wrong("L1, L7: an event before init");
        }
        match heard.event {
            Event::Init { is_replayed } => {
                self.is_replayed |= is_replayed;
                if std::mem::replace(&mut self.has_begun, true) {
                    wrong("L1: a second init");
                }
                if !is_replayed && known.creator.is_some() && heard.current != known.creator {
                    wrong("L6: in init, current is not the creator");
                }
            }
            Event::Before => {
                self.open += 1;
                stack.push(heard.id);
                if self.outcome.is_some() && has_result(known.kind) {
                    wrong("L3: it runs after its result was decided");
                }
            }
            Event::After => {
                self.open = self.open.saturating_sub(1);
                // Taken off all the same, so that one fault is not told twice.
                if stack.pop() != Some(heard.id) {
                    wrong("L2: after does not match the innermost before of its thread");
                }
            }
            Event::PromiseResolve(outcome) => {
                if self.outcome.replace(outcome).is_some() {
                    wrong("L3: a second promise_resolve");
                }
                if !self.is_replayed && stack.last() != Some(&heard.id) {
                    wrong("L3: promise_resolve outside a pair");
                }
            }
            Event::Destroy(reason) => self.end(heard, known, reason, wrong),
        }
        let is_inside =
            matches!(heard.event, Event::Before | Event::After | Event::PromiseResolve(_));
        if is_inside && heard.current != Some(heard.id) {
            wrong("L6: current is not the resource itself");
        }
    }

    fn end(&mut self, heard: &Heard, known: &Known, reason: Reason, wrong: &mut dyn FnMut(&str)) {
        self.has_ended = true;
        if self.open > 0 {
            wrong("L2, L4: destroy while it runs");
        }
        if heard.current == Some(heard.id) {
            wrong("L6: in destroy, current is the resource itself");
        }
        let is_untold = self.is_replayed && self.outcome.is_none();
        if has_result(known.kind) && self.outcome.is_none() && !is_untold {
            wrong("L3: it ended without promise_resolve");
        }
        if !reasons_of(known.kind).contains(&reason) {
            wrong(&format!("L5: {} does not end with {reason:?}", known.kind));
        } else if !is_untold && !fits(known.kind, self.outcome, reason) {
            wrong(&format!("L5: {reason:?} does not fit the result {:?}", self.outcome));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Heard, Known, check};
    use forebear_hooks::{AsyncId, Kind, Outcome, Reason};
    use std::collections::HashMap;

    fn id(raw: u64) -> AsyncId {
        AsyncId::from_u64(raw).unwrap()
    }

    fn event(word: &str) -> Event {
        match word {
            "init" => Event::Init { is_replayed: false },
            "replayed" => Event::Init { is_replayed: true },
            "before" => Event::Before,
            "after" => Event::After,
            "ready" => Event::PromiseResolve(Outcome::Ready),
            "panicked" => Event::PromiseResolve(Outcome::Panicked),
            "cancelled" => Event::PromiseResolve(Outcome::Cancelled),
            "Completed" => Event::Destroy(Reason::Completed),
            "Panicked" => Event::Destroy(Reason::Panicked),
            "Cancelled" => Event::Destroy(Reason::Cancelled),
            "Dropped" => Event::Destroy(Reason::Dropped),
            "Shutdown" => Event::Destroy(Reason::Shutdown),
            _ => panic!("no such event: {word}"),
        }
    }

    /// Checks a life of a resource of `kind` that #9 creates. A step is an event, `2.` before it
    /// makes it one of a second resource of that kind, and `@7` after it lets #7 be current.
    #[track_caller]
    fn finds(kind: Kind, steps: &str, want: &str) {
        let thread = std::thread::current().id();
        let heard = steps.split_whitespace().map(|step| {
            let (step, current) = match step.split_once('@') {
                Some((step, current)) => (step, Some(current.parse().unwrap())),
                None => (step, None),
            };
            let (raw, word) = step.strip_prefix("2.").map_or((1, step), |word| (2, word));
            let event = event(word);
            let usual = match event {
                Event::Init { .. } | Event::Destroy(_) => 9,
                _ => raw,
            };
            Heard { id: id(raw), event, current: Some(id(current.unwrap_or(usual))), thread }
        });
        let heard: Vec<Heard> = heard.collect();
        let described = Known { kind, label: "x".to_owned(), creator: Some(id(9)) };
        let described: HashMap<_, _> = [1, 2].map(|raw| (id(raw), described.clone())).into();
        let found = check(&heard, &described);
        if want.is_empty() {
            assert_eq!(found, [""; 0], "{kind}: {steps}");
        } else {
            assert!(found.iter().any(|one| one.contains(want)), "{kind}: {steps}: {found:?}");
        }
    }

    #[test]
    fn lives_that_obey_the_laws_pass() {
        let task = Kind::TASK;
        finds(task, "init before after before ready after Completed", "");
        finds(task, "init before panicked after Panicked", "");
        finds(task, "init before cancelled after Cancelled", "");
        finds(task, "init before cancelled after Shutdown", "");
        finds(
            task,
            "init before 2.init 2.before 2.ready 2.after 2.Completed ready after Completed",
            "",
        );
        finds(task, "replayed@1 before after", "");
        // A late hook came in the middle of a pair, or after the result.
        finds(task, "replayed@1 ready Completed", "");
        finds(task, "replayed@1 Completed", "");
        finds(Kind::TIMER, "replayed Completed", "");
        // It is alive, and runs while this looks.
        finds(task, "init before", "");
        finds(task, "init 2.init before 2.before 2.after after", "");
        finds(Kind::TIMER, "init before ready after Completed", "");
        finds(Kind::TIMER, "init Dropped", "");
        finds(Kind::TCP_STREAM, "init before after Dropped", "");
        finds(Kind::new("LAWS_TEST"), "init before ready after Dropped", "");
    }

    #[test]
    fn each_broken_law_is_found() {
        let task = Kind::TASK;
        finds(task, "before ready after Completed", "L1, L7: an event before init");
        finds(task, "init before init", "L1: a second init");
        finds(task, "init after", "L2: after does not match");
        finds(task, "init 2.init before 2.before after 2.after", "L2: after does not match");
        finds(task, "init before ready Completed after", "L2, L4: destroy while it runs");
        finds(task, "init before ready ready after Completed", "L3: a second");
        finds(task, "init ready", "L3: promise_resolve outside a pair");
        finds(task, "init before after Completed", "L3: it ended without");
        finds(Kind::FLOW, "init Cancelled", "L3: it ended without");
        finds(task, "init before ready after before after Completed", "L3: it runs after");
        finds(task, "init before ready after Completed before after", "L4: an event after");
        finds(task, "init before ready after Completed Completed", "L4: an event after");
        finds(task, "init before ready after Cancelled", "L5: Cancelled does not fit");
        finds(task, "init before panicked after Shutdown", "L5: Shutdown does not fit");
        finds(task, "init before ready after Dropped", "L5: TASK does not end with Dropped");
        finds(Kind::INTERVAL, "init before after Completed", "L5: INTERVAL does not end");
        finds(Kind::TIMER, "init Completed", "L5: Completed does not fit");
        finds(Kind::TIMER, "init before ready after Dropped", "L5: Dropped does not fit");
        finds(task, "init@7", "L6: in init");
        finds(task, "init before@9 after", "L6: current is not the resource");
        finds(task, "init before after@9", "L6: current is not the resource");
        finds(task, "init before ready@9 after Completed", "L6: current is not the resource");
        finds(task, "init before ready after Completed@1", "L6: in destroy");
    }

    #[test]
    fn pairs_of_two_threads_do_not_nest_in_each_other() {
        let other = std::thread::spawn(|| std::thread::current().id()).join().unwrap();
        let here = std::thread::current().id();
        let steps = [
            (1, "init", here),
            (1, "before", here),
            (1, "before", other),
            (1, "after", here),
            (1, "after", other),
            (1, "Dropped", here),
        ];
        let heard = steps.map(|(raw, word, thread)| {
            let current = matches!(word, "before" | "after").then(|| id(raw));
            Heard { id: id(raw), event: event(word), current, thread }
        });
        let described = Known { kind: Kind::TCP_STREAM, label: "x".to_owned(), creator: None };
        assert_eq!(check(&heard, &HashMap::from([(id(1), described)])), [""; 0]);
    }
}
