//! What one term of a query asks of a resource.

use std::ops::RangeInclusive;

use forebear_hooks::waits::Until;
use forebear_hooks::{AsyncId, LiveState};

use crate::inspect::resource::ResourceInfo;

/// One term; all terms of a query must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) is_negated: bool,
    pub(super) test: Test,
}

/// What is asked. Of several alternatives one must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Text(String),
    Kind(Vec<String>),
    State(Vec<StateName>),
    Label(Vec<String>),
    Site(Vec<String>),
    Field { key: String, value: Option<String> },
    Id(Vec<AsyncId>),
    Trigger(Vec<AsyncId>),
    Creator(Vec<AsyncId>),
    Flow(Vec<AsyncId>),
    Runtime(Vec<u64>),
    Waits(Vec<WaitName>),
    Leak(bool),
    Under(AsyncId),
    AgeNs(RangeInclusive<u128>),
    Count(Counted, RangeInclusive<u128>),
}

/// What of a resource is counted, while that is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    Polls,
    BusyNs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StateName {
    Running,
    Queued,
    Idle,
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitName {
    Task,
    Timer,
    Socket,
    /// It is idle, and nobody knows what it waits for: a channel, say, or a lock.
    Unknown,
    On(AsyncId),
}

/// What a term cannot see in a resource alone.
pub(super) struct Around<'a> {
    pub(super) is_leak: &'a dyn Fn(usize) -> bool,
    pub(super) is_under: &'a dyn Fn(AsyncId, usize) -> bool,
}

impl Term {
    pub(super) fn holds(&self, r: &ResourceInfo, place: usize, around: &Around<'_>) -> bool {
        self.test.holds(r, place, around) != self.is_negated
    }
}

impl Test {
    fn holds(&self, r: &ResourceInfo, place: usize, around: &Around<'_>) -> bool {
        match self {
            Test::Text(text) => has_text(r, text),
            Test::Kind(names) => names.iter().any(|name| is_of_kind(r, name)),
            Test::State(names) => state_of(r).is_some_and(|state| names.contains(&state)),
            Test::Label(parts) => parts.iter().any(|part| has(&r.label, part)),
            Test::Site(parts) => {
                let site = r.location.to_string();
                parts.iter().any(|part| has(&site, part))
            }
            Test::Field { key, value } => r.context.iter().any(|(known, text)| {
                known == key.as_str() && value.as_ref().is_none_or(|value| value == text)
            }),
            Test::Id(ids) => ids.contains(&r.id),
            Test::Trigger(ids) => r.trigger.is_some_and(|id| ids.contains(&id)),
            Test::Creator(ids) => r.creator.is_some_and(|id| ids.contains(&id)),
            Test::Flow(ids) => r.flow.is_some_and(|flow| ids.contains(&flow.id)),
            Test::Runtime(ids) => {
                r.runtime.is_some_and(|runtime| ids.contains(&u64::from(runtime.get())))
            }
            Test::Waits(names) => names.iter().any(|name| waits(r, *name)),
            Test::Leak(is) => (around.is_leak)(place) == *is,
            Test::Under(id) => (around.is_under)(*id, place),
            Test::AgeNs(range) => r.age.is_some_and(|age| range.contains(&age.as_nanos())),
            Test::Count(counted, range) => r.counts.as_ref().is_some_and(|counts| {
                range.contains(&match counted {
                    Counted::Polls => u128::from(counts.polls),
                    Counted::BusyNs => counts.busy.as_nanos(),
                })
            }),
        }
    }
}

fn has_text(r: &ResourceInfo, text: &str) -> bool {
    has(&r.label, text)
        || has(&r.location.to_string(), text)
        || has(&r.kind.name().replace('_', " "), text)
        || r.id.to_string() == text
        || r.context.iter().any(|(key, value)| has(key, text) || has(value, text))
}

/// Looks for a text, whatever the case of ASCII letters.
fn has(text: &str, part: &str) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    part.is_empty() || text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

/// Says whether a kind has this name, or begins with it: `tcp` is both `tcp listener` and `tcp
/// stream`.
fn is_of_kind(r: &ResourceInfo, name: &str) -> bool {
    let same = |a: u8, b: u8| {
        let word = |c: u8| if matches!(c, b'_' | b'-') { b' ' } else { c.to_ascii_lowercase() };
        word(a) == word(b)
    };
    let kind = r.kind.name().as_bytes();
    let begins =
        kind.len() >= name.len() && kind.iter().zip(name.bytes()).all(|(a, b)| same(*a, b));
    begins && kind.get(name.len()).is_none_or(|next| *next == b'_')
}

fn state_of(r: &ResourceInfo) -> Option<StateName> {
    if r.is_gone() {
        return Some(StateName::Gone);
    }
    r.state.map(|state| match state {
        LiveState::Running => StateName::Running,
        LiveState::Queued => StateName::Queued,
        LiveState::Idle => StateName::Idle,
    })
}

fn waits(r: &ResourceInfo, name: WaitName) -> bool {
    let any = |is_it: fn(&Until) -> bool| r.waits.iter().any(|waits| is_it(&waits.until));
    match name {
        WaitName::Task => any(|until| *until == Until::Ended),
        WaitName::Timer => any(|until| matches!(until, Until::Due(_))),
        WaitName::Socket => {
            any(|until| matches!(until, Until::Readable | Until::Writable | Until::Ready))
        }
        WaitName::Unknown => r.state == Some(LiveState::Idle) && r.waits.is_empty(),
        WaitName::On(id) => r.waits.iter().any(|waits| waits.on == id),
    }
}
