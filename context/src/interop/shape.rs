//! Decides under which names the context stands beside an event, and in which order.

use std::borrow::Cow;

use forebear_hooks::execution_async_resource;

use crate::fields::{self, Value};
use crate::flow;

/// Under which names the context stands beside an event, and in which order.
///
/// Without more being said these are all fields, as they may leave the process, in the order in
/// which they were set; then `async_id` and `trigger_id` of what is running, `flow_id`, and
/// `elapsed_ms`, which is how long the flow has been going on.
///
/// ```
/// use forebear_context::{fields, interop::Shape};
///
/// let shape = Shape::new().rename("accountId", "account").order(["accountId"]).prefix("ctx.");
/// let around = [("tenant", "acme"), ("accountId", "42")];
/// let seen = fields::sync_scope(around, || shape.entries());
/// assert_eq!(seen, [("account".into(), "42".into()), ("ctx.tenant".into(), "acme".into())]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Shape {
    first: Vec<&'static str>,
    renames: Vec<(&'static str, &'static str)>,
    hidden: Vec<&'static str>,
    prefix: &'static str,
    is_without_ids: bool,
}

impl Shape {
    /// Begins with everything under its own name.
    #[must_use]
    pub fn new() -> Shape {
        Shape::default()
    }

    /// Puts these fields first, in this order.
    #[must_use]
    pub fn order(mut self, keys: impl IntoIterator<Item = &'static str>) -> Shape {
        self.first.extend(keys);
        self
    }

    /// Shows a field under another name, without the prefix.
    #[must_use]
    pub fn rename(mut self, key: &'static str, name: &'static str) -> Shape {
        self.renames.push((key, name));
        self
    }

    /// Does not show a field.
    #[must_use]
    pub fn hide(mut self, key: &'static str) -> Shape {
        self.hidden.push(key);
        self
    }

    /// Puts this before the name of each field that is not renamed.
    #[must_use]
    pub fn prefix(mut self, prefix: &'static str) -> Shape {
        self.prefix = prefix;
        self
    }

    /// Shows fields only: no ids, no time.
    #[must_use]
    pub fn without_ids(mut self) -> Shape {
        self.is_without_ids = true;
        self
    }

    /// Returns the context that is current, as it is to stand beside an event.
    #[must_use]
    pub fn entries(&self) -> Vec<(Cow<'static, str>, Value)> {
        let mut entries = Vec::new();
        fields::for_each_shown(|key, value| {
            if !self.hidden.contains(&key) {
                let place = self.first.iter().position(|first| *first == key);
                entries.push((place.unwrap_or(usize::MAX), self.name(key), value.clone()));
            }
        });
        // Stable: what has no place keeps the order in which it was set.
        entries.sort_by_key(|(place, ..)| *place);
        let fields = entries.into_iter().map(|(_, name, value)| (name, value));
        if self.is_without_ids { fields.collect() } else { fields.chain(ids()).collect() }
    }

    fn name(&self, key: &'static str) -> Cow<'static, str> {
        let renamed = self.renames.iter().find(|(known, _)| *known == key);
        match renamed {
            Some((_, name)) => Cow::Borrowed(*name),
            None if self.prefix.is_empty() => Cow::Borrowed(key),
            None => Cow::Owned(format!("{}{key}", self.prefix)),
        }
    }
}

fn ids() -> impl Iterator<Item = (Cow<'static, str>, Value)> {
    let (id, trigger) = execution_async_resource(|resource| {
        (resource.map(|r| r.id()), resource.and_then(|r| r.trigger_id()))
    });
    let elapsed_ms = flow::elapsed()
        .map(|elapsed| Value::U64(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)));
    let number = |id: forebear_hooks::AsyncId| Value::U64(id.get());
    let ids = [
        ("async_id", id.map(number)),
        ("trigger_id", trigger.map(number)),
        ("flow_id", flow::id().map(number)),
        ("elapsed_ms", elapsed_ms),
    ];
    ids.into_iter().filter_map(|(name, value)| Some((Cow::Borrowed(name), value?)))
}
