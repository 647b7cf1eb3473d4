//! Chooses between real atomics and loom's modelled ones.
//!
//! The one file of this crate that knows. Each side must provide: `AtomicU8`, `AtomicU32`,
//! `AtomicU64`, `Ordering`, `Mutex` (whose `lock` ignores poisoning: no user code ever runs under
//! one of our locks, so a poisoned one holds nothing half done), `global`, a value that lives as
//! long as the process (or as one run of a model), and `per_thread`, a value that each thread has
//! for itself, asked by `with` or, if it has a destructor, by `try_with`.
//!
//! What only counts in a static stays on std: loom's atomics cannot be made in a constant.

pub(crate) use imp::{AtomicU8, AtomicU32, AtomicU64, Mutex, Ordering, global, per_thread};

#[cfg(not(loom))]
mod imp {
    pub(crate) use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
    use std::sync::{MutexGuard, PoisonError};

    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Mutex<T> {
            Mutex(std::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Mutex<T> {
            Mutex::new(T::default())
        }
    }

    macro_rules! global {
        ($(#[$meta:meta])* $name:ident: $type:ty = $make:expr) => {
            $(#[$meta])*
            static $name: $type = $make;
        };
    }
    pub(crate) use global;

    macro_rules! per_thread {
        ($($(#[$meta:meta])* $name:ident: $type:ty = $make:expr;)*) => {
            std::thread_local! {
                $($(#[$meta])* static $name: $type = const { $make };)*
            }
        };
    }
    pub(crate) use per_thread;
}

#[cfg(loom)]
mod imp {
    use loom::sync::MutexGuard;
    pub(crate) use loom::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Mutex<T> {
            Mutex::new(T::default())
        }
    }

    macro_rules! global {
        ($(#[$meta:meta])* $name:ident: $type:ty = $make:expr) => {
            loom::lazy_static! {
                $(#[$meta])*
                static ref $name: $type = $make;
            }
        };
    }
    pub(crate) use global;

    macro_rules! per_thread {
        ($($(#[$meta:meta])* $name:ident: $type:ty = $make:expr;)*) => {
            loom::thread_local! {
                $($(#[$meta])* static $name: $type = $make;)*
            }
        };
    }
    pub(crate) use per_thread;
}
