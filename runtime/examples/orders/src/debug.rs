//! Shows what the service is doing: the tree of its resources, and some numbers.

use std::fs;

use forebear::{inspect, tracker};
use serde::Serialize;

/// Lets these fields of a flow be shown in the tree: values are shown only if they are declared.
pub(crate) fn show_fields() {
    inspect::declare_field("requestId");
    inspect::declare_field("accountId");
}

/// Returns all live resources, each under the one that triggered it.
pub(crate) fn tree() -> String {
    inspect::tree().to_string()
}

/// How much of everything there is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stats {
    /// Tasks, flows, timers, sockets and so on that live.
    live_resources: usize,
    /// What the system has given to the process in memory, where it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    resident_bytes: Option<u64>,
    /// What of it is allocated, SQLite's own memory excepted, if that is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    allocated_bytes: Option<u64>,
}

/// Counts them.
pub(crate) fn stats() -> Stats {
    Stats {
        live_resources: tracker::len(),
        resident_bytes: resident_bytes(),
        allocated_bytes: allocated_bytes(),
    }
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(not(feature = "count-allocations"))]
fn allocated_bytes() -> Option<u64> {
    None
}

#[cfg(feature = "count-allocations")]
fn allocated_bytes() -> Option<u64> {
    let counted = counting::ALLOCATOR.stats();
    Some(counted.bytes_allocated.saturating_sub(counted.bytes_deallocated) as u64)
}

#[cfg(feature = "count-allocations")]
mod counting {
    use std::alloc::System;

    use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

    #[global_allocator]
    pub(super) static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;
}
