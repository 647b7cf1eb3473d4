//! Draws what is alive as a tree: each resource under its trigger.
//!
//! Leaves that look the same are folded into one line if they are many. Nothing here recurses:
//! lineages are as deep as programs make them.

use std::collections::{HashMap, HashSet};
use std::fmt;

use forebear_hooks::{AsyncId, RuntimeId};

use crate::inspect::snapshot::{Finder, ResourceInfo, Snapshot, snapshot, snapshot_of};
use crate::inspect::text::{Thousands, write_folded, write_resource};

/// More leaves than this that look the same are folded into one line.
const FOLD_ABOVE: usize = 8;

/// Triggers that a snapshot lacks are followed so far: gone ones, and those of other runtimes.
const ABSENT_MAX_DEPTH: usize = 16;

/// Lines are indented so far; what is deeper says its depth. A lineage of 100,000 would else be
/// drawn with 30 GB of indentation.
const INDENT_MAX: usize = 24;

/// A tree of resources: print it.
///
/// Each line has a state (`▶` running, `◆` ready and waiting for a worker, `○` idle, `·` not a
/// task, `†` gone), id, kind, label, place, age, and such context as was declared to be shown.
/// More than eight leaves that look the same are one line, `x 1,204`. What does not descend from
/// where it came from says `~~ link`. Where the trigger of a root is gone and was forgotten, or is
/// too far up, the root says that it is elided.
#[derive(Clone, Debug)]
pub struct Tree {
    resources: Vec<ResourceInfo>,
}

/// Takes a snapshot of a runtime, as a tree.
#[must_use]
pub fn tree_of(runtime: RuntimeId) -> Tree {
    Tree::new(snapshot_of(runtime))
}

/// Takes a snapshot of the process, as a tree.
#[must_use]
pub fn tree_all() -> Tree {
    Tree::new(snapshot())
}

impl Tree {
    /// Makes a tree of a snapshot. Ancestors that are not in it are added: those that are gone as
    /// far as they are remembered, and those that belong to another runtime.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Tree {
        let mut resources = snapshot.resources().to_vec();
        let absent = Finder::new().triggers_of(&resources, ABSENT_MAX_DEPTH);
        resources.extend(absent);
        resources.sort_unstable_by_key(|resource| resource.id);
        Tree { resources }
    }

    /// Says whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// Returns the resources that are drawn, by id.
    #[must_use]
    pub fn resources(&self) -> &[ResourceInfo] {
        &self.resources
    }
}

/// Who stands under whom, as places in a list of resources.
struct Shape {
    triggers: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    roots: Vec<usize>,
    has_absent_trigger: Vec<bool>,
}

impl Shape {
    fn of(resources: &[ResourceInfo]) -> Shape {
        let place_of: HashMap<AsyncId, usize> =
            resources.iter().enumerate().map(|(place, r)| (r.id, place)).collect();
        let mut shape = Shape {
            triggers: vec![None; resources.len()],
            children: vec![Vec::new(); resources.len()],
            roots: Vec::new(),
            has_absent_trigger: vec![false; resources.len()],
        };
        for (place, resource) in resources.iter().enumerate() {
            match resource.trigger.map(|trigger| place_of.get(&trigger)) {
                Some(Some(trigger)) => {
                    shape.triggers[place] = Some(*trigger);
                    shape.children[*trigger].push(place);
                }
                Some(None) => {
                    shape.has_absent_trigger[place] = true;
                    shape.roots.push(place);
                }
                None => shape.roots.push(place),
            }
        }
        shape
    }

    /// Follows the triggers of something that hangs below a circle until it is in the circle.
    fn in_circle_above(&self, place: usize) -> usize {
        let mut seen = HashSet::new();
        let mut here = place;
        while seen.insert(here) {
            here = self.triggers[here].unwrap_or(here);
        }
        here
    }
}

/// A line that is still to be written.
struct Line {
    what: What,
    depth: usize,
    /// One bit per level above: a line goes on down there.
    rails: u32,
    is_last: bool,
}

enum What {
    One(usize),
    Folded(Vec<usize>),
}

const _: () = assert!(INDENT_MAX <= u32::BITS as usize);

/// The tree while it is being written.
struct Drawing<'a> {
    resources: &'a [ResourceInfo],
    shape: Shape,
    is_drawn: Vec<bool>,
    pending: Vec<Line>,
}

impl Drawing<'_> {
    fn draw_all(&mut self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots = std::mem::take(&mut self.shape.roots);
        self.push(roots, 0, 0);
        self.draw_pending(f)?;
        // What was not reached hangs in, or below, a circle of triggers.
        for place in 0..self.resources.len() {
            if !self.is_drawn[place] {
                let entry = self.shape.in_circle_above(place);
                self.push(vec![entry], 0, 0);
                self.draw_pending(f)?;
            }
        }
        Ok(())
    }

    fn draw_pending(&mut self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        while let Some(line) = self.pending.pop() {
            write_indent(f, &line)?;
            let place = match &line.what {
                What::One(place) => *place,
                What::Folded(same) => {
                    let same: Vec<_> = same.iter().map(|place| &self.resources[*place]).collect();
                    write_folded(f, &same)?;
                    f.write_str("\n")?;
                    continue;
                }
            };
            let resource = &self.resources[place];
            write_resource(f, resource)?;
            if self.shape.has_absent_trigger[place] {
                if let Some(trigger) = resource.trigger {
                    write!(f, "  (triggered by {trigger}, elided)")?;
                }
            }
            if std::mem::replace(&mut self.is_drawn[place], true) {
                f.write_str("  ↺ see above\n")?;
                continue;
            }
            f.write_str("\n")?;
            let below = std::mem::take(&mut self.shape.children[place]);
            let goes_on = line.depth > 0 && line.depth <= INDENT_MAX && !line.is_last;
            let rails = line.rails | u32::from(goes_on) << line.depth.saturating_sub(1).min(31);
            self.push(below, line.depth + 1, rails);
        }
        Ok(())
    }

    fn push(&mut self, siblings: Vec<usize>, depth: usize, rails: u32) {
        let whats = self.fold(siblings);
        let last = whats.len().saturating_sub(1);
        // The last line that is pushed is the first to be written.
        for (nth, what) in whats.into_iter().enumerate().rev() {
            self.pending.push(Line { what, depth, rails, is_last: nth == last });
        }
    }

    /// Puts leaves together that look the same, if they are many.
    fn fold(&mut self, siblings: Vec<usize>) -> Vec<What> {
        if siblings.len() <= FOLD_ABOVE {
            return siblings.into_iter().map(What::One).collect();
        }
        let mut same: HashMap<_, usize> = HashMap::new();
        let mut whats = Vec::new();
        for place in siblings {
            let r = &self.resources[place];
            let says_more = self.shape.has_absent_trigger[place] || r.link.is_some();
            if !self.shape.children[place].is_empty() || self.is_drawn[place] || says_more {
                whats.push(What::One(place));
                continue;
            }
            let looks = (r.kind, &r.label, r.location, r.is_gone(), r.state, &r.context);
            let group = *same.entry(looks).or_insert_with(|| {
                whats.push(What::Folded(Vec::new()));
                whats.len() - 1
            });
            if let What::Folded(folded) = &mut whats[group] {
                folded.push(place);
            }
        }
        let mut unfolded = Vec::with_capacity(whats.len());
        for what in whats {
            match what {
                What::Folded(few) if few.len() <= FOLD_ABOVE => {
                    unfolded.extend(few.into_iter().map(What::One));
                }
                What::Folded(many) => {
                    many.iter().for_each(|place| self.is_drawn[*place] = true);
                    unfolded.push(What::Folded(many));
                }
                one => unfolded.push(one),
            }
        }
        unfolded
    }
}

fn write_indent(f: &mut fmt::Formatter<'_>, line: &Line) -> fmt::Result {
    for level in 1..line.depth.min(INDENT_MAX) {
        f.write_str(if line.rails & 1 << (level - 1) == 0 { "   " } else { "│  " })?;
    }
    match line.depth {
        0 => Ok(()),
        1..=INDENT_MAX => f.write_str(if line.is_last { "└─ " } else { "├─ " }),
        depth => write!(f, "⋯ {} ", Thousands(depth)),
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut drawing = Drawing {
            resources: &self.resources,
            shape: Shape::of(&self.resources),
            is_drawn: vec![false; self.resources.len()],
            pending: Vec::new(),
        };
        drawing.draw_all(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{INDENT_MAX, Tree};
    use crate::inspect::snapshot::ResourceInfo;
    use forebear_hooks::{AsyncId, Kind, LiveState};
    use std::panic::Location;
    use std::time::Duration;

    fn id(raw: u64) -> AsyncId {
        AsyncId::from_u64(raw).unwrap()
    }

    /// All of them stand on one line, so that they can look the same.
    fn info(raw: u64, trigger: u64) -> ResourceInfo {
        ResourceInfo {
            id: id(raw),
            kind: Kind::TASK,
            label: "conn".to_owned(),
            location: Location::caller(),
            trigger: AsyncId::from_u64(trigger),
            creator: AsyncId::from_u64(trigger),
            link: None,
            runtime: None,
            age: Some(Duration::from_secs(raw)),
            state: Some(LiveState::Idle),
            context: Vec::new(),
        }
    }

    /// Draws without looking anything up, and with the line numbers of this file left out.
    #[track_caller]
    fn check(resources: Vec<ResourceInfo>, want: &str) {
        let text = Tree { resources }.to_string();
        let mut short = String::new();
        for line in text.lines() {
            let (head, tail) = line.split_once(" context/src/inspect/tree.rs:").unwrap();
            short += head;
            short += tail.trim_start_matches(|c: char| c.is_ascii_digit());
            short.push('\n');
        }
        let want: String = want.lines().map(|line| line.trim_start_matches("        ")).fold(
            String::new(),
            |all, line| {
                if all.is_empty() && line.is_empty() { all } else { all + line + "\n" }
            },
        );
        assert_eq!(short.trim_end(), want.trim_end(), "\n{text}");
    }

    #[test]
    fn a_tree_has_a_line_for_each_resource_under_its_trigger() {
        let main = ResourceInfo {
            kind: Kind::BLOCK_ON,
            label: "main".to_owned(),
            state: Some(LiveState::Running),
            ..info(1, 0)
        };
        let accept = ResourceInfo { label: "accept".to_owned(), ..info(7, 1) };
        let conn = ResourceInfo {
            context: vec![("requestId", "9f3c".to_owned()), ("user", "a\nb".to_owned())],
            state: Some(LiveState::Queued),
            ..info(20, 7)
        };
        let timer = ResourceInfo {
            kind: Kind::TIMER,
            label: "timeout".to_owned(),
            state: None,
            creator: Some(id(7)),
            ..info(21, 20)
        };
        let gone = ResourceInfo { age: None, label: "setup".to_owned(), ..info(30, 1) };
        let below = ResourceInfo { label: "poller".to_owned(), ..info(31, 30) };
        let root = ResourceInfo { link: Some(id(20)), label: "audit".to_owned(), ..info(40, 0) };
        let lost = ResourceInfo { label: "stray".to_owned(), ..info(50, 49) };
        check(
            vec![main, accept, conn, timer, gone, below, root, lost],
            "
        ▶ #1 block on main  1.0s
        ├─ ○ #7 task accept  7.0s
        │  └─ ◆ #20 task conn  20.0s  requestId=9f3c  user=a\\nb
        │     └─ · #21 timer timeout  21.0s  (created by #7)
        └─ † #30 task setup  gone
           └─ ○ #31 task poller  31.0s
        ○ #40 task audit  40.0s  ~~ link #20
        ○ #50 task stray  50.0s  (triggered by #49, elided)",
        );
    }

    #[test]
    fn more_than_eight_leaves_that_look_the_same_are_one_line() {
        let with_eight = (2..10).map(|raw| info(raw, 1));
        let tree = Tree { resources: std::iter::once(info(1, 0)).chain(with_eight).collect() };
        assert_eq!(tree.to_string().lines().count(), 9);

        let mut many: Vec<ResourceInfo> = (2..2002).map(|raw| info(raw, 1)).collect();
        many[3].label = "other".to_owned();
        many.push(info(3000, 100));
        many.insert(0, info(1, 0));
        check(
            many,
            "
        ○ #1 task conn  1.0s
        ├─ ○ x 1,998 task conn  (newest #2001, oldest 33m21s)
        ├─ ○ #5 task other  5.0s
        └─ ○ #100 task conn  1m40s
           └─ ○ #3000 task conn  50m00s",
        );
    }

    #[test]
    fn a_cycle_of_triggers_is_drawn_and_comes_to_an_end() {
        check(
            vec![info(1, 1), info(2, 4), info(3, 2), info(4, 3)],
            "
        ○ #1 task conn  1.0s
        └─ ○ #1 task conn  1.0s  ↺ see above
        ○ #2 task conn  2.0s
        └─ ○ #3 task conn  3.0s
           └─ ○ #4 task conn  4.0s
              └─ ○ #2 task conn  2.0s  ↺ see above",
        );
    }

    #[test]
    fn a_lineage_of_a_hundred_thousand_is_drawn_with_bounded_indentation() {
        let resources = (1..=100_000).map(|raw| info(raw, raw - 1)).collect();
        let text = Tree { resources }.to_string();
        assert_eq!(text.lines().count(), 100_000);
        let deepest = text.lines().last().unwrap();
        assert!(deepest.contains("⋯ 99,999 ○ #100000 task"), "{deepest}");
        assert!(deepest.chars().count() < INDENT_MAX * 3 + 100);
    }
}
