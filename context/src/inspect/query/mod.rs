//! Picks resources by a query, which has one small grammar wherever it is typed: on a command line, in
//! the page, in the terminal, in code.

mod error; // what is wrong, and where
mod parse; // from text
mod term; // what is asked

use std::fmt;
use std::str::FromStr;

use forebear_hooks::AsyncId;

pub use error::QueryError;

use crate::inspect::graph::{Graph, place_of};
use crate::inspect::leaks;
use crate::inspect::resource::ResourceInfo;
use term::{Around, Term, Test};

/// Which resources are wanted.
///
/// | term | holds for |
/// |---|---|
/// | `ship`, `"a text"` | what has the text in its label, kind, site, or context, or has the id |
/// | `kind:timer`, `kind:tcp` | what is of the kind, or of one that begins with the word |
/// | `state:idle` | a task that is `running`, `queued` or `idle`; what is `gone` |
/// | `age>10s` | what is older; also `<`, `<=`, `>=`, `=`, and `ns us ms s m h d` |
/// | `field:accountId=42`, `field:accountId` | what has the value in its context, or any |
/// | `label:ship`, `site:src/db.rs:41` | what has the text in its label, or where it was made |
/// | `under:#12` | the resource and all below it, along the edge that is looked at |
/// | `leak:true` | what seems to be a leak |
/// | `waits:timer` | what waits for a `timer`, `task`, `socket`, `#12`, or something `unknown` |
/// | `id:#12`, `trigger:#12`, `creator:#12`, `flow:#12`, `runtime:1` | what has it |
/// | `polls>1000`, `busy>1s` | tasks, while they are counted |
///
/// All terms must hold; `-` before one turns it round; commas separate alternatives:
/// `kind:task,flow -state:idle age>1m`.
///
/// ```
/// use forebear_context::inspect::Query;
///
/// let query: Query = "kind:timer state:idle age>10s".parse()?;
/// let error = "kind:timer aeg>10s".parse::<Query>().unwrap_err();
/// assert_eq!(error.place(), 11..14);
/// assert_eq!(error.what(), "unknown key `aeg`: did you mean `age`?");
/// # assert_eq!(query.to_string(), "kind:timer state:idle age>10s");
/// # Ok::<(), forebear_context::inspect::QueryError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    text: String,
    terms: Vec<Term>,
}

impl FromStr for Query {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Query, QueryError> {
        let terms = parse::parse(text)?;
        Ok(Query { text: text.trim().to_owned(), terms })
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Query {
    /// Says whether everything is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Says whether it asks for what is known only while it is counted.
    #[must_use]
    pub fn needs_counts(&self) -> bool {
        self.terms.iter().any(|term| matches!(term.test, Test::Count(..)))
    }

    /// Says of each of the resources, which are sorted by id, whether it is wanted.
    #[must_use]
    pub fn select(&self, resources: &[ResourceInfo], graph: &Graph) -> Vec<bool> {
        let asks_for_leaks = self.terms.iter().any(|term| matches!(term.test, Test::Leak(_)));
        let leaks = if asks_for_leaks { leaks::mark(resources) } else { Vec::new() };
        let roots = self.terms.iter().filter_map(|term| match term.test {
            Test::Under(root) => Some((root, all_below(resources, graph, root))),
            _ => None,
        });
        let below: Vec<(AsyncId, Vec<bool>)> = roots.collect();
        let around = Around {
            is_leak: &|place| leaks.get(place).is_some_and(|is_leak| *is_leak),
            is_under: &|root, place| {
                below.iter().any(|(known, below)| *known == root && below[place])
            },
        };
        let all_hold = |(place, r): (usize, &ResourceInfo)| {
            self.terms.iter().all(|term| term.holds(r, place, &around))
        };
        resources.iter().enumerate().map(all_hold).collect()
    }
}

/// Marks a resource and all below it.
fn all_below(resources: &[ResourceInfo], graph: &Graph, root: AsyncId) -> Vec<bool> {
    let mut is_below = vec![false; resources.len()];
    let mut pending: Vec<usize> = place_of(resources, root).into_iter().collect();
    while let Some(place) = pending.pop() {
        if !std::mem::replace(&mut is_below[place], true) {
            pending.extend(graph.below(place).iter().map(|place| *place as usize));
        }
    }
    is_below
}

#[cfg(test)]
mod tests {
    use super::Query;
    use crate::inspect::counts::Counts;
    use crate::inspect::graph::{Edge, Graph};
    use crate::inspect::label::{Label, Site};
    use crate::inspect::resource::{FlowRef, ResourceInfo, WaitsFor};
    use forebear_hooks::waits::Until;
    use forebear_hooks::{AsyncId, Kind, LiveState, RuntimeId};
    use std::time::Duration;

    fn id(raw: u64) -> AsyncId {
        AsyncId::from_u64(raw).unwrap()
    }

    fn info(raw: u64, kind: Kind, label: &'static str, trigger: u64) -> ResourceInfo {
        let site = Site::new("src/db.rs", 40 + u32::try_from(raw).unwrap(), 9);
        let mut info = ResourceInfo::new(id(raw), kind, Label::constant(label), site);
        info.trigger = AsyncId::from_u64(trigger);
        info.age = Some(Duration::from_secs(raw));
        info.runtime = RuntimeId::from_u32(1);
        info
    }

    fn service() -> Vec<ResourceInfo> {
        let accept = info(1, Kind::TASK, "accept", 0);
        let mut flow = info(2, Kind::FLOW, "POST /orders", 1);
        flow.age = None;
        let mut ship = info(3, Kind::TASK, "orders::ship", 2);
        ship.state = Some(LiveState::Idle);
        ship.wakers = Some(1);
        ship.context = [(Label::constant("accountId"), "a 42".to_owned())].into();
        ship.waits = [WaitsFor { on: id(4), until: Until::Due(Duration::from_secs(1)) }].into();
        ship.flow = Some(FlowRef { id: id(2), ended: None });
        let busy = Duration::from_millis(20);
        ship.counts = Some(Box::new(Counts { polls: 7, busy, ..Counts::default() }));
        let timer = info(4, Kind::TIMER, "sleep", 3);
        let mut stuck = info(5, Kind::TASK, "audit", 1);
        (stuck.state, stuck.wakers) = (Some(LiveState::Idle), Some(0));
        let mut socket = info(6, Kind::TCP_STREAM, "127.0.0.1:80", 0);
        socket.creator = Some(id(1));
        vec![accept, flow, ship, timer, stuck, socket]
    }

    #[track_caller]
    fn check(query: &str, want: &[u64]) {
        let all = service();
        let graph = Graph::new(&all, Edge::TriggeredBy);
        let picked = query.parse::<Query>().unwrap().select(&all, &graph);
        let ids: Vec<u64> = (1..).zip(picked).filter(|(_, is)| *is).map(|(id, _)| id).collect();
        assert_eq!(ids, want, "{query}");
    }

    #[test]
    fn each_term_picks_what_it_says() {
        check("", &[1, 2, 3, 4, 5, 6]);
        check("kind:task", &[1, 3, 5]);
        check("kind:tcp", &[6]);
        check("kind:TCP-Stream,flow", &[2, 6]);
        check("kind:tcps", &[]);
        check("state:idle", &[3, 5]);
        check("state:gone", &[2]);
        check("age>4s", &[5, 6]);
        check("age>=4s age<5.5s", &[4, 5]);
        check("age=3s", &[3]);
        check("age<0s", &[]);
        check("field:accountId", &[3]);
        check("field:accountId=\"a 42\"", &[3]);
        check("field:accountId=42", &[]);
        check("label:SHIP,audit", &[3, 5]);
        check("site:db.rs:44", &[4]);
        check("under:#2", &[2, 3, 4]);
        check("under:#99", &[]);
        check("leak:true", &[5]);
        check("-leak:true", &[1, 2, 3, 4, 6]);
        check("waits:timer", &[3]);
        check("waits:#4", &[3]);
        check("waits:unknown", &[5]);
        check("waits:task,socket", &[]);
        check("id:1,#6", &[1, 6]);
        check("trigger:#1", &[2, 5]);
        check("creator:1", &[6]);
        check("flow:#2", &[3]);
        check("runtime:1", &[1, 2, 3, 4, 5, 6]);
        check("polls>6 busy<=20ms", &[3]);
        check("polls<1", &[]);
        check("#3", &[3]);
        check("\"tcp stream\"", &[6]);
        check("a\\ 42", &[]);
        check("orders::", &[3]);
        check("kind:task -state:idle", &[1]);
        check("ORDERS -kind:flow", &[3]);
    }
}
