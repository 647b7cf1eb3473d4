//! Writes events as lines of text that end with the context.

use std::fmt::{self, Write};

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use crate::fields::Value;
use crate::interop::Shape;

/// Writes what another formatter writes, then the context: `… message accountId=42 async_id=7`.
///
/// An event is one line. Newlines and other control characters in a message or a value are written
/// as `\n` and the like, so that nothing that comes from outside can begin a line of its own. Colours
/// have to be asked for at the inner formatter, by its `with_ansi`.
#[derive(Clone, Debug)]
pub struct ContextFormat<F> {
    inner: F,
    shape: Shape,
}

impl<F> ContextFormat<F> {
    /// Wraps a formatter that writes a line, such as `format()` or `format().compact()`.
    pub fn new(inner: F) -> ContextFormat<F> {
        ContextFormat { inner, shape: Shape::new() }
    }

    /// Says under which names the context is to stand.
    #[must_use]
    pub fn shape(mut self, shape: Shape) -> ContextFormat<F> {
        self.shape = shape;
        self
    }
}

impl<S, N, F> FormatEvent<S, N> for ContextFormat<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.inner.format_event(ctx, Writer::new(&mut line), event)?;
        write_escaped(&mut writer, line.trim_end_matches(['\n', '\r']))?;
        for (name, value) in self.shape.entries() {
            writer.write_char(' ')?;
            write_plain(&mut writer, &name)?;
            writer.write_char('=')?;
            match &value {
                Value::Str(text) => write_plain(&mut writer, text)?,
                value => write!(writer, "{value}")?,
            }
        }
        writer.write_char('\n')
    }
}

/// Writes a line as it is, but for what would end it. Colours of the formatter itself stay.
fn write_escaped(to: &mut impl Write, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| match c {
        '\u{1b}' | '\t' => to.write_char(c),
        c if is_control(c) => write!(to, "{}", c.escape_default()),
        c => to.write_char(c),
    })
}

/// Writes a word: in quotes, if it would not be one otherwise.
fn write_plain(to: &mut impl Write, text: &str) -> fmt::Result {
    let is_word = |c: char| !c.is_whitespace() && !is_control(c) && !"\"=\\".contains(c);
    if !text.is_empty() && text.chars().all(is_word) {
        return to.write_str(text);
    }
    to.write_char('"')?;
    text.chars().try_for_each(|c| match c {
        '"' | '\\' => write!(to, "\\{c}"),
        c if is_control(c) => write!(to, "{}", c.escape_default()),
        c => to.write_char(c),
    })?;
    to.write_char('"')
}

/// What ends a line for somebody, or moves the cursor of a terminal.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}
