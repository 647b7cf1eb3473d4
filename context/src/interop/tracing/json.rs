//! Writes events as lines of JSON that have the context at their root, or in a block.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::registry::LookupSpan;

use crate::fields::Value;
use crate::interop::Shape;

/// What happens if the context and the event have something of the same name. `timestamp`, `level`,
/// `target` and `message` are the event's, whatever is said here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Collision {
    /// Both are written, the context's with `_context` behind its name.
    #[default]
    Rename,
    /// The event's is written.
    EventWins,
    /// The context's is written.
    ContextWins,
}

/// Writes an event as one line of JSON: `timestamp`, `level`, `target`, `message`, the fields of the
/// event, the context.
///
/// No key is written twice, and nothing that comes from outside can begin a line of its own.
#[derive(Clone, Debug)]
pub struct JsonFormat<T = SystemTime> {
    timer: T,
    shape: Shape,
    block: Option<&'static str>,
    collision: Collision,
    has_spans: bool,
}

impl JsonFormat {
    /// Begins with the context at the root.
    #[must_use]
    pub fn new() -> JsonFormat {
        JsonFormat {
            timer: SystemTime,
            shape: Shape::new(),
            block: None,
            collision: Collision::default(),
            has_spans: false,
        }
    }
}

impl Default for JsonFormat {
    fn default() -> JsonFormat {
        JsonFormat::new()
    }
}

impl<T> JsonFormat<T> {
    /// Says under which names the context is to stand.
    #[must_use]
    pub fn shape(mut self, shape: Shape) -> JsonFormat<T> {
        self.shape = shape;
        self
    }

    /// Puts the context into an object of its own, `_context` say, and not at the root.
    #[must_use]
    pub fn in_block(mut self, name: &'static str) -> JsonFormat<T> {
        self.block = Some(name);
        self
    }

    /// Says what happens if context and event have something of the same name.
    #[must_use]
    pub fn collision(mut self, collision: Collision) -> JsonFormat<T> {
        self.collision = collision;
        self
    }

    /// Writes the names of the spans around the event, too, the outermost first, as `spans`.
    #[must_use]
    pub fn with_spans(mut self) -> JsonFormat<T> {
        self.has_spans = true;
        self
    }

    /// Writes the time as `timer` does.
    pub fn with_timer<U: FormatTime>(self, timer: U) -> JsonFormat<U> {
        let JsonFormat { shape, block, collision, has_spans, .. } = self;
        JsonFormat { timer, shape, block, collision, has_spans }
    }
}

impl<S, N, T> FormatEvent<S, N> for JsonFormat<T>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    T: FormatTime,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let context = self.shape.entries();
        let mut line = Object::default();
        let mut time = String::new();
        self.timer.format_time(&mut Writer::new(&mut time))?;
        line.put("timestamp", &Json::Str(&time));
        line.put("level", &Json::Str(event.metadata().level().as_str()));
        line.put("target", &Json::Str(event.metadata().target()));
        let mut said = Message(String::new());
        event.record(&mut said);
        line.put("message", &Json::Str(&said.0));
        let context_wins = self.block.is_none() && self.collision == Collision::ContextWins;
        let is_taken = |key: &str| context_wins && context.iter().any(|(name, _)| name == key);
        event.record(&mut EventFields { line: &mut line, is_taken: &is_taken });
        if self.has_spans {
            let spans = ctx.event_scope().into_iter().flat_map(|scope| scope.from_root());
            let names: Vec<&str> = spans.map(|span| span.name()).collect();
            line.put("spans", &Json::Names(&names));
        }
        match self.block {
            Some(block) => {
                let mut object = Object::default();
                context.iter().for_each(|(name, value)| object.put_renamed(name, &value.into()));
                line.put_renamed(block, &Json::Object(object.finish()));
            }
            None => context.iter().for_each(|(name, value)| {
                if self.collision == Collision::Rename || !line.has(name) {
                    line.put_renamed(name, &value.into());
                }
            }),
        }
        writer.write_str(&line.finish())?;
        writer.write_char('\n')
    }
}

enum Json<'a> {
    Str(&'a str),
    I64(i64),
    U64(u64),
    F64(f64),
    Bool(bool),
    Names(&'a [&'a str]),
    /// One that is written already.
    Object(String),
}

impl<'a> From<&'a Value> for Json<'a> {
    fn from(value: &'a Value) -> Json<'a> {
        match value {
            Value::Str(text) => Json::Str(text),
            Value::I64(number) => Json::I64(*number),
            Value::U64(number) => Json::U64(*number),
            Value::F64(number) => Json::F64(*number),
            Value::Bool(is) => Json::Bool(*is),
        }
    }
}

/// An object that is being written, and which keys it has.
#[derive(Default)]
struct Object {
    text: String,
    keys: Vec<String>,
}

impl Object {
    fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|known| known == key)
    }

    /// Writes something, unless there is something of this name.
    fn put(&mut self, key: &str, value: &Json<'_>) {
        if self.has(key) {
            return;
        }
        self.text.push(if self.keys.is_empty() { '{' } else { ',' });
        write_str(&mut self.text, key);
        self.text.push(':');
        write_value(&mut self.text, value);
        self.keys.push(key.to_owned());
    }

    /// Writes something, under another name if there is something of this one.
    fn put_renamed(&mut self, key: &str, value: &Json<'_>) {
        let mut name = key.to_owned();
        while self.has(&name) {
            name.push_str("_context");
        }
        self.put(&name, value);
    }

    fn finish(mut self) -> String {
        self.text.push_str(if self.keys.is_empty() { "{}" } else { "}" });
        self.text
    }
}

fn write_value(to: &mut String, value: &Json<'_>) {
    // A `String` takes whatever is written.
    let _ = match value {
        Json::Str(text) => return write_str(to, text),
        Json::I64(number) => write!(to, "{number}"),
        Json::U64(number) => write!(to, "{number}"),
        // With a point or an exponent, as it can be read back. JSON has no word for the others.
        Json::F64(number) if number.is_finite() => write!(to, "{number:?}"),
        Json::F64(number) => return write_str(to, &number.to_string()),
        Json::Bool(is) => write!(to, "{is}"),
        Json::Names(names) => {
            to.push('[');
            for (nth, name) in names.iter().enumerate() {
                to.push_str(if nth == 0 { "" } else { "," });
                write_str(to, name);
            }
            return to.push(']');
        }
        Json::Object(text) => return to.push_str(text),
    };
}

fn write_str(to: &mut String, text: &str) {
    to.push('"');
    for c in text.chars() {
        match c {
            '"' => to.push_str("\\\""),
            '\\' => to.push_str("\\\\"),
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            '\t' => to.push_str("\\t"),
            // Legal within a string, but an end of line to some who read it.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = write!(to, "\\u{:04x}", u32::from(c));
            }
            c => to.push(c),
        }
    }
    to.push('"');
}

/// Takes the message of an event.
struct Message(String);

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

/// Writes the other fields of an event.
struct EventFields<'a> {
    line: &'a mut Object,
    /// Whether the context has something of this name, and wins.
    is_taken: &'a dyn Fn(&str) -> bool,
}

impl EventFields<'_> {
    fn put(&mut self, field: &Field, value: &Json<'_>) {
        let name = field.name();
        if name != "message" && !(self.is_taken)(name) {
            // `level` of an event is not its level.
            match self.line.has(name) {
                true => self.line.put(&format!("{name}_field"), value),
                false => self.line.put(name, value),
            }
        }
    }
}

impl Visit for EventFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, &Json::Str(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, &Json::I64(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, &Json::U64(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, &Json::F64(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, &Json::Bool(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, &Json::Str(&value.to_string()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &Json::Str(&format!("{value:?}")));
    }
}
