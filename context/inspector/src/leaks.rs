//! Says what has no use any more and is still there.

use std::time::Duration;

use forebear_context::inspect::{Leaks, Snapshot};

use crate::args::{Format, Options};
use crate::attach::{Service, WithCounts};
use crate::output::{paint, say};
use crate::ps::picked;
use crate::{Failure, Verdict};

/// What is a leak now must have been one so long ago: a task that is between two wakers is none.
const WINDOW: Duration = Duration::from_secs(1);

pub(crate) fn run(options: &Options) -> Result<Verdict, Failure> {
    let mut service = Service::connect(options.target()?)?;
    let window = options.window.unwrap_or(WINDOW);
    let (before, after, _) = service.two_snapshots(window, WithCounts::No)?;
    let leaks = Leaks::of(after.clone()).confirmed_by(&Leaks::of(before));
    let leaks =
        if options.filter.is_empty() { leaks } else { leaks.among(&ids_of(&after, options)) };
    let verdict = if leaks.is_empty() { Verdict::Fine } else { Verdict::Found };
    match options.format {
        Format::Json => say(&leaks.json())?,
        _ => say(&leaks.paint(paint(options)))?,
    }
    Ok(verdict)
}

fn ids_of(snapshot: &Snapshot, options: &Options) -> Vec<forebear_hooks::AsyncId> {
    picked(snapshot, options).into_iter().map(|r| r.id).collect()
}
