//! Makes a flow of each HTTP request, and lets requests to others take the context along.
//!
//! Both are layers of tower, which servers and clients of every sort take.
//!
//! ```
//! use forebear_context::interop::http::{ContextLayer, InjectLayer};
//! use forebear_context::wire::Allow;
//! use std::time::Duration;
//!
//! // What comes in is believed as far as a list says; what is only there to be asked is skipped.
//! let server = ContextLayer::new()
//!     .allow(Allow::nothing().request_id().trace().deadline().field("tenant"))
//!     .deadline(Duration::from_secs(30))
//!     .skip(|parts| parts.uri.path() == "/health");
//! // What goes out has a list of its own.
//! let client = InjectLayer::new(Allow::nothing().request_id().trace().deadline());
//! ```

mod body; // the rest of the request's life
mod client; // what goes out
mod server; // what comes in

pub use body::ContextBody;
pub use client::{Inject, InjectLayer};
pub use server::{ContextLayer, ContextService, ResponseFuture};

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::wire::Carrier;

impl Carrier for HeaderMap {
    /// Of several headers of one name, the first counts.
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        HeaderMap::get(self, name)?.to_str().ok().map(Cow::Borrowed)
    }

    fn set(&mut self, name: &'static str, value: String) {
        if let Ok(value) = HeaderValue::try_from(value) {
            self.insert(HeaderName::from_static(name), value);
        }
    }
}
