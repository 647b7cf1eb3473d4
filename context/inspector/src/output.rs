//! Writes to standard output, and knows whether a terminal reads it.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use forebear_context::inspect::Paint;

use crate::args::{Colour, Options};

/// Nobody reads what is written any more. Relaxed: one thread writes and reads it.
static WAS_CUT_OFF: AtomicBool = AtomicBool::new(false);

/// Says whether whoever reads has gone.
pub(crate) fn was_cut_off() -> bool {
    WAS_CUT_OFF.load(Ordering::Relaxed)
}

/// Decides whether there are colours.
pub(crate) fn paint(options: &Options) -> Paint {
    let has_colours = match options.colour {
        Colour::Always => true,
        Colour::Never => false,
        // https://no-color.org
        Colour::Auto => {
            let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            io::stdout().is_terminal() && !is_unwanted
        }
    };
    if has_colours { Paint::Colours } else { Paint::Plain }
}

/// Writes something that prints itself.
pub(crate) fn say(text: &impl Display) -> io::Result<()> {
    let mut to = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let written = write!(to, "{text}").and_then(|()| to.flush());
    if let Err(error) = &written {
        WAS_CUT_OFF.store(error.kind() == io::ErrorKind::BrokenPipe, Ordering::Relaxed);
    }
    written
}

/// A table: columns as wide as what is in them, numbers to the right.
#[derive(Debug)]
pub(crate) struct Table {
    /// A name, and whether it has numbers.
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

impl Table {
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = |nth: usize, name: &str| {
            let rows = self.rows.iter().map(|row| row[nth].chars().count());
            rows.chain([name.len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> =
            self.columns.iter().enumerate().map(|(nth, (name, _))| width(nth, name)).collect();
        let names = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        for row in std::iter::once(&names).chain(&self.rows) {
            let mut line = String::new();
            for ((text, width), (_, align)) in row.iter().zip(&widths).zip(&self.columns) {
                line += &match align {
                    Align::Left => format!("{text:<width$}  "),
                    Align::Right => format!("{text:>width$}  "),
                };
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
