//! Writes the context into a comment behind, or before, a statement of SQL.

use std::borrow::Cow;

use forebear_hooks::execution_async_resource;

use crate::wire::{REQUEST_ID, TRACE};
use crate::{fields, flow, percent};

/// A comment takes so many bytes at most: `pg_stat_activity` shows the first 1023 of a statement.
pub const TAG_MAX_BYTES: usize = 512;

/// One value takes so many bytes at most, as it is written.
const VALUE_MAX_BYTES: usize = 128;

/// What a tag says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TagMode {
    /// What is the same for every run of this code: `application`, `route`, `label`. Statements stay
    /// few, so that caches of prepared statements do what they are for.
    #[default]
    Stable,
    /// Also the id of the request, before the statement, where `pg_stat_activity` does not cut it
    /// off. Each statement is another one: run it unprepared.
    Request,
    /// As [`Stable`](TagMode::Stable), and the `traceparent`, if the trace is recorded. Such a
    /// statement is another one each time: run it unprepared.
    Traced,
}

/// Says what the comment is to say.
///
/// ```
/// use forebear_context::{fields, interop::sql::{SqlTags, TagMode}};
///
/// let tags = SqlTags::new("orders");
/// let tagged = fields::sync_scope([("route", "/orders/{id}")], || {
///     tags.tag_sql("SELECT 1;").into_owned()
/// });
/// assert_eq!(tagged, "SELECT 1 /*application='orders',route='%2Forders%2F%7Bid%7D'*/;");
/// ```
#[derive(Clone, Debug, Default)]
pub struct SqlTags {
    application: Cow<'static, str>,
    mode: TagMode,
}

impl SqlTags {
    /// Begins with the name of the program.
    pub fn new(application: impl Into<Cow<'static, str>>) -> SqlTags {
        SqlTags { application: application.into(), mode: TagMode::default() }
    }

    /// Says what a tag says.
    #[must_use]
    pub fn mode(mut self, mode: TagMode) -> SqlTags {
        self.mode = mode;
        self
    }

    /// Says whether what is tagged now is another statement each time, for which preparing, and
    /// remembering that, is a waste.
    #[must_use]
    pub fn is_unique(&self) -> bool {
        match self.mode {
            TagMode::Stable => false,
            TagMode::Request => fields::get(REQUEST_ID).is_some(),
            TagMode::Traced => TRACE.get_silently().is_some_and(|trace| trace.is_sampled()),
        }
    }

    /// Puts a comment to a statement that says what is current here.
    ///
    /// Keys are fixed, and sorted; every byte of a value outside `[A-Za-z0-9_.~-]` is written as
    /// `%XX`: whatever it is, it can end neither the quote nor the comment. A statement that has a
    /// comment, or what looks like one, is left as it is, because comments do not nest everywhere.
    #[must_use]
    pub fn tag_sql<'a>(&self, sql: &'a str) -> Cow<'a, str> {
        if ["/*", "*/", "--"].iter().any(|mark| sql.contains(mark)) || sql.trim().is_empty() {
            return Cow::Borrowed(sql);
        }
        let comment = self.comment();
        if comment.is_empty() {
            return Cow::Borrowed(sql);
        }
        if self.mode == TagMode::Request {
            return Cow::Owned(format!("/*{comment}*/ {sql}"));
        }
        let body = sql.trim_end();
        // Behind a semicolon it would be a statement of its own.
        let statement = body.trim_end_matches(|c: char| c == ';' || c.is_whitespace());
        let end = if statement.len() < body.len() { ";" } else { "" };
        Cow::Owned(format!("{statement} /*{comment}*/{end}"))
    }

    fn comment(&self) -> String {
        let mut comment = String::new();
        let mut put = |key: &str, value: &str| {
            let mut value = percent::encoded(value);
            if value.len() > VALUE_MAX_BYTES {
                value.truncate(VALUE_MAX_BYTES);
                // Half an escape says nothing.
                if let Some(at) = value[VALUE_MAX_BYTES - 2..].find('%') {
                    value.truncate(VALUE_MAX_BYTES - 2 + at);
                }
            }
            let separator = if comment.is_empty() { "" } else { "," };
            if comment.len() + key.len() + value.len() + 4 <= TAG_MAX_BYTES {
                comment.push_str(&format!("{separator}{key}='{value}'"));
            }
        };
        if !self.application.is_empty() {
            put("application", &self.application);
        }
        if let Some(label) = label() {
            put("label", &label);
        }
        if self.mode == TagMode::Request {
            if let Some(id) = fields::get(REQUEST_ID).filter(|_| !fields::is_secret(REQUEST_ID)) {
                put("request_id", &id.to_string());
            }
        }
        if let Some(route) = fields::get("route").filter(|_| !fields::is_secret("route")) {
            put("route", &route.to_string());
        }
        if self.mode == TagMode::Traced {
            if let Some(trace) = TRACE.get_silently().filter(|trace| trace.is_sampled()) {
                put("traceparent", &trace.to_string());
            }
        }
        comment
    }
}

/// The name of what is running, else that of the flow. Of code without a name there may be thousands.
fn label() -> Option<String> {
    let named = execution_async_resource(|resource| {
        let resource = resource.filter(|resource| resource.is_named())?;
        Some(resource.label().to_owned())
    });
    named.or_else(|| flow::name().map(Cow::into_owned))
}

#[cfg(test)]
mod tests {
    use super::{SqlTags, TAG_MAX_BYTES, TagMode};
    use crate::fields;

    #[track_caller]
    fn check(sql: &str, want: &str) {
        let tags = SqlTags::new("app");
        assert_eq!(tags.tag_sql(sql), want, "{sql}");
    }

    #[test]
    fn the_comment_stands_before_the_semicolon() {
        check("SELECT 1", "SELECT 1 /*application='app'*/");
        check("SELECT 1;", "SELECT 1 /*application='app'*/;");
        check("SELECT 1 ; \n", "SELECT 1 /*application='app'*/;");
        check("", "");
    }

    #[test]
    fn a_statement_that_has_a_comment_stays_as_it_is() {
        for sql in ["SELECT /* why */ 1", "SELECT 1 -- why", "SELECT '*/'"] {
            check(sql, sql);
        }
    }

    #[test]
    fn nothing_ends_the_comment_or_the_quote() {
        let evil = [
            "*/ DROP TABLE orders; --",
            "' */; DROP TABLE orders",
            "\\'*/",
            "/*!50000 DROP*/",
            "\0\n\r\u{1a}%27%2A%2F",
            "＇＊／",
        ];
        for mode in [TagMode::Stable, TagMode::Request] {
            for text in evil {
                let tags = SqlTags::new(text).mode(mode);
                let around = [("route", text), (super::REQUEST_ID, text)];
                let tagged = fields::sync_scope(around, || tags.tag_sql("SELECT 1").into_owned());
                assert_eq!(tagged.matches("*/").count(), 1, "{tagged}");
                assert_eq!(tagged.matches("/*").count(), 1, "{tagged}");
                let (_, behind) = tagged.split_once("/*").unwrap();
                let (comment, _) = behind.split_once("*/").unwrap();
                let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.~-%=',".contains(c);
                assert!(comment.chars().all(is_plain), "{tagged}");
                let quotes = comment.matches('\'').count();
                assert_eq!(quotes, 2 * comment.matches("='").count(), "{tagged}");
            }
        }
    }

    #[test]
    fn a_comment_is_bounded() {
        let long = "é".repeat(5000);
        let tags = SqlTags::new(long.clone()).mode(TagMode::Request);
        let around = [("route", long.clone()), (super::REQUEST_ID, long)];
        let tagged = fields::sync_scope(around, || tags.tag_sql("SELECT 1").into_owned());
        assert!(tagged.len() <= TAG_MAX_BYTES + "/**/ SELECT 1".len(), "{}", tagged.len());
        assert!(tagged.starts_with("/*application='%C3%A9") && tagged.ends_with("'*/ SELECT 1"));
    }

    #[test]
    fn a_statement_that_is_the_same_each_time_is_said_to_be() {
        let is_unique = |mode| SqlTags::new("app").mode(mode).is_unique();
        assert!(!is_unique(TagMode::Request));
        fields::sync_scope([(super::REQUEST_ID, "r-1")], || {
            let all = [TagMode::Stable, TagMode::Request, TagMode::Traced].map(is_unique);
            assert_eq!(all, [false, true, false]);
        });
    }
}
