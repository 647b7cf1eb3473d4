//! Tells whoever asks what every asynchronous resource of a process is doing.
//!
//! A *resource* is anything with an [`AsyncId`]: a task, a timer, a socket, a unit of business
//! work, or something of your own. Its life is told in five events, which have the same names
//! everywhere: `init`, `before`, `after`, `promise_resolve`, `destroy`. A hook is a value that
//! listens to them; several may listen at once, and each can be added and removed while the
//! program runs.
//!
//! ```
//! use forebear_hooks::{AsyncResource, Kind, hook};
//!
//! let live = hook()
//!     .init(|r| println!("+ {} {} at {}", r.id(), r.label(), r.location()))
//!     .destroy(|r, why| println!("- {} {why:?}", r.id()))
//!     .enable()?;
//!
//! let query = AsyncResource::new(Kind::new("DB_QUERY"));
//! let rows = query.run_in_async_scope(|| 3);
//! query.emit_destroy();
//! # assert_eq!(rows, 3);
//! drop(live); // Nothing is printed from here on.
//! # Ok::<(), forebear_hooks::EnableError>(())
//! ```
//!
//! # The second example: which polls take long
//!
//! A hook that is a type of its own can keep something per resource, in the resource itself:
//!
//! ```
//! use std::time::{Duration, Instant};
//! use forebear_hooks::{AsyncHook, Events, Resource, create_hook};
//!
//! struct LongPolls { limit: Duration }
//!
//! impl AsyncHook for LongPolls {
//!     fn events(&self) -> Events { Events::BEFORE | Events::AFTER }
//!     fn before(&self, r: &Resource<'_>) { r.set_slot(r.now()); }
//!     fn after(&self, r: &Resource<'_>) {
//!         let Some(since) = r.slot::<Instant>() else { return };
//!         let took = r.now() - *since;
//!         if took > self.limit { println!("{} {} held its thread for {took:?}", r.id(), r.label()); }
//!     }
//! }
//!
//! let slow = create_hook(LongPolls { limit: Duration::from_millis(10) }).enable()?;
//! # drop(slow);
//! # Ok::<(), forebear_hooks::EnableError>(())
//! ```
//!
//! Read the modules in this order.

mod sync; // real atomics, or modelled ones
mod id; // who
mod kind; // what sort
mod reason; // how it ended
mod events; // the five events, as a set
mod key; // what its values are known by
mod frame; // the context that travels
mod held; // the same, until its resource ends
mod record; // what is known about one resource
mod current; // whose code is on this thread's stack
mod birth; // how a record is made
mod hook; // what listens
mod filter; // to what it listens
mod registry; // who listens now
mod digest; // what that says about newborns
mod fault; // what happens when a listener panics
mod resource; // what a listener is shown
mod emit; // one function per event
mod coarse; // about what time it is
mod async_resource; // a resource of your own
mod instrument; // a foreign future or stream with a life

pub mod life; // for executors: how a resource is given its life
mod in_place; // how it ends while others see it
pub mod ledger; // for the map of what is alive
pub mod waits; // for who looks: who waits for what
pub mod wakes; // and who woke whom

pub use async_resource::{AsyncResource, AsyncResourceBuilder, Scoped};
pub use coarse::{Coarse, CoarseTick};
pub use current::{execution_async_id, execution_async_resource, trigger_async_id, with_trigger};
pub use events::Events;
pub use fault::Fault;
pub use filter::EnableError;
pub use frame::Frame;
pub use hook::{AsyncHook, Closures, HookBuilder, HookHandle, create_hook, hook};
pub use id::{AsyncId, RuntimeId};
pub use instrument::{Instrumented, InstrumentedStream, instrument, instrument_stream};
pub use key::{FrameKey, FrameValue, Inherit};
pub use kind::Kind;
pub use reason::{Outcome, Reason};
pub use registry::HOOKS_MAX;
pub use resource::{Facts, LiveState, Probe, Resource, Show};
