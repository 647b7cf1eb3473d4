//! Knows how a platform numbers its sockets.
//!
//! Each side must provide `numbered`, which implements the platform's traits for a socket; whether
//! a socket of std's is in blocking mode, where that can be told; which error says that a connection
//! is under way; which errors of `accept` are about one connection, or about the listener; and
//! `give_up_writes`, which lets the system break a connection whose peer takes nothing for so long.

use std::io;

use socket2::SockRef;

pub(super) use imp::is_under_way;
pub(crate) use imp::numbered;
#[cfg(feature = "serve")]
pub(crate) use imp::{give_up_writes, is_about_connection, is_about_listener};

/// Refuses a socket whose operations would hold up a worker.
pub(super) fn require_nonblocking<'a, S>(socket: &'a S) -> io::Result<()>
where
    SockRef<'a>: From<&'a S>,
{
    if imp::is_blocking(&SockRef::from(socket))? {
        let cure = "the socket is in blocking mode: call `set_nonblocking(true)` before";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, cure));
    }
    Ok(())
}

#[cfg(unix)]
mod imp {
    use std::io;

    use socket2::SockRef;

    pub(crate) fn is_blocking(socket: &SockRef<'_>) -> io::Result<bool> {
        socket.nonblocking().map(|is_nonblocking| !is_nonblocking)
    }

    pub(crate) fn is_under_way(error: &io::Error) -> bool {
        error.raw_os_error() == Some(libc::EINPROGRESS)
    }

    /// The connection that would have been accepted is no more, or may not be; the next one may.
    #[cfg(feature = "serve")]
    pub(crate) fn is_about_connection(error: &io::Error) -> bool {
        let codes = [
            libc::ECONNABORTED,
            libc::ECONNRESET,
            libc::EHOSTDOWN,
            libc::EHOSTUNREACH,
            libc::EINTR,
            libc::ENETDOWN,
            libc::ENETUNREACH,
            libc::ENOPROTOOPT,
            libc::EOPNOTSUPP,
            libc::EPERM,
            libc::EPROTO,
            libc::ETIMEDOUT,
        ];
        error.raw_os_error().is_some_and(|code| codes.contains(&code))
    }

    /// Nothing will ever be accepted.
    #[cfg(feature = "serve")]
    pub(crate) fn is_about_listener(error: &io::Error) -> bool {
        let codes = [libc::EBADF, libc::EFAULT, libc::EINVAL, libc::ENOTSOCK];
        error.raw_os_error().is_some_and(|code| codes.contains(&code))
    }

    /// A socket says that it can be written to only when a third of its buffer is free, which takes a
    /// slow peer longer than any reasonable timeout; the system knows of every byte that is taken.
    #[cfg(all(feature = "serve", target_os = "linux"))]
    pub(crate) fn give_up_writes(
        stream: &impl std::os::fd::AsFd,
        timeout: std::time::Duration,
    ) -> bool {
        // Zero would mean its own default, of many minutes.
        let timeout = timeout.max(std::time::Duration::from_millis(1));
        SockRef::from(stream).set_tcp_user_timeout(Some(timeout)).is_ok()
    }

    #[cfg(all(feature = "serve", not(target_os = "linux")))]
    pub(crate) fn give_up_writes<T>(_stream: &T, _timeout: std::time::Duration) -> bool {
        false
    }

    /// `numbered!(Type, value => source)`: where the source of a value of the type is.
    macro_rules! numbered {
        ($type:ty, $value:ident => $source:expr) => {
            impl std::os::fd::AsRawFd for $type {
                fn as_raw_fd(&self) -> std::os::fd::RawFd {
                    let $value = self;
                    std::os::fd::AsRawFd::as_raw_fd($source)
                }
            }

            impl std::os::fd::AsFd for $type {
                fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                    let $value = self;
                    std::os::fd::AsFd::as_fd($source)
                }
            }
        };
    }

    pub(crate) use numbered;
}

#[cfg(windows)]
mod imp {
    use std::io;

    use socket2::SockRef;

    /// The system does not say.
    pub(crate) fn is_blocking(_socket: &SockRef<'_>) -> io::Result<bool> {
        Ok(false)
    }

    pub(crate) fn is_under_way(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::WouldBlock
    }

    /// The connection that would have been accepted is no more; the next one may be.
    #[cfg(feature = "serve")]
    pub(crate) fn is_about_connection(error: &io::Error) -> bool {
        matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
    }

    /// Nothing will ever be accepted.
    #[cfg(feature = "serve")]
    pub(crate) fn is_about_listener(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::InvalidInput
    }

    #[cfg(feature = "serve")]
    pub(crate) fn give_up_writes<T>(_stream: &T, _timeout: std::time::Duration) -> bool {
        false
    }

    macro_rules! numbered {
        ($type:ty, $value:ident => $source:expr) => {
            impl std::os::windows::io::AsRawSocket for $type {
                fn as_raw_socket(&self) -> std::os::windows::io::RawSocket {
                    let $value = self;
                    std::os::windows::io::AsRawSocket::as_raw_socket($source)
                }
            }

            impl std::os::windows::io::AsSocket for $type {
                fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
                    let $value = self;
                    std::os::windows::io::AsSocket::as_socket($source)
                }
            }
        };
    }

    pub(crate) use numbered;
}
