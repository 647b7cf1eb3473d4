//! Writes what is alive for Graphviz, which draws it: `dot -Tsvg`.
//!
//! Resources that look the same are one node, as in a [`Tree`](super::Tree): a picture of more than a
//! few hundred nodes shows nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use crate::inspect::graph::{Edge, Graph};
use crate::inspect::json::write_text;
use crate::inspect::resource::ResourceInfo;
use crate::inspect::text::{Place, Thousands, Words};
use crate::inspect::tree::Tree;

/// A tree as a picture: print it, and give it to Graphviz.
#[derive(Clone, Copy, Debug)]
pub struct Dot<'a>(&'a Tree);

impl Tree {
    /// Shows it in the language of Graphviz.
    #[must_use]
    pub fn dot(&self) -> Dot<'_> {
        Dot(self)
    }
}

impl fmt::Display for Dot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.resources();
        let graph = Graph::new(all, self.0.along());
        // Each line is a node: so what the tree folds is folded here, too.
        let mut node_of: HashMap<u64, usize> = HashMap::new();
        let mut nodes: Vec<Vec<&ResourceInfo>> = Vec::new();
        for line in self.0.lines() {
            if !node_of.contains_key(&line.resources()[0].id.get()) {
                node_of.extend(line.resources().iter().map(|r| (r.id.get(), nodes.len())));
                nodes.push(line.resources().to_vec());
            }
        }
        writeln!(f, "digraph forebear {{\n  rankdir=LR;\n  node [shape=box, fontsize=10];")?;
        for (nth, same) in nodes.iter().enumerate() {
            write_node(f, nth, same)?;
        }
        let mut edges: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        let mut links: BTreeSet<(usize, usize)> = BTreeSet::new();
        for (place, r) in all.iter().enumerate() {
            let Some(from) = node_of.get(&r.id.get()) else { continue };
            for below in graph.below(place) {
                if let Some(to) = node_of.get(&all[*below as usize].id.get()) {
                    *edges.entry((*from, *to)).or_default() += 1;
                }
            }
            let origin = r.link.and_then(|link| node_of.get(&link.get()));
            links.extend(origin.map(|origin| (*origin, *from)));
        }
        for (from, to) in edges.keys() {
            writeln!(f, "  n{from} -> n{to};")?;
        }
        for (from, to) in links {
            writeln!(f, "  n{from} -> n{to} [style=dashed, constraint=false];")?;
        }
        f.write_str("}\n")
    }
}

fn write_node(f: &mut fmt::Formatter<'_>, nth: usize, same: &[&ResourceInfo]) -> fmt::Result {
    let first = same[0];
    let name = match same.len() {
        1 => first.id.to_string(),
        many => format!("x {}", Thousands(many as u64)),
    };
    let label = format!("{name} {} {}\n{}", Words(first.kind), first.label, Place(&first.location));
    write!(f, "  n{nth} [label=")?;
    // Graphviz reads what JSON escapes.
    write_text(f, &label)?;
    let looks = match first {
        first if first.never_wakes() => ", color=red, penwidth=2",
        first if first.is_gone() => ", style=dotted",
        _ => "",
    };
    writeln!(f, "{looks}];")
}

/// A tree as folded stacks: print it, and give it to a program that draws flame graphs.
///
/// Each line is a way from a root to a resource, and how many resources have that way.
#[derive(Clone, Copy, Debug)]
pub struct FoldedStacks<'a>(&'a Tree);

impl Tree {
    /// Shows it as folded stacks, from which flame graphs are made.
    #[must_use]
    pub fn folded_stacks(&self) -> FoldedStacks<'_> {
        FoldedStacks(self)
    }

    pub(super) fn along(&self) -> Edge {
        self.edge
    }
}

impl fmt::Display for FoldedStacks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ways: BTreeMap<String, usize> = BTreeMap::new();
        // The ends of the names on the way to the present line, in `way`.
        let (mut way, mut ends) = (String::new(), Vec::new());
        for line in self.0.lines() {
            ends.truncate(line.depth());
            way.truncate(ends.last().copied().unwrap_or(0));
            if !way.is_empty() {
                way.push(';');
            }
            let first = line.resources()[0];
            // What stands between names must not be in one.
            let name = format!("{} {}", Words(first.kind), first.label);
            way.extend(name.chars().map(|c| if c == ';' || c.is_control() { ' ' } else { c }));
            ends.push(way.len());
            let alive = line.resources().iter().filter(|r| !r.is_gone()).count();
            if line.is_picked() && alive > 0 && way.len() <= WAY_MAX_BYTES {
                *ways.entry(way.clone()).or_default() += alive;
            }
        }
        ways.iter().try_for_each(|(way, count)| writeln!(f, "{way} {count}"))
    }
}

/// A longer way is left out: nobody could read it, and ways add up to the square of their length.
const WAY_MAX_BYTES: usize = 16 * 1024;
