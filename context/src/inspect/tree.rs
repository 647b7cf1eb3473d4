//! Draws what is alive as a tree: each resource under its trigger, or along another edge.
//!
//! Siblings that look the same, with all that is below them, are folded into one line if they are
//! many. Nothing here recurses: lineages are as deep as programs make them.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use forebear_hooks::{AsyncId, RuntimeId};

use crate::inspect::graph::{Edge, Graph};
use crate::inspect::paint::{Paint, Part};
use crate::inspect::query::Query;
use crate::inspect::resource::ResourceInfo;
use crate::inspect::shape;
use crate::inspect::snapshot::{Snapshot, snapshot, snapshot_of};
use crate::inspect::text::{Thousands, write_folded, write_resource};

/// More siblings than this that look the same are folded into one line.
const FOLD_ABOVE: usize = 8;

/// Lines are indented so far; what is deeper says its depth. A lineage of 100,000 would else be
/// drawn with 30 GB of indentation.
const INDENT_MAX: usize = 24;

/// A tree of resources: print it.
///
/// Each line has a state (`▶` running, `◆` ready and waiting for a worker, `○` idle, `·` not a
/// task, `†` gone), id, kind, label, place, age, what it waits for, and such context as was declared
/// to be shown. More than eight siblings that look the same, with what is below them, are one line,
/// `x 1,204`. What does not descend from where it came from says `~~ link`. Where the trigger of a
/// root is gone and was forgotten, or is too far up, the root says that it is elided. Where stated
/// triggers or waits lead in a circle, `↺` says that it has been drawn above.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Sorted by id.
    resources: Vec<ResourceInfo>,
    pub(super) edge: Edge,
    query: Query,
    fold_above: usize,
    paint: Paint,
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
    /// Makes a tree of a snapshot and its ancestors.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Tree {
        Tree {
            resources: snapshot.into_all(),
            edge: Edge::default(),
            query: Query::default(),
            fold_above: FOLD_ABOVE,
            paint: Paint::default(),
        }
    }

    /// Draws it along another edge.
    #[must_use]
    pub fn edge(mut self, edge: Edge) -> Tree {
        self.edge = edge;
        self
    }

    /// Draws only what a query picks, and what is above that.
    #[must_use]
    pub fn filter(mut self, query: Query) -> Tree {
        self.query = query;
        self
    }

    /// Folds siblings that look the same if there are more than so many: eight, without this.
    #[must_use]
    pub fn fold_above(mut self, siblings: usize) -> Tree {
        self.fold_above = siblings;
        self
    }

    /// Draws it in colours, for a terminal.
    #[must_use]
    pub fn paint(mut self, paint: Paint) -> Tree {
        self.paint = paint;
        self
    }

    /// Says whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// Returns the resources that it is made of, by id.
    #[must_use]
    pub fn resources(&self) -> &[ResourceInfo] {
        &self.resources
    }

    /// Returns what is drawn, folded or not, by id.
    pub(super) fn drawn(&self) -> Vec<&ResourceInfo> {
        let (_, is_drawn) = self.choose(&Graph::new(&self.resources, self.edge));
        let drawn = self.resources.iter().zip(is_drawn).filter(|(_, is_drawn)| *is_drawn);
        drawn.map(|(resource, _)| resource).collect()
    }

    /// Returns its lines, from the top.
    #[must_use]
    pub fn lines(&self) -> TreeLines<'_> {
        TreeLines::of(self)
    }

    /// Says whether what is above a resource is known to exist, and not known.
    fn elided(&self, place: usize, graph: &Graph) -> Option<AsyncId> {
        let above = match self.edge {
            Edge::TriggeredBy => self.resources[place].trigger,
            Edge::CreatedBy => self.resources[place].creator,
            Edge::WaitingOn => None,
        };
        above.filter(|_| graph.above(place).is_none())
    }

    /// Decides what is drawn: what the query picks, and what is above that. What is gone is drawn
    /// only above something that is not, and what neither waits nor is waited for has no place in
    /// a tree of waits.
    fn choose(&self, graph: &Graph) -> (Vec<bool>, Vec<bool>) {
        let mut is_picked = self.query.select(&self.resources, graph);
        if self.query.is_empty() {
            for (place, r) in self.resources.iter().enumerate() {
                let stands_alone = graph.above(place).is_none() && graph.below(place).is_empty();
                is_picked[place] = !r.is_gone() && (self.edge != Edge::WaitingOn || !stands_alone);
            }
        }
        let mut is_drawn = is_picked.clone();
        for place in (0..is_picked.len()).filter(|place| is_picked[*place]) {
            let mut above = graph.above(place);
            while let Some(here) = above.filter(|above| !is_drawn[*above]) {
                is_drawn[here] = true;
                above = graph.above(here);
            }
        }
        (is_picked, is_drawn)
    }
}

/// One line of a [`Tree`]: it prints as it stands there, without the end of the line.
#[derive(Clone, Debug)]
pub struct TreeLine<'a> {
    same: Vec<&'a ResourceInfo>,
    depth: usize,
    /// One bit per level above: a line goes on down there.
    rails: u32,
    is_last: bool,
    is_picked: bool,
    is_repeated: bool,
    elided: Option<(Edge, AsyncId)>,
    paint: Paint,
}

const _: () = assert!(INDENT_MAX <= u32::BITS as usize);

impl<'a> TreeLine<'a> {
    /// Returns the resources of the line: one, or many that look the same.
    #[must_use]
    pub fn resources(&self) -> &[&'a ResourceInfo] {
        &self.same
    }

    /// Returns how far below the roots it stands.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Says whether the query has picked it. Else it is there because of what is below it.
    #[must_use]
    pub fn is_picked(&self) -> bool {
        self.is_picked
    }

    /// Returns the lines that lead to it.
    #[must_use]
    pub fn indent(&self) -> String {
        let mut indent = String::new();
        for level in 1..self.depth.min(INDENT_MAX) {
            indent += if self.rails & 1 << (level - 1) == 0 { "   " } else { "│  " };
        }
        match self.depth {
            0 => {}
            1..=INDENT_MAX => indent += if self.is_last { "└─ " } else { "├─ " },
            // Writing to a text does not fail.
            depth => drop(write!(indent, "⋯ {} ", Thousands(depth as u64))),
        }
        indent
    }
}

/// The part of a line behind its indentation.
struct Rest<'a>(&'a TreeLine<'a>, Paint);

impl fmt::Display for Rest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rest(line, paint) = self;
        match line.same.as_slice() {
            [one] => write_resource(f, one, *paint)?,
            many => write_folded(f, many, *paint)?,
        }
        if let Some((edge, id)) = line.elided {
            let done = if edge == Edge::CreatedBy { "created" } else { "triggered" };
            match line.same.len() {
                1 => write!(f, "  ({done} by {id}, elided)")?,
                _ => write!(f, "  ({done} by others, elided)")?,
            }
        }
        if line.is_repeated { f.write_str("  ↺ see above") } else { Ok(()) }
    }
}

impl fmt::Display for TreeLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.indent())?;
        if self.is_picked {
            Rest(self, self.paint).fmt(f)
        } else {
            // Only there because of what is below it.
            self.paint.on(Part::Faint, Rest(self, Paint::Plain)).fmt(f)
        }
    }
}

/// A line that is still to be drawn.
struct Pending {
    /// One at least.
    same: Vec<u32>,
    depth: usize,
    rails: u32,
    is_last: bool,
}

/// The lines of a [`Tree`], from the top.
pub struct TreeLines<'a> {
    tree: &'a Tree,
    graph: Graph,
    /// A number for the looks of each resource and of all below it.
    shapes: Vec<u64>,
    is_picked: Vec<bool>,
    /// Whether it is to be drawn at all.
    is_wanted: Vec<bool>,
    is_drawn: Vec<bool>,
    pending: Vec<Pending>,
}

impl<'a> TreeLines<'a> {
    fn of(tree: &'a Tree) -> TreeLines<'a> {
        let graph = Graph::new(&tree.resources, tree.edge);
        let (is_picked, is_wanted) = tree.choose(&graph);
        let mark = |place: usize| {
            u64::from(is_picked[place]) | u64::from(tree.elided(place, &graph).is_some()) << 1
        };
        let shapes = shape::of_all(&tree.resources, &graph, mark);
        let is_drawn = vec![false; tree.resources.len()];
        let roots = graph.roots().to_vec();
        let pending = Vec::new();
        let mut lines = TreeLines { tree, graph, shapes, is_picked, is_wanted, is_drawn, pending };
        lines.push(roots, 0, 0);
        lines
    }

    fn draw(&mut self, line: Pending) -> TreeLine<'a> {
        let Pending { same, depth, rails, is_last } = line;
        let (tree, first) = (self.tree, same[0] as usize);
        let is_repeated = self.is_drawn[first];
        if !is_repeated {
            let mut below = Vec::new();
            for place in &same {
                self.is_drawn[*place as usize] = true;
                below.extend(self.graph.below(*place as usize));
            }
            let goes_on = depth > 0 && depth <= INDENT_MAX && !is_last;
            let rails = rails | u32::from(goes_on) << depth.saturating_sub(1).min(31);
            self.push(below, depth + 1, rails);
        }
        TreeLine {
            same: same.iter().map(|place| &tree.resources[*place as usize]).collect(),
            depth,
            rails,
            is_last,
            is_picked: self.is_picked[first],
            is_repeated,
            elided: tree.elided(first, &self.graph).map(|id| (tree.edge, id)),
            paint: tree.paint,
        }
    }

    fn push(&mut self, mut siblings: Vec<u32>, depth: usize, rails: u32) {
        siblings.retain(|place| self.is_wanted[*place as usize]);
        let groups = self.folded(siblings);
        let last = groups.len().saturating_sub(1);
        // The last line that is pushed is the first to be drawn.
        for (nth, same) in groups.into_iter().enumerate().rev() {
            self.pending.push(Pending { same, depth, rails, is_last: nth == last });
        }
    }

    /// Puts siblings together that look the same, if they are many.
    fn folded(&self, siblings: Vec<u32>) -> Vec<Vec<u32>> {
        let alone = |siblings: Vec<u32>| siblings.into_iter().map(|place| vec![place]);
        if siblings.len() <= self.tree.fold_above {
            return alone(siblings).collect();
        }
        let mut group_of: HashMap<u64, usize> = HashMap::new();
        let mut groups: Vec<Vec<u32>> = Vec::new();
        for place in siblings {
            // What was drawn elsewhere is one line here, whatever is below it.
            let is_drawn = self.is_drawn[place as usize];
            let shape = self.shapes[place as usize];
            let group = match group_of.get(&shape).filter(|_| !is_drawn) {
                Some(group) => *group,
                None => {
                    groups.push(Vec::new());
                    if !is_drawn {
                        group_of.insert(shape, groups.len() - 1);
                    }
                    groups.len() - 1
                }
            };
            groups[group].push(place);
        }
        let mut folded = Vec::with_capacity(groups.len());
        for same in groups {
            if same.len() > self.tree.fold_above {
                folded.push(same);
            } else {
                folded.extend(alone(same));
            }
        }
        folded
    }
}

impl<'a> Iterator for TreeLines<'a> {
    type Item = TreeLine<'a>;

    fn next(&mut self) -> Option<TreeLine<'a>> {
        self.pending.pop().map(|line| self.draw(line))
    }
}

impl fmt::Debug for TreeLines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeLines").finish_non_exhaustive()
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{INDENT_MAX, Tree};
    use crate::inspect::graph::Edge;
    use crate::inspect::label::{Label, Site};
    use crate::inspect::query::Query;
    use crate::inspect::resource::{ResourceInfo, WaitsFor};
    use crate::inspect::snapshot::Snapshot;
    use forebear_hooks::waits::Until;
    use forebear_hooks::{AsyncId, Kind, LiveState};
    use std::time::Duration;

    fn id(raw: u64) -> AsyncId {
        AsyncId::from_u64(raw).unwrap()
    }

    /// All of them stand on one line, so that they can look the same.
    fn info(raw: u64, trigger: u64) -> ResourceInfo {
        ResourceInfo {
            trigger: AsyncId::from_u64(trigger),
            creator: AsyncId::from_u64(trigger),
            age: Some(Duration::from_secs(raw)),
            state: Some(LiveState::Idle),
            ..ResourceInfo::new(id(raw), Kind::TASK, "conn", Site::new("a.rs", 1, 1))
        }
    }

    fn tree(resources: Vec<ResourceInfo>) -> Tree {
        Tree::new(Snapshot::of(resources))
    }

    fn query(text: &str) -> Query {
        text.parse().unwrap()
    }

    /// Draws with the places in the program left out.
    #[track_caller]
    fn check(tree: &Tree, want: &str) {
        let text = tree.to_string();
        let short = text.replace(" a.rs:1", "");
        let want: Vec<&str> =
            want.lines().map(|line| line.trim_start_matches("        ")).collect();
        assert_eq!(short.trim_end(), want.join("\n").trim(), "\n{text}");
    }

    #[test]
    fn a_tree_has_a_line_for_each_resource_under_its_trigger() {
        let main = ResourceInfo {
            kind: Kind::BLOCK_ON,
            label: "main".into(),
            state: Some(LiveState::Running),
            ..info(1, 0)
        };
        let accept = ResourceInfo { label: "accept".into(), ..info(7, 1) };
        let value = |key, text: &str| (Label::constant(key), text.to_owned());
        let conn = ResourceInfo {
            context: [value("requestId", "9f3c"), value("user", "a\nb"), value("q", "a b")].into(),
            state: Some(LiveState::Queued),
            ..info(20, 7)
        };
        let timer = ResourceInfo {
            kind: Kind::TIMER,
            label: "timeout".into(),
            state: None,
            creator: Some(id(7)),
            due: Some(Duration::from_secs(3)),
            ..info(21, 20)
        };
        let gone = ResourceInfo { age: None, label: "setup".into(), ..info(30, 1) };
        let waits = [WaitsFor { on: id(21), until: Until::Due(Duration::from_secs(3)) }];
        let below = ResourceInfo { label: "poller".into(), waits: waits.into(), ..info(31, 30) };
        let root = ResourceInfo { link: Some(id(20)), label: "audit".into(), ..info(40, 0) };
        let lost = ResourceInfo { label: "stray".into(), wakers: Some(0), ..info(50, 49) };
        check(
            &tree(vec![main, accept, conn, timer, gone, below, root, lost]),
            "
        ▶ #1 block on main  1.0s
        ├─ ○ #7 task accept  7.0s
        │  └─ ◆ #20 task conn  20.0s  requestId=9f3c  user=a\\nb  q=\"a b\"
        │     └─ · #21 timer timeout  21.0s  due in 3.0s  (created by #7)
        └─ † #30 task setup  gone
           └─ ○ #31 task poller  31.0s  waits: #21 due in 3.0s
        ○ #40 task audit  40.0s  ~~ link #20
        ○ #50 task stray  50.0s  LEAK: nobody can wake it  (triggered by #49, elided)",
        );
    }

    #[test]
    fn more_than_eight_that_look_the_same_are_one_line_with_what_is_below_them() {
        let with_eight = (2..10).map(|raw| info(raw, 1));
        let few = tree(std::iter::once(info(1, 0)).chain(with_eight).collect());
        assert_eq!(few.to_string().lines().count(), 9);

        let mut many: Vec<ResourceInfo> = (2..2002).map(|raw| info(raw, 1)).collect();
        many[3].label = "other".into();
        many.push(info(3000, 100));
        many.push(ResourceInfo { state: Some(LiveState::Running), ..info(2500, 1) });
        many.insert(0, info(1, 0));
        many.extend((4000..4020).map(|raw| info(raw, 2)));
        many.extend((5000..5020).map(|raw| info(raw, raw - 1000)));
        check(
            &tree(many.clone()),
            "
        ○ #1 task conn  1.0s
        ├─ ○ #2 task conn  2.0s
        │  └─ ○ x 20 task conn  (newest #4019, oldest 1h06m)
        │     └─ ○ x 20 task conn  (newest #5019, oldest 1h23m)
        ├─ ▶ x 1,998 task conn  (1 running, 1,997 idle, newest #2500, oldest 41m40s)
        ├─ ○ #5 task other  5.0s
        └─ ○ #100 task conn  1m40s
           └─ ○ #3000 task conn  50m00s",
        );
        assert_eq!(tree(many).fold_above(usize::MAX).to_string().lines().count(), 2043);
    }

    #[test]
    fn a_cycle_of_triggers_is_drawn_and_comes_to_an_end() {
        check(
            &tree(vec![info(1, 1), info(2, 4), info(3, 2), info(4, 3)]),
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
    fn what_waits_for_each_other_is_drawn_along_the_third_edge() {
        let waits = |on: u64| [WaitsFor { on: id(on), until: Until::Ended }].into();
        let one = ResourceInfo { waits: waits(2), ..info(1, 0) };
        let two = ResourceInfo { waits: waits(1), ..info(2, 1) };
        let three = ResourceInfo { waits: waits(1), ..info(3, 1) };
        let alone = info(4, 1);
        check(
            &tree(vec![one, two, three, alone]).edge(Edge::WaitingOn),
            "
        ○ #3 task conn  3.0s  waits: #1 to end
        └─ ○ #1 task conn  1.0s  waits: #2 to end
           └─ ○ #2 task conn  2.0s  waits: #1 to end
              └─ ○ #1 task conn  1.0s  waits: #2 to end  ↺ see above",
        );
    }

    #[test]
    fn a_query_draws_what_it_picks_and_what_is_above() {
        let ship = ResourceInfo { label: "ship".into(), ..info(3, 2) };
        let all = tree(vec![info(1, 0), info(2, 1), ship, info(4, 3), info(5, 1)]);
        check(
            &all.filter(query("label:ship")),
            "
        ○ #1 task conn  1.0s
        └─ ○ #2 task conn  2.0s
           └─ ○ #3 task ship  3.0s",
        );
        assert!(tree(vec![info(1, 0)]).filter(query("state:running")).to_string().is_empty());
    }

    #[test]
    fn a_lineage_of_a_hundred_thousand_is_drawn_with_bounded_indentation() {
        let text = tree((1..=100_000).map(|raw| info(raw, raw - 1)).collect()).to_string();
        assert_eq!(text.lines().count(), 100_000);
        let deepest = text.lines().last().unwrap();
        assert!(deepest.contains("⋯ 99,999 ○ #100000 task"), "{deepest}");
        assert!(deepest.chars().count() < INDENT_MAX * 3 + 100);
    }

    #[test]
    fn flame_graphs_and_pictures_have_the_same_folds() {
        let mut all: Vec<ResourceInfo> = (2..22).map(|raw| info(raw, 1)).collect();
        all.insert(0, ResourceInfo { label: "a;b".into(), ..info(1, 0) });
        let tree = tree(all);
        assert_eq!(tree.folded_stacks().to_string(), "task a b 1\ntask a b;task conn 20\n");
        let dot = tree.dot().to_string();
        assert!(dot.contains("n1 [label=\"x 20 task conn\\na.rs:1\"]"), "{dot}");
        assert!(dot.contains("  n0 -> n1;\n"), "{dot}");
        assert!(dot.starts_with("digraph forebear {\n") && dot.ends_with("}\n"), "{dot}");
    }
}
