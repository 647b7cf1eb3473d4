//! Writes what is alive as JSON, for programs.
//!
//! The document is described in `docs/INSPECTING.md`. It has a version: what is added does not change
//! it, so whoever reads it skips keys that they do not know; what is taken away or changes its
//! meaning does.

use std::fmt::{self, Write};
use std::time::Duration;

use forebear_hooks::waits::Until;
use forebear_hooks::{AsyncId, LiveState};

use crate::inspect::ancestry::LineageText;
use crate::inspect::leaks::Leaks;
use crate::inspect::resource::ResourceInfo;
use crate::inspect::snapshot::Snapshot;
use crate::inspect::tree::Tree;

/// The version of the documents.
pub const JSON_VERSION: u32 = 1;

/// A snapshot as JSON: print it.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a>(&'a Snapshot);

impl Snapshot {
    /// Shows it as JSON: the resources and their ancestors.
    ///
    /// ```
    /// let json = forebear_context::inspect::snapshot().json().to_string();
    /// assert!(json.starts_with("{\"forebear\":1,\"resources\":["));
    /// ```
    #[must_use]
    pub fn json(&self) -> Json<'_> {
        Json(self)
    }
}

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.resources().iter().chain(self.0.ancestors());
        write_all(f, "resources", &all.collect::<Vec<_>>())
    }
}

/// A tree as JSON: print it.
#[derive(Clone, Copy, Debug)]
pub struct TreeJson<'a>(&'a Tree);

impl Tree {
    /// Shows what is drawn as JSON: the resources that were picked, and what is above them.
    #[must_use]
    pub fn json(&self) -> TreeJson<'_> {
        TreeJson(self)
    }
}

impl fmt::Display for TreeJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_all(f, "resources", &self.0.drawn())
    }
}

/// A lineage as JSON: print it.
#[derive(Clone, Copy, Debug)]
pub struct LineageJson<'a>(&'a LineageText);

impl LineageText {
    /// Shows it as JSON: the resource first.
    #[must_use]
    pub fn json(&self) -> LineageJson<'_> {
        LineageJson(self)
    }
}

impl fmt::Display for LineageJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_all(f, "lineage", &self.0.resources().iter().collect::<Vec<_>>())
    }
}

/// One resource as JSON, on one line: print it.
#[derive(Clone, Copy, Debug)]
pub struct ResourceJson<'a>(&'a ResourceInfo);

impl ResourceInfo {
    /// Shows it as JSON.
    #[must_use]
    pub fn json(&self) -> ResourceJson<'_> {
        ResourceJson(self)
    }
}

impl fmt::Display for ResourceJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_resource(f, self.0)
    }
}

fn write_all(f: &mut impl Write, key: &str, all: &[&ResourceInfo]) -> fmt::Result {
    write!(f, "{{\"forebear\":{JSON_VERSION},\"{key}\":[")?;
    for (nth, resource) in all.iter().enumerate() {
        f.write_str(if nth == 0 { "\n" } else { ",\n" })?;
        write_resource(f, resource)?;
    }
    f.write_str("\n]}\n")
}

/// Leaks as JSON: print it.
#[derive(Clone, Copy, Debug)]
pub struct LeaksJson<'a>(&'a Leaks);

impl Leaks {
    /// Shows them as JSON.
    #[must_use]
    pub fn json(&self) -> LeaksJson<'_> {
        LeaksJson(self)
    }
}

impl fmt::Display for LeaksJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{\"forebear\":{JSON_VERSION},\"leaks\":[")?;
        for (nth, leak) in self.0.all().iter().enumerate() {
            f.write_str(if nth == 0 { "\n" } else { ",\n" })?;
            write!(f, "{{\"leak\":\"{}\",\"ids\":", leak.kind.name())?;
            write_ids(f, &leak.ids)?;
            f.write_str(",\"example\":")?;
            write_resource(f, &leak.example)?;
            f.write_str(",\"lineage\":")?;
            let lineage = self.0.snapshot().lineage(leak.example.id);
            let ids: Vec<AsyncId> = lineage.resources().iter().map(|r| r.id).collect();
            write_ids(f, &ids)?;
            f.write_str("}")?;
        }
        f.write_str("\n]}\n")
    }
}

fn write_ids(f: &mut impl Write, ids: &[AsyncId]) -> fmt::Result {
    for (nth, id) in ids.iter().enumerate() {
        write!(f, "{}{}", if nth == 0 { "[" } else { "," }, id.get())?;
    }
    f.write_str(if ids.is_empty() { "[]" } else { "]" })
}

/// Writes one resource as an object, on one line. What is not there is left out.
pub(super) fn write_resource(f: &mut impl Write, r: &ResourceInfo) -> fmt::Result {
    write!(f, "{{\"id\":{},\"kind\":", r.id.get())?;
    write_text(f, r.kind.name())?;
    f.write_str(",\"label\":")?;
    write_text(f, &r.label)?;
    f.write_str(",\"site\":")?;
    write_text(f, &r.location.to_string())?;
    let ids = [("trigger", r.trigger), ("creator", r.creator), ("link", r.link)];
    for (key, id) in ids {
        if let Some(id) = id {
            write!(f, ",\"{key}\":{}", id.get())?;
        }
    }
    if let Some(runtime) = r.runtime {
        write!(f, ",\"runtime\":{}", runtime.get())?;
    }
    match r.age {
        Some(age) => write!(f, ",\"age_ns\":{}", age.as_nanos())?,
        None => f.write_str(",\"gone\":true")?,
    }
    if let Some(state) = r.state {
        write!(f, ",\"state\":\"{}\"", name_of(state))?;
    }
    if let Some(wakers) = r.wakers {
        write!(f, ",\"wakers\":{wakers}")?;
    }
    if r.never_wakes() {
        f.write_str(",\"never_wakes\":true")?;
    }
    if let Some(due) = r.due {
        write!(f, ",\"due_ns\":{}", due.as_nanos())?;
    }
    for (nth, waits) in r.waits.iter().enumerate() {
        let head = if nth == 0 { ",\"waits\":[" } else { "," };
        write!(f, "{head}{{\"on\":{},\"until\":\"{}\"}}", waits.on.get(), until(&waits.until))?;
    }
    f.write_str(if r.waits.is_empty() { "" } else { "]" })?;
    if let Some(flow) = r.flow {
        write!(f, ",\"flow\":{}", flow.id.get())?;
        if let Some(ended) = flow.ended {
            write!(f, ",\"flow_ended_ns\":{}", ended.as_nanos())?;
        }
    }
    if let Some(counts) = &r.counts {
        write!(f, ",\"polls\":{},\"wakes\":{}", counts.polls, counts.wakes)?;
        write!(f, ",\"self_wakes\":{}", counts.self_wakes)?;
        let times: [(&str, Duration); 4] = [
            ("busy_ns", counts.busy),
            ("longest_poll_ns", counts.longest_poll),
            ("delay_ns", counts.delay),
            ("longest_delay_ns", counts.longest_delay),
        ];
        times
            .into_iter()
            .try_for_each(|(key, time)| write!(f, ",\"{key}\":{}", time.as_nanos()))?;
        if let Some(woken_by) = counts.woken_by {
            write!(f, ",\"woken_by\":{}", woken_by.get())?;
        }
    }
    for (nth, (key, value)) in r.context.iter().enumerate() {
        f.write_str(if nth == 0 { ",\"context\":{" } else { "," })?;
        write_text(f, key)?;
        f.write_str(":")?;
        write_text(f, value)?;
    }
    f.write_str(if r.context.is_empty() { "}" } else { "}}" })
}

pub(super) fn name_of(state: LiveState) -> &'static str {
    match state {
        LiveState::Running => "running",
        LiveState::Queued => "queued",
        LiveState::Idle => "idle",
    }
}

fn until(until: &Until) -> &'static str {
    match until {
        Until::Ended => "ended",
        Until::Due(_) => "due",
        Until::Readable => "readable",
        Until::Writable => "writable",
        Until::Ready => "ready",
    }
}

/// Returns a text between quotes, as JSON has it.
#[must_use]
pub fn json_text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    // Writing to a text does not fail.
    let _ = write_text(&mut quoted, text);
    quoted
}

/// Writes a text between quotes.
pub(crate) fn write_text(f: &mut impl Write, text: &str) -> fmt::Result {
    f.write_char('"')?;
    let mut done = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escaped = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            0..0x20 | 0x7f => {
                f.write_str(&text[done..at])?;
                write!(f, "\\u{byte:04x}")?;
                done = at + 1;
                continue;
            }
            _ => continue,
        };
        f.write_str(&text[done..at])?;
        f.write_str(escaped)?;
        done = at + 1;
    }
    f.write_str(&text[done..])?;
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::write_text;

    #[test]
    fn texts_are_escaped() {
        let check = |text: &str, want: &str| {
            let mut written = String::new();
            write_text(&mut written, text).unwrap();
            assert_eq!(written, want);
        };
        check("", "\"\"");
        check("a\"ä\\\n", "\"a\\\"ä\\\\\\n\"");
        check("\u{1b}[2J\u{7f}", "\"\\u001b[2J\\u007f\"");
    }
}
