//! Tests the context layer through its public API, with futures that are polled by hand.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support; // polling, panics, recorders
mod local; // one value
mod guards; // a value for the rest of a scope
mod inherit; // who takes a value over
mod isolation; // what is another's stays another's
mod snapshot; // all values at once
mod fields; // the business context
mod flow; // a unit of work, and all its endings
mod ends; // what a flow has come to
mod deadline; // until when
mod carried; // through queues
mod wire; // to other processes
mod strict; // mistakes
mod map; // the id map: what it has, what it lets go
mod tree; // how it reads
mod checks; // the checks that tests of others stand on
