//! Runs what `#[main]` and `#[test]` wrap. Only what these attributes write calls it, so it is no
//! part of the public interface.

use std::future::Future;

use crate::facade;
use crate::runtime::{Builder, LocalOptions, LocalRuntime, Runtime};

/// Stands in a branch that is never taken, to tell the compiler what a body returns before it looks
/// into it.
///
/// # Panics
/// Always.
#[must_use]
pub fn never<T>() -> T {
    unreachable!("what `#[main]` writes does not call this")
}

/// Runs the body of a program.
///
/// # Panics
/// When there can be no runtime; and if the body does.
#[track_caller]
pub fn main<F: Future>(builder: &mut Builder, body: F) -> F::Output {
    build(builder).block_on(body)
}

/// Runs the body of a test.
///
/// # Panics
/// When there can be no runtime; if the body does; and if something of the runtime outlives it.
#[track_caller]
pub fn test<F: Future>(builder: &mut Builder, body: F) -> F::Output {
    let runtime = build(builder);
    let id = runtime.id();
    let output = runtime.block_on(body);
    drop(runtime);
    facade::assert_quiescent(id);
    output
}

/// Runs the body of a program that stays on its thread.
///
/// # Panics
/// When there can be no runtime; and if the body does.
#[track_caller]
pub fn main_local<F: Future>(builder: &mut Builder, body: F) -> F::Output {
    build_local(builder).block_on(body)
}

/// Runs the body of a test that stays on its thread.
///
/// # Panics
/// When there can be no runtime; if the body does; and if something of the runtime outlives it.
#[track_caller]
pub fn test_local<F: Future>(builder: &mut Builder, body: F) -> F::Output {
    let runtime = build_local(builder);
    let id = runtime.handle().id();
    let output = runtime.block_on(body);
    drop(runtime);
    facade::assert_quiescent(id);
    output
}

#[track_caller]
fn build_local(builder: &mut Builder) -> LocalRuntime {
    facade::prepare();
    match builder.build_local(LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => panic!("there can be no runtime: {error}"),
    }
}

#[track_caller]
fn build(builder: &mut Builder) -> Runtime {
    facade::prepare();
    match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("there can be no runtime: {error}"),
    }
}
