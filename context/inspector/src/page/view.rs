//! Says what of a snapshot the page shows, as JSON.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use forebear_context::inspect::text::{Age, Thousands, Waits, Words};
use forebear_context::inspect::{
    Edge, Graph, Leaks, Query, ResourceInfo, Snapshot, Tree, json_text,
};
use forebear_hooks::{AsyncId, Kind};

/// What is deeper than this is closed until somebody opens it.
const OPEN_DEPTH: usize = 2;

/// So many resources of a folded line are named.
const MEMBERS_MAX: usize = 100;

/// How the tree is looked at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Look {
    pub(super) edge: Edge,
    pub(super) query: Query,
    pub(super) is_unfolded: bool,
}

/// A line of a tree.
struct Row {
    depth: usize,
    id: AsyncId,
    json: String,
}

/// A tree as rows, of which the page shows a part.
pub(super) struct Rows(Vec<Row>);

impl Rows {
    pub(super) fn of(snapshot: &Snapshot, look: &Look) -> Rows {
        let mut tree = Tree::new(snapshot.clone()).edge(look.edge).filter(look.query.clone());
        if look.is_unfolded {
            tree = tree.fold_above(usize::MAX);
        }
        let rows = tree.lines().map(|line| {
            let same = line.resources();
            let first = same[0];
            let mut json = format!("\"depth\":{},\"count\":{}", line.depth(), same.len());
            if !line.is_picked() {
                json += ",\"dim\":true";
            }
            let _ = write!(json, ",\"r\":{}", row_json(first));
            Row { depth: line.depth(), id: first.id, json }
        });
        Rows(rows.collect())
    }

    /// Returns some of the rows that are visible, and how many there are. Below a row is open what
    /// was opened, and what is not deep unless it was closed; a query opens everything.
    pub(super) fn page(
        &self,
        toggled: &HashSet<AsyncId>,
        is_all_open: bool,
        from: usize,
        count: usize,
    ) -> String {
        let mut closed_at: Option<usize> = None;
        let (mut total, mut shown) = (0, String::new());
        for (nth, row) in self.0.iter().enumerate() {
            if closed_at.is_some_and(|depth| row.depth > depth) {
                continue;
            }
            let has_more = self.0.get(nth + 1).is_some_and(|next| next.depth > row.depth);
            let is_open = (is_all_open || row.depth < OPEN_DEPTH) != toggled.contains(&row.id);
            closed_at = if has_more && !is_open { Some(row.depth) } else { None };
            if total >= from && total < from + count {
                let comma = if shown.is_empty() { "" } else { "," };
                let state = match (has_more, is_open) {
                    (false, _) => "leaf",
                    (true, true) => "open",
                    (true, false) => "closed",
                };
                // Writing to a text does not fail.
                let _ = write!(shown, "{comma}{{\"fold\":\"{state}\",{}}}", row.json);
            }
            total += 1;
        }
        format!("{{\"total\":{total},\"from\":{from},\"rows\":[{shown}]}}")
    }
}

/// A resource with the texts that a row shows.
fn row_json(r: &ResourceInfo) -> String {
    let mut json = r.json().to_string();
    // Inside the object, at its end.
    json.pop();
    let age = r.age.map(|age| Age(age).to_string()).unwrap_or_default();
    let waits: Vec<String> = r.waits.iter().take(3).map(|on| Waits(on).to_string()).collect();
    let _ = write!(
        json,
        ",\"words\":{},\"place\":{},\"age\":{},\"waiting\":{},\"doing\":{}}}",
        json_text(&Words(r.kind).to_string()),
        json_text(&format!("{}:{}", r.location.short_file(), r.location.line())),
        json_text(&age),
        json_text(&waits.join(", ")),
        json_text(r.state_name()),
    );
    json
}

/// All about one resource: itself, its lineage, what stands below it, and those like it.
pub(super) fn detail(snapshot: &Snapshot, id: AsyncId) -> String {
    let lineage = snapshot.lineage(id);
    let line: Vec<String> = lineage.resources().iter().map(row_json).collect();
    let below = |is_it: &dyn Fn(&ResourceInfo) -> bool| {
        let found = snapshot.resources().iter().filter(|r| is_it(r)).take(MEMBERS_MAX);
        found.map(row_json).collect::<Vec<_>>().join(",")
    };
    let caused = below(&|r| r.trigger == Some(id));
    let waiting = below(&|r| r.waits.iter().any(|waits| waits.on == id));
    let same = snapshot.get(id).map(|one| {
        below(&|r| r.kind == one.kind && r.label == one.label && r.location == one.location)
    });
    format!(
        "{{\"lineage\":[{}],\"text\":{},\"caused\":[{caused}],\"waiting\":[{waiting}],\"same\":[{}]}}",
        line.join(","),
        json_text(&lineage.to_string()),
        same.unwrap_or_default()
    )
}

/// The leaks, each with the lineage of the oldest.
pub(super) fn leaks(leaks: &Leaks) -> String {
    let mut all = String::new();
    for leak in leaks.all() {
        let lineage = leaks.snapshot().lineage(leak.example.id).to_string();
        let comma = if all.is_empty() { "" } else { "," };
        let _ = write!(
            all,
            "{comma}{{\"leak\":\"{}\",\"count\":{},\"lineage\":{},\"r\":{}}}",
            leak.kind.name(),
            leak.ids.len(),
            json_text(&lineage),
            row_json(&leak.example)
        );
    }
    format!("{{\"leaks\":[{all}]}}")
}

/// What keeps the process alive: what nothing that is alive has caused, what runs, and what others
/// can reach it by.
pub(super) fn alive(snapshot: &Snapshot) -> String {
    let all = snapshot.resources();
    let graph = Graph::new(all, Edge::TriggeredBy);
    let lasts = |kind: Kind| {
        matches!(
            kind,
            Kind::TCP_LISTENER
                | Kind::UNIX_LISTENER
                | Kind::INTERVAL
                | Kind::BLOCKING
                | Kind::SIGNAL
        )
    };
    let mut groups: BTreeMap<(&str, String, String), Vec<&ResourceInfo>> = BTreeMap::new();
    for (place, r) in all.iter().enumerate() {
        if graph.above(place).is_none() || lasts(r.kind) {
            let key = (r.kind.name(), r.label.to_string(), r.location.to_string());
            groups.entry(key).or_default().push(r);
        }
    }
    let rows: Vec<String> = groups
        .into_values()
        .map(|same| {
            let oldest = same.iter().max_by_key(|r| r.age).unwrap_or(&same[0]);
            format!("{{\"count\":{},\"r\":{}}}", same.len(), row_json(oldest))
        })
        .collect();
    format!("{{\"alive\":[{}]}}", rows.join(","))
}

/// Who holds the context of which flow: those that have ended first, then those with most holders.
pub(super) fn contexts(snapshot: &Snapshot) -> String {
    let mut flows: BTreeMap<AsyncId, Vec<&ResourceInfo>> = BTreeMap::new();
    for r in snapshot.resources() {
        if let Some(flow) = r.flow {
            flows.entry(flow.id).or_default().push(r);
        }
    }
    let ended = |holders: &[&ResourceInfo]| holders[0].flow.and_then(|flow| flow.ended);
    let mut flows: Vec<(AsyncId, Vec<&ResourceInfo>)> = flows.into_iter().collect();
    flows.sort_by_key(|(id, holders)| {
        std::cmp::Reverse((ended(holders), holders.len(), std::cmp::Reverse(*id)))
    });
    let rows: Vec<String> = flows
        .iter()
        .take(MEMBERS_MAX)
        .map(|(id, holders)| {
            let ago = ended(holders).map(|ago| format!("ended {} ago", Age(ago)));
            let shown = holders.iter().take(10).map(|r| row_json(r)).collect::<Vec<_>>();
            format!(
                "{{\"flow\":{},\"state\":{},\"count\":{},\"holders\":[{}]}}",
                id.get(),
                json_text(ago.as_deref().unwrap_or("alive")),
                holders.len(),
                shown.join(",")
            )
        })
        .collect();
    format!("{{\"contexts\":[{}]}}", rows.join(","))
}

/// What the head of the page says.
pub(super) fn summary(snapshot: &Snapshot, number: u64, leaks: &Leaks) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for r in snapshot.resources() {
        *kinds.entry(r.kind.name()).or_default() += 1;
    }
    let leaking: usize = leaks.all().iter().map(|leak| leak.ids.len()).sum();
    let alive = Thousands(snapshot.resources().len() as u64);
    let kinds: Vec<String> =
        kinds.iter().map(|(kind, count)| format!("{}:{count}", json_text(kind))).collect();
    format!(
        "{{\"number\":{number},\"alive\":\"{alive}\",\"leaks\":{leaking},\"kinds\":{{{}}}}}",
        kinds.join(",")
    )
}

/// The tree in a form to be copied.
pub(super) fn export(snapshot: &Snapshot, look: &Look, format: &str) -> Option<String> {
    let tree = Tree::new(snapshot.clone()).edge(look.edge).filter(look.query.clone());
    Some(match format {
        "text" => tree.to_string(),
        "json" => tree.json().to_string(),
        "dot" => tree.dot().to_string(),
        "folded" => tree.folded_stacks().to_string(),
        _ => return None,
    })
}
