//! Draws trees, and lineages.

use forebear_context::inspect::Tree;

use crate::args::{Format, Options};
use crate::attach::{Service, WithCounts};
use crate::output::{paint, say};
use crate::ps::picked;
use crate::{Failure, Verdict};

/// Without an id so many lineages are shown.
const LINEAGES_MAX: usize = 20;

fn with_counts(options: &Options) -> WithCounts {
    if options.filter.needs_counts() { WithCounts::Yes } else { WithCounts::No }
}

pub(crate) fn draw(options: &Options) -> Result<Verdict, Failure> {
    let snapshot = Service::connect(options.target()?)?.snapshot(with_counts(options))?;
    if options.format == Format::Json {
        let is_empty = picked(&snapshot, options).is_empty();
        // With what is above it: a program can draw the tree of that.
        let tree = Tree::new(snapshot).edge(options.edge).filter(options.filter.clone());
        say(&tree.json())?;
        return Ok(if is_empty { Verdict::Found } else { Verdict::Fine });
    }
    let mut tree =
        Tree::new(snapshot).edge(options.edge).filter(options.filter.clone()).paint(paint(options));
    if let Some(siblings) = options.fold_above {
        tree = tree.fold_above(siblings);
    }
    let is_empty = tree.lines().next().is_none();
    match options.format {
        Format::Dot => say(&tree.dot())?,
        Format::Folded => say(&tree.folded_stacks())?,
        _ => say(&tree)?,
    }
    Ok(if is_empty { Verdict::Found } else { Verdict::Fine })
}

pub(crate) fn lineage(options: &Options) -> Result<Verdict, Failure> {
    let snapshot = Service::connect(options.target()?)?.snapshot(with_counts(options))?;
    let mut ids = options.ids.clone();
    if ids.is_empty() {
        if options.filter.is_empty() {
            return Err(Failure::usage("whose lineage? say an id, or a --filter"));
        }
        ids = picked(&snapshot, options).into_iter().map(|r| r.id).take(LINEAGES_MAX).collect();
    }
    let mut verdict = if ids.is_empty() { Verdict::Found } else { Verdict::Fine };
    for (nth, id) in ids.into_iter().enumerate() {
        let lineage = snapshot.lineage(id);
        if lineage.resources().is_empty() {
            verdict = Verdict::Found;
        }
        match options.format {
            Format::Json => say(&lineage.json())?,
            _ => {
                let gap = if nth == 0 { "" } else { "\n" };
                say(&format!("{gap}{}", lineage.paint(paint(options))))?;
            }
        }
    }
    Ok(verdict)
}

pub(crate) fn dump(options: &Options) -> Result<Verdict, Failure> {
    let mut service = Service::connect(options.target()?)?;
    let snapshot = service.snapshot(WithCounts::Yes)?;
    if options.format == Format::Json {
        say(&snapshot.json())?;
        return Ok(Verdict::Fine);
    }
    let hello = &service.hello;
    say(&format!(
        "{} (process {}, forebear {}): {} alive, {} ancestors remembered, {} forgotten\n\n",
        hello.program,
        hello.pid,
        hello.version,
        snapshot.resources().len(),
        hello.remembered,
        hello.forgotten,
    ))?;
    let tree = Tree::new(snapshot).edge(options.edge).filter(options.filter.clone());
    say(&tree.fold_above(usize::MAX).paint(paint(options)))?;
    Ok(Verdict::Fine)
}
