//! Hears that a child has ended.
//!
//! On Linux a process has a descriptor that is readable when it has ended. Where there is none, a
//! SIGCHLD says that some child has ended, and each that is waited for asks whether it is the one.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::driver::Watch;
use crate::io::{Interest, Ready};
use crate::scheduler::Shared;
use crate::signal::listener::{Listener, drain};

/// Hears of the end of one child, until it is dropped.
pub(super) struct Exit(Source);

enum Source {
    #[cfg(target_os = "linux")]
    Process(descriptor::Process),
    Signal(Listener),
}

impl Exit {
    /// Begins to listen. The child must not have been waited for: its number is its own as long as
    /// that.
    pub(super) fn of(id: u32, shared: &Arc<Shared>) -> io::Result<Exit> {
        #[cfg(target_os = "linux")]
        if let Some(process) = descriptor::open(id, shared)? {
            return Ok(Exit(Source::Process(process)));
        }
        let _ = id;
        Exit::by_signal(shared)
    }

    /// Listens to the signal.
    fn by_signal(shared: &Arc<Shared>) -> io::Result<Exit> {
        // It may have ended before this listens: the first attempt is made at once.
        let watch = Watch::of(Interest::READABLE).assuming(Ready::READABLE);
        let listener = Listener::new(signal_hook::consts::SIGCHLD, shared.clone(), watch)?;
        Ok(Exit(Source::Signal(listener)))
    }

    /// Waits until the child has ended, which `look` says when it is asked.
    pub(super) fn poll(
        &self,
        cx: &mut Context<'_>,
        mut look: impl FnMut() -> io::Result<Option<ExitStatus>>,
    ) -> Poll<io::Result<ExitStatus>> {
        let mut look = || look()?.ok_or_else(|| io::ErrorKind::WouldBlock.into());
        match &self.0 {
            #[cfg(target_os = "linux")]
            Source::Process(process) => {
                process.poll_io(cx, Interest::READABLE, None, |_attempt| look())
            }
            Source::Signal(listener) => {
                let registration = listener.registration();
                registration.poll_io(cx, Interest::READABLE, None, |attempt| {
                    // Whatever has been heard: a signal that comes after this is heard again.
                    let _ = drain(&mut &*attempt.io);
                    look()
                })
            }
        }
    }
}

#[cfg(target_os = "linux")]
mod descriptor {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::sync::Arc;

    use rustix::io::Errno;
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use crate::driver::{Registration, Watch};
    use crate::io::Interest;
    use crate::io::descriptor::Descriptor;
    use crate::scheduler::Shared;

    pub(super) type Process = Registration<Descriptor<OwnedFd>>;

    /// Opens the descriptor of a process. `None` where the system has no such thing, or a sandbox
    /// refuses it.
    pub(super) fn open(id: u32, shared: &Arc<Shared>) -> io::Result<Option<Process>> {
        let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let opened = match pidfd_open(id, PidfdFlags::empty()) {
            Err(Errno::NOSYS | Errno::PERM) => return Ok(None),
            opened => opened?,
        };
        let watch = Watch::of(Interest::READABLE);
        Registration::new(Descriptor(opened), shared.clone(), watch).map(Some)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::future::poll_fn;
    use std::process::Command;

    use super::Exit;
    use crate::runtime::Runtime;

    #[test]
    fn the_end_is_heard_by_descriptor_or_signal() {
        let runtime = Runtime::new().unwrap();
        let shared = runtime.handle().shared();
        for (code, is_by_signal) in [(0, false), (3, false), (0, true), (3, true)] {
            let script = format!("exit {code}");
            let mut child = Command::new("sh").args(["-c", &script]).spawn().unwrap();
            let exit = match is_by_signal {
                false => Exit::of(child.id(), shared).unwrap(),
                true => Exit::by_signal(shared).unwrap(),
            };
            let wait = poll_fn(|cx| exit.poll(cx, || child.try_wait()));
            assert_eq!(runtime.block_on(wait).unwrap().code(), Some(code));
        }
    }
}
