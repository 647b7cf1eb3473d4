//! Sends context to other processes and takes it from them, as far as a list allows.
//!
//! What goes out is what an [`Allow`] names, and nothing else; what comes in is read by the same
//! list. The form is a map of strings: headers of HTTP or of a message, or the environment of a child
//! process. The names and their syntax are W3C's where there are some (`traceparent`, `baggage`).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use forebear_hooks::Frame;

use crate::carried::{Extracted, Origin};
use crate::fields::{self, Value};
use crate::{deadline, percent};

pub use crate::trace_parent::{NoTraceParent, TRACE, TraceParent};

/// The field that holds the id of the request.
pub const REQUEST_ID: &str = "requestId";

/// The name under which the id of a request travels.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

/// The name under which the trace travels.
pub const TRACE_HEADER: &str = "traceparent";

/// The name under which fields travel.
pub const BAGGAGE_HEADER: &str = "baggage";

/// The name under which the time that is left travels, in milliseconds.
pub const DEADLINE_HEADER: &str = "x-deadline-ms";

/// So many fields travel, as the standard has it.
const BAGGAGE_MEMBERS_MAX: usize = 64;

/// They take so many bytes together, as the standard has it.
const BAGGAGE_MAX_BYTES: usize = 8192;

/// An id of a request has so many characters at most: enough for two UUIDs, too few for a story.
const REQUEST_ID_MAX_BYTES: usize = 128;

/// No work is given more time than this: an instant that is further away may not exist.
const DEADLINE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What may leave the process, or is taken from outside. Nothing does that is not named here.
#[derive(Clone, Debug, Default)]
pub struct Allow {
    /// Keys of fields, and their names outside.
    fields: Vec<(&'static str, &'static str)>,
    has_request_id: bool,
    has_trace: bool,
    has_deadline: bool,
}

impl Allow {
    /// Begins a list on which nothing is.
    #[must_use]
    pub fn nothing() -> Allow {
        Allow::default()
    }

    /// Allows a field.
    #[must_use]
    pub fn field(self, key: &'static str) -> Allow {
        self.field_as(key, key)
    }

    /// Allows a field, which is called `name` outside.
    #[must_use]
    pub fn field_as(mut self, key: &'static str, name: &'static str) -> Allow {
        self.fields.push((key, name));
        self
    }

    /// Allows the id of the request, the field [`REQUEST_ID`].
    #[must_use]
    pub fn request_id(mut self) -> Allow {
        self.has_request_id = true;
        self
    }

    /// Allows the trace, [`TRACE`].
    #[must_use]
    pub fn trace(mut self) -> Allow {
        self.has_trace = true;
        self
    }

    /// Allows the time that is left.
    #[must_use]
    pub fn deadline(mut self) -> Allow {
        self.has_deadline = true;
        self
    }
}

/// A map of strings that travels: headers, attributes of a message. Names have lower case.
pub trait Carrier {
    /// Returns what is under a name.
    fn get(&self, name: &str) -> Option<Cow<'_, str>>;

    /// Puts something under a name, in place of what was there.
    fn set(&mut self, name: &'static str, value: String);
}

impl<S: BuildHasher> Carrier for HashMap<String, String, S> {
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(|value| value.as_str().into())
    }

    fn set(&mut self, name: &'static str, value: String) {
        self.insert(name.to_owned(), value);
    }
}

impl Carrier for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(|value| value.as_str().into())
    }

    fn set(&mut self, name: &'static str, value: String) {
        self.insert(name.to_owned(), value);
    }
}

/// Pairs, as command lines and many clients have them.
impl Carrier for Vec<(String, String)> {
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let found = self.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str().into())
    }

    fn set(&mut self, name: &'static str, value: String) {
        match self.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.push((name.to_owned(), value)),
        }
    }
}

/// Writes what is allowed of the context that is current into a carrier.
///
/// A field that is a [secret](crate::fields::redact) stays here, whatever the list says.
///
/// ```
/// use std::collections::HashMap;
/// use forebear_context::{fields, wire};
///
/// let allow = wire::Allow::nothing().field("tenant");
/// let mut headers = HashMap::new();
/// fields::sync_scope([("tenant", "a&b"), ("card", "4111")], || wire::inject(&allow, &mut headers));
/// assert_eq!(headers["baggage"], "tenant=a%26b");
///
/// let origin = wire::extract(&allow, &headers);
/// let seen = origin.sync_scope(|| fields::get("tenant"));
/// assert_eq!(seen, Some("a&b".into()));
/// ```
pub fn inject(allow: &Allow, carrier: &mut impl Carrier) {
    if allow.has_trace {
        if let Some(trace) = TRACE.get_silently() {
            carrier.set(TRACE_HEADER, trace.to_string());
        }
    }
    if allow.has_request_id {
        let id = fields::get(REQUEST_ID).map(|id| id.to_string());
        if let Some(id) = id.filter(|id| is_request_id(id)) {
            carrier.set(REQUEST_ID_HEADER, id);
        }
    }
    if allow.has_deadline {
        if let Some(left) = deadline::remaining() {
            carrier.set(DEADLINE_HEADER, left.as_millis().to_string());
        }
    }
    let baggage = baggage(allow);
    if !baggage.is_empty() {
        carrier.set(BAGGAGE_HEADER, baggage);
    }
}

fn baggage(allow: &Allow) -> String {
    let mut baggage = String::new();
    for (key, name) in allow.fields.iter().take(BAGGAGE_MEMBERS_MAX) {
        if fields::is_secret(key) {
            continue;
        }
        let Some(value) = fields::get(key) else { continue };
        let member = format!("{name}={}", percent::encoded(&value.to_string()));
        if baggage.len() + 1 + member.len() > BAGGAGE_MAX_BYTES {
            fields::count_dropped();
            continue;
        }
        if !baggage.is_empty() {
            baggage.push(',');
        }
        baggage.push_str(&member);
    }
    baggage
}

/// Says whether a text may be the id of a request: up to 128 characters of `[A-Za-z0-9._-]`.
#[must_use]
pub fn is_request_id(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=REQUEST_ID_MAX_BYTES).contains(&text.len()) && text.bytes().all(is_plain)
}

/// Reads what is allowed from a carrier: it is what the sender's context is to this process.
///
/// What is not well-formed is left out; nothing of a stranger's makes this fail.
#[must_use]
pub fn extract(allow: &Allow, carrier: &impl Carrier) -> Origin {
    let mut extracted = Extracted::default();
    if allow.has_trace {
        extracted.trace = carrier.get(TRACE_HEADER).and_then(|text| text.parse().ok());
    }
    if allow.has_request_id {
        let id = carrier.get(REQUEST_ID_HEADER).filter(|id| is_request_id(id));
        extracted.fields.extend(id.map(|id| (REQUEST_ID, Value::from(id.into_owned()))));
    }
    if allow.has_deadline {
        let left = carrier.get(DEADLINE_HEADER).and_then(|text| text.trim().parse().ok());
        let left = left.map(|ms| Duration::from_millis(ms).min(DEADLINE_MAX));
        extracted.deadline = left.map(|left| Instant::now() + left);
    }
    if let Some(baggage) = carrier.get(BAGGAGE_HEADER) {
        read_baggage(allow, &baggage, &mut extracted.fields);
    }
    Origin::foreign(extracted)
}

fn read_baggage(allow: &Allow, baggage: &str, fields: &mut Vec<(&'static str, Value)>) {
    if baggage.len() > BAGGAGE_MAX_BYTES {
        return fields::count_dropped();
    }
    for member in baggage.split(',').take(BAGGAGE_MEMBERS_MAX) {
        // What follows a semicolon are properties, which nobody here knows.
        let Some((name, value)) = member.split(';').next().and_then(|m| m.split_once('=')) else {
            continue;
        };
        let known = allow.fields.iter().find(|(_, known)| *known == name.trim());
        let Some((key, _)) = known else { continue };
        if let Some(value) = percent::decoded(value.trim()) {
            fields.push((key, value.into()));
        }
    }
}

impl Extracted {
    /// The context of the sender, as far as it is known here.
    pub(crate) fn frame(&self) -> Frame {
        let mut frame = fields::with_branch(&Frame::empty(), &self.fields);
        if let Some(trace) = self.trace {
            frame = frame.with(TRACE.key(), std::sync::Arc::new(trace));
        }
        match self.deadline {
            Some(deadline) => frame.with_deadline(deadline),
            None => frame,
        }
    }
}

/// Returns what is allowed of the context that is current, as variables for the environment of a
/// child process: `TRACEPARENT`, `BAGGAGE` and so on.
///
/// ```
/// use forebear_context::{fields, wire};
///
/// let allow = wire::Allow::nothing().field("tenant");
/// let mut child = std::process::Command::new("true");
/// fields::sync_scope([("tenant", "acme")], || child.envs(wire::env(&allow)));
/// let set: Vec<_> = child.get_envs().collect();
/// assert_eq!(set, [("BAGGAGE".as_ref(), Some("tenant=acme".as_ref()))]);
/// ```
#[must_use]
pub fn env(allow: &Allow) -> Vec<(String, String)> {
    let mut carried = Vec::new();
    inject(allow, &mut carried);
    carried.into_iter().map(|(name, value)| (variable(&name), value)).collect()
}

/// Reads what is allowed from the environment of this process: see [`env()`].
#[must_use]
pub fn from_env(allow: &Allow) -> Origin {
    let read = |name: &str| {
        let value = std::env::var(variable(name)).ok()?;
        Some((name.to_owned(), value))
    };
    let names = [TRACE_HEADER, REQUEST_ID_HEADER, DEADLINE_HEADER, BAGGAGE_HEADER];
    let carried: Vec<(String, String)> = names.into_iter().filter_map(read).collect();
    extract(allow, &carried)
}

fn variable(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}
