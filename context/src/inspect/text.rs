//! Writes what is alive so that it can be read.
//!
//! A tree follows the triggers. Each line has a state (`▶` running, `◆` ready and waiting for a
//! worker, `○` idle, `·` not a task, `†` gone), id, kind, label, place, age, and the context that
//! may be shown. Leaves that look the same are folded. Nothing here recurses: lineages are as deep
//! as programs make them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use forebear_hooks::{AsyncId, LiveState, RuntimeId};

use crate::inspect::snapshot::{ResourceInfo, Snapshot, snapshot, snapshot_of};
use crate::tracker;

/// More leaves than this that look the same are folded into one line.
const FOLD_ABOVE: usize = 8;

/// Ancestors that are gone are followed so far.
const GONE_MAX_DEPTH: usize = 16;

/// A tree of resources: print it.
#[derive(Clone, Debug)]
pub struct Tree {
    resources: Vec<ResourceInfo>,
    forgotten: u64,
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
    /// Makes a tree of a snapshot, with such ancestors that are gone as are remembered.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Tree {
        let mut resources = snapshot.resources().to_vec();
        let mut known: HashSet<AsyncId> = resources.iter().map(|resource| resource.id).collect();
        let mut wanted: Vec<AsyncId> = resources.iter().filter_map(|r| r.trigger).collect();
        let forgotten = tracker::with_ancestors(|ancestors| {
            for _ in 0..GONE_MAX_DEPTH {
                wanted.retain(|id| known.insert(*id));
                let gone = wanted.iter().filter_map(|id| ancestors.get(*id).map(|a| (*id, a)));
                let gone: Vec<_> = gone.map(|(id, a)| ResourceInfo::gone(id, a)).collect();
                wanted = gone.iter().filter_map(|resource| resource.trigger).collect();
                resources.extend(gone);
            }
            ancestors.forgotten()
        });
        resources.sort_unstable_by_key(|resource| resource.id);
        Tree { resources, forgotten }
    }

    /// Says whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }
}

/// One line that is still to be written, and what stands before it.
struct Line<'a> {
    node: Node<'a>,
    indent: String,
    is_root: bool,
    is_last: bool,
}

enum Node<'a> {
    One(&'a ResourceInfo),
    Folded(Vec<&'a ResourceInfo>),
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let present: HashSet<AsyncId> = self.resources.iter().map(|r| r.id).collect();
        let mut children: HashMap<AsyncId, Vec<&ResourceInfo>> = HashMap::new();
        let mut roots = Vec::new();
        for resource in &self.resources {
            // An id that its own trigger has is a cycle of length one, which stated triggers allow.
            match resource.trigger.filter(|id| present.contains(id) && *id != resource.id) {
                Some(trigger) => children.entry(trigger).or_default().push(resource),
                None => roots.push(resource),
            }
        }
        let mut written = HashSet::new();
        let mut pending = Vec::new();
        push_all(&mut pending, fold(roots, &children), "", true);
        loop {
            while let Some(line) = pending.pop() {
                write_line(f, &line)?;
                let Node::One(resource) = line.node else { continue };
                if !written.insert(resource.id) {
                    continue;
                }
                let below = children.remove(&resource.id).unwrap_or_default();
                let indent = match (line.is_root, line.is_last) {
                    (true, _) => line.indent,
                    (false, true) => line.indent + "   ",
                    (false, false) => line.indent + "│  ",
                };
                push_all(&mut pending, fold(below, &children), &indent, false);
            }
            // What is left hangs in a cycle of triggers: it is entered anywhere.
            let Some(start) = children.keys().min().copied() else { break };
            let in_cycle = self.resources.iter().find(|r| r.id == start);
            if let Some(resource) = in_cycle.filter(|r| !written.contains(&r.id)) {
                push_all(&mut pending, vec![Node::One(resource)], "", true);
            } else {
                children.remove(&start);
            }
        }
        if self.forgotten > 0 {
            writeln!(f, "({} ancestors that are gone were forgotten)", self.forgotten)?;
        }
        Ok(())
    }
}

fn push_all<'a>(pending: &mut Vec<Line<'a>>, nodes: Vec<Node<'a>>, indent: &str, is_root: bool) {
    let last = nodes.len().saturating_sub(1);
    let lines = nodes.into_iter().enumerate().map(|(place, node)| Line {
        node,
        indent: indent.to_owned(),
        is_root,
        is_last: place == last,
    });
    // The last line that is pushed is the first to be written.
    let mut lines: Vec<_> = lines.collect();
    lines.reverse();
    pending.append(&mut lines);
}

/// Puts leaves together that look the same, if they are many.
fn fold<'a>(
    siblings: Vec<&'a ResourceInfo>,
    children: &HashMap<AsyncId, Vec<&ResourceInfo>>,
) -> Vec<Node<'a>> {
    if siblings.len() <= FOLD_ABOVE {
        return siblings.into_iter().map(Node::One).collect();
    }
    let looks = |r: &ResourceInfo| {
        (r.kind, r.label.clone(), r.location, r.is_gone(), r.context.clone())
    };
    let mut same: HashMap<_, usize> = HashMap::new();
    let mut nodes: Vec<Node<'a>> = Vec::new();
    for resource in siblings {
        if children.contains_key(&resource.id) {
            nodes.push(Node::One(resource));
            continue;
        }
        let place = *same.entry(looks(resource)).or_insert_with(|| {
            nodes.push(Node::Folded(Vec::new()));
            nodes.len() - 1
        });
        if let Node::Folded(folded) = &mut nodes[place] {
            folded.push(resource);
        }
    }
    nodes.into_iter().flat_map(unfold_few).collect()
}

fn unfold_few(node: Node<'_>) -> Vec<Node<'_>> {
    match node {
        Node::Folded(few) if few.len() <= FOLD_ABOVE => few.into_iter().map(Node::One).collect(),
        node => vec![node],
    }
}

fn write_line(f: &mut fmt::Formatter<'_>, line: &Line<'_>) -> fmt::Result {
    f.write_str(&line.indent)?;
    if !line.is_root {
        f.write_str(if line.is_last { "└─ " } else { "├─ " })?;
    }
    match &line.node {
        Node::One(resource) => write_resource(f, resource),
        Node::Folded(same) => write_folded(f, same),
    }?;
    f.write_str("\n")
}

fn write_resource(f: &mut fmt::Formatter<'_>, r: &ResourceInfo) -> fmt::Result {
    let kind = r.kind.name().to_lowercase().replace('_', " ");
    write!(f, "{} {} {kind} {} {}", glyph(r), r.id, r.label, Place(r.location))?;
    match r.age {
        Some(age) => write!(f, "  {}", Age(age))?,
        None => f.write_str("  gone")?,
    }
    write_context(f, r)?;
    if let Some(link) = r.link {
        write!(f, "  ~~ {link}")?;
    }
    if r.creator != r.trigger {
        if let Some(creator) = r.creator {
            write!(f, "  (created by {creator})")?;
        }
    }
    Ok(())
}

fn write_context(f: &mut fmt::Formatter<'_>, r: &ResourceInfo) -> fmt::Result {
    for (key, value) in &r.context {
        write!(f, "  {key}={}", value.escape_debug())?;
    }
    Ok(())
}

fn write_folded(f: &mut fmt::Formatter<'_>, same: &[&ResourceInfo]) -> fmt::Result {
    let (Some(first), Some(newest)) = (same.first(), same.last()) else { return Ok(()) };
    let kind = first.kind.name().to_lowercase().replace('_', " ");
    let oldest = same.iter().filter_map(|r| r.age).max().unwrap_or_default();
    write!(
        f,
        "{} x {} {kind} {} {}  (newest {}, oldest {})",
        glyph(first),
        Thousands(same.len()),
        first.label,
        Place(first.location),
        newest.id,
        Age(oldest)
    )?;
    write_context(f, first)
}

fn glyph(r: &ResourceInfo) -> char {
    match r.state {
        _ if r.is_gone() => '†',
        Some(LiveState::Running) => '▶',
        Some(LiveState::Queued) => '◆',
        Some(LiveState::Idle) => '○',
        None => '·',
    }
}

struct Place(&'static Location<'static>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The path of a dependency is long and says little; its end is what one looks for.
        let file = self.0.file();
        let parts: Vec<&str> = file.rsplitn(4, '/').collect();
        let short = if file.starts_with('/') && parts.len() == 4 {
            let tail = file.len() - parts[3].len() - 1;
            &file[file.len() - tail..]
        } else {
            file
        };
        write!(f, "{short}:{}", self.0.line())
    }
}

struct Age(Duration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (s, ms) = (self.0.as_secs(), self.0.as_millis());
        match s {
            0 if ms == 0 => write!(f, "{}µs", self.0.as_micros()),
            0 => write!(f, "{ms}ms"),
            1..60 => write!(f, "{:.1}s", self.0.as_secs_f64()),
            60..3600 => write!(f, "{}m{:02}s", s / 60, s % 60),
            _ => write!(f, "{}h{:02}m", s / 3600, s / 60 % 60),
        }
    }
}

struct Thousands(usize);

impl fmt::Display for Thousands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place) % 3 == 0 {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A resource and its ancestors, one per line: print it.
#[derive(Clone, Debug)]
pub struct LineageText {
    line: Vec<ResourceInfo>,
    /// Where the line ends because nothing is known of this one.
    unknown: Option<AsyncId>,
}

/// So many ancestors are shown.
const LINEAGE_MAX: usize = 64;

/// Follows the triggers of a resource to its root, or as far as they are known.
#[must_use]
pub fn lineage(id: AsyncId) -> LineageText {
    let mut line: Vec<ResourceInfo> = Vec::new();
    let mut next = Some(id);
    while let Some(id) = next.filter(|_| line.len() < LINEAGE_MAX) {
        let Some(resource) = find(id) else { break };
        next = resource.trigger.filter(|id| line.iter().all(|known| known.id != *id));
        line.push(resource);
    }
    LineageText { line, unknown: next }
}

fn find(id: AsyncId) -> Option<ResourceInfo> {
    let alive = tracker::map().get(&id).map(|entry| entry.clone());
    if let Some(entry) = alive {
        return Some(ResourceInfo::alive(id, &entry));
    }
    tracker::with_ancestors(|ancestors| {
        ancestors.get(id).map(|ancestor| ResourceInfo::gone(id, ancestor))
    })
}

impl LineageText {
    /// Returns the resource and its ancestors.
    #[must_use]
    pub fn resources(&self) -> &[ResourceInfo] {
        &self.line
    }
}

impl fmt::Display for LineageText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, resource) in self.line.iter().enumerate() {
            if depth > 0 {
                f.write_str("  triggered by ")?;
            }
            write_resource(f, resource)?;
            f.write_str("\n")?;
        }
        if let Some(id) = self.unknown {
            writeln!(f, "  triggered by {id}, of which nothing is remembered")?;
        }
        Ok(())
    }
}
