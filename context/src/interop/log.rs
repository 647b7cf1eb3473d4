//! Adds the context to the records of `log`, as key-value pairs, for any logger that writes those.
//!
//! ```
//! use forebear_context::interop::log::ContextLogger;
//!
//! # struct Mine;
//! # impl log::Log for Mine {
//! #     fn enabled(&self, _: &log::Metadata<'_>) -> bool { true }
//! #     fn log(&self, _: &log::Record<'_>) {}
//! #     fn flush(&self) {}
//! # }
//! log::set_boxed_logger(Box::new(ContextLogger::new(Mine)))?;
//! # Ok::<(), log::SetLoggerError>(())
//! ```

use std::borrow::Cow;
use std::fmt;

use log::kv::{Error, Key, Source, VisitSource};
use log::{Log, Metadata, Record};

use crate::fields::Value;
use crate::interop::Shape;

/// A logger that gives another one each record with the context as key-value pairs.
///
/// The pairs of the record itself come first and win: a logger that looks for a key finds theirs.
/// A record that the other logger does not want costs nothing.
#[derive(Debug)]
pub struct ContextLogger<L> {
    inner: L,
    shape: Shape,
}

impl<L: Log> ContextLogger<L> {
    /// Wraps a logger.
    pub fn new(inner: L) -> ContextLogger<L> {
        ContextLogger { inner, shape: Shape::new() }
    }

    /// Says under which names the context is to stand.
    #[must_use]
    pub fn shape(mut self, shape: Shape) -> ContextLogger<L> {
        self.shape = shape;
        self
    }
}

impl<L: Log> Log for ContextLogger<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.inner.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.inner.enabled(record.metadata()) {
            return;
        }
        let context = Entries(self.shape.entries());
        let both = Chain { first: record.key_values(), then: &context };
        // The builder copies what the record says, except for these.
        self.inner.log(&record.to_builder().key_values(&both).build());
    }

    fn flush(&self) {
        self.inner.flush();
    }
}

struct Entries(Vec<(Cow<'static, str>, Value)>);

impl Source for Entries {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), Error> {
        let Entries(entries) = self;
        entries
            .iter()
            .try_for_each(|(key, value)| visitor.visit_pair(Key::from_str(key), to_log(value)))
    }
}

fn to_log(value: &Value) -> log::kv::Value<'_> {
    match value {
        Value::Str(text) => log::kv::Value::from(&**text),
        Value::I64(number) => log::kv::Value::from(*number),
        Value::U64(number) => log::kv::Value::from(*number),
        Value::F64(number) => log::kv::Value::from(*number),
        Value::Bool(is) => log::kv::Value::from(*is),
    }
}

struct Chain<'a> {
    first: &'a dyn Source,
    then: &'a Entries,
}

impl Source for Chain<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), Error> {
        self.first.visit(visitor)?;
        self.then.visit(visitor)
    }

    fn get(&self, key: Key<'_>) -> Option<log::kv::Value<'_>> {
        self.first.get(key.clone()).or_else(|| self.then.get(key))
    }

    fn count(&self) -> usize {
        self.first.count() + self.then.0.len()
    }
}

impl fmt::Debug for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").finish_non_exhaustive()
    }
}
