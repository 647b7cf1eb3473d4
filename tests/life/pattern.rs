//! Matches sequences of events against patterns, where the number of polls is not determined.
//!
//! A pattern is the events in their order. `[before after]*` stands for any number of pairs, none
//! included, and `[before after]+` for at least one.

/// Says whether `events`, as a recorder writes them, are what the pattern asks for.
pub(crate) fn is_match(pattern: &str, events: &str) -> bool {
    let events: Vec<&str> = events.split_whitespace().collect();
    matches(pattern.trim(), &events)
}

fn matches(pattern: &str, events: &[&str]) -> bool {
    if pattern.is_empty() {
        return events.is_empty();
    }
    if let Some((group, rest)) = group(pattern) {
        let once = || after_group(group, events);
        return if let Some(rest) = rest.strip_prefix('+') {
            let any = format!("[{group}]*{rest}");
            once().is_some_and(|events| matches(&any, events))
        } else {
            let rest = rest.trim_start_matches('*').trim();
            matches(rest, events) || once().is_some_and(|events| matches(pattern, events))
        };
    }
    let (word, rest) = pattern.split_once(' ').unwrap_or((pattern, ""));
    events.first() == Some(&word) && matches(rest.trim(), &events[1..])
}

fn group(pattern: &str) -> Option<(&str, &str)> {
    pattern.strip_prefix('[')?.split_once(']')
}

fn after_group<'a, 'b>(group: &str, events: &'a [&'b str]) -> Option<&'a [&'b str]> {
    let words: Vec<&str> = group.split_whitespace().collect();
    events.starts_with(&words).then(|| &events[words.len()..])
}

#[test]
fn patterns_match_what_they_say() {
    let check = |pattern: &str, events: &str, want: bool| {
        assert_eq!(is_match(pattern, events), want, "{pattern} on {events}");
    };
    check("init destroy:Dropped", "init destroy:Dropped", true);
    check("init destroy:Dropped", "init destroy:Completed", false);
    check("init destroy:Dropped", "init", false);
    check("init", "init destroy:Dropped", false);
    check("init [before after]* done", "init done", true);
    check("init [before after]* done", "init before after before after done", true);
    check("init [before after]* done", "init before done", false);
    check("init [before after]+ done", "init done", false);
    check("init [before after]+ done", "init before after done", true);
    check("[before after]* before after", "before after before after", true);
}
