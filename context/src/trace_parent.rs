//! Says to which distributed trace the work belongs, in the words of W3C's `traceparent`.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::local::AsyncLocal;

/// The trace that is current. A flow that serves a request sets it, and what goes out takes it along.
pub static TRACE: AsyncLocal<TraceParent> = AsyncLocal::named("traceparent");

/// A trace, and the span in it that is at work.
///
/// ```
/// use forebear_context::wire::TraceParent;
///
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let parent: TraceParent = text.parse().unwrap();
/// assert!(parent.is_sampled());
/// assert_eq!(parent.to_string(), text);
/// assert_eq!(parent.child().trace_id(), parent.trace_id());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    is_sampled: bool,
}

/// A number that nobody else has and that cannot be guessed from the last one: ids need no more.
fn random() -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    // Relaxed: each number is given once, which the modification order sees to.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    KEY.hash_one(NEXT.fetch_add(1, Ordering::Relaxed)).max(1)
}

impl TraceParent {
    /// Makes one of its parts; `None` if an id is 0, which no id is.
    #[must_use]
    pub fn new(trace_id: u128, span_id: u64, is_sampled: bool) -> Option<TraceParent> {
        let is_valid = trace_id != 0 && span_id != 0;
        is_valid.then_some(TraceParent { trace_id, span_id, is_sampled })
    }

    /// Begins a trace.
    #[must_use]
    pub fn root(is_sampled: bool) -> TraceParent {
        let trace_id = u128::from(random()) << 64 | u128::from(random());
        TraceParent { trace_id, span_id: random(), is_sampled }
    }

    /// Makes a new span of the same trace.
    #[must_use]
    pub fn child(self) -> TraceParent {
        TraceParent { span_id: random(), ..self }
    }

    /// Returns the id of the trace.
    #[must_use]
    pub fn trace_id(self) -> u128 {
        self.trace_id
    }

    /// Returns the id of the span.
    #[must_use]
    pub fn span_id(self) -> u64 {
        self.span_id
    }

    /// Says whether whoever began the trace records it.
    #[must_use]
    pub fn is_sampled(self) -> bool {
        self.is_sampled
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TraceParent { trace_id, span_id, is_sampled } = self;
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{:02x}", u8::from(*is_sampled))
    }
}

/// The text is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTraceParent(());

impl fmt::Display for NoTraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is no traceparent")
    }
}

impl std::error::Error for NoTraceParent {}

impl FromStr for TraceParent {
    type Err = NoTraceParent;

    /// Reads it strictly: a trace that is half understood is another trace.
    fn from_str(text: &str) -> Result<TraceParent, NoTraceParent> {
        parse(text).ok_or(NoTraceParent(()))
    }
}

fn parse(text: &str) -> Option<TraceParent> {
    let mut parts = text.splitn(5, '-');
    let mut hex = |len: usize| {
        let part = parts.next()?;
        let is_hex = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (part.len() == len && is_hex).then_some(part)
    };
    let (version, trace_id) = (hex(2)?, hex(32)?);
    let (span_id, flags) = (hex(16)?, hex(2)?);
    // A later version may have more parts, this one has not.
    let is_known = version != "ff" && (version != "00" || parts.next().is_none());
    let flags = u8::from_str_radix(flags, 16).ok()?;
    let (trace_id, span_id) =
        (u128::from_str_radix(trace_id, 16).ok()?, u64::from_str_radix(span_id, 16).ok()?);
    is_known.then(|| TraceParent::new(trace_id, span_id, flags & 1 != 0)).flatten()
}

#[cfg(test)]
mod tests {
    use super::TraceParent;
    use std::collections::HashSet;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn only_what_the_standard_allows_is_read() {
        let check = |text: &str, want: bool| {
            assert_eq!(text.parse::<TraceParent>().is_ok(), want, "{text}");
        };
        check(&format!("00-{TRACE}-{SPAN}-01"), true);
        check(&format!("00-{TRACE}-{SPAN}-00"), true);
        check(&format!("cc-{TRACE}-{SPAN}-01-what-the-future-brings"), true);
        check(&format!("00-{TRACE}-{SPAN}-01-more"), false);
        check(&format!("ff-{TRACE}-{SPAN}-01"), false);
        check(&format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), false);
        check(&format!("00-{}-{SPAN}-01", "0".repeat(32)), false);
        check(&format!("00-{TRACE}-{}-01", "0".repeat(16)), false);
        check(&format!("00-{TRACE}-{SPAN}-1"), false);
        check(&format!("00-{TRACE}-{SPAN}"), false);
        check(&format!(" 00-{TRACE}-{SPAN}-01"), false);
        check(&format!("00-+{}-{SPAN}-01", &TRACE[1..]), false);
        check("", false);
    }

    #[test]
    fn no_two_ids_are_equal() {
        let roots: Vec<TraceParent> = (0..10_000).map(|_| TraceParent::root(true)).collect();
        let traces: HashSet<u128> = roots.iter().map(|root| root.trace_id()).collect();
        let spans: HashSet<u64> = roots.iter().map(|root| root.child().span_id()).collect();
        assert_eq!((traces.len(), spans.len()), (roots.len(), roots.len()));
    }
}
