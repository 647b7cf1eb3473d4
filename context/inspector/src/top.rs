//! Says what was busy, and what has grown, between two looks.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use forebear_context::inspect::text::{Age, Clean, Place, Thousands, Words};
use forebear_context::inspect::{Counts, ResourceInfo, Snapshot, json_text};
use forebear_hooks::Kind;

use crate::args::{By, Format, Options};
use crate::attach::{Service, WithCounts};
use crate::output::{Align, Table, say};
use crate::ps::picked;
use crate::{Failure, Verdict};

/// How long to look, unless more is said.
const WINDOW: Duration = Duration::from_secs(2);

pub(crate) fn run(options: &Options) -> Result<Verdict, Failure> {
    let mut service = Service::connect(options.target()?)?;
    let window = options.window.unwrap_or(WINDOW);
    let (before, after, took) = service.two_snapshots(window, WithCounts::Yes)?;
    if options.by == By::Count {
        let growth = growth(&before, &after, options);
        let shown = &growth[..growth.len().min(options.rows)];
        match options.format {
            Format::Json => say(&growth_json(shown))?,
            _ => say(&growth_table(shown))?,
        }
        return Ok(if shown.is_empty() { Verdict::Found } else { Verdict::Fine });
    }
    let mut rows: Vec<Row<'_>> =
        picked(&after, options).into_iter().filter_map(|r| Row::of(r, before.get(r.id))).collect();
    rows.sort_by_key(|row| (Reverse(row.weight(options.by)), row.resource.id));
    rows.truncate(options.rows);
    let is_empty = rows.is_empty();
    match options.format {
        Format::Json => say(&rows_json(&rows))?,
        _ => say(&rows_table(&rows, took))?,
    }
    Ok(if is_empty { Verdict::Found } else { Verdict::Fine })
}

/// A task, and what it did between the two looks.
struct Row<'a> {
    resource: &'a ResourceInfo,
    counts: Counts,
}

impl<'a> Row<'a> {
    /// Of what is counted only.
    fn of(resource: &'a ResourceInfo, before: Option<&ResourceInfo>) -> Option<Row<'a>> {
        let now = resource.counts.as_deref()?;
        let then = before.and_then(|r| r.counts.as_deref()).copied().unwrap_or_default();
        let mut counts = *now;
        counts.polls = now.polls.saturating_sub(then.polls);
        counts.wakes = now.wakes.saturating_sub(then.wakes);
        counts.self_wakes = now.self_wakes.saturating_sub(then.self_wakes);
        counts.busy = now.busy.saturating_sub(then.busy);
        counts.delay = now.delay.saturating_sub(then.delay);
        Some(Row { resource, counts })
    }

    fn weight(&self, by: By) -> u128 {
        let Counts { busy, polls, wakes, delay, longest_poll, .. } = self.counts;
        match by {
            By::Busy | By::Count => busy.as_nanos(),
            By::Polls => polls.into(),
            By::Wakes => wakes.into(),
            By::Delay => delay.as_nanos(),
            By::Longest => longest_poll.as_nanos(),
            By::Age => self.resource.age.unwrap_or_default().as_nanos(),
        }
    }
}

fn rows_table(rows: &[Row<'_>], took: Duration) -> Table {
    let columns = [
        ("ID", Align::Right),
        ("BUSY", Align::Right),
        ("BUSY%", Align::Right),
        ("POLLS", Align::Right),
        ("LONGEST", Align::Right),
        ("WAKES", Align::Right),
        ("SELF", Align::Right),
        ("DELAY", Align::Right),
        ("AGE", Align::Right),
        ("STATE", Align::Left),
        ("LABEL", Align::Left),
        ("SITE", Align::Left),
        ("CONTEXT", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for Row { resource: r, counts } in rows {
        let share = counts.busy.as_secs_f64() / took.as_secs_f64().max(f64::MIN_POSITIVE) * 100.0;
        let context =
            r.context.iter().map(|(key, value)| format!("{}={}", Clean(key), Clean(value)));
        table.row(vec![
            r.id.to_string(),
            Age(counts.busy).to_string(),
            format!("{share:.1}"),
            Thousands(counts.polls).to_string(),
            Age(counts.longest_poll).to_string(),
            Thousands(counts.wakes).to_string(),
            Thousands(counts.self_wakes).to_string(),
            Age(counts.delay).to_string(),
            r.age.map(|age| Age(age).to_string()).unwrap_or_default(),
            r.state_name().to_owned(),
            format!("{} {}", Words(r.kind), Clean(&r.label)),
            Place(&r.location).to_string(),
            context.collect::<Vec<_>>().join(" "),
        ]);
    }
    table
}

fn rows_json(rows: &[Row<'_>]) -> String {
    let resources = rows.iter().map(|Row { resource, counts }| {
        let mut resource = (*resource).clone();
        resource.counts = Some(Box::new(*counts));
        resource
    });
    let mut text = String::from("{\"forebear\":1,\"top\":[");
    for (nth, resource) in resources.enumerate() {
        text += if nth == 0 { "\n" } else { ",\n" };
        text += &resource.json().to_string();
    }
    text + "\n]}\n"
}

/// What was made at one place.
struct Growth<'a> {
    example: &'a ResourceInfo,
    count: i64,
    growth: i64,
}

/// Counts what is alive by the place where it was made: those that grew most come first.
fn growth<'a>(before: &'a Snapshot, after: &'a Snapshot, options: &Options) -> Vec<Growth<'a>> {
    type Key<'a> = (Kind, &'a str, String);
    let mut all: HashMap<Key<'a>, Growth<'a>> = HashMap::new();
    for (snapshot, is_after) in [(before, false), (after, true)] {
        for r in picked(snapshot, options) {
            let key = (r.kind, r.label.as_str(), r.location.to_string());
            let one = all.entry(key).or_insert(Growth { example: r, count: 0, growth: 0 });
            one.count += i64::from(is_after);
            one.growth += if is_after { 1 } else { -1 };
        }
    }
    let mut all: Vec<Growth<'_>> = all.into_values().collect();
    all.sort_by_key(|one| (Reverse(one.growth), Reverse(one.count), one.example.id));
    all
}

fn growth_table(all: &[Growth<'_>]) -> Table {
    let columns = [
        ("GROWTH", Align::Right),
        ("COUNT", Align::Right),
        ("KIND", Align::Left),
        ("LABEL", Align::Left),
        ("SITE", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for one in all {
        table.row(vec![
            format!("{:+}", one.growth),
            Thousands(one.count.unsigned_abs()).to_string(),
            Words(one.example.kind).to_string(),
            Clean(&one.example.label).to_string(),
            Place(&one.example.location).to_string(),
        ]);
    }
    table
}

fn growth_json(all: &[Growth<'_>]) -> String {
    let mut text = String::from("{\"forebear\":1,\"growth\":[");
    for (nth, Growth { example, count, growth }) in all.iter().enumerate() {
        text += if nth == 0 { "\n" } else { ",\n" };
        // Writing to a text does not fail.
        let _ = write!(
            text,
            "{{\"kind\":{},\"label\":{},\"site\":{},\"count\":{count},\"growth\":{growth}}}",
            json_text(example.kind.name()),
            json_text(&example.label),
            json_text(&example.location.to_string()),
        );
    }
    text + "\n]}\n"
}
