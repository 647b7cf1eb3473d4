//! Writes what happened in the format of Chrome's tracing, which opens in <https://ui.perfetto.dev>.
//!
//! A thread is a track, and each pair of `before` and `after` a slice on it. An arrow leads from where
//! something was made, along its trigger, to where it ran first. A flow has a track of its own, from
//! its `init` to its `destroy`. The data stays where the file is: Perfetto runs in the browser.

use std::collections::HashSet;
use std::fmt::{self, Write};

use forebear_hooks::{AsyncId, Kind};

use super::names::Place;
use super::recorder::{Moment, Recording, What};
use crate::inspect::json_text;
use crate::inspect::text::Words;

/// A recording as Chrome's JSON: print it.
#[derive(Clone, Copy, Debug)]
pub struct ChromeTrace<'a> {
    recording: &'a Recording,
    pid: u32,
}

impl<'a> ChromeTrace<'a> {
    pub(super) fn of(recording: &'a Recording) -> ChromeTrace<'a> {
        ChromeTrace { recording, pid: std::process::id() }
    }
}

impl fmt::Display for ChromeTrace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moments = self.recording.moments();
        let forgotten = self.recording.forgotten();
        write!(f, "{{\"displayTimeUnit\":\"ns\",\"otherData\":{{\"forgotten\":{forgotten}}},")?;
        writeln!(f, "\"traceEvents\":[")?;
        let pid = self.pid;
        write!(f, "{{\"ph\":\"M\",\"pid\":{pid},\"tid\":0,\"name\":\"process_name\",")?;
        write!(f, "\"args\":{{\"name\":\"forebear\"}}}}")?;
        let mut threads: Vec<u16> = moments.iter().map(|moment| moment.thread).collect();
        threads.sort_unstable();
        threads.dedup();
        for thread in threads.iter().copied() {
            let name = json_text(self.recording.thread(thread));
            write!(f, ",\n{{\"ph\":\"M\",\"pid\":{pid},\"tid\":{},", tid(thread))?;
            write!(f, "\"name\":\"thread_name\",\"args\":{{\"name\":{name}}}}}")?;
        }
        let mut writer = Writer {
            f,
            trace: *self,
            open: vec![Vec::new(); threads.last().map_or(0, |last| usize::from(*last) + 1)],
            arrows: HashSet::new(),
            flows: HashSet::new(),
        };
        moments.iter().try_for_each(|moment| writer.moment(moment))?;
        writer.close_all(moments.last().map_or(0, |last| last.at_ns))?;
        f.write_str("\n]}\n")
    }
}

/// Tracks count from 1, because 0 is the process.
fn tid(thread: u16) -> u32 {
    u32::from(thread) + 1
}

struct Writer<'f, 'w, 'a> {
    f: &'f mut fmt::Formatter<'w>,
    trace: ChromeTrace<'a>,
    /// The slices that are open, by thread, innermost last.
    open: Vec<Vec<AsyncId>>,
    /// Arrows that have begun and lead nowhere yet.
    arrows: HashSet<AsyncId>,
    /// Flows that have begun.
    flows: HashSet<AsyncId>,
}

impl Writer<'_, '_, '_> {
    fn head(&mut self, phase: char, moment: &Moment) -> fmt::Result {
        // Times are microseconds, with nanoseconds behind the point.
        let (us, ns) = (moment.at_ns / 1000, moment.at_ns % 1000);
        let (pid, tid) = (self.trace.pid, tid(moment.thread));
        write!(self.f, ",\n{{\"ph\":\"{phase}\",\"pid\":{pid},\"tid\":{tid},\"ts\":{us}.{ns:03}")
    }

    fn name(&mut self, moment: &Moment) -> fmt::Result {
        match self.trace.recording.place(moment.place) {
            Some(Place { kind, label, .. }) => {
                let name = json_text(&format!("{} {label}", Words(*kind)));
                write!(self.f, ",\"cat\":{},\"name\":{name}", json_text(kind.name()))
            }
            None => self.f.write_str(",\"cat\":\"?\",\"name\":\"?\""),
        }
    }

    fn moment(&mut self, moment: &Moment) -> fmt::Result {
        let thread = usize::from(moment.thread);
        let is_flow = self.trace.recording.place(moment.place).map(|p| p.kind) == Some(Kind::FLOW);
        match moment.what {
            What::Init => {
                // An arrow begins in a slice.
                if !self.open[thread].is_empty() && self.arrows.insert(moment.id) {
                    self.arrow('s', moment)?;
                }
                if is_flow && self.flows.insert(moment.id) {
                    self.flow('b', moment)?;
                }
            }
            What::Before => {
                self.open[thread].push(moment.id);
                self.head('B', moment)?;
                self.name(moment)?;
                write!(self.f, ",\"args\":{{\"id\":{}", moment.id.get())?;
                if let Some(place) = self.trace.recording.place(moment.place) {
                    write!(self.f, ",\"site\":{}", json_text(&place.site.to_string()))?;
                }
                if let Some(by) = moment.by {
                    write!(self.f, ",\"woken_by\":{}", by.get())?;
                }
                self.f.write_str("}}")?;
                if self.arrows.remove(&moment.id) {
                    self.arrow('f', moment)?;
                }
            }
            What::After => {
                // What began before the oldest that is remembered has no beginning here.
                let Some(place) = self.open[thread].iter().rposition(|id| *id == moment.id) else {
                    return Ok(());
                };
                while self.open[thread].len() > place {
                    self.open[thread].pop();
                    self.head('E', moment)?;
                    self.f.write_char('}')?;
                }
            }
            What::PromiseResolve(_) => {}
            What::Destroy(_) => {
                self.arrows.remove(&moment.id);
                if self.flows.remove(&moment.id) {
                    self.flow('e', moment)?;
                }
            }
        }
        Ok(())
    }

    fn arrow(&mut self, phase: char, moment: &Moment) -> fmt::Result {
        self.head(phase, moment)?;
        let end = if phase == 'f' { ",\"bp\":\"e\"" } else { "" };
        let id = moment.id.get();
        write!(self.f, ",\"cat\":\"trigger\",\"name\":\"trigger\",\"id\":{id}{end}")?;
        match moment.by.filter(|_| phase == 's') {
            Some(by) => write!(self.f, ",\"args\":{{\"trigger\":{}}}}}", by.get()),
            None => self.f.write_char('}'),
        }
    }

    fn flow(&mut self, phase: char, moment: &Moment) -> fmt::Result {
        self.head(phase, moment)?;
        self.name(moment)?;
        write!(self.f, ",\"id\":\"{:#x}\"}}", moment.id.get())
    }

    /// Ends what has not ended, so that it is seen.
    fn close_all(&mut self, at_ns: u64) -> fmt::Result {
        for thread in 0..self.open.len() {
            while let Some(id) = self.open[thread].pop() {
                let thread = u16::try_from(thread).unwrap_or(u16::MAX);
                let what = What::After;
                self.head('E', &Moment { at_ns, id, by: None, place: 0, thread, what })?;
                self.f.write_char('}')?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::Place;
    use super::super::recorder::{Moment, Recording, What};
    use crate::inspect::Site;
    use forebear_hooks::{AsyncId, Kind, Outcome, Reason};
    use proptest::prelude::{Strategy, any, prop, proptest};
    use std::collections::{HashMap, HashSet};

    fn recording(moments: Vec<Moment>) -> Recording {
        let place = |kind, label: &str| Place {
            kind,
            label: label.into(),
            site: Site::new("src/\"a\".rs", 1, 1),
        };
        let places = vec![place(Kind::TASK, "a\"\\\n"), place(Kind::FLOW, "GET /")];
        Recording::of(moments, places, vec!["main".into(), "worker \"1\"".into()])
    }

    fn moments() -> impl Strategy<Value = Vec<Moment>> {
        let what = (0..5).prop_map(|what| match what {
            0 => What::Init,
            1 => What::Before,
            2 => What::After,
            3 => What::PromiseResolve(Outcome::Ready),
            _ => What::Destroy(Reason::Dropped),
        });
        let moment = (0..3_u64, 1..5_u64, any::<u64>(), 0..3_u32, 0..3_u16, what);
        prop::collection::vec(moment, 0..60).prop_map(|all| {
            let mut at_ns = 0;
            let moment = |(step, id, by, place, thread, what)| {
                at_ns += step * 617;
                let id = AsyncId::from_u64(id).unwrap();
                Moment { at_ns, id, by: AsyncId::from_u64(by), place, thread, what }
            };
            all.into_iter().map(moment).collect()
        })
    }

    /// Checks what a reader of traces relies on: it is JSON; slices are nested on each track, and all
    /// of them end; times do not go back; each arrow that ends has begun, in a slice.
    fn check(recording: &Recording) {
        let text = recording.chrome().to_string();
        let trace: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{error} in\n{text}");
        });
        let mut depth: HashMap<u64, usize> = HashMap::new();
        let mut last: HashMap<u64, f64> = HashMap::new();
        let (mut arrows, mut flows) = (HashSet::new(), HashSet::new());
        for event in trace["traceEvents"].as_array().unwrap() {
            let track = event["tid"].as_u64().unwrap();
            let Some(at) = event["ts"].as_f64() else {
                assert_eq!(event["ph"], "M");
                continue;
            };
            assert!(last.insert(track, at).is_none_or(|before| before <= at), "{text}");
            let open = depth.entry(track).or_default();
            match event["ph"].as_str().unwrap() {
                "B" => *open += 1,
                "E" => *open = open.checked_sub(1).expect("a slice ends that has begun"),
                "s" => assert!(*open > 0 && arrows.insert(event["id"].clone()), "{text}"),
                "f" => assert!(*open > 0 && arrows.remove(&event["id"]), "{text}"),
                "b" => assert!(flows.insert(event["id"].clone()), "{text}"),
                "e" => assert!(flows.remove(&event["id"]), "{text}"),
                other => panic!("{other}"),
            }
            if event["ph"] == "s" {
                // An id may be made again only after its arrow has ended.
                assert!(event["id"].as_u64().is_some());
            }
        }
        assert!(depth.values().all(|open| *open == 0), "{text}");
    }

    proptest! {
        #[test]
        fn every_trace_can_be_read(moments in moments()) {
            let mut seen = HashSet::new();
            // No id is made twice.
            let is_new = |moment: &Moment| moment.what != What::Init || seen.insert(moment.id);
            check(&recording(moments.into_iter().filter(is_new).collect()));
        }
    }

    #[test]
    fn a_child_hangs_on_an_arrow_from_where_it_was_made() {
        let moment = |at_ns, id, what, thread| Moment {
            at_ns,
            id: AsyncId::from_u64(id).unwrap(),
            by: AsyncId::from_u64(1),
            place: 0,
            thread,
            what,
        };
        let recording = recording(vec![
            moment(1500, 1, What::Before, 0),
            moment(2000, 2, What::Init, 0),
            moment(3000, 1, What::After, 0),
            moment(4001, 2, What::Before, 1),
            moment(5000, 2, What::After, 1),
        ]);
        check(&recording);
        let text = recording.chrome().to_string();
        let lines: Vec<&str> = text.lines().collect();
        let has = |parts: &[&str]| lines.iter().any(|line| parts.iter().all(|p| line.contains(p)));
        assert!(has(&["\"ph\":\"s\"", "\"ts\":2.000", "\"id\":2", "\"tid\":1", "\"trigger\":1"]));
        assert!(has(&["\"ph\":\"f\"", "\"ts\":4.001", "\"id\":2", "\"tid\":2", "\"bp\":\"e\""]));
        assert!(has(&["\"ph\":\"B\"", "\"ts\":1.500", "\"name\":\"task a\\\"\\\\\\n\""]), "{text}");
    }
}
