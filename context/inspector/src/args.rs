//! Reads the command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use forebear_context::inspect::{Edge, Query};
use forebear_hooks::AsyncId;
use lexopt::prelude::{Long, Short, Value, ValueExt as _};

use crate::Failure;

const HELP: &str = "\
forebear shows what a running service is doing: which tasks, timers and sockets there are, who
triggered whom, what they wait for, and for which business context.

usage: forebear COMMAND [PID|SOCKET] [OPTIONS]

  ps                the services that can be looked at; with PID, what is alive in one
  tree PID          what is alive, under what triggered it
  lineage PID [ID]  what triggered it, and what triggered that, up to the root
  top PID           what was busy, and what has grown, in the last --window
  leaks PID         tasks nobody can wake, forgotten timers, contexts that are kept
  dump PID          everything, nothing folded
  watch PID         live, in this terminal: ? shows the keys
  page PID          all of this in a browser: prints the address
  trace PID         what happens during --window, for https://ui.perfetto.dev

  --filter QUERY    only these, e.g. 'kind:timer state:idle age>10s field:accountId=42'
  --edge EDGE       triggered-by (default), created-by, waiting-on
  --json            for programs; the documents have a version
  --dot, --folded   tree: for Graphviz; for flame graphs
  --window TIME     top, leaks, trace: how long to look, e.g. 5s
  --output FILE     trace: where to write it, standard output without this
  --by COLUMN       top: busy (default), polls, wakes, delay, longest, count, age
  --port N          page: where to listen, any free port without this
  --rows N          top, ps: how many rows, 20 without this
  --unfold          tree: every resource on a line of its own
  --color WHEN      auto (default), always, never
  -h, --help        this; forebear help QUERY says what a query can be
  -V, --version

A service can be looked at if it is a debug build, or with FOREBEAR_INSPECT=1 in its environment, or
with Builder::inspect(true). Its socket is in the folder of the user who runs it; root finds all.

ends with 0 if all is well, 1 if leaks were found or nothing matches, 2 if it was asked in a wrong
way, 3 if there is nothing to look at, 4 if the connection broke.
";

const HELP_QUERY: &str = "\
A query is made of terms, all of which must hold. A - before one turns it round; commas separate
alternatives; what has spaces stands between quotes.

  ship, \"a text\"          the text is in its label, kind, site or context
  kind:timer kind:tcp     of the kind, or of one that begins with the word
  state:idle              a task that is running, queued or idle; what is gone
  age>10s                 also < <= >= = and ns us ms s m h d
  field:accountId=42      has the value in its context; without =42, any
  label:ship site:src/db.rs:41
  under:#12               it and all below it, along the edge that is looked at
  leak:true               seems to be a leak
  waits:timer             waits for a timer, task, socket, #12, or something unknown
  id:#12 trigger:#12 creator:#12 flow:#12 runtime:1
  polls>1000 busy>1s      while it is counted: forebear top
";

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Ps,
    Tree,
    Lineage,
    Top,
    Leaks,
    Dump,
    Trace,
    Page,
    Watch,
}

/// Which service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Process(u32),
    Socket(PathBuf),
}

/// How a tree is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
    Dot,
    Folded,
}

/// By what the busiest are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum By {
    #[default]
    Busy,
    Polls,
    Wakes,
    Delay,
    Longest,
    Count,
    Age,
}

/// When there are colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Colour {
    #[default]
    Auto,
    Always,
    Never,
}

/// What was said about how.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) target: Option<Target>,
    pub(crate) ids: Vec<AsyncId>,
    pub(crate) filter: Query,
    pub(crate) edge: Edge,
    pub(crate) format: Format,
    pub(crate) window: Option<Duration>,
    pub(crate) by: By,
    pub(crate) rows: usize,
    pub(crate) fold_above: Option<usize>,
    pub(crate) colour: Colour,
    pub(crate) output: Option<PathBuf>,
    pub(crate) port: u16,
}

impl Options {
    /// Returns which service, for what cannot do without.
    pub(crate) fn target(&self) -> Result<&Target, Failure> {
        let missing = "which process? `forebear ps` lists those that can be looked at";
        self.target.as_ref().ok_or_else(|| Failure::usage(missing))
    }
}

/// What a command line asks for.
#[derive(Debug)]
pub(crate) enum Parsed {
    Run(Command, Options),
    Say(String),
}

/// So many rows are shown where there may be many.
const ROWS: usize = 20;

/// A longer look than this is a mistake.
const WINDOW_MAX: Duration = Duration::from_secs(24 * 3600);

/// Understands a command line, without the name of the program.
pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Parsed, Failure> {
    let mut parser = lexopt::Parser::from_args(args);
    let mut words: Vec<String> = Vec::new();
    let mut options = Options {
        target: None,
        ids: Vec::new(),
        filter: Query::default(),
        edge: Edge::default(),
        format: Format::default(),
        window: None,
        by: By::default(),
        rows: ROWS,
        fold_above: None,
        colour: Colour::default(),
        output: None,
        port: 0,
    };
    while let Some(arg) = parser.next().map_err(Failure::usage)? {
        match arg {
            Short('h') | Long("help") => return Ok(Parsed::Say(HELP.to_owned())),
            Short('V') | Long("version") => {
                return Ok(Parsed::Say(format!("forebear {}\n", env!("CARGO_PKG_VERSION"))));
            }
            Long("json") => options.format = Format::Json,
            Long("dot") => options.format = Format::Dot,
            Long("folded") => options.format = Format::Folded,
            Long("unfold") => options.fold_above = Some(usize::MAX),
            Long("filter") => options.filter = value(&mut parser)?,
            Long("edge") => options.edge = value(&mut parser)?,
            Long("port") => options.port = value(&mut parser)?,
            Long("rows") => options.rows = value(&mut parser)?,
            Long("window") => options.window = Some(window(&text(&mut parser)?)?),
            Long("by") => options.by = by(&text(&mut parser)?)?,
            Long("color" | "colour") => options.colour = colour(&text(&mut parser)?)?,
            Long("output") | Short('o') => {
                options.output = Some(parser.value().map_err(Failure::usage)?.into());
            }
            Value(word) => words.push(word.string().map_err(Failure::usage)?),
            arg => return Err(Failure::usage(arg.unexpected())),
        }
    }
    let mut words = words.into_iter();
    let command = match words.next().as_deref() {
        None => return Err(Failure::usage("what is to be shown?")),
        Some("help") => {
            let is_query = words.next().is_some_and(|word| word.eq_ignore_ascii_case("query"));
            return Ok(Parsed::Say(if is_query { HELP_QUERY } else { HELP }.to_owned()));
        }
        Some("ps") => Command::Ps,
        Some("tree") => Command::Tree,
        Some("lineage") => Command::Lineage,
        Some("top") => Command::Top,
        Some("leaks") => Command::Leaks,
        Some("dump") => Command::Dump,
        Some("trace") => Command::Trace,
        Some("page") => Command::Page,
        Some("watch") => Command::Watch,
        Some(word) => return Err(Failure::usage(format!("there is no command `{word}`"))),
    };
    options.target = words.next().map(target);
    for word in words {
        if command != Command::Lineage {
            return Err(Failure::usage(format!("what is `{word}` for?")));
        }
        options.ids.push(id(&word)?);
    }
    Ok(Parsed::Run(command, options))
}

fn text(parser: &mut lexopt::Parser) -> Result<String, Failure> {
    parser.value().and_then(|value| value.string()).map_err(Failure::usage)
}

fn value<T: std::str::FromStr<Err: std::fmt::Display>>(
    parser: &mut lexopt::Parser,
) -> Result<T, Failure> {
    text(parser)?.parse().map_err(Failure::usage)
}

fn target(word: String) -> Target {
    match word.parse() {
        Ok(pid) => Target::Process(pid),
        Err(_) => Target::Socket(word.into()),
    }
}

fn id(word: &str) -> Result<AsyncId, Failure> {
    let number = word.strip_prefix('#').unwrap_or(word).parse().ok();
    let id = number.and_then(AsyncId::from_u64);
    id.ok_or_else(|| Failure::usage(format!("an id looks like 12 or #12, not `{word}`")))
}

fn window(text: &str) -> Result<Duration, Failure> {
    let wrong = || Failure::usage(format!("a time looks like 5s, 250ms or 1m, not `{text}`"));
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let ms = match &text[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    let window = Duration::from_millis(number.saturating_mul(ms));
    if window > WINDOW_MAX { Err(wrong()) } else { Ok(window) }
}

fn by(text: &str) -> Result<By, Failure> {
    Ok(match text {
        "busy" => By::Busy,
        "polls" => By::Polls,
        "wakes" => By::Wakes,
        "delay" => By::Delay,
        "longest" => By::Longest,
        "count" => By::Count,
        "age" => By::Age,
        _ => {
            let columns = "busy, polls, wakes, delay, longest, count or age";
            return Err(Failure::usage(format!("--by is {columns}, not `{text}`")));
        }
    })
}

fn colour(text: &str) -> Result<Colour, Failure> {
    Ok(match text {
        "auto" => Colour::Auto,
        "always" => Colour::Always,
        "never" => Colour::Never,
        _ => return Err(Failure::usage("--color is auto, always or never")),
    })
}

#[cfg(test)]
mod tests {
    use super::{By, Command, Format, Parsed, Target, parse};
    use forebear_context::inspect::Edge;
    use std::time::Duration;

    fn parsed(line: &[&str]) -> Result<Parsed, String> {
        parse(line.iter().map(Into::into)).map_err(|failure| failure.what)
    }

    #[test]
    fn a_command_line_is_understood() {
        let line = ["top", "41", "--by", "polls", "--window=250ms", "--rows", "3", "--json"];
        let Ok(Parsed::Run(command, options)) = parsed(&line) else { panic!("it is right") };
        assert_eq!((command, options.target), (Command::Top, Some(Target::Process(41))));
        assert_eq!((options.by, options.window), (By::Polls, Some(Duration::from_millis(250))));
        assert_eq!((options.rows, options.format), (3, Format::Json));
        let line = ["tree", "./x.sock", "--edge", "waiting-on", "--filter", "kind:timer age>1s"];
        let Ok(Parsed::Run(_, options)) = parsed(&line) else { panic!("it is right") };
        assert_eq!(options.target, Some(Target::Socket("./x.sock".into())));
        assert_eq!(
            (options.edge, options.filter.to_string().as_str()),
            (Edge::WaitingOn, "kind:timer age>1s")
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |line: &[&str], want: &str| {
            let said = parsed(line).expect_err("it is wrong");
            assert!(said.contains(want), "{said}");
        };
        check(&[], "what is to be shown?");
        check(&["trees"], "no command `trees`");
        check(&["tree", "1", "2"], "what is `2` for?");
        check(&["lineage", "1", "x"], "an id looks like");
        check(&["tree", "1", "--filter", "kidn:x"], "did you mean `kind`?");
        check(&["tree", "1", "--edge", "up"], "unknown edge");
        check(&["top", "1", "--window", "5"], "a time looks like");
        check(&["top", "1", "--by", "size"], "--by is");
        check(&["tree", "--frobnicate"], "frobnicate");
    }

    #[test]
    fn help_names_every_command() {
        let Ok(Parsed::Say(help)) = parsed(&["--help"]) else { panic!("there is help") };
        for command in ["ps", "tree", "lineage", "top", "leaks", "dump", "trace", "page", "watch"] {
            assert!(help.contains(&format!("\n  {command} ")), "{command}");
            assert!(matches!(parsed(&[command, "1"]), Ok(Parsed::Run(..))), "{command}");
        }
        let Ok(Parsed::Say(query)) = parsed(&["help", "query"]) else { panic!("there is help") };
        assert!(query.contains("under:#12"));
    }
}
