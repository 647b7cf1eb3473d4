//! Says whose process is at the other end of a Unix connection.
//!
//! The safe call of `rustix` would not do: it returns a process id that cannot be zero, and the
//! system says zero for a process that this one cannot see, as from within a container.
//!
//! # Invariants
//! I1. The pointers given to a call of the system point to values that live until it returns, and
//!     the size it is told is that of the value.

#![allow(
    unsafe_code,
    reason = "island: a call of the system that no crate of ours wraps as needed"
)]

use std::io;
use std::os::fd::AsRawFd;

/// The number of a user.
#[expect(non_camel_case_types, reason = "the name that C and tokio have for it")]
pub type uid_t = u32;

/// The number of a group.
#[expect(non_camel_case_types, reason = "the name that C and tokio have for it")]
pub type gid_t = u32;

/// The number of a process.
#[expect(non_camel_case_types, reason = "the name that C and tokio have for it")]
pub type pid_t = i32;

/// Whose process is at the other end of a Unix connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UCred {
    uid: uid_t,
    gid: gid_t,
    pid: Option<pid_t>,
}

impl UCred {
    /// Returns the number of its user.
    #[must_use]
    pub fn uid(&self) -> uid_t {
        self.uid
    }

    /// Returns the number of its group.
    #[must_use]
    pub fn gid(&self) -> gid_t {
        self.gid
    }

    /// Returns its own number, if the system says it and can be believed.
    #[must_use]
    pub fn pid(&self) -> Option<pid_t> {
        self.pid
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn peer_credentials(socket: &impl AsRawFd) -> io::Result<UCred> {
    let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let size = size_of::<libc::ucred>();
    let mut length = libc::socklen_t::try_from(size).map_err(io::Error::other)?;
    let fd = socket.as_raw_fd();
    let to = (&raw mut found).cast();
    // SAFETY: I1.
    let result =
        unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, to, &raw mut length) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(UCred { uid: found.uid, gid: found.gid, pid: Some(found.pid).filter(|pid| *pid != 0) })
}

#[cfg(any(
    target_os = "macos",
    target_os = "ios",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
))]
pub(super) fn peer_credentials(socket: &impl AsRawFd) -> io::Result<UCred> {
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: I1.
    let result = unsafe { libc::getpeereid(socket.as_raw_fd(), &raw mut uid, &raw mut gid) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(UCred { uid, gid, pid: None })
}

#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "ios",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
)))]
pub(super) fn peer_credentials(_socket: &impl AsRawFd) -> io::Result<UCred> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system does not say who is there"))
}
