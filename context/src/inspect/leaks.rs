//! Finds what has no use any more and is still there.
//!
//! | what | is reported when |
//! |---|---|
//! | a task that never wakes | it waits, and there is no waker of it. It can only be aborted: this is certain |
//! | a timer that nobody waits for | it is older than ten seconds, nobody waits for it, and what made it is gone, or has left sixteen of them |
//! | a context that is kept | its flow ended more than ten seconds ago, and a resource that is no task, job or timer still has it; or a task that waits for a socket, after a minute |
//!
//! What is not certain is late rather than wrong: what a service does by design, such as shipping an
//! order an hour after the request, is not reported.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use forebear_hooks::waits::Until;
use forebear_hooks::{AsyncId, Kind};

use crate::inspect::graph::place_of;
use crate::inspect::paint::{Paint, Part};
use crate::inspect::resource::ResourceInfo;
use crate::inspect::shape;
use crate::inspect::snapshot::Snapshot;
use crate::inspect::text::{Age, Clean, Place, Thousands, Words};

/// A timer that nobody waits for is no leak before it has been there for so long: its owner may be
/// doing something else first.
const TIMER_MIN_AGE: Duration = Duration::from_secs(10);

/// So many timers that nobody waits for are a leak of whoever made them, even if that is alive.
const TIMERS_MIN: usize = 16;

/// A context may be kept for so long after its flow: until a pool has noticed, say.
const KEPT_MIN: Duration = Duration::from_secs(10);

/// The same for a task that waits for a socket.
const KEPT_BY_TASK_MIN: Duration = Duration::from_secs(60);

/// Of each place so many leaks are shown with their lineage.
const EXAMPLES_MAX: usize = 1;

/// What sort of leak it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeakKind {
    /// A task that waits, and that nobody can wake. It is certain.
    NeverWakes,
    /// A timer that nobody waits for.
    ForgottenTimer,
    /// The context of a flow that has ended, kept by something that is no part of it.
    KeptContext,
}

impl LeakKind {
    /// Returns its name: `never-wakes`, `forgotten-timer` or `kept-context`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            LeakKind::NeverWakes => "never-wakes",
            LeakKind::ForgottenTimer => "forgotten-timer",
            LeakKind::KeptContext => "kept-context",
        }
    }

    fn says(self) -> &'static str {
        match self {
            LeakKind::NeverWakes => "never wakes: there is no waker of it, it can only be aborted",
            LeakKind::ForgottenTimer => "nobody waits for it, and what made it has left it behind",
            LeakKind::KeptContext => "keeps the context of a flow that has ended",
        }
    }
}

/// Leaks of one sort that were made at one place.
#[derive(Clone, Debug)]
pub struct Leak {
    /// What sort of leak it is.
    pub kind: LeakKind,
    /// Which resources they are, the oldest first.
    pub ids: Vec<AsyncId>,
    /// The oldest.
    pub example: ResourceInfo,
}

/// What seems to be a leak: print it.
#[derive(Clone, Debug)]
pub struct Leaks {
    leaks: Vec<Leak>,
    snapshot: Snapshot,
    paint: Paint,
}

impl Leaks {
    /// Looks for leaks in a snapshot.
    #[must_use]
    pub fn of(snapshot: Snapshot) -> Leaks {
        let resources = snapshot.resources();
        let mut by_place: HashMap<(LeakKind, u64), Vec<usize>> = HashMap::new();
        for (place, kind) in find(resources) {
            by_place.entry((kind, shape::of_one(&resources[place]))).or_default().push(place);
        }
        let mut leaks: Vec<Leak> = Vec::new();
        for ((kind, _), mut places) in by_place {
            places.sort_by_key(|place| std::cmp::Reverse(resources[*place].age));
            let ids = places.iter().map(|place| resources[*place].id).collect();
            leaks.push(Leak { kind, ids, example: resources[places[0]].clone() });
        }
        leaks.sort_by_key(|leak| (leak.kind, std::cmp::Reverse(leak.ids.len()), leak.ids[0]));
        Leaks { leaks, snapshot, paint: Paint::default() }
    }

    /// Keeps what was a leak in an earlier snapshot, too: what comes and goes is none.
    #[must_use]
    pub fn confirmed_by(self, earlier: &Leaks) -> Leaks {
        let known: HashSet<(LeakKind, AsyncId)> = earlier
            .leaks
            .iter()
            .flat_map(|leak| leak.ids.iter().map(|id| (leak.kind, *id)))
            .collect();
        self.keep(|kind, id| known.contains(&(kind, id)))
    }

    /// Keeps what is among these resources.
    #[must_use]
    pub fn among(self, ids: &[AsyncId]) -> Leaks {
        let wanted: HashSet<AsyncId> = ids.iter().copied().collect();
        self.keep(|_, id| wanted.contains(&id))
    }

    fn keep(mut self, is_kept: impl Fn(LeakKind, AsyncId) -> bool) -> Leaks {
        for leak in &mut self.leaks {
            leak.ids.retain(|id| is_kept(leak.kind, *id));
        }
        self.leaks.retain(|leak| !leak.ids.is_empty());
        for leak in &mut self.leaks {
            if let Some(oldest) = leak.ids.first().and_then(|id| self.snapshot.get(*id)) {
                leak.example = oldest.clone();
            }
        }
        self
    }

    /// Returns them: the certain ones first, then by how many they are.
    #[must_use]
    pub fn all(&self) -> &[Leak] {
        &self.leaks
    }

    /// Says whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leaks.is_empty()
    }

    /// Returns in what they were found.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Prints them in colours, for a terminal.
    #[must_use]
    pub fn paint(mut self, paint: Paint) -> Leaks {
        self.paint = paint;
        self
    }
}

impl fmt::Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: usize = self.leaks.iter().map(|leak| leak.ids.len()).sum();
        match (count, self.leaks.len()) {
            (0, _) => return f.write_str("no leaks found\n"),
            (1, _) => writeln!(f, "1 leak")?,
            (_, 1) => writeln!(f, "{} leaks at one place", Thousands(count as u64))?,
            (_, places) => {
                writeln!(f, "{} leaks at {places} places", Thousands(count as u64))?;
            }
        }
        for leak in &self.leaks {
            let r = &leak.example;
            let many = Thousands(leak.ids.len() as u64);
            write!(f, "\n{}  ", self.paint.on(Part::Alarm, leak.kind.name()))?;
            write!(f, "x {many} {} {} {}", Words(r.kind), Clean(&r.label), Place(&r.location))?;
            if let Some(age) = r.age {
                write!(f, "  oldest {}", Age(age))?;
            }
            write!(f, "\n    {}", leak.kind.says())?;
            if let Some((flow, ended)) = r.flow.and_then(|flow| Some((flow.id, flow.ended?))) {
                if leak.kind == LeakKind::KeptContext {
                    write!(f, ": {flow}, {} ago", Age(ended))?;
                }
            }
            f.write_str("\n")?;
            for id in leak.ids.iter().take(EXAMPLES_MAX) {
                let lineage = self.snapshot.lineage(*id).paint(self.paint).to_string();
                lineage.lines().try_for_each(|line| writeln!(f, "    {line}"))?;
            }
        }
        Ok(())
    }
}

/// Says of each resource whether it seems to be a leak.
pub(super) fn mark(resources: &[ResourceInfo]) -> Vec<bool> {
    let mut is_leak = vec![false; resources.len()];
    find(resources).into_iter().for_each(|(place, _)| is_leak[place] = true);
    is_leak
}

/// Finds leaks among resources that are sorted by id.
fn find(resources: &[ResourceInfo]) -> Vec<(usize, LeakKind)> {
    let is_there = |id| place_of(resources, id).is_some_and(|place| !resources[place].is_gone());
    let mut found = Vec::new();
    let mut idle_timers: HashMap<(Option<AsyncId>, u64), Vec<usize>> = HashMap::new();
    for (place, r) in resources.iter().enumerate() {
        if r.never_wakes() {
            found.push((place, LeakKind::NeverWakes));
        } else if is_idle_timer(r) {
            let made_by = r.creator.filter(|creator| is_there(*creator));
            idle_timers.entry((made_by, shape::of_one(r))).or_default().push(place);
        } else if keeps_context(r) {
            found.push((place, LeakKind::KeptContext));
        }
    }
    for ((made_by, _), timers) in idle_timers {
        if made_by.is_none() || timers.len() >= TIMERS_MIN {
            found.extend(timers.into_iter().map(|place| (place, LeakKind::ForgottenTimer)));
        }
    }
    found
}

fn is_idle_timer(r: &ResourceInfo) -> bool {
    r.kind == Kind::TIMER && r.due.is_none() && r.age.is_some_and(|age| age >= TIMER_MIN_AGE)
}

fn keeps_context(r: &ResourceInfo) -> bool {
    let Some(ended) = r.flow.and_then(|flow| flow.ended) else { return false };
    match r.kind {
        Kind::TASK => {
            let is_of_socket =
                |until: &Until| matches!(until, Until::Readable | Until::Writable | Until::Ready);
            ended >= KEPT_BY_TASK_MIN && r.waits.iter().any(|waits| is_of_socket(&waits.until))
        }
        // Their tasks are what keeps these; a flow inside another has its own.
        Kind::TIMER | Kind::BLOCKING | Kind::FLOW | Kind::BLOCK_ON => false,
        _ => !r.is_gone() && ended >= KEPT_MIN,
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT_BY_TASK_MIN, KEPT_MIN, LeakKind, Leaks, TIMER_MIN_AGE, TIMERS_MIN};
    use crate::inspect::label::Site;
    use crate::inspect::resource::{FlowRef, ResourceInfo, WaitsFor};
    use crate::inspect::snapshot::Snapshot;
    use forebear_hooks::waits::Until;
    use forebear_hooks::{AsyncId, Kind, LiveState};
    use std::time::Duration;

    fn id(raw: u64) -> AsyncId {
        AsyncId::from_u64(raw).unwrap()
    }

    fn info(raw: u64, kind: Kind) -> ResourceInfo {
        let mut info = ResourceInfo::new(id(raw), kind, "x", Site::new("a.rs", 1, 1));
        info.age = Some(TIMER_MIN_AGE);
        info
    }

    fn task(raw: u64, wakers: u32) -> ResourceInfo {
        let mut task = info(raw, Kind::TASK);
        (task.state, task.wakers) = (Some(LiveState::Idle), Some(wakers));
        task
    }

    fn timer(raw: u64, creator: u64) -> ResourceInfo {
        ResourceInfo { creator: AsyncId::from_u64(creator), ..info(raw, Kind::TIMER) }
    }

    fn keeper(raw: u64, kind: Kind, ended: Duration) -> ResourceInfo {
        let flow = Some(FlowRef { id: id(99), ended: Some(ended) });
        ResourceInfo { flow, ..info(raw, kind) }
    }

    /// Says which of these are leaks.
    #[track_caller]
    fn check(resources: Vec<ResourceInfo>, want: &[(LeakKind, &[u64])]) {
        let leaks = Leaks::of(Snapshot::of(resources));
        let found: Vec<(LeakKind, Vec<u64>)> = leaks
            .all()
            .iter()
            .map(|leak| (leak.kind, leak.ids.iter().map(|id| id.get()).collect()))
            .collect();
        let want: Vec<_> = want.iter().map(|(kind, ids)| (*kind, ids.to_vec())).collect();
        assert_eq!(found, want, "{leaks}");
    }

    #[test]
    fn a_task_without_a_waker_that_waits_never_wakes() {
        check(vec![task(1, 0), task(2, 1)], &[(LeakKind::NeverWakes, &[1])]);
        let mut queued = task(1, 0);
        queued.state = Some(LiveState::Queued);
        check(vec![queued], &[]);
        check(vec![ResourceInfo { wakers: None, ..task(1, 0) }], &[]);
    }

    #[test]
    fn a_timer_is_forgotten_if_its_maker_is_gone_or_has_left_many() {
        check(vec![task(1, 1), timer(2, 1), timer(3, 77)], &[(LeakKind::ForgottenTimer, &[3])]);
        let waited_for = ResourceInfo { due: Some(Duration::ZERO), ..timer(2, 77) };
        let young = ResourceInfo { age: Some(Duration::ZERO), ..timer(3, 77) };
        check(vec![waited_for, young], &[]);
        let many = |count: usize| {
            let timers = (2..2 + count as u64).map(|raw| timer(raw, 1));
            Leaks::of(Snapshot::of(timers.chain([task(1, 1)]).collect())).all().len()
        };
        assert_eq!((many(TIMERS_MIN - 1), many(TIMERS_MIN)), (0, 1));
    }

    #[test]
    fn a_context_is_kept_by_what_is_no_part_of_its_flow() {
        check(
            vec![
                keeper(1, Kind::TCP_STREAM, KEPT_MIN),
                keeper(2, Kind::TCP_STREAM, Duration::ZERO),
            ],
            &[(LeakKind::KeptContext, &[1])],
        );
        // What goes on after the request, such as shipping an order, is none.
        let mut late = keeper(1, Kind::TASK, KEPT_BY_TASK_MIN * 9);
        let mut driver = keeper(2, Kind::TASK, KEPT_BY_TASK_MIN);
        late.waits = [WaitsFor { on: id(7), until: Until::Due(Duration::ZERO) }].into();
        driver.waits = [WaitsFor { on: id(8), until: Until::Readable }].into();
        check(vec![late, driver], &[(LeakKind::KeptContext, &[2])]);
        let timer = ResourceInfo { due: Some(Duration::ZERO), ..keeper(3, Kind::TIMER, KEPT_MIN) };
        check(vec![timer], &[]);
    }

    #[test]
    fn what_comes_and_goes_is_no_leak() {
        let before = Leaks::of(Snapshot::of(vec![task(1, 0), task(2, 0)]));
        let after = Leaks::of(Snapshot::of(vec![task(2, 0), task(3, 0)]));
        let confirmed = after.clone().confirmed_by(&before);
        assert_eq!(confirmed.all()[0].ids, [id(2)]);
        assert_eq!(confirmed.all()[0].example.id, id(2));
        assert!(after.among(&[id(9)]).is_empty());
    }

    #[test]
    fn leaks_are_printed_by_place_with_a_lineage() {
        let mut stuck = task(2, 0);
        (stuck.trigger, stuck.creator) = (Some(id(1)), Some(id(1)));
        let leaks = Leaks::of(Snapshot::of(vec![task(1, 1), stuck]));
        let text = leaks.to_string();
        let want = "1 leak\n\nnever-wakes  x 1 task x a.rs:1  oldest 10.0s\n    never wakes: there is \
            no waker of it, it can only be aborted\n    ○ #2 task x a.rs:1  10.0s  LEAK: nobody can \
            wake it\n      triggered by ○ #1 task x a.rs:1  10.0s\n";
        assert_eq!(text, want, "{text}");
        let json = leaks.json().to_string();
        assert!(json.contains("\"leak\":\"never-wakes\",\"ids\":[2]"), "{json}");
        assert!(json.contains("\"lineage\":[2,1]"), "{json}");
        assert_eq!(Leaks::of(Snapshot::default()).to_string(), "no leaks found\n");
    }
}
