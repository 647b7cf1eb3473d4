//! Puts the context to the events of `tracing`, and flows into its spans.
//!
//! ```
//! use forebear_context::interop::tracing::{ContextFormat, JsonFormat};
//! use tracing_subscriber::fmt;
//!
//! // One line of text per event, with the context at its end; or one line of JSON.
//! let text = fmt().event_format(ContextFormat::new(fmt::format().compact())).finish();
//! let json = fmt().event_format(JsonFormat::new()).finish();
//! ```
//!
//! An event that is disabled is not formatted, and so costs nothing for the context.

mod text; // lines of text
mod json; // lines of JSON
mod spans; // flows as spans

pub use json::{Collision, JsonFormat};
pub use spans::SpanBridge;
pub use text::ContextFormat;

use crate::flow::{FlowEnd, Listening, on_end};

/// Emits one event at the end of each flow, the wide event: the target is `forebear::flow`, the level
/// `INFO`, or `WARN` if the outcome is not `ok`. A formatter of this module puts all fields to it.
pub fn wide_events() -> Listening {
    on_end(|end| match end.outcome().as_str() {
        "ok" => tracing::info!(target: "forebear::flow", flow = %end.name(), outcome = "ok"),
        outcome => warn_of(end, outcome),
    })
}

fn warn_of(end: &FlowEnd<'_>, outcome: &str) {
    let error = end.outcome().error();
    tracing::warn!(target: "forebear::flow", flow = %end.name(), outcome, error);
}
