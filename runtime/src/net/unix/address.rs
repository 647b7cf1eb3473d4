//! Names Unix sockets.

use std::fmt;
use std::io;
use std::os::unix::net;
use std::path::Path;

/// The address of a Unix socket: a path, a name that no file has (on Linux), or nothing.
///
/// It is std's, and can be made from it.
#[derive(Clone)]
pub struct SocketAddr(net::SocketAddr);

impl SocketAddr {
    /// Says whether it is nothing: the address of a socket that was not bound.
    #[must_use]
    pub fn is_unnamed(&self) -> bool {
        self.0.is_unnamed()
    }

    /// Returns the path, if it is one.
    #[must_use]
    pub fn as_pathname(&self) -> Option<&Path> {
        self.0.as_pathname()
    }

    /// Returns the name, if it is one that no file has.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        std::os::linux::net::SocketAddrExt::as_abstract_name(&self.0)
    }

    /// Returns the address that a path stands for. On Linux a path that begins with a zero byte is
    /// a name that no file has.
    pub(super) fn of(path: &Path) -> io::Result<SocketAddr> {
        #[cfg(target_os = "linux")]
        if let Some(name) = hidden_name(path) {
            use std::os::linux::net::SocketAddrExt;
            return net::SocketAddr::from_abstract_name(name).map(SocketAddr);
        }
        net::SocketAddr::from_pathname(path).map(SocketAddr)
    }

    pub(super) fn as_std(&self) -> &net::SocketAddr {
        &self.0
    }
}

/// The name behind a zero byte.
#[cfg(target_os = "linux")]
fn hidden_name(path: &Path) -> Option<&[u8]> {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).strip_prefix(b"\0")
}

impl From<net::SocketAddr> for SocketAddr {
    fn from(address: net::SocketAddr) -> SocketAddr {
        SocketAddr(address)
    }
}

impl From<SocketAddr> for net::SocketAddr {
    fn from(address: SocketAddr) -> net::SocketAddr {
        address.0
    }
}

/// Where something is to be found, for people: `None` if it has no name.
pub(super) fn name(address: &net::SocketAddr) -> Option<String> {
    #[cfg(target_os = "linux")]
    if let Some(name) = std::os::linux::net::SocketAddrExt::as_abstract_name(address) {
        return Some(format!("@{}", String::from_utf8_lossy(name)));
    }
    address.as_pathname().map(|path| path.display().to_string())
}

impl fmt::Debug for SocketAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{SocketAddr, name};

    #[track_caller]
    fn check(path: &str, want: Option<&str>) {
        let address = SocketAddr::of(path.as_ref()).expect("it is an address");
        assert_eq!(name(address.as_std()).as_deref(), want);
        assert_eq!(address.is_unnamed(), want.is_none());
    }

    #[test]
    fn addresses_are_paths_names_or_nothing() {
        check("run/orders.sock", Some("run/orders.sock"));
        check("", None);
        #[cfg(target_os = "linux")]
        check("\0orders", Some("@orders"));
    }
}
