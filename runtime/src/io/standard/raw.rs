//! Knows how a platform numbers the standard input and outputs.
//!
//! Each side must provide `numbered`, which implements the platform's traits for a type whose field
//! `std` has them.

pub(super) use imp::numbered;

#[cfg(unix)]
mod imp {
    macro_rules! numbered {
        ($type:ident) => {
            impl std::os::fd::AsRawFd for $type {
                fn as_raw_fd(&self) -> std::os::fd::RawFd {
                    self.std.as_raw_fd()
                }
            }

            impl std::os::fd::AsFd for $type {
                fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                    self.std.as_fd()
                }
            }
        };
    }

    pub(crate) use numbered;
}

#[cfg(windows)]
mod imp {
    macro_rules! numbered {
        ($type:ident) => {
            impl std::os::windows::io::AsRawHandle for $type {
                fn as_raw_handle(&self) -> std::os::windows::io::RawHandle {
                    self.std.as_raw_handle()
                }
            }

            impl std::os::windows::io::AsHandle for $type {
                fn as_handle(&self) -> std::os::windows::io::BorrowedHandle<'_> {
                    self.std.as_handle()
                }
            }
        };
    }

    pub(crate) use numbered;
}
