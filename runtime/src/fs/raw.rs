//! Knows how a platform numbers its files.

use crate::fs::File;

#[cfg(unix)]
mod imp {
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

    use super::File;

    impl AsRawFd for File {
        fn as_raw_fd(&self) -> RawFd {
            self.std().as_raw_fd()
        }
    }

    impl AsFd for File {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.std().as_fd()
        }
    }

    impl From<OwnedFd> for File {
        #[track_caller]
        fn from(fd: OwnedFd) -> File {
            File::from_std(fd.into())
        }
    }
}

#[cfg(windows)]
mod imp {
    use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle, RawHandle};

    use super::File;

    impl AsRawHandle for File {
        fn as_raw_handle(&self) -> RawHandle {
            self.std().as_raw_handle()
        }
    }

    impl AsHandle for File {
        fn as_handle(&self) -> BorrowedHandle<'_> {
            self.std().as_handle()
        }
    }

    impl From<OwnedHandle> for File {
        #[track_caller]
        fn from(handle: OwnedHandle) -> File {
            File::from_std(handle.into())
        }
    }
}
