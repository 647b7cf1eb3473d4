//! Keeps what the terminal shows, and does what keys say.

use std::cmp::Reverse;
use std::collections::HashSet;

use forebear_context::inspect::text::{Age, Clean, Place, Thousands, Words};
use forebear_context::inspect::{Edge, Graph, Leaks, Query, ResourceInfo, Snapshot, Tree};
use forebear_hooks::AsyncId;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::args::Options;

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Tree,
    Table,
    Leaks,
}

/// By what the table is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Busy,
    Polls,
    Delay,
    Age,
    Id,
}

impl Sort {
    const ALL: [Sort; 5] = [Sort::Busy, Sort::Polls, Sort::Delay, Sort::Age, Sort::Id];

    pub(super) fn name(self) -> &'static str {
        match self {
            Sort::Busy => "busy",
            Sort::Polls => "polls",
            Sort::Delay => "delay",
            Sort::Age => "age",
            Sort::Id => "id",
        }
    }

    fn next(self) -> Sort {
        let place = Sort::ALL.iter().position(|sort| *sort == self).unwrap_or(0);
        Sort::ALL[(place + 1) % Sort::ALL.len()]
    }

    /// Returns what the largest is first of.
    fn weight(self, r: &ResourceInfo) -> u128 {
        let counts = r.counts.as_deref().copied().unwrap_or_default();
        match self {
            Sort::Busy => counts.busy.as_nanos(),
            Sort::Polls => counts.polls.into(),
            Sort::Delay => counts.longest_delay.as_nanos(),
            Sort::Age => r.age.unwrap_or_default().as_nanos(),
            Sort::Id => u128::MAX - u128::from(r.id.get()),
        }
    }
}

/// A line, ready to be drawn.
pub(super) struct Line {
    depth: usize,
    pub(super) id: Option<AsyncId>,
    pub(super) text: String,
    pub(super) is_dim: bool,
}

/// What is to be done after a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Go,
    End,
    Pause(bool),
    Copy(String),
}

/// All that the terminal shows.
pub(super) struct App {
    pub(super) title: String,
    snapshot: Snapshot,
    leaks_before: Option<Leaks>,
    leaks: Option<Leaks>,
    pub(super) tab: Tab,
    pub(super) edge: Edge,
    pub(super) sort: Sort,
    query: Query,
    /// What is being typed, if something is.
    pub(super) typing: Option<String>,
    pub(super) said: String,
    is_unfolded: bool,
    closed: HashSet<AsyncId>,
    pub(super) is_paused: bool,
    pub(super) is_detailed: bool,
    pub(super) is_helping: bool,
    lines: Vec<Line>,
    /// The lines that are not below a closed one.
    pub(super) visible: Vec<usize>,
    pub(super) at: usize,
    /// The first line on the screen, and how many there is room for: as they were drawn last.
    pub(super) top: usize,
    pub(super) height: usize,
}

impl App {
    pub(super) fn new(title: String, options: &Options) -> App {
        App {
            title,
            snapshot: Snapshot::default(),
            leaks_before: None,
            leaks: None,
            tab: Tab::Tree,
            edge: options.edge,
            sort: Sort::Busy,
            query: options.filter.clone(),
            typing: None,
            said: String::new(),
            is_unfolded: options.fold_above.is_some(),
            closed: HashSet::new(),
            is_paused: false,
            is_detailed: false,
            is_helping: false,
            lines: Vec::new(),
            visible: Vec::new(),
            at: 0,
            top: 0,
            height: 1,
        }
    }

    pub(super) fn update(&mut self, news: Result<Snapshot, String>) {
        match news {
            Ok(snapshot) => {
                let found = Leaks::of(snapshot.clone());
                let before = self.leaks_before.take();
                self.leaks = before.map(|before| found.clone().confirmed_by(&before));
                self.leaks_before = Some(found);
                self.snapshot = snapshot;
                self.said.clear();
                self.make_lines();
            }
            Err(what) => self.said = what,
        }
    }

    pub(super) fn alive(&self) -> usize {
        self.snapshot.resources().len()
    }

    pub(super) fn leaking(&self) -> usize {
        self.leaks.as_ref().map_or(0, |leaks| leaks.all().iter().map(|leak| leak.ids.len()).sum())
    }

    pub(super) fn query(&self) -> &Query {
        &self.query
    }

    pub(super) fn line(&self, nth: usize) -> Option<&Line> {
        self.visible.get(nth).and_then(|place| self.lines.get(*place))
    }

    /// Returns what is known of the resource of the line that is chosen.
    pub(super) fn detail(&self) -> String {
        let Some(id) = self.line(self.at).and_then(|line| line.id) else { return String::new() };
        let mut text = self.snapshot.lineage(id).to_string();
        if let Some(r) = self.snapshot.get(id) {
            text += "\n";
            if let Some(counts) = &r.counts {
                text += &format!(
                    "polls {}  busy {}  longest {}  wakes {} (own {})  delay {}\n",
                    Thousands(counts.polls),
                    Age(counts.busy),
                    Age(counts.longest_poll),
                    Thousands(counts.wakes),
                    Thousands(counts.self_wakes),
                    Age(counts.longest_delay),
                );
                if let Some(by) = counts.woken_by {
                    text += &format!("woken by {by}\n");
                }
            }
            text += &format!("{}\n", r.location);
        }
        text
    }

    fn make_lines(&mut self) {
        let chosen = self.line(self.at).and_then(|line| line.id);
        self.lines = match self.tab {
            Tab::Tree => self.tree_lines(),
            Tab::Table => self.table_lines(),
            Tab::Leaks => self.leak_lines(),
        };
        self.hide_closed();
        // The line stays chosen though others come and go above it.
        let is_chosen = |place: &usize| chosen.is_some() && self.lines[*place].id == chosen;
        if let Some(place) = self.visible.iter().position(is_chosen) {
            self.at = place;
        }
        self.at = self.at.min(self.visible.len().saturating_sub(1));
    }

    fn hide_closed(&mut self) {
        let mut below: Option<usize> = None;
        self.visible.clear();
        for (place, line) in self.lines.iter().enumerate() {
            if below.is_some_and(|depth| line.depth > depth) {
                continue;
            }
            let is_closed = line.id.is_some_and(|id| self.closed.contains(&id));
            below = if is_closed { Some(line.depth) } else { None };
            self.visible.push(place);
        }
    }

    fn tree(&self) -> Tree {
        let tree = Tree::new(self.snapshot.clone()).edge(self.edge).filter(self.query.clone());
        if self.is_unfolded { tree.fold_above(usize::MAX) } else { tree }
    }

    fn tree_lines(&self) -> Vec<Line> {
        let tree = self.tree();
        let lines = tree.lines().map(|line| Line {
            depth: line.depth(),
            id: line.resources().first().map(|r| r.id),
            text: line.to_string(),
            is_dim: !line.is_picked(),
        });
        lines.collect()
    }

    fn table_lines(&self) -> Vec<Line> {
        let all = self.snapshot.resources();
        let is_picked = self.query.select(all, &Graph::new(all, self.edge));
        let mut picked: Vec<&ResourceInfo> =
            all.iter().zip(is_picked).filter(|(_, is)| *is).map(|(r, _)| r).collect();
        picked.sort_by_cached_key(|r| Reverse(self.sort.weight(r)));
        let line = |r: &ResourceInfo| {
            let counts = r.counts.as_deref().copied().unwrap_or_default();
            let context: Vec<String> = r
                .context
                .iter()
                .map(|(key, value)| format!("{}={}", Clean(key), Clean(value)))
                .collect();
            let text = format!(
                "{:>9} {:>8} {:>9} {:>8} {:>8} {:<8} {} {} {}  {}",
                r.id.to_string(),
                Age(counts.busy).to_string(),
                Thousands(counts.polls).to_string(),
                Age(counts.longest_delay).to_string(),
                r.age.map(|age| Age(age).to_string()).unwrap_or_default(),
                r.state_name(),
                Words(r.kind),
                Clean(&r.label),
                Place(&r.location),
                context.join("  "),
            );
            Line { depth: 0, id: Some(r.id), text, is_dim: false }
        };
        picked.into_iter().map(line).collect()
    }

    fn leak_lines(&self) -> Vec<Line> {
        let Some(leaks) = &self.leaks else {
            let text = "looking for the second time…".to_owned();
            return vec![Line { depth: 0, id: None, text, is_dim: true }];
        };
        if leaks.is_empty() {
            let text = "no leaks found".to_owned();
            return vec![Line { depth: 0, id: None, text, is_dim: false }];
        }
        let mut lines = Vec::new();
        for leak in leaks.all() {
            let many = Thousands(leak.ids.len() as u64);
            let r = &leak.example;
            let text = format!(
                "{}  x {many} {} {} {}",
                leak.kind.name(),
                Words(r.kind),
                Clean(&r.label),
                Place(&r.location)
            );
            lines.push(Line { depth: 0, id: Some(r.id), text, is_dim: false });
            for line in self.snapshot.lineage(r.id).to_string().lines() {
                lines.push(Line { depth: 1, id: None, text: format!("    {line}"), is_dim: true });
            }
        }
        lines
    }

    /// Moves the choice, and with it what is on the screen.
    fn go(&mut self, to: usize) {
        self.at = to.min(self.visible.len().saturating_sub(1));
    }

    fn show(&mut self, tab: Tab) -> Next {
        self.tab = tab;
        self.at = 0;
        self.make_lines();
        Next::Go
    }

    fn along(&mut self, edge: Edge) -> Next {
        self.edge = edge;
        self.show(Tab::Tree)
    }

    fn close(&mut self, is_closed: bool) {
        if let Some(id) = self.line(self.at).and_then(|line| line.id) {
            let _ = if is_closed { self.closed.insert(id) } else { self.closed.remove(&id) };
            self.hide_closed();
        }
    }

    pub(super) fn press(&mut self, key: KeyEvent) -> Next {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Next::End;
        }
        if self.typing.is_some() {
            self.type_key(key.code);
            return Next::Go;
        }
        if self.is_helping {
            self.is_helping = false;
            return Next::Go;
        }
        let page = self.height.max(1);
        match key.code {
            KeyCode::Char('q') => return Next::End,
            KeyCode::Char('j') | KeyCode::Down => self.go(self.at + 1),
            KeyCode::Char('k') | KeyCode::Up => self.go(self.at.saturating_sub(1)),
            KeyCode::PageDown => self.go(self.at + page),
            KeyCode::PageUp => self.go(self.at.saturating_sub(page)),
            KeyCode::Char('g') | KeyCode::Home => self.go(0),
            KeyCode::Char('G') | KeyCode::End => self.go(usize::MAX),
            KeyCode::Left | KeyCode::Char('h') => self.close(true),
            KeyCode::Right => self.close(false),
            KeyCode::Enter => self.is_detailed = !self.is_detailed,
            KeyCode::Esc => self.is_detailed = false,
            KeyCode::Char('/') => self.typing = Some(self.query.to_string()),
            KeyCode::Char('1') => return self.along(Edge::TriggeredBy),
            KeyCode::Char('2') => return self.along(Edge::CreatedBy),
            KeyCode::Char('3') => return self.along(Edge::WaitingOn),
            KeyCode::Char('t') => return self.show(Tab::Tree),
            KeyCode::Char('b') => return self.show(Tab::Table),
            KeyCode::Char('l') => return self.show(Tab::Leaks),
            KeyCode::Char('s') => {
                self.sort = self.sort.next();
                return self.show(Tab::Table);
            }
            KeyCode::Char('u') => {
                self.is_unfolded = !self.is_unfolded;
                self.make_lines();
            }
            KeyCode::Char(' ') => {
                self.is_paused = !self.is_paused;
                return Next::Pause(self.is_paused);
            }
            KeyCode::Char('y') => {
                let text = match self.is_detailed {
                    true => self.detail(),
                    false => self.lines.iter().map(|line| line.text.clone() + "\n").collect(),
                };
                self.said = "copied".to_owned();
                return Next::Copy(text);
            }
            KeyCode::Char('?') => self.is_helping = true,
            _ => {}
        }
        Next::Go
    }

    fn type_key(&mut self, code: KeyCode) {
        let Some(text) = &mut self.typing else { return };
        match code {
            KeyCode::Char(c) => text.push(c),
            KeyCode::Backspace => drop(text.pop()),
            KeyCode::Esc => self.typing = None,
            KeyCode::Enter => match text.parse::<Query>() {
                Ok(query) => {
                    self.query = query;
                    self.typing = None;
                    self.said.clear();
                    self.make_lines();
                }
                Err(error) => self.said = error.what().to_owned(),
            },
            _ => {}
        }
    }
}
