//! Records what happens for some time, as a file that Perfetto opens.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::time::Duration;

use crate::args::Options;
use crate::attach::Service;
use crate::{Failure, Verdict};

/// How long to record, unless more is said.
const WINDOW: Duration = Duration::from_secs(2);

pub(crate) fn run(options: &Options) -> Result<Verdict, Failure> {
    let mut service = Service::connect(options.target()?)?;
    let window = options.window.unwrap_or(WINDOW);
    let dropped = match &options.output {
        None => {
            let mut to = BufWriter::new(io::stdout().lock());
            let dropped = service.trace(window, &mut to)?;
            to.flush()?;
            dropped
        }
        Some(path) => {
            let failed = |error: io::Error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            };
            let mut to = BufWriter::new(File::create(path).map_err(failed)?);
            let dropped = service.trace(window, &mut to)?;
            to.flush().map_err(failed)?;
            dropped
        }
    };
    // To standard error, as standard output may be the trace.
    let mut said = io::stderr();
    if dropped > 0 {
        let _ =
            writeln!(said, "forebear: too much happened: the first {dropped} events were dropped");
    }
    if let Some(path) = &options.output {
        let _ = writeln!(said, "open {} in https://ui.perfetto.dev", path.display());
    }
    Ok(Verdict::Fine)
}
