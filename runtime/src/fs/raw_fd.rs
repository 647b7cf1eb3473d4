//! Takes over a file by its number.
//!
//! # Invariants
//! I1. Who calls `from_raw_fd` gives away a descriptor that is open and is theirs, as the trait
//!     demands.

#![allow(unsafe_code, reason = "island: a descriptor is taken over by its number")]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use crate::fs::File;

impl FromRawFd for File {
    #[track_caller]
    unsafe fn from_raw_fd(fd: RawFd) -> File {
        // SAFETY: I1.
        File::from(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}
