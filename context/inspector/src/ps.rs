//! Lists the services that can be looked at, or what is alive in one.

use std::fmt::Write as _;

use forebear_context::inspect::text::{Age, Clean, Place, Thousands, Waits, Words};
use forebear_context::inspect::{Graph, ResourceInfo, Snapshot};

use crate::args::{Format, Options, Target};
use crate::attach::{Service, WithCounts, all_services};
use crate::output::{Align, Table, say};
use crate::{Failure, Verdict};

pub(crate) fn run(options: &Options) -> Result<Verdict, Failure> {
    match &options.target {
        None => services(options),
        Some(target) => one(target, options),
    }
}

fn services(options: &Options) -> Result<Verdict, Failure> {
    let columns = [
        ("PID", Align::Right),
        ("PROGRAM", Align::Left),
        ("ALIVE", Align::Right),
        ("FOREBEAR", Align::Left),
        ("SOCKET", Align::Left),
    ];
    let mut table = Table::new(&columns);
    let (mut json, mut count) = (String::from("{\"forebear\":1,\"services\":["), 0);
    for (pid, path) in all_services() {
        let Ok(service) = Service::connect(&Target::Socket(path.clone())) else { continue };
        let hello = &service.hello;
        let socket = path.display().to_string();
        let text = |text: &str| forebear_context::inspect::json_text(text);
        // Writing to a text does not fail.
        let _ = write!(
            json,
            "{}\n{{\"pid\":{pid},\"program\":{},\"alive\":{},\"version\":{},\"socket\":{}}}",
            if count > 0 { "," } else { "" },
            text(&hello.program),
            hello.alive,
            text(&hello.version),
            text(&socket)
        );
        count += 1;
        let program = Clean(&hello.program).to_string();
        let alive = Thousands(hello.alive).to_string();
        table.row(vec![pid.to_string(), program, alive, hello.version.clone(), socket]);
    }
    match options.format {
        Format::Json => say(&format!("{json}\n]}}\n"))?,
        _ if count == 0 => say(&"no service can be looked at: see forebear --help\n")?,
        _ => say(&table)?,
    }
    Ok(if count > 0 { Verdict::Fine } else { Verdict::Found })
}

fn one(target: &Target, options: &Options) -> Result<Verdict, Failure> {
    let with = if options.filter.needs_counts() { WithCounts::Yes } else { WithCounts::No };
    let snapshot = Service::connect(target)?.snapshot(with)?;
    let mut picked = picked(&snapshot, options);
    picked.sort_by_key(|r| (r.kind.name(), r.id));
    let is_empty = picked.is_empty();
    if options.format == Format::Json {
        say(&Snapshot::of(picked.into_iter().cloned().collect()).json())?;
    } else {
        say(&table(&picked))?;
    }
    Ok(if is_empty { Verdict::Found } else { Verdict::Fine })
}

/// Returns what a filter picks, along the edge that was asked for.
pub(crate) fn picked<'a>(snapshot: &'a Snapshot, options: &Options) -> Vec<&'a ResourceInfo> {
    let all = snapshot.resources();
    if options.filter.is_empty() {
        return all.iter().collect();
    }
    let is_picked = options.filter.select(all, &Graph::new(all, options.edge));
    all.iter().zip(is_picked).filter(|(_, is_picked)| *is_picked).map(|(r, _)| r).collect()
}

fn table(resources: &[&ResourceInfo]) -> Table {
    let columns = [
        ("ID", Align::Right),
        ("KIND", Align::Left),
        ("STATE", Align::Left),
        ("AGE", Align::Right),
        ("LABEL", Align::Left),
        ("SITE", Align::Left),
        ("WAITS FOR", Align::Left),
        ("CONTEXT", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for r in resources {
        let context =
            r.context.iter().map(|(key, value)| format!("{}={}", Clean(key), Clean(value)));
        table.row(vec![
            r.id.to_string(),
            Words(r.kind).to_string(),
            r.state_name().to_owned(),
            r.age.map(|age| Age(age).to_string()).unwrap_or_default(),
            Clean(&r.label).to_string(),
            Place(&r.location).to_string(),
            r.waits.iter().map(|on| Waits(on).to_string()).collect::<Vec<_>>().join(", "),
            context.collect::<Vec<_>>().join(" "),
        ]);
    }
    table
}
