//! Takes over sockets by their numbers.
//!
//! # Invariants
//! I1. Who calls `from_raw_fd` gives away a descriptor that is open and is theirs, as the trait
//!     demands.

#![allow(unsafe_code, reason = "island: a descriptor is taken over by its number")]

use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};

use crate::net::{TcpSocket, UnixSocket};

impl FromRawFd for TcpSocket {
    unsafe fn from_raw_fd(fd: RawFd) -> TcpSocket {
        // SAFETY: I1.
        TcpSocket::from(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl IntoRawFd for TcpSocket {
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}

impl FromRawFd for UnixSocket {
    unsafe fn from_raw_fd(fd: RawFd) -> UnixSocket {
        // SAFETY: I1.
        UnixSocket::from(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl IntoRawFd for UnixSocket {
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}
